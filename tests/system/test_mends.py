"""Fixes are steps: in the history, rolled back, undone when they fail, recovered when they are killed; and in no plan."""

from __future__ import annotations

import json

import pytest

from tests.system.conftest import BootMachine
from tests.system.faults import KEY
from tests.system.machine import Machine
from tests.system.msa import WIZARD, history, login, wizard
from tests.system.test_troubleshoot import short, troubleshoot

JOURNAL = "/var/lib/msa-wizard/journal"
FIX = f"{WIZARD} troubleshoot --fix key-unsafe --yes"


def unsafe(machine: BootMachine) -> Machine:
    """A machine whose key anybody can read."""
    debian = machine("msa")
    debian.run(f"chmod 644 {KEY}; systemctl restart sendmail")
    return debian


def mode(debian: Machine) -> str:
    """The key's mode."""
    return debian.run(["stat", "-c", "%a", KEY]).stdout.strip()


def test_a_fix_is_in_the_history_and_in_no_plan(machine: BootMachine) -> None:
    debian = unsafe(machine)
    assert troubleshoot(debian, "--fix", "key-unsafe", "--yes")["exit"] == 0
    assert history(debian)[0]["step"] == "mend-key-mode"
    assert (
        "0640" in wizard(debian, "diff", "mend-key-mode").stdout
        or "old mode" in wizard(debian, "diff", "mend-key-mode").stdout
    )
    for command in (["plan"], ["status"], ["plan", "--json"], ["status", "--json"]):
        assert "mend-" not in wizard(debian, *command).stdout
    assert wizard(debian, "apply", "--yes", "mend-key-mode").returncode == 2
    assert wizard(debian, "rollback", "--yes", "mend-key-mode").returncode == 0
    assert mode(debian) == "644"
    assert troubleshoot(debian)["blamed"] == "key-unsafe"
    # Rolling the rollback back fixes it again.
    assert wizard(debian, "rollback", "--yes", history(debian)[0]["commit"]).returncode == 0
    assert mode(debian) == "640"
    assert login(debian)["code"] == 235
    assert wizard(debian, "rollback", "--yes", "--all").returncode == 0


def test_a_fault_that_is_not_there_now_is_not_fixed(machine: BootMachine) -> None:
    debian = unsafe(machine)
    before = len(history(debian))
    done = wizard(debian, "troubleshoot", "--fix", "saslauthd-dead", "--yes")
    assert "saslauthd-dead: does not hold here now" in done.stdout
    assert done.returncode == 1, "the key is still unsafe"
    debian.run("passwd -q -l alice")
    done = wizard(
        debian,
        "troubleshoot",
        "--fix",
        "account-locked",
        "--yes",
        "--user",
        "alice",
        "--password-stdin",
        input="x-77\n",
    )
    assert "a person must act" in done.stderr
    assert len(history(debian)) == before


def test_a_fix_that_fails_is_undone(machine: BootMachine) -> None:
    """PAM's service cannot be repaired while what it includes is gone: then the old file stays."""
    debian = unsafe(machine)
    debian.run("echo 'auth required pam_none.so' > /etc/pam.d/smtp; mv /etc/pam.d/common-auth /root/")
    made = troubleshoot(debian, "--fix", "pam-broken", "--yes")
    assert made["exit"] == 1
    assert made["run"]["failed"] == "mend-pam-service", short(made)
    assert debian.read("/etc/pam.d/smtp") == b"auth required pam_none.so\n"


@pytest.mark.parametrize("way", ["--undo", pytest.param("--finish", marks=pytest.mark.full)])
def test_a_fix_that_is_killed_is_recovered(machine: BootMachine, way: str) -> None:
    debian = unsafe(machine)
    debian.run(
        f"{FIX} >/dev/null 2>&1 & until grep -qs '\"change\"' {JOURNAL}; do sleep 0.01; done; kill -9 $!",
        timeout=60,
    )
    assert wizard(debian, "troubleshoot", "--fix", "key-unsafe", "--yes").returncode == 6
    assert "was interrupted in mend-key-mode" in wizard(debian, "troubleshoot").stderr
    told = wizard(debian, "recover", "--show").stdout
    assert "mend-key-mode" in told
    assert json.loads(wizard(debian, "status", "--json").stdout)["interrupted"]
    done = wizard(debian, "recover", way)
    assert done.returncode == 0, done.stdout + done.stderr
    assert mode(debian) == ("644" if way == "--undo" else "640")
    assert troubleshoot(debian)["blamed"] == ("key-unsafe" if way == "--undo" else None)
