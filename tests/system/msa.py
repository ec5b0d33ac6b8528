"""What the tests of the program itself do again and again on a machine."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from tests.json_documents import document
from tests.system.machine import PROJECT, Machine

PASSWORD = "Kw4kzalver-Ölfaß 77"
"""Alice's: not ASCII, with a space, and found nowhere by accident."""
WIZARD = f"{PROJECT}/msa-wizard"
STORE = "/var/lib/msa-wizard/etc.git"
STEPS = (
    "saslauthd-config",
    "saslauthd-start",
    "sendmail-auth",
    "mc-includes",
    "submission-port",
    "auth-options",
    "smtp-port",
    "sendmailconfig",
    "restart",
)
"""What a machine with the packages has to do, in the howto's order."""


def wizard(machine: Machine, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `./msa-wizard ARGUMENTS`; its exit status is the caller's to look at. JSON must be as the schema says."""
    done = machine.run([WIZARD, *arguments], **({"check": False, "timeout": 600} | options))
    if "--json" in arguments and done.stdout:
        document("-".join(arguments[: 2 if arguments[0] in ("certificate", "debug") else 1]), done.stdout)
    return done


def apply(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`apply --yes`, which must end with 0."""
    done = wizard(machine, "apply", "--yes", *arguments)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done


def add_alice(machine: Machine) -> None:
    """A shell user with a password."""
    machine.run(["useradd", "--create-home", "--shell", "/bin/bash", "alice"])
    machine.run(["chpasswd"], input=f"alice:{PASSWORD}\n")


def login(machine: Machine, *arguments: str, password: str = PASSWORD) -> dict[str, Any]:
    """`test --user alice --json`, its document with the exit status as `exit`."""
    done = wizard(
        machine, "test", "--user", "alice", "--password-stdin", "--json", *arguments, input=password + "\n"
    )
    made: dict[str, Any] = json.loads(done.stdout)
    return made | {"exit": done.returncode}


def history(machine: Machine) -> list[dict[str, Any]]:
    """The commits, newest first."""
    made: list[dict[str, Any]] = json.loads(wizard(machine, "history", "--json").stdout)["commits"]
    return made


def sendmail_pid(machine: Machine) -> int:
    """The pid of the daemon, 0 when there is none."""
    found = machine.run("pgrep -o -x sendmail-mta", check=False).stdout.split()
    return int(found[0]) if found else 0


def mail_log(machine: Machine) -> str:
    """What sm-mta logged."""
    return machine.run(["journalctl", "--no-pager", "-q", "-o", "cat", "-t", "sm-mta"]).stdout


def listening(machine: Machine) -> set[str]:
    """Address and port of each TCP listener, as ss shows them."""
    return set(re.findall(r"LISTEN\s+\d+\s+\d+\s+(\S+)", machine.run(["ss", "-ltn"]).stdout))
