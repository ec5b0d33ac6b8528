"""The program's operations in a machine: counted alike each time, and killed where it was told."""

from __future__ import annotations

from tests.killing.in_machine import kill_at, operations
from tests.system.conftest import BootMachine
from tests.system.msa import history, wizard

_RUN = ("apply", "--yes", "saslauthd-config", "saslauthd-start")


def test_a_run_is_counted_and_killed(machine: BootMachine) -> None:
    names, done = operations(machine("mail"), *_RUN)
    assert done.returncode == 0, done.stderr
    assert names[0].startswith("mkdir /var/lib/msa-wizard") or "lock" in names[0], names[0]
    enabled = next(at for at, name in enumerate(names, start=1) if name == "start systemctl enable saslauthd")

    debian = machine("mail")
    # Look's commands end in any order; those before a step's first change have all ended.
    assert kill_at(debian, enabled, *_RUN) == names[enabled - 1]
    assert "interrupted in saslauthd-start; first run `msa-wizard recover`" in wizard(debian, "plan").stderr
    assert debian.run("systemctl is-enabled saslauthd 2>/dev/null", check=False).stdout == "disabled\n"
    assert "saslauthd-start" not in [item["step"] for item in history(debian)]
    after = machine("mail")
    assert kill_at(after, enabled, *_RUN, after=0.2) == names[enabled - 1]
    after.run("until systemctl is-enabled saslauthd; do sleep 0.1; done", timeout=30)  # the command went on
    assert kill_at(after, 100_000, "history") is None
