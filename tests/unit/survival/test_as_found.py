"""`rollback --all` after other rollbacks: what these have made anew goes as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.survival.machine import Wizard, make_machine, not_the_same


def test_what_a_rollback_made_anew_goes_with_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    before = machine.picture()
    assert wizard.run(machine, "apply", "--yes") == 0
    assert wizard.run(machine, "rollback", "sendmailconfig", "--yes") == 0
    assert not (machine.root / "etc/mail/access.db").exists()
    assert wizard.run(machine, "rollback", "mc-includes", "--yes") == 0
    assert (machine.root / "etc/mail/access.db").exists(), "sendmailconfig ran again"
    assert wizard.run(machine, "apply", "--yes") == 0
    assert wizard.run(machine, "rollback", "--all", "--yes") == 0
    assert not not_the_same(before, machine.picture())


def test_what_the_admin_has_touched_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    assert wizard.run(machine, "apply", "--yes") == 0
    assert wizard.run(machine, "rollback", "sendmailconfig", "--yes") == 0
    assert wizard.run(machine, "rollback", "mc-includes", "--yes") == 0
    (machine.root / "etc/mail/access.db").write_text("the admin's own\n")
    assert wizard.run(machine, "rollback", "--all", "--yes") == 0
    assert (machine.root / "etc/mail/access.db").read_text() == "the admin's own\n"
    assert not (machine.root / "etc/mail/databases").exists()
