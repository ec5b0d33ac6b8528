"""Somebody else's apt after a run was killed, or between a run and its rollback: what he has is his, and the rest goes."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from tests.survival.machine import Machine, Wizard, make_machine
from tests.survival.sweep import Sweep
from wizard.engine.journal import unfinished

POINTS = 12
BEFORE = {"adduser", "nullmailer"}
DEFAULTS = "etc/default/saslauthd"


def here(machine: Machine) -> set[str]:
    return {name for name, known in machine.known().items() if known.here}


def others(machine: Machine, *names: str) -> None:
    """Somebody installs packages; where dpkg was cut off he ends that first, as apt asks him to."""
    apt = machine.host.apt
    if apt.get("install", "-y", *names)[0]:
        apt.dpkg.configure_pending()
        code, said = apt.get("install", "-y", *names)
        assert code == 0, said


@pytest.mark.parametrize(
    ("names", "stays"),
    [(("swaks",), {"swaks"}), (("swaks", "logins"), {"swaks", "logins", "sasl2-bin"})],
    ids=["his own", "one that needs ours"],
)
def test_what_somebody_installs_after_a_kill_is_his(
    names: tuple[str, ...], stays: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard = Wizard(monkeypatch)
    sweep = Sweep(wizard, make_machine(tmp_path / "machine"), ("apply", "--yes"), tmp_path)
    wrong = []
    for point in sweep.spread(POINTS):
        machine, where = sweep.killed(point)
        if not machine.interrupted():
            continue
        others(machine, *names)
        code = wizard.run(machine, "recover")  # 1 where something is named that stays
        whole = not machine.interrupted() and "nullmailer" in machine.host.apt.auto()
        if code > len(names) - 1 or here(machine) != BEFORE | stays or not whole:
            wrong.append(f"killed at {point} ({where}): {code}, {sorted(here(machine))}")
        machine.forget()
    assert not wrong


def test_a_rollback_leaves_what_is_needed_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path)
    assert wizard.run(machine, "apply", "--yes") == 0
    assert "START=yes" in (machine.root / DEFAULTS).read_text()
    others(machine, "swaks", "logins")
    capsys.readouterr()
    assert wizard.run(machine, "rollback", "--all", "--yes") == 1
    assert "sasl2-bin stays, since logins needs it" in capsys.readouterr().err
    assert here(machine) == BEFORE | {"swaks", "logins", "sasl2-bin"}
    assert (machine.root / DEFAULTS).read_text() == "# see README\nMECHANISMS=pam\nOPTIONS=-c\n"
    assert not (machine.root / "etc/mail").exists()


def test_an_undo_that_is_killed_leaves_no_run_in_the_journal_that_nobody_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes along with packages is in the journal before they go, under the marks of the step's own runs."""
    wizard = Wizard(monkeypatch)
    sweep = Sweep(wizard, make_machine(tmp_path / "machine"), ("apply", "--yes"), tmp_path)
    killed_at = (sweep.killed(point)[0] for point in sweep.spread(POINTS))
    machine = next(each for each in killed_at if _brought(each) and "sendmail-bin" in here(each))
    marks, tops = _brought(machine), set[str]()
    (tmp_path / "undo").mkdir()
    undo = Sweep(wizard, machine, ("recover",), tmp_path / "undo")
    for point in undo.spread(POINTS):
        killed = undo.killed(point)[0]
        assert _brought(killed) <= marks
        tops |= _told(killed, "tops")
        killed.forget()
    assert "/etc/mail" in tops


def _brought(machine: Machine) -> set[str]:
    """The marks of the runs of apt that the journal of a killed run has."""
    return _told(machine, "transactions")


def _told(machine: Machine, name: str) -> set[str]:
    killed = unfinished(machine.journal)
    records = [cast("dict[str, object]", change["expected"]) for change in killed.changes] if killed else []
    return {
        each for record in records if record["kind"] == "packages" for each in cast("list[str]", record[name])
    }
