"""A fresh machine with nothing prepared, and the README alone."""

from __future__ import annotations

import pytest

from tests.system.conftest import BootMachine
from tests.system.msa import add_alice, apply, login, wizard


@pytest.mark.default_on("forky")
def test_the_first_command_on_a_fresh_machine(machine: BootMachine) -> None:
    """No python3, no git, no environment: the launcher brings them, says so, and the set-up ends in 235."""
    debian = machine("minimal")
    assert debian.run("command -v python3 git", check=False).stdout == ""
    add_alice(debian)
    done = apply(debian)
    assert "python3-venv" in done.stderr.splitlines()[0]
    made = login(debian)
    assert made["ok"], made["verdict"]
    shown = wizard(debian, "test", "--user", "alice", "--password-stdin", input="wrong\n")
    assert shown.returncode == 1
    assert "FAILED: The login was refused" in shown.stdout


def test_without_a_user_the_conversation_ends_before_the_login(machine: BootMachine) -> None:
    debian = machine("mail")
    refused = wizard(debian, "test")
    assert refused.returncode == 1, refused.stdout
    apply(debian)
    done = wizard(debian, "test")
    assert done.returncode == 0, done.stdout
    assert "250-AUTH LOGIN PLAIN" in done.stdout
    assert "AUTH LOGIN" not in [
        line[2:].split("  ")[0] for line in done.stdout.splitlines() if line.startswith("> ")
    ]
