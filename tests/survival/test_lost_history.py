"""A run was interrupted, and its history is gone, or its journal damaged: that is told, and can be ended."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.survival.machine import Machine, Wizard, make_machine
from wizard.engine.journal import Journal


def interrupted(wizard: Wizard, machine: Machine) -> None:
    """A run that was killed in its first step."""
    assert wizard.run(machine, "apply", "--yes", "install") == 0
    head = machine.store.head()
    assert head is not None
    journal = Journal(machine.journal)
    journal.begin("apply", "a-run", "somebody", head.id, {"wanted": [], "answers": {}})
    journal.step("sendmail-auth", head.id)


def test_without_its_history_a_run_is_not_called_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    interrupted(wizard, machine)
    shutil.rmtree(machine.home / "etc.git")
    assert wizard.run(machine, "recover") == 1
    said = capsys.readouterr().err
    assert "the history is gone" in said
    assert "msa-wizard recover --accept" in said
    assert machine.interrupted(), "what waits still waits"
    assert wizard.run(machine, "recover", "--accept") == 0
    assert not machine.interrupted()
    assert [commit.operation for commit in machine.store.history()] == ["recover", "baseline"]


def test_status_shows_the_steps_also_where_the_journal_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    interrupted(wizard, machine)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with machine.journal.open("a") as file:
        file.write("no line of ours\n")
    assert wizard.run(machine, "status") == 3
    said = capsys.readouterr()
    assert "sendmail-auth" in said.out
    assert "is damaged" in said.err
