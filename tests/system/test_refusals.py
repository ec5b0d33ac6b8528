"""What must not be done is not done: each refusal says what would have happened, and changes nothing."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, history, listening, login, sendmail_pid, wizard
from tests.system.picture import differences, picture
from tests.system.releases import NATIVE_UNITS, Release

MC = "/etc/mail/sendmail.mc"


def unchanged(debian: Machine, *arguments: str, code: int, said: str) -> None:
    """`apply` ends with `code` and says `said`, the daemon stays, and /etc stays byte for byte."""
    tree = "find /etc -xdev \\( -type f -o -type l \\) -printf '%p %m %u %g %T@ %l\\n' | sort; cat /etc/mail/* 2>/dev/null | md5sum"
    before, pid, ports = debian.run(tree).stdout, sendmail_pid(debian), listening(debian)
    done = wizard(debian, "apply", "--yes", *arguments)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr
    assert re.search(said, done.stderr), done.stderr
    assert debian.run(tree).stdout == before
    assert (sendmail_pid(debian), listening(debian)) == (pid, ports)


# Each machine is spoilt in one way after the other, by default on this release.
SPOILT: dict[Release, dict[str, tuple[str, str]]] = {
    "bookworm": {
        # Trap 1: a misspelt macro, and one missing quote.
        "a misspelt macro": (
            "sed -i 's/^DAEMON_OPTIONS(.Family=inet,  Name=MSP/DEAMON_OPTIONS(`Family=inet,  Name=MSP/' "
            + MC,
            "DAEMON_OPTIONS",
        ),
        # Trap 2: two lines that want one port.
        "two listeners on one port": (
            'sed -i "/^MAILER_DEFINITIONS/i DAEMON_OPTIONS(\\`Family=inet6, Name=MSP-v6, Port=submission, M=Ea\')dnl" '
            + MC,
            "port",
        ),
        "a symbolic link": (f"mv {MC} /root/mc; ln -s /root/mc {MC}", "symbolic link"),
        # A file that is included later takes the mechanisms away again.
        "mechanisms taken away later": (
            f"echo 'define(`confAUTH_MECHANISMS'\"'\"', `CRAM-MD5'\"'\"')dnl' > /etc/mail/own.m4; "
            f"echo 'include(`/etc/mail/own.m4'\"'\"')dnl' >> {MC}",
            r"AuthMechanisms=CRAM-MD5, without LOGIN\s+PLAIN",
        ),
    },
    "forky": {
        "a missing quote": (
            'sed -i "s/FEATURE(.use_cw_file\')/FEATURE(\\`use_cw_file)/" ' + MC,
            "sendmail.mc",
        ),
        # Trap 12.
        "HANDS_OFF": ("sed -i 's/^HANDS_OFF=.*/HANDS_OFF=\"Yes\";/' /etc/mail/sendmail.conf", "HANDS_OFF"),
        "no sendmail.mc": (f"rm {MC}", "missing"),
        # m4 accepts it, sendmail does not: only the gate's second look finds it.
        "m4 takes it, sendmail does not": (
            "printf 'LOCAL_CONFIG\\nO NoSuchOption=1\\nKbroken nosuchmap /x\\n' >> " + MC,
            "sendmail",
        ),
    },
}


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(each, marks=pytest.mark.default_on(about), id=next(iter(each)))
        for about, each in SPOILT.items()
    ],
)
def test_what_would_kill_the_mta_is_refused(machine: BootMachine, spoilt: dict[str, tuple[str, str]]) -> None:
    debian = machine("mail")
    debian.run(["systemctl", "start", "sendmail"])
    apply(debian, "saslauthd-config", "saslauthd-start", "sendmail-auth")
    debian.run("cp -a /etc/mail /root/mail")
    for name, (spoil, said) in spoilt.items():
        debian.run(spoil)
        done = wizard(debian, "apply", "--yes")
        pid, ports = sendmail_pid(debian), listening(debian)
        assert done.returncode in (1, 3), (name, done.stdout[-3000:])
        assert re.search(said, done.stderr), (name, done.stderr)
        assert pid != 0, name
        assert {"127.0.0.1:25", "127.0.0.1:587"} <= ports, name
        # What was applied before the refusal is recorded; what was refused left nothing behind that a next run records.
        commits = history(debian)
        assert not any(commit["step"] in ("sendmailconfig", "restart") for commit in commits), name
        unchanged(debian, code=done.returncode, said=said)
        assert history(debian) == commits, name
        debian.run("rm -rf /etc/mail /root/mc; cp -a /root/mail /etc/mail")


def test_another_mta(machine: BootMachine) -> None:
    debian = machine("ready")
    debian.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q postfix", timeout=300)
    unchanged(debian, code=3, said="postfix is installed, and apt would remove it")
    plan = wizard(debian, "plan", "--replace-mta")
    assert plan.returncode == 0, plan.stderr
    assert "REMOVES" in plan.stdout
    apply(debian, "--replace-mta")
    add_alice(debian)
    assert login(debian)["ok"]


def test_no_qualified_name(machine: BootMachine) -> None:
    debian = machine("ready", fqdn="mail")
    unchanged(debian, code=3, said=r"(?s)not a qualified name.*/etc/hosts")
    debian.run("setsid python3 -m http.server 587 >/dev/null 2>&1 & sleep 1")
    unchanged(debian, code=3, said=r"(?s)not a qualified name.*port 587 on\s+\S+\s+is\s+held.*/etc/hosts")
    debian.run("fuser -k 587/tcp || kill $(ss -ltnpH 'sport = :587' | grep -o 'pid=[0-9]*' | cut -d= -f2)")
    debian.run(
        "echo '127.0.1.1 mail.example.org mail' > /etc/hosts; echo '127.0.0.1 localhost' >> /etc/hosts"
    )
    assert wizard(debian, "plan").returncode == 0


def test_a_port_that_is_taken(machine: BootMachine) -> None:
    debian = machine("ready")
    debian.run("setsid python3 -m http.server 587 >/dev/null 2>&1 & sleep 1")
    unchanged(debian, code=3, said=r"port 587 on \S+ is held by python3 \(pid \d+\)")


def test_wrong_answers(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.put("/root/a.toml", "[listen]\nsubmision = []\n")
    unchanged(debian, "--answers", "/root/a.toml", code=2, said=r"a\.toml, line 2: .*did you mean submission")
    debian.put("/root/a.toml", '[listen]\nsubmission = ["203.0.113.1"]\n')
    done = wizard(
        debian,
        "apply",
        "--yes",
        "--answers",
        "/root/a.toml",
        "submission-port",
        "mc-includes",
        "sendmail-auth",
    )
    assert done.returncode == 3
    assert "not an address of this host" in done.stderr
    unchanged(debian, "no-such-step", code=2, said="there is no step")


def test_users_other_than_root(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run(["useradd", "--create-home", "bob"])
    debian.run("cp -a /root/msa-wizard /home/bob/w && chown -R bob /home/bob")

    def bob(*arguments: str) -> subprocess.CompletedProcess[str]:
        return debian.run(["/home/bob/w/msa-wizard", *arguments], user="bob", check=False)

    for arguments in ("--help", "--version", "plan", "status"):
        done = bob(arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    assert "only be read by root" in bob("plan").stdout
    apply(debian)  # saslauthd's folder is closed to others from now on
    for arguments in ("plan", "status", "answers"):
        done = bob(arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    rows = json.loads(bob("status", "--json").stdout)["steps"]
    states = {row["step"]: row["state"] for row in rows}
    assert not {"pending", "drifted", "later"} & set(states.values()), states
    assert (states["sendmailconfig"], states["auth-test"]) == ("unknown", "unknown")
    refused = bob("apply", "--yes")
    assert (
        refused.returncode,
        "only root can change this host; nothing was changed. Run: `sudo " in refused.stderr,
    ) == (3, True)


def test_the_second_is_told_who_is_at_work(machine: BootMachine) -> None:
    debian = machine("mail")
    apply(debian, "saslauthd-config", "saslauthd-start")
    debian.run("flock /var/lib/msa-wizard/lock sleep 20 >/dev/null 2>&1 &")
    debian.run(["sleep", "0.5"])
    done = wizard(debian, "apply", "--yes")
    assert done.returncode == 5
    assert wizard(debian, "status").returncode == 0


def test_a_read_only_etc(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run(["systemctl", "start", "sendmail"])
    debian.run("mount --bind /etc /etc && mount -o remount,ro,bind /etc")
    done = wizard(debian, "apply", "--yes")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert "127.0.0.1:587" in listening(debian)


def test_no_network_for_apt(machine: BootMachine) -> None:
    debian = machine("ready")
    debian.run("rm /var/cache/apt/archives/sendmail*.deb")
    done = wizard(debian, "apply", "--yes")
    assert done.returncode == 1
    assert "check the network" in done.stderr
    assert "sendmail" not in debian.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]).stdout
    assert history(debian)[0]["operation"] in ("baseline", "drift")


HOLDER = """import fcntl, pathlib, subprocess, time
with open("/var/lib/dpkg/lock-frontend", "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    pathlib.Path("/run/holds").touch()
    while subprocess.run(["pgrep", "-f", "apt-get .*install -y"]).returncode:
        time.sleep(0.2)
    time.sleep(1)
"""


def test_apt_waits_for_its_lock(machine: BootMachine) -> None:
    debian = machine("ready")
    debian.put("/root/holder.py", HOLDER.encode())
    debian.run("python3 /root/holder.py >/dev/null 2>&1 &")
    debian.run("until [ -e /run/holds ]; do sleep 0.1; done")
    done = apply(debian, "install")
    said = r"python3 \(pid \d+\) is at work on the packages; apt waits for it, at most 120 s"
    assert re.search(said, done.stdout), done.stdout[:3000]


def test_a_step_that_fails_is_undone_and_says_so(machine: BootMachine) -> None:
    """saslauthd is enabled and started, and its socket closed to us: the check fails, and the step goes back."""
    debian = machine("mail")
    apply(debian, "saslauthd-config")
    debian.run(
        "mv /usr/sbin/saslauthd /usr/sbin/saslauthd.real; printf '#!/bin/sh\\nexit 0\\n' > /usr/sbin/saslauthd; "
        "chmod 755 /usr/sbin/saslauthd"
    )
    done = wizard(debian, "apply", "--yes", "saslauthd-start")
    assert done.returncode == 1
    assert "service saslauthd (as before)" in done.stderr
    assert debian.run(["systemctl", "is-enabled", "saslauthd"], check=False).returncode != 0
    assert json.loads(wizard(debian, "history", "--json").stdout)["commits"][0]["step"] != "saslauthd-start"
    debian.run("mv /usr/sbin/saslauthd.real /usr/sbin/saslauthd")
    apply(debian, "saslauthd-start")


def test_locale_and_umask_change_nothing(machine: BootMachine) -> None:
    debian = machine("mail")
    debian.run(
        [
            "sh",
            "-c",
            "umask 077; LC_ALL=de_DE.UTF-8 LANGUAGE=de exec /root/msa-wizard/msa-wizard apply --yes",
        ],
        timeout=300,
    )
    shown = debian.run(
        ["stat", "-c", "%a %U %G", MC, "/etc/mail/sendmail.cf", "/etc/mail/sasl/Sendmail.conf.2"]
    ).stdout
    assert shown.split("\n")[:3] == ["644 root smmsp", "644 root smmsp", "640 smmta smmsp"]


@pytest.mark.default_on("bookworm")
def test_bug_791814(machine: BootMachine, release: Release) -> None:
    """The script as 2.1.26 had it, and /etc/default a symbolic link: saslauthd answers all the same, and what was written
    behind the link goes again. A link that leads out of /etc is in the way, and nothing is written behind it."""
    debian = machine("mail")
    debian.run(
        "sed -i 's#find /etc/default/ -regex#find /etc/default -regex#' /etc/init.d/saslauthd; "
        "mv /etc/default /etc/default.real; ln -s default.real /etc/default; systemctl daemon-reload"
    )
    done = wizard(debian, "plan", "saslauthd-init")
    if release in NATIVE_UNITS:
        assert "a systemd unit of its own" in done.stdout
        return
    assert 'SYSTEMCTL_SKIP_REDIRECT="true"' in done.stdout
    assert "conffile" in done.stdout
    add_alice(debian)
    before = picture(debian, "/etc")
    apply(debian)
    assert login(debian)["ok"]
    assert "etc/default.real/saslauthd" in wizard(debian, "diff", "saslauthd-config").stdout
    assert wizard(debian, "rollback", "--all", "--yes").returncode == 0
    made_again = re.compile(r"/etc/(mail/.*(\.db|\.cf|databases|Makefile)|\.pwd\.lock)\b")
    assert [line for line in differences(before, picture(debian, "/etc")) if not made_again.match(line)] == []
    # A sendmail.mc that update_mc would edit: plan has it tried.
    debian.run("sed -i '/^DOMAIN/d' /etc/mail/sendmail.mc; mv /etc/mail /srv/mail; ln -s /srv/mail /etc/mail")
    before = picture(debian, "/srv")
    for command in (["plan"], ["apply", "--yes"], ["apply", "--yes", "sendmailconfig"]):
        done = wizard(debian, *command)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "/etc/mail is a symbolic link to /srv/mail" in " ".join((done.stdout + done.stderr).split())
    assert differences(before, picture(debian, "/srv")) == []
