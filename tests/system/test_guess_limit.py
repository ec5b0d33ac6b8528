"""Who guesses passwords is banned, with the real fail2ban, nft, sendmail and saslauthd, and clients on another machine."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.killing.in_machine import kill_at, operations
from tests.killing.operations import spread
from tests.system.conftest import BootMachine
from tests.system.firewalls import SET_UPS, kept, live, set_up
from tests.system.machine import Machine
from tests.system.msa import add_alice, history, wizard
from tests.system.picture import differences, picture
from tests.system.rehearsing import rehearsed, shortly
from tests.system.test_troubleshoot import troubleshoot

JAIL = "/etc/fail2ban/jail.d/msa-wizard.conf"
PASSWORD = "Alice-s-66"
LIMIT = ("--set", "guess.limit=true", "--set", "guess.attempts=3", "--set", "guess.ban=20s")
GUESSER, OTHER, THIRD, SIX = "198.51.100.2", "198.51.100.3", "198.51.100.4", "2001:db8::2"
OUTSIDE = """
import smtplib, ssl, sys
port, source = int(sys.argv[1]), sys.argv[2]
context = ssl._create_unverified_context()
target, near = ("2001:db8::1" if ":" in source else "198.51.100.1"), (source, 0)
try:
    if port == 465:
        server = smtplib.SMTP_SSL(target, port, timeout=10, source_address=near, context=context)
    else:
        server = smtplib.SMTP(target, port, timeout=10, source_address=near)
        if port == 587:
            server.starttls(context=context)
    server.ehlo()
    if port == 25:
        print(server.noop()[0])
        sys.exit()
    server.user, server.password = "alice", sys.stdin.readline().rstrip("\\n")
    print(server.auth("LOGIN", server.auth_login)[0])
except smtplib.SMTPAuthenticationError as problem:
    print(problem.smtp_code)
except OSError as problem:
    print("no connection")
"""

IDENTD = """
import socket
with socket.create_server(("", 113)) as server:
    print("ready", flush=True)
    while True:
        with server.accept()[0] as asked:
            asked.sendall(asked.recv(100).strip() + b" : USERID : UNIX : root\\r\\n")
"""


def with_clients(machine: BootMachine) -> Machine:
    """A machine with an MSA, and two addresses outside."""
    debian = machine("msa")
    debian.client().run(f"ip address add {OTHER}/24 dev to-mail")
    debian.run(["chpasswd"], input=f"alice:{PASSWORD}\n")
    return debian


def outside(debian: Machine, password: str, source: str = GUESSER, port: int = 587) -> str:
    """What a login of alice from there is answered."""
    argv = ["python3", "-c", OUTSIDE, str(port), source]
    return debian.client().run(argv, input=f"{password}\n").stdout.strip()


def until(true: Callable[[], bool], patience: float = 30.0) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.5)


def banned(debian: Machine) -> list[str]:
    said = debian.run(["fail2ban-client", "get", "sendmail-auth", "banip"], check=False).stdout
    return said.split()


def guess(debian: Machine, times: int = 3, source: str = GUESSER) -> None:
    """Wrong passwords, until fail2ban has taken note of the last."""
    for _ in range(times):
        assert outside(debian, "wrong", source) == "535"
    until(lambda: source in banned(debian), 10)


def applied(debian: Machine, *arguments: str) -> Any:
    return wizard(debian, "apply", "guess-limit", "--yes", *arguments)


def state(debian: Machine, *arguments: str) -> dict[str, Any]:
    rows = json.loads(wizard(debian, "status", "--json", *arguments).stdout)["steps"]
    row: dict[str, Any] = next(row for row in rows if row["step"] == "guess-limit")
    return row


def changed(debian: Machine, before: dict[str, Any]) -> list[str]:
    """What differs from the picture, but for logs, records, and the tests' own files."""
    theirs = (
        "/var/log/",
        "/root/",
        "/var/lib/msa-wizard",
        "/var/lib/dpkg/",
        "/var/lib/apt/",
        "/var/lib/systemd/",
        "/var/cache/",
    )
    return [line for line in differences(before, picture(debian)) if not line.startswith(theirs)]


def tables(debian: Machine) -> str:
    return debian.run("nft list ruleset 2>/dev/null", check=False).stdout


def test_who_guesses_is_banned_for_a_while_and_all_is_taken_back(machine: BootMachine) -> None:
    debian = with_clients(machine)
    wizard(debian, "status")  # what the first look leaves behind
    before = picture(debian)
    assert state(debian)["state"] == "not-applicable"
    plan = wizard(debian, "plan", "guess-limit", *LIMIT)
    assert plan.returncode == 0, plan.stderr
    assert "Debian's own jail for sshd" in plan.stdout
    assert changed(debian, before) == [], "a plan changes nothing"

    done = applied(debian, *LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    for check in (
        "jail sendmail-auth is at work",
        "is logged to the journal",
        "filter knows what sendmail logs",
        "banning works",
    ):
        assert re.search(rf"\[ok\] .*{check}", done.stdout), done.stdout
    assert state(debian, *LIMIT)["state"] == "applied"
    assert "Nothing to do" in applied(debian, *LIMIT).stdout
    assert state(debian)["state"] == "applied", "what is not asked for any more is not taken back unasked"
    assert banned(debian) == []

    assert outside(debian, PASSWORD) == "235"
    guess(debian)
    assert outside(debian, PASSWORD) == "no connection"
    assert outside(debian, PASSWORD, OTHER) == "235", "everybody else goes on"
    assert outside(debian, "", port=25) == "250", "mail of other servers, too"
    until(lambda: GUESSER not in banned(debian))
    assert outside(debian, PASSWORD) == "235", "let in again"

    # Another limit is a change of the file, and the jail goes on; whom it would have shut out is asked about.
    longer = (*LIMIT[:4], "--set", "guess.ban=1h", "--set", f"guess.never={OTHER}")
    assert state(debian, *longer)["state"] == "pending"
    asked = applied(debian, *longer)
    assert (asked.returncode, "logins-banned" in asked.stderr) == (4, True), asked.stdout + asked.stderr
    assert applied(debian, *longer, "--accept", "logins-banned").returncode == 0
    guess(debian)
    for _ in range(4):
        assert outside(debian, "wrong", OTHER) == "535", "never banned"
    assert banned(debian) == [GUESSER]
    assert outside(debian, PASSWORD) == "no connection"

    back = wizard(debian, "rollback", "guess-limit", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert changed(debian, before) == []
    assert "f2b" not in tables(debian), "every ban ends"
    assert [item["step"] for item in history(debian)].count("guess-limit") >= 2


INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends fail2ban python3-systemd nftables"
LOCAL, CONF = "/etc/fail2ban/jail.local", "/etc/fail2ban/jail.conf"
SERVER = "/etc/systemd/system/fail2ban.service.d/mine.conf"
FAULTS: dict[str, tuple[str, str, tuple[str, ...], int, str]] = {
    "no network": ("true", "true", (*LIMIT, "--set", "guess.never=office"), 2, "'office' is not a network"),
    "syntax error": (
        "printf '[x\\n' > /etc/fail2ban/jail.d/mine.conf",
        "rm /etc/fail2ban/jail.d/mine.conf",
        LIMIT,
        3,
        "configuration is broken: Failed during configuration: File contains no section headers",
    ),
    "a broken jail": (
        f"printf '[sendmail-auth]\\nenabled = true\\nfilter = nonesuch\\n' > {LOCAL}",
        f"rm {LOCAL}",
        LIMIT,
        3,
        "Unable to read the filter 'nonesuch'",
    ),
    "disabled by the admin": (
        f"printf '[sendmail-auth]\\nenabled = false\\n' > {LOCAL}",
        f"rm {LOCAL}",
        LIMIT,
        3,
        "disables the jail sendmail-auth",
    ),
    "enabled by the admin": (
        f"printf '[sendmail-auth]\\nenabled = true\\nbackend = systemd\\n' > {LOCAL}",
        f"rm {LOCAL}",
        LIMIT,
        0,
        "by your own configuration (jail sendmail-auth), which stays as it is",
    ),
    "nft does not work": (
        "mv /usr/sbin/nft /root/nft; printf '#!/bin/sh\\necho no >&2; exit 1\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft",
        "mv /root/nft /usr/sbin/nft",
        LIMIT,
        3,
        "nft does not work on this host",
    ),
    "its bans are counted": (
        f"printf '[recidive]\\nenabled = true\\n' > {LOCAL}",
        f"rm {LOCAL}",
        LIMIT,
        4,
        "| recidive: bans for 1w after 5 bans within 1d",
    ),
    "nothing is logged": (
        "sed -i 's/^O LogLevel=9/O LogLevel=8/' /etc/mail/sendmail.cf",
        "sed -i 's/^O LogLevel=8/O LogLevel=9/' /etc/mail/sendmail.cf",
        LIMIT,
        3,
        "logs no wrong password with LogLevel=8",
    ),
    "read-only": (
        "mount --bind /etc/fail2ban/jail.d /etc/fail2ban/jail.d; mount -o remount,ro,bind /etc/fail2ban/jail.d",
        "umount /etc/fail2ban/jail.d",
        LIMIT,
        1,
        "Read-only file system",
    ),
    "it does not start": (
        f"mkdir -p {SERVER.rpartition('/')[0]}; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {SERVER}; "
        "systemctl daemon-reload",
        f"rm -r {SERVER.rpartition('/')[0]}; systemctl daemon-reload; systemctl restart fail2ban",
        LIMIT,
        1,
        "jail sendmail-auth is not at work",
    ),
    "its filter is another one": (
        "printf '[Definition]\\nfailregex = ^never <HOST>$\\n' > /etc/fail2ban/filter.d/sendmail-auth.local",
        "rm /etc/fail2ban/filter.d/sendmail-auth.local",
        LIMIT,
        1,
        "its filter does not match what sendmail logs",
    ),
}
"""What makes it, what ends it, the choice, the exit code, what is said."""
NEIGHBOURS: dict[str, tuple[str, str, tuple[str, ...], int, str]] = {
    "every network": ("true", "true", (*LIMIT, "--set", "guess.never=::/0"), 2, "would let everybody guess"),
    "a value that is a line": (
        "true",
        "true",
        (*LIMIT[:2], "--set", "guess.ban=1h\nenabled = false"),
        2,
        "is not a time such as",
    ),
    "a broken jail of another service": (
        f"printf '[mine]\\nenabled = true\\n' > {LOCAL}",
        f"rm {LOCAL}",
        LIMIT,
        3,
        "Errors in jail 'mine'",
    ),
    "an action that is not there": (
        f"printf '[DEFAULT]\\nbanaction = nosuch\\n' > {LOCAL}",
        f"rm {LOCAL}",
        LIMIT,
        3,
        "nosuch",
    ),
    "symbolic link": (f"ln -s /dev/null {JAIL}", f"rm {JAIL}", LIMIT, 3, "not a regular file but a symlink"),
    "masked": (
        "systemctl stop fail2ban; systemctl mask fail2ban",
        "systemctl unmask fail2ban; systemctl start fail2ban",
        LIMIT,
        1,
        "masked",
    ),
    "it bans nobody": (
        "printf '[Definition]\\nactionban = true\\n' > /etc/fail2ban/action.d/nftables.local",
        "rm /etc/fail2ban/action.d/nftables.local",
        LIMIT,
        1,
        "a ban does not reach the packet filter",
    ),
}
"""The same, each with one of its kind there or among the unit tests."""


LOOK = (
    "cd /etc; find fail2ban systemd/system rc?.d -printf '%p %m %u %l\\n' | sort; "
    "find fail2ban -type f -exec sha256sum {} + | sort; "
    "systemctl is-active fail2ban && timeout 20 sh -c 'until fail2ban-client ping; do sleep 0.2; done'; "
    "fail2ban-client status; nft list ruleset"
)


def who_answers_ident_and_has_no_name_is_banned_like_others(debian: Machine) -> None:
    """From another address than those whose connections sendmail has counted."""
    assert applied(debian, *LIMIT).returncode == 0
    debian.client().run(f"ip address add {THIRD}/24 dev to-mail")
    argv = debian.client().argv(["python3", "-c", IDENTD])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as identd:
        try:
            assert identd.stdout is not None
            assert identd.stdout.readline() == "ready\n"
            guess(debian, source=OTHER)
        finally:
            identd.kill()
    log = debian.run(["journalctl", "-t", "sm-mta", "-g", "AUTH failure", "-o", "cat"]).stdout
    assert f"relay=root@[{OTHER}]" in log
    assert outside(debian, PASSWORD, OTHER) == "no connection"
    assert outside(debian, PASSWORD, THIRD) == "235"


@pytest.mark.full
def test_a_fail2ban_that_was_there_before_is_as_before_after_a_rollback_made_or_not(
    machine: BootMachine,
) -> None:
    debian = with_clients(machine)
    debian.run(INSTALL)
    debian.put("/etc/fail2ban/jail.d/sshd.conf", "[sshd]\nbackend = systemd\n")
    debian.run("systemctl restart fail2ban")
    assert applied(debian, *LIMIT).returncode == 0
    # While it is rolled back sendmail is shot, once fail2ban has lost our file.
    shoot = f'[Service]\nExecStartPost=-/bin/sh -c "test -e {JAIL} || pkill -9 -x sendmail-mta"\n'
    debian.put("/run/systemd/system/fail2ban.service.d/shoot.conf", shoot)
    debian.run("systemctl daemon-reload")
    failed = wizard(debian, "rollback", "guess-limit", "--yes")
    assert failed.returncode == 1, failed.stdout
    assert "NOT undone" not in failed.stderr
    for jail in ("sendmail-auth", "sshd"):
        until(lambda jail=jail: debian.run(["fail2ban-client", "status", jail], check=False).returncode == 0)  # type: ignore[misc]
    assert outside(debian, PASSWORD) == "235"
    debian.run("rm /run/systemd/system/fail2ban.service.d/shoot.conf; systemctl daemon-reload")
    made = wizard(debian, "rollback", "guess-limit", "--yes")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "does not run now" not in made.stdout + made.stderr
    assert debian.run(["fail2ban-client", "status", "sshd"]).returncode == 0
    assert debian.run(["fail2ban-client", "status", "sendmail-auth"], check=False).returncode != 0

    assert applied(debian, *LIMIT).returncode == 0
    runs = f"test -e {JAIL} && exec /usr/bin/fail2ban-server -xf start; sleep 0.5; exit 255"
    broken = f'[Service]\nExecStart=\nExecStart=/bin/sh -c "{runs}"\n'
    debian.put("/run/systemd/system/fail2ban.service.d/broken.conf", broken)
    debian.run("systemctl daemon-reload; systemctl restart fail2ban")
    made = wizard(debian, "rollback", "guess-limit", "--yes")
    said = " ".join((made.stdout + made.stderr).split())
    assert "fail2ban ran before msa-wizard changed anything, and does not run now" in said
    assert debian.run(["test", "-e", JAIL], check=False).returncode == 1


@pytest.mark.default_on("bookworm")
@pytest.mark.parametrize(
    "faults",
    [FAULTS, pytest.param(NEIGHBOURS, marks=pytest.mark.full)],
    ids=["of each kind", "their neighbours"],
)
def test_faults_end_in_a_clear_error_with_nothing_changed(
    machine: BootMachine, faults: dict[str, tuple[str, str, tuple[str, ...], int, str]]
) -> None:
    debian = with_clients(machine)
    archives = "/var/cache/apt/archives"
    debian.run(f"mv {archives} /root/archives; mkdir -p {archives}/partial")
    before = picture(debian, "/etc")
    done = applied(debian, *LIMIT)
    assert done.returncode == 1, done.stdout
    assert "apt could not install fail2ban" in done.stdout + done.stderr
    assert differences(before, picture(debian, "/etc")) == []
    debian.run(f"rm -r {archives}; mv /root/archives {archives}")
    debian.run(f"mkdir /etc/fail2ban; printf '[DEFAULT]\\nignoreip = {OTHER}\\n' > {LOCAL}")
    done = applied(debian, *LIMIT)
    assert done.returncode == 3, done.stdout
    assert f"fail2ban is not installed, but will read {LOCAL}" in " ".join(
        (done.stdout + done.stderr).split()
    )
    debian.run(f"rm -r /etc/fail2ban; {INSTALL}")
    debian.run(f"sed -i 's/^#ignoreip = .*/ignoreip = {OTHER}/' {CONF}; apt-get remove -y -q fail2ban")
    before = picture(debian, "/etc")
    done = applied(debian, *LIMIT)
    assert done.returncode == 1, done.stdout
    assert f"never bans {OTHER}. Nothing was written" in " ".join((done.stdout + done.stderr).split())
    assert differences(before, picture(debian, "/etc")) == []
    debian.run(f"sed -i 's/^ignoreip = .*/#ignoreip = 127.0.0.1\\/8 ::1/' {CONF}; {INSTALL}")
    debian.put(
        "/etc/fail2ban/jail.d/sshd.conf", "[sshd]\nbackend = systemd\n"
    )  # as an admin of Debian 12 does
    debian.run("systemctl restart fail2ban")

    wrong = []
    for name, (make, repair, choice, code, words) in faults.items():
        debian.run(make)
        there = debian.run(LOOK, check=False).stdout
        done = applied(debian, *choice)
        said = " ".join((done.stdout + done.stderr).split())
        if done.returncode != code or words not in said:
            wrong.append(f"{name}: exit {done.returncode}: {said[-900:]}")
        if debian.run(LOOK, check=False).stdout != there and name != "it does not start":
            wrong.append(f"{name}: something has changed")
        debian.run(repair)
        debian.run("systemctl reset-failed")
    assert wrong == [], "\n".join(wrong)
    assert "guess-limit" not in [item["step"] for item in history(debian)]
    assert applied(debian, *LIMIT).returncode == 0, "once nothing is in the way"


@pytest.mark.full
@pytest.mark.parametrize("name", SET_UPS)
def test_a_ban_goes_before_each_firewall_whose_own_rules_stay(machine: BootMachine, name: str) -> None:
    """With a socket on 465 and IPv6, too."""
    debian = with_clients(machine)
    made = set_up(debian, name)
    both = ("--set", "listen.ipv6=true", "--set", "listen.implicit_tls=true", *LIMIT[:4])
    done = wizard(debian, "apply", "--yes", *both, "--confirm-within", "0")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    rules, files = without_bans(debian), kept(debian, made)
    assert outside(debian, PASSWORD, SIX) == "235"
    guess(debian)
    guess(debian, source=SIX)
    for source in (GUESSER, SIX):
        for port in (587, 465):
            assert outside(debian, PASSWORD, source, port) == "no connection"
    assert outside(debian, PASSWORD, OTHER, 465) == "235"
    assert (without_bans(debian), kept(debian, made)) == (rules, files)
    back = wizard(debian, "rollback", "guess-limit", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    assert (without_bans(debian), kept(debian, made)) == (rules, files)
    assert outside(debian, PASSWORD) == "235"


def without_bans(debian: Machine) -> str:
    """The live rules, but for fail2ban's own table."""
    return re.sub(r"table inet f2b-table \{\n.*?\n\}\n", "", live(debian), flags=re.DOTALL)


@pytest.mark.full
def test_it_comes_with_the_whole_set_up_and_goes_with_it(machine: BootMachine) -> None:
    debian = machine("mail")
    add_alice(debian)
    wizard(debian, "status")
    before = picture(debian)
    done = wizard(debian, "apply", "--yes", *LIMIT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert state(debian, *LIMIT)["state"] == "applied"
    back = wizard(debian, "rollback", "--all", "--yes")
    assert back.returncode == 0, back.stdout[-3000:] + back.stderr
    assert changed(debian, before) == []


@pytest.mark.full
def test_the_rehearsal_bans_in_the_clone(machine: BootMachine) -> None:
    debian = machine("msa")
    before = picture(debian, "/etc")
    made = rehearsed(debian, "guess-limit", *LIMIT)
    assert made["exit"] == 0, shortly(made)
    assert made["clone"]["systemd"]
    assert "banning works: nft had 192.0.2.1" in json.dumps(made), made["apply"]
    assert "no plan knew of" not in json.dumps(made)

    # What it brings is fetched for the clone, as what the set-up brings is.
    debian.run("mkdir /root/debs; mv /var/cache/apt/archives/*.deb /root/debs")
    refused = wizard(debian, "rehearse", "guess-limit", *LIMIT)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "--download-only fail2ban python3-systemd nftables" in " ".join(refused.stderr.split())
    assert differences(before, picture(debian, "/etc")) == []


@contextlib.contextmanager
def connection(debian: Machine) -> Iterator[None]:
    """One to port 22, from port 40000 of the guesser's."""
    served = (
        "import socket, time; kept = socket.create_server(('198.51.100.1', 22)).accept(); time.sleep(600)"
    )
    near = (
        "import socket, time\nwhile True:\n    try:\n"
        f"        kept = socket.create_connection(('198.51.100.1', 22), source_address=('{GUESSER}', 40000))\n"
        "        break\n    except ConnectionRefusedError:\n        time.sleep(0.2)\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    argv = [
        place.argv(["python3", "-c", text]) for place, text in ((debian, served), (debian.client(), near))
    ]
    with (
        subprocess.Popen(argv[0]) as server,
        subprocess.Popen(argv[1], stdout=subprocess.PIPE, text=True) as client,
    ):
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
            yield
        finally:
            client.kill()
            server.kill()


@pytest.mark.full
def test_who_logged_in_within_a_ban_is_asked_about_and_a_connection_by_ssh_is_never_banned(
    machine: BootMachine,
) -> None:
    debian = with_clients(machine)
    plan = " ".join(wizard(debian, "plan", "guess-limit", *LIMIT).stdout.split())
    assert re.search(
        r"who logged in before 20\S+ \S+ is not known: the journal goes back no further", plan
    ), plan
    for _ in range(3):
        assert outside(debian, "wrong", OTHER) == "535"
    assert outside(debian, PASSWORD, OTHER) == "235"
    refused = applied(debian, *LIMIT)
    assert refused.returncode == 4, refused.stderr
    assert re.search(rf"\| {OTHER}: banned 20.*, but alice logged in from there 20", refused.stderr)
    assert debian.run(["test", "-e", JAIL], check=False).returncode != 0
    allowed = applied(debian, *LIMIT, "--set", f"guess.never={OTHER}/32")
    assert allowed.returncode == 0, allowed.stderr
    refused = applied(debian, *LIMIT)
    assert (refused.returncode, f"| {OTHER}: banned" in refused.stderr) == (4, True), refused.stderr
    assert wizard(debian, "rollback", "guess-limit", "--yes").returncode == 0

    # From an SSH connection: the fourth wrong password bans the other, and not the admin's own computer.
    ssh = {"SSH_CONNECTION": f"{GUESSER} 40000 198.51.100.1 22"}
    planned = wizard(debian, "plan", "guess-limit", *LIMIT, "--accept", "logins-banned", env=ssh)
    assert f"applied from ({GUESSER})" not in planned.stdout, "it has ended"
    with connection(debian):
        done = wizard(debian, "apply", "guess-limit", "--yes", *LIMIT, "--accept", "logins-banned", env=ssh)
    assert done.returncode == 0, done.stderr
    assert f"applied from ({GUESSER})" in debian.read(JAIL).decode()
    assert state(debian, *LIMIT)["state"] == "applied", "also from elsewhere"
    for _ in range(4):
        assert outside(debian, "wrong") == "535"
    guess(debian, source=OTHER)
    assert banned(debian) == [OTHER]


@pytest.mark.full
def test_troubleshoot_says_who_guesses_and_whom_fail2ban_bans(machine: BootMachine) -> None:
    debian = with_clients(machine)
    for _ in range(10):
        assert outside(debian, "wrong") == "535"
    found = faults(debian)
    assert "10 wrong ones from 1 address in the last day, for alice" in found["password-guessing"]["cause"]
    assert (found["password-guessing"]["sign"], "firewall-banned" in found) == ("warning", False)
    assert applied(debian, *LIMIT[:4], "--set", "guess.ban=1h").returncode == 0
    until(lambda: GUESSER in banned(debian), 10)  # what was within the window counts at once
    assert outside(debian, PASSWORD) == "no connection"
    found = faults(debian)
    assert GUESSER in found["firewall-banned"]["evidence"][0]["says"]
    assert "firewall-closed" not in found, "the port is open to all others"
    assert found["password-guessing"]["sign"] == "ok"
    debian.run(["fail2ban-client", "unban", GUESSER])
    assert "firewall-banned" not in faults(debian)
    assert applied(debian, *LIMIT[:2], "--set", "guess.attempts=11").returncode == 0
    found = faults(debian)
    assert found["password-guessing"]["cause"].endswith(f"{GUESSER} goes on below the limit of fail2ban")
    assert found["password-guessing"]["sign"] == "warning"
    who_answers_ident_and_has_no_name_is_banned_like_others(debian)


def faults(debian: Machine) -> dict[str, Any]:
    made = troubleshoot(debian, password=PASSWORD)
    return {item["id"]: item for item in made["faults"]}


@pytest.mark.full
def test_without_a_journal_the_log_file_is_read(machine: BootMachine) -> None:
    debian = with_clients(machine)
    debian.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q rsyslog", timeout=200)
    debian.run(
        "mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nStorage=none\\nForwardToSyslog=yes\\n' "
        "> /etc/systemd/journald.conf.d/none.conf; systemctl restart systemd-journald rsyslog; "
        "logger -p mail.info -t test hello; sleep 1"
    )
    done = applied(debian, *LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "logpath = /var/log/mail.log" in debian.read(JAIL).decode()
    assert "comes to /var/log/mail.log, which fail2ban reads" in " ".join(done.stdout.split())
    guess(debian)
    assert outside(debian, PASSWORD) == "no connection"
    assert outside(debian, PASSWORD, OTHER) == "235"
    games = ("--set", "login.policy=groups", "--set", "login.groups=games")
    refused = wizard(debian, "apply", "login-policy", "--yes", *games)
    assert (refused.returncode, "| alice, last login: 20" in refused.stderr) == (4, True), refused.stderr

    # A file for sendmail's lines alone is as good.
    assert wizard(debian, "rollback", "guess-limit", "--yes").returncode == 0
    debian.run(
        "sed -i 's/^mail[.][*][[:space:]]/:programname, startswith, \"sm-\" /' /etc/rsyslog.conf; "
        "grep -q '^:programname.*mail.log' /etc/rsyslog.conf; systemctl restart rsyslog"
    )
    done = applied(debian, *LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a line of our own does not come to /var/log/mail.log" in " ".join(done.stdout.split())
    guess(debian)
    assert outside(debian, PASSWORD) == "no connection"


@pytest.mark.full
def test_killed_at_any_moment_it_is_all_or_nothing(machine: BootMachine) -> None:
    debian = with_clients(machine)
    wizard(debian, "status")
    before = picture(debian)
    run = ("apply", "guess-limit", "--yes", *LIMIT)
    names, done = operations(debian, *run)
    assert done.returncode == 0, done.stderr
    assert wizard(debian, "rollback", "guess-limit", "--yes").returncode == 0
    first = next(at for at, name in enumerate(names, start=1) if "apt-get" in name)
    for number in [first - 2, *(first + at for at in spread(len(names) - first, 10))]:
        kill_at(debian, number, *run)
        back = wizard(debian, "recover")
        assert back.returncode == 0, back.stdout + back.stderr
        if debian.run(["test", "-e", JAIL], check=False).returncode == 0:  # killed behind its commit
            assert wizard(debian, "rollback", "guess-limit", "--yes").returncode == 0
        assert changed(debian, before) == [], names[number - 1]
        assert "f2b" not in tables(debian)
    assert outside(debian, PASSWORD) == "235"
