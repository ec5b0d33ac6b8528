"""A file that somebody saves under the same name between our last look and the rename is found, and merged."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from snapshots.live import entry as entries
from snapshots.live.entry import Entry, Kind
from snapshots.live.held import HeldFile
from wizard.changes.file import FileChange
from wizard.errors import ChangeError
from wizard.system.host import Host

PATH = "/etc/a.conf"
OLD = "one\ntwo\nthree\nfour\n"


@dataclass(frozen=True)
class Editor(Host):
    """A host on which vim saves in the instant before our rename."""

    saved: str = ""

    def write(
        self, path: str, entry: Entry, over: HeldFile | None = None, dated: int | None = None
    ) -> Entry | None:
        if over is not None and self.path(path).read_text() == OLD:
            draft = self.path(f"{path}~")
            draft.write_text(self.saved)
            draft.rename(self.path(path))
        return super().write(path, entry, over, dated)


@dataclass(frozen=True)
class Slow(Editor):
    """One on which it has only begun to, when our rename comes: it moves the old file away and writes a new one."""

    def write(
        self, path: str, entry: Entry, over: HeldFile | None = None, dated: int | None = None
    ) -> Entry | None:
        if over is None or self.path(path).read_text() != OLD:
            return Host.write(self, path, entry, over, dated)
        self.path(path).rename(self.path(f"{path}~"))
        file = self.path(path).open("w")

        def save() -> None:
            time.sleep(0.2)
            with file:
                file.write(self.saved)
            self.path(f"{path}~").unlink()

        saving = threading.Thread(target=save)
        saving.start()
        try:
            return Host.write(self, path, entry, over, dated)
        finally:
            saving.join()


def written(root: Path, saved: str, kind: type[Editor] = Editor) -> str:
    (root / "etc").mkdir()
    (root / PATH[1:]).write_text(OLD)
    host = kind(root, saved=saved)
    before = host.entry(PATH)
    assert before is not None
    change = FileChange(PATH, before, replace(before, content=OLD.replace("two", "ours").encode()))
    try:
        change.apply(host, lambda _: None)
    finally:
        assert [path.name for path in (root / "etc").iterdir()] == ["a.conf"]
    return (root / PATH[1:]).read_text()


@pytest.mark.parametrize("kind", [Editor, Slow])
def test_what_an_editor_saved_in_that_instant_is_merged(tmp_path: Path, kind: type[Editor]) -> None:
    assert written(tmp_path, f"{OLD}five\n", kind) == "one\nours\nthree\nfour\nfive\n"


def test_where_both_changed_the_same_line_that_of_the_editor_stays_and_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ChangeError, match="stays as it is"):
        written(tmp_path, OLD.replace("two", "theirs"))
    assert (tmp_path / PATH[1:]).read_text() == OLD.replace("two", "theirs")


def test_without_an_editor_it_is_written_as_it_was_shown(tmp_path: Path) -> None:
    assert written(tmp_path, OLD) == OLD.replace("two", "ours")


def test_where_names_cannot_be_exchanged_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_renameat2", lambda: None)
    (tmp_path / "etc").mkdir()
    (tmp_path / PATH[1:]).write_text(OLD)
    host = Host(tmp_path)
    before = host.entry(PATH)
    FileChange(PATH, before, Entry(Kind.FILE, 0o600, 0, 0, b"new\n")).apply(host, lambda _: None)
    assert (tmp_path / PATH[1:]).read_text() == "new\n"
