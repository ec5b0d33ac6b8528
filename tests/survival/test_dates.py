"""What comes back has the date that it had: Debian's start of sendmail makes again what is older than its source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from tests.survival.machine import Wizard, make_machine
from wizard.changes.file import FileChange
from wizard.changes.records import intent, recall
from wizard.system.host import Host

LONG_AGO = 1_600_000_000_123_456_789
"""In nanoseconds since the epoch."""


def entry(text: str) -> Entry:
    return Entry(Kind.FILE, 0o644, os.geteuid(), os.getegid(), text.encode())


def dated(path: Path) -> int:
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return path.stat().st_mtime_ns


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("edited", [False, True])
def test_an_undone_write_gives_the_date_back(tmp_path: Path, killed: bool, edited: bool) -> None:
    host, path = Host(tmp_path), tmp_path / "a"
    path.write_text("old\n")
    path.chmod(0o644)
    before = dated(path)
    change = FileChange("/a", entry("old\n"), entry("old\nnew\n"))
    expected = intent(change.expect(host))  # what the journal has when we are killed
    effect = change.apply(host, lambda _: None)
    assert path.stat().st_mtime_ns != before
    if edited:
        path.write_text("mine\nold\nnew\n")
    again = recall(expected) if killed else effect
    assert again is not None
    again.undo(host, lambda _: None)
    assert path.read_text() == ("mine\nold\n" if edited else "old\n")
    assert (path.stat().st_mtime_ns == before) is not edited, "with somebody's edit in it, it is of now"


def test_a_rollback_gives_the_date_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wizard, machine = Wizard(monkeypatch), make_machine(tmp_path / "machine")
    mc = machine.root / "etc/mail/sendmail.mc"
    assert wizard.run(machine, "apply", "--yes", "install") == 0
    before = dated(mc)
    assert wizard.run(machine, "apply", "--yes") == 0
    assert mc.stat().st_mtime_ns != before
    for step in ("smtp-port", "auth-options", "submission-port", "mc-includes"):
        assert wizard.run(machine, "rollback", step, "--yes") == 0
    assert mc.stat().st_mtime_ns == before
