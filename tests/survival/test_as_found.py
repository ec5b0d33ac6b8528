"""`rollback --all` after other rollbacks: what these have made again goes as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.live.entry import LARGEST
from tests.survival.machine import Wizard, make_machine, not_the_same


def test_what_a_rollback_made_again_goes_with_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    before = machine.picture()
    assert wizard.run(machine, "apply", "--yes") == 0
    assert wizard.run(machine, "rollback", "sendmailconfig", "--yes") == 0
    assert not (machine.root / "etc/mail/access.db").exists()
    assert wizard.run(machine, "rollback", "auth-options", "--yes") == 0
    assert (machine.root / "etc/mail/access.db").exists(), "sendmailconfig ran again"
    assert wizard.run(machine, "apply", "--yes") == 0
    assert wizard.run(machine, "rollback", "--all", "--yes") == 0
    assert not not_the_same(before, machine.picture())


def test_what_the_admin_has_touched_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    assert wizard.run(machine, "apply", "--yes") == 0
    assert wizard.run(machine, "rollback", "sendmailconfig", "--yes") == 0
    assert wizard.run(machine, "rollback", "auth-options", "--yes") == 0
    (machine.root / "etc/mail/access.db").write_text("the admin's own\n")
    assert wizard.run(machine, "rollback", "--all", "--yes") == 0
    assert (machine.root / "etc/mail/access.db").read_text() == "the admin's own\n"
    assert not (machine.root / "etc/mail/databases").exists()


@pytest.mark.parametrize("stays", [True, False])
def test_a_folder_stays_as_long_as_a_file_of_the_admin_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    before = machine.picture()
    assert not (machine.root / "etc/mail").exists()
    assert wizard.run(machine, "apply", "--yes") == 0
    (machine.root / "etc/mail/own").write_text("the admin's own\n")
    assert wizard.run(machine, "rollback", "smtp-port", "--yes") == 0
    if not stays:
        (machine.root / "etc/mail/own").unlink()
    assert wizard.run(machine, "rollback", "--all", "--yes") == 0
    assert [path.name for path in (machine.root / "etc/mail").glob("*")] == ["own"] * stays
    assert bool(not_the_same(before, machine.picture())) is stays


def test_a_file_too_large_to_be_kept_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    elsewhere, among = machine.root / "etc/elsewhere.img", machine.root / "etc/mail/among.img"
    large(elsewhere, 2 * LARGEST)
    assert wizard.run(machine, "apply", "--yes") == 0
    large(among, 2 * LARGEST)
    assert wizard.run(machine, "rollback", "smtp-port", "--yes") == 0
    large(elsewhere, LARGEST + 1)
    assert wizard.run(machine, "rollback", "install", "--yes") != 0
    assert "/etc/mail/among.img lies in a folder that the packages brought" in capsys.readouterr().err
    assert wizard.run(machine, "rollback", "--all", "--yes") == 1
    assert "the packages stay" in capsys.readouterr().out
    assert (elsewhere.stat().st_size, among.stat().st_size) == (LARGEST + 1, 2 * LARGEST)


def test_it_is_no_matter_where_no_package_put_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    image = machine.root / "etc/image"
    large(image, 2 * LARGEST)
    assert wizard.run(machine, "apply", "--yes") == 0
    large(image, LARGEST + 1)
    assert wizard.run(machine, "rollback", "--all", "--yes") == 0
    assert image.stat().st_size == LARGEST + 1
    image.unlink()
    assert not (machine.root / "etc/mail").exists()


def large(path: Path, size: int) -> None:
    """A file that has this size and no content."""
    with path.open("ab") as file:
        file.truncate(size)
