"""Who guesses passwords is banned, with the real fail2ban, nft, sendmail and saslauthd, and clients on another machine."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import history, wizard
from tests.system.picture import differences, picture

JAIL = "/etc/fail2ban/jail.d/msa-wizard.conf"
PASSWORD = "Alice-s-66"
LIMIT = ("--set", "guess.limit=true", "--set", "guess.attempts=3", "--set", "guess.ban=20s")
GUESSER, OTHER = "198.51.100.2", "198.51.100.3"
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
    """What differs from the picture, but for logs and records."""
    theirs = (
        "/var/log/",
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
    for check in ("jail sendmail-auth is at work", "filter knows what sendmail logs", "banning works"):
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

    # Another limit is a change of the file, and the jail goes on.
    longer = (*LIMIT[:4], "--set", "guess.ban=1h", "--set", f"guess.never={OTHER}")
    assert state(debian, *longer)["state"] == "pending"
    assert applied(debian, *longer).returncode == 0
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
