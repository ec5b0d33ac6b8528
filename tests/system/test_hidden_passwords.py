"""No hash of a password, and no password of sasldb2, in anything that the program prints; on real machines."""

from __future__ import annotations

import itertools

from tests.system.conftest import BootMachine
from tests.system.machine import Machine
from tests.system.msa import add_alice, apply, history, wizard

SASLDB = "Sasl-Db-Pass-91"
FILES = ("shadow", "shadow-", "gshadow", "gshadow-")


def hashes(debian: Machine) -> set[str]:
    """Each hash in the account files as they are."""
    lines = "\n".join(debian.run(["cat", f"/etc/{name}"], check=False).stdout for name in FILES).splitlines()
    fields = (line.split(":")[1].lstrip("!*") for line in lines if ":" in line)
    return {field for field in fields if len(field) > 4}


def test_hashes_are_shown_nowhere(machine: BootMachine) -> None:
    debian = machine("ready")
    add_alice(debian)
    debian.run("groupadd staffers; printf 'staffers:group-pw-1\\n' | chgpasswd -c SHA512")
    debian.run("usermod -p abJnggxhB/yWI games")
    secrets = hashes(debian)
    assert len(secrets) >= 3
    apply(debian)
    debian.run(
        "useradd bob; printf 'alice:other-1\\nbob:other-2\\n' | chpasswd; printf 'staffers:group-pw-2\\n' | chgpasswd -c SHA512"
    )
    debian.run(["saslpasswd2", "-p", "-c", "carol"], input=SASLDB)
    secrets |= hashes(debian)
    debian.run("printf 'alice:other-3\\n' | chpasswd; cp -a /etc/shadow /etc/shadow.edit; usermod -L bob")
    secrets |= hashes(debian)
    assert len(secrets) >= 7
    said: list[str] = []

    def run(*arguments: str) -> str:
        done = wizard(debian, *arguments)
        said.append(done.stdout + done.stderr)
        return said[-1]

    assert "etc/shadow-" in run("rollback", "--all", "--dry-run")
    run("rollback", "--all", "--dry-run", "--json")
    run("rollback", "install", "--dry-run", "--json")
    run("rollback", "--all", "--yes", "--on-conflict=keep")
    run("rollback", "--all", "--yes", "--json")
    diffs = [run("diff", item["commit"]) for item in history(debian)]
    assert any("[password 2]" in text and "alice:[password 1]" in text for text in diffs)
    run("history", "--json")
    run("plan")
    run("plan", "--json")
    run("apply", "--yes", "--json")
    run("status", "--json")
    debian.run(["logger", "-t", "saslauthd", f"odd {sorted(secrets)[-1]}"])
    run("troubleshoot")
    run("troubleshoot", "--json")
    shown = "\n".join(said)
    for secret, cut in itertools.product((*secrets, SASLDB), (None, -8)):
        assert secret[:cut] not in shown, secret
