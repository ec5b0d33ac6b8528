"""From a bare Debian to an accepted login: the howto, all of it, for real."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest

from tests.system.client import Client
from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import (
    PASSWORD,
    STEPS,
    STORE,
    WIZARD,
    add_alice,
    apply,
    history,
    listening,
    login,
    mail_log,
    sendmail_pid,
    wizard,
)
from tests.system.releases import NATIVE_UNITS, Release


@pytest.mark.on_both
def test_from_a_bare_machine_to_235(machine: BootMachine, release: Release) -> None:
    debian = machine("ready")
    add_alice(debian)
    debian.put("/root/answers.toml", wizard(debian, "answers").stdout)
    shown = apply(debian, "--answers", "/root/answers.toml").stdout
    assert "recorded as" in shown
    assert "What mail clients need" in shown.split("Done ")[-1], "it ends with what is still missing"
    assert "port 587 takes TLS 1.2 without forward secrecy" in " ".join(shown.split()), "unasked"
    assert b"tls_srv_features" not in debian.read("/etc/mail/sendmail.mc")
    sendmail_started_once(debian)
    what_is_only_recommended_stayed_out(debian)
    every_step_was_one_commit(debian, release)
    alice_logs_in_and_gets_a_message(debian)
    outside_there_is_login_under_tls_alone_and_none_on_25(debian.client())
    a_second_time_nothing_is_done(debian)
    the_password_is_nowhere(debian)
    it_still_listens_after_a_minute(debian)
    it_works_after_a_reboot(debian)


def sendmail_started_once(debian: Machine) -> None:
    """When it was configured."""
    log = debian.run(["journalctl", "--no-pager", "-q", "-o", "cat", "-u", "sendmail"]).stdout
    assert log.count("Started sendmail") == 1, log
    assert debian.run("ls /usr/sbin/policy-rc.d", check=False).stdout == ""


def what_is_only_recommended_stayed_out(debian: Machine) -> None:
    """Unless it is asked for."""
    known = debian.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]).stdout
    assert "postfix-mta-sts-resolver installed" not in known


def every_step_was_one_commit(debian: Machine, release: Release) -> None:
    """And git reads it."""
    steps = [commit["step"] for commit in reversed(history(debian)) if commit["operation"] == "apply"]
    needless = "saslauthd-config" if release in NATIVE_UNITS else ""
    expected = [step for step in ("install", *STEPS) if step != needless]
    assert steps == expected
    log = debian.run(["git", "--git-dir", STORE, "log", "-p", "--", "etc/mail/sendmail.mc"]).stdout
    assert "+DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea')dnl" in log
    assert "Step: submission-port" in log
    assert debian.run(["git", "--git-dir", STORE, "fsck", "--strict"]).returncode == 0
    assert debian.run(["stat", "-c", "%a", STORE, "/var/lib/msa-wizard"]).stdout.split() == ["700", "700"]


def alice_logs_in_and_gets_a_message(debian: Machine) -> None:
    """With her own password alone."""
    right = login(debian, "--send-to", "alice@mail.example.test")
    assert (right["exit"], right["ok"], right["layer"]) == (0, True, None), right["verdict"]
    assert any(line["text"].startswith("235 ") for line in right["lines"])
    states = {finding["id"]: finding["state"] for finding in right["findings"]}
    assert "failed" not in states.values(), right["findings"]
    wrong = login(debian, password="not hers")
    assert (wrong["exit"], wrong["layer"]) == (1, "credentials")
    debian.run("until [ -s /var/mail/alice ]; do sleep 0.1; done", timeout=10)
    assert right["queue_id"] in debian.read("/var/mail/alice").decode()
    accepted = [
        line for line in mail_log(debian).splitlines() if right["queue_id"] in line and "from=" in line
    ]
    assert re.search(r"proto=ESMTPSA, daemon=MSP-v4", accepted[0]), accepted


def outside_there_is_login_under_tls_alone_and_none_on_25(outside: Client) -> None:
    """LOGIN and PLAIN."""
    speak = "sleep 3; printf 'EHLO client\\r\\n'; sleep 1; printf 'QUIT\\r\\n'; sleep 1"

    def offered(port: int) -> str:
        script = f"exec 3<>/dev/tcp/198.51.100.1/{port}; ({speak}) >&3 & timeout 8 cat <&3"
        return outside.run(["bash", "-c", script]).stdout

    submission, smtp = offered(587), offered(25)
    assert "STARTTLS" in submission
    assert "AUTH" not in submission
    assert "250" in smtp
    assert "AUTH" not in smtp
    tls = outside.run(
        f"({speak}) | timeout 20 openssl s_client -starttls smtp -quiet -connect 198.51.100.1:587 2>/dev/null",
        check=False,
    ).stdout
    assert re.findall(r"250[- ]AUTH (.*)", tls.replace("\r", "")) == ["LOGIN PLAIN"]


def a_second_time_nothing_is_done(debian: Machine) -> None:
    """No commit, no restart, no file."""
    before, commits, pid = debian.mark(), len(history(debian)), sendmail_pid(debian)
    assert "Nothing to do" in apply(debian, "--answers", "/root/answers.toml").stdout
    assert (len(history(debian)), sendmail_pid(debian)) == (commits, pid)
    changed = {
        path
        for path in debian.written(before)
        if not path.startswith(("/var/log", "/var/lib/msa-wizard/venv"))
    }
    assert changed <= {"/var/lib/msa-wizard/lock", "/var/lib/sendmail"}, changed


def the_password_is_nowhere(debian: Machine) -> None:
    """But in the hash of /etc/shadow."""
    places = ["/etc", "/var", "/run", "/root", "/tmp"]
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("=")[:20]):
        looking = ["grep", "-rlaF", *(f"--exclude-dir={name}" for name in ("proc", "sys", "tests")), secret]
        assert debian.run([*looking, *places], check=False).stdout == ""
    assert PASSWORD not in debian.run(["git", "--git-dir", STORE, "log", "-p", "--all"]).stdout


def it_still_listens_after_a_minute(debian: Machine) -> None:
    """A daemon that cannot open all its listeners gives up after some 50 s (trap 2)."""
    started = float(debian.run(["stat", "-c", "%Y", "/run/sendmail/mta/sendmail.pid"]).stdout)
    time.sleep(max(0.0, started + 62 - time.time()))
    assert {"0.0.0.0:25", "0.0.0.0:587"} <= listening(debian)


def it_works_after_a_reboot(debian: Machine) -> None:
    """By itself, and nothing has drifted."""
    debian.reboot()
    debian.run("until ss -ltn | grep -q 0.0.0.0:587; do sleep 0.1; done", timeout=30)
    after = login(debian)
    assert after["ok"], after["verdict"]
    status = json.loads(wizard(debian, "status", "--json").stdout)["steps"]
    assert {step["state"] for step in status} <= {"applied", "done", "not-applicable"}, status


@pytest.mark.default_on("bookworm")
def test_sendmail_runs_where_its_restart_alone_is_rolled_back(machine: BootMachine) -> None:
    debian = machine("ready")
    apply(debian)
    assert wizard(debian, "rollback", "restart", "--yes").returncode == 0
    assert sendmail_pid(debian), "as its package would have left it"


def test_a_sendmail_that_nobody_configures_runs_as_its_package_has_it(machine: BootMachine) -> None:
    debian = machine("ready")
    apply(debian, "install")
    assert {each for each in listening(debian) if each.endswith(":25")} == {"127.0.0.1:25"}


def test_a_host_that_starts_nothing_by_itself_is_set_up_all_the_same(machine: BootMachine) -> None:
    """As images of containers are."""
    debian = machine("ready")
    add_alice(debian)
    debian.put("/usr/sbin/policy-rc.d", b"#!/bin/sh\nexit 101\n", 0o755)
    apply(debian)
    assert login(debian)["exit"] == 0
    assert debian.read("/usr/sbin/policy-rc.d") == b"#!/bin/sh\nexit 101\n"


def test_the_packages_are_listed_before_anybody_is_asked(machine: BootMachine) -> None:
    """With sizes and daemons; what is only recommended is among them where it is asked for."""
    debian = machine("ready")
    debian.put("/etc/msa-wizard/answers.toml", "[install]\nrecommends = true\n")
    debian.put("/root/ask.py", ASKED_TO_INSTALL)
    shown = debian.run("/var/lib/msa-wizard/venv-*/bin/python /root/ask.py").stdout
    assert re.search(r"\d+ packages: [\d.]+ MB to download, [\d.]+ MB on the disk", shown), shown
    assert "postfix-mta-sts-resolver: listens on 127.0.0.1:8461" in shown


ASKED_TO_INSTALL = f"""
import pexpect
child = pexpect.spawn({WIZARD!r}, ["apply", "install"], encoding="utf-8", timeout=60, dimensions=(24, 80))
child.expect_exact("apply install? ")
print(child.before)
child.sendintr()
child.expect(pexpect.EOF)
"""


def test_a_machine_whose_pid_1_is_not_systemd(machine: BootMachine) -> None:
    debian = machine("ready", init="none")
    add_alice(debian)
    apply(debian)
    assert {"0.0.0.0:25", "0.0.0.0:587"} <= listening(debian)
    debian.run("apt-get install -y -qq rsyslog >/dev/null 2>&1; rsyslogd")
    test = login(debian, "--send-to", "alice@mail.example.test")
    assert test["ok"], test["verdict"]
    wrong = login(debian, password="not hers")
    assert (wrong["exit"], wrong["layer"]) == (1, "credentials")
    time.sleep(2)
    log = debian.read("/var/log/mail.log").decode()
    assert re.search(rf"{test['queue_id']}: from=.*proto=ESMTPSA, daemon=MSP-v4", log), log
    assert "Nothing to do" in apply(debian).stdout


def test_the_options_beyond_the_howto(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    outside = debian.client()
    debian.put("/root/answers.toml", "[listen]\nipv6 = true\nimplicit_tls = true\n")
    apply(debian, "--answers", "/root/answers.toml")
    assert listening(debian) >= {"*:25", "*:587", "*:465"}
    assert login(debian, "--port", "465")["ok"]
    assert login(debian, "--host", "::1", "--mechanism", "PLAIN")["ok"]
    assert login(debian, "--host", "127.0.0.1")["ok"]
    for address in ("198.51.100.1", "2001:db8::1"):
        said = outside.run(["bash", "-c", f"exec 3<>/dev/tcp/{address}/587; timeout 5 head -1 <&3"]).stdout
        assert said.startswith("220 "), address
    # A listener that cannot open its port complains every 5 s, until the daemon gives up after some 50 s (trap 2).
    time.sleep(7)
    assert "problem creating SMTP socket" not in mail_log(debian)
    assert listening(debian) >= {"*:25", "*:587", "*:465"}


def test_chosen_addresses(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    debian.client()
    debian.put(
        "/root/answers.toml",
        '[listen]\nsubmission = ["198.51.100.1", "127.0.0.1", "2001:db8::1"]\nsmtp = ["127.0.0.1"]\n',
    )
    apply(debian, "--answers", "/root/answers.toml")
    assert {item for item in listening(debian) if item.endswith((":25", ":587"))} == {
        "198.51.100.1:587",
        "127.0.0.1:587",
        "[2001:db8::1]:587",
        "127.0.0.1:25",
    }
    assert login(debian, "--host", "198.51.100.1")["ok"]
    # Back to every address: the lines are edited, not piled up.
    debian.put("/root/answers.toml", '[listen]\nsubmission = ["0.0.0.0"]\n')
    apply(debian, "--answers", "/root/answers.toml")
    assert {item for item in listening(debian) if item.endswith(":587")} == {"0.0.0.0:587"}


def test_single_steps_and_drift(machine: BootMachine) -> None:
    debian = machine("mail")
    refused = wizard(debian, "apply", "--yes", "submission-port")
    assert refused.returncode == 2
    assert "needs sendmail-auth" in refused.stderr
    apply(debian, "saslauthd-config", "saslauthd-start")
    debian.run("echo '# mine' >> /etc/mail/sendmail.mc; chmod 0600 /etc/aliases")
    apply(debian)
    commits = history(debian)
    drift = next(item for item in commits if item["operation"] == "drift")
    shown = wizard(debian, "diff", drift["commit"]).stdout
    assert "# mine" in shown
    assert "0600" in shown
    assert "# mine" not in wizard(debian, "diff", "submission-port").stdout.replace(" # mine", "")
    debian.run(["sed", "-i", "s/, M=Ea//", "/etc/mail/sendmail.mc"])
    state = {
        item["step"]: item["state"] for item in json.loads(wizard(debian, "status", "--json").stdout)["steps"]
    }
    assert state["submission-port"] == "drifted"
    apply(debian)
    assert b"M=Ea" in debian.read("/etc/mail/sendmail.mc")


def test_a_set_up_works_without_what_a_login_can_do_without(machine: BootMachine) -> None:
    """The steps whose Why says so: their edits are left out, nothing that comes later fails, and each says what that means."""
    debian = machine("mail")
    add_alice(debian)
    left_out = {"auth-options", "smtp-port"}
    done = apply(debian, *(name for name in STEPS if name not in left_out), "auth-test")
    for name in left_out:
        assert f"[warn]  without {name} passwords" in done.stdout
        assert f"-> msa-wizard apply {name} sendmailconfig restart" in done.stdout
    result = login(debian)
    assert result["code"] == 235, result["verdict"]
    apply(debian, *left_out, "sendmailconfig", "restart")
    assert login(debian)["exit"] == 0


TERMINAL = f"""
import pexpect
child = pexpect.spawn({WIZARD!r}, ["apply", "mc-includes", "submission-port", "auth-options", "smtp-port"],
                      encoding="utf-8", timeout=60, dimensions=(24, 80))
child.expect_exact("+include(`/etc/mail/tls/starttls.m4')dnl")
child.expect_exact("apply mc-includes? [y]es, [n]o (the default), [a]ll, [q]uit, ?: ")
child.sendline("?")
child.expect_exact("q  end here: what was applied stays")
child.expect_exact("apply mc-includes? ")
child.sendline("y")
child.expect_exact("apply submission-port? ")
child.sendline("")
child.expect_exact("apply auth-options? ")
child.sendintr()
child.expect_exact("interrupted by SIGINT")
child.expect(pexpect.EOF)
child.close()
print(child.exitstatus)
"""


def test_each_step_is_asked_for_on_a_terminal(machine: BootMachine) -> None:
    """The terminal is made inside the machine, so that nothing but the program gets its signals."""
    debian = machine("mail")
    apply(debian, "sendmail-auth")
    debian.put("/root/terminal.py", TERMINAL)
    assert debian.run("/var/lib/msa-wizard/venv-*/bin/python /root/terminal.py").stdout.split() == ["130"]
    assert [item["step"] for item in history(debian)][:2] == ["mc-includes", "sendmail-auth"]
    assert b"Port=submission, M=Ea, Addr=127.0.0.1" in debian.read("/etc/mail/sendmail.mc")
