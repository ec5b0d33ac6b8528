"""Any sequence of changes: after each commit the store holds exactly what is on disk, and a second commit is none."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snapshots.live.entry import Entry
from tests.store.machine import commit, live, make_machine

NAMES = ["a", "b", "%a", ".git", ".gitignore", "n\nl", "\udcff", "git~1"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
contents = st.binary(max_size=8)


class Changes(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="snapshots-"))
        self.machine = make_machine(self.folder)
        self.store = self.machine.store()
        self.held: dict[str, dict[str, Entry | None]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def place(self, path: str) -> Path:
        place = self.machine.etc / path
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            place.parent.mkdir(parents=True)
        return place

    def clear(self, place: Path) -> None:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                place.unlink()

    @rule(path=paths, content=contents)
    def write(self, path: str, content: bytes) -> None:
        place = self.place(path)
        with contextlib.suppress(OSError):
            if not place.is_fifo():  # whose writer would wait for a reader
                place.write_bytes(content)

    @rule(path=paths, kind=st.sampled_from(["file", "folder", "link", "fifo"]), content=contents)
    def replace(self, path: str, kind: str, content: bytes) -> None:
        place = self.place(path)
        self.clear(place)
        with contextlib.suppress(NotADirectoryError, FileExistsError, FileNotFoundError):
            if kind == "file":
                place.write_bytes(content)
            elif kind == "folder":
                place.mkdir()
            elif kind == "link":
                place.symlink_to(content.hex() or "x")
            else:
                os.mkfifo(place)

    @rule(path=paths)
    def remove(self, path: str) -> None:
        self.clear(self.machine.etc / path)

    @rule(path=paths, other=paths)
    def move(self, path: str, other: str) -> None:
        with contextlib.suppress(OSError):
            (self.machine.etc / path).rename(self.place(other))

    @rule(path=paths, mode=st.integers(0o0, 0o7777))
    def change_mode(self, path: str, mode: int) -> None:
        place = self.machine.etc / path
        with contextlib.suppress(OSError):
            if not place.is_symlink():
                place.chmod(mode | 0o700)

    @rule(path=paths, value=contents)
    def set_attribute(self, path: str, value: bytes) -> None:
        with contextlib.suppress(OSError):
            os.setxattr(self.machine.etc / path, "user.note", value, follow_symlinks=False)

    @precondition(lambda self: os.geteuid() == 0)
    @rule(path=paths, uid=st.sampled_from([0, 107, 4_000_000_000]))
    def change_owner(self, path: str, uid: int) -> None:
        with contextlib.suppress(OSError):
            os.chown(self.machine.etc / path, uid, uid, follow_symlinks=False)

    @rule(lose_cache=st.booleans())
    def start_anew(self, lose_cache: bool) -> None:
        if lose_cache:
            (self.machine.store_path / "stat-cache").unlink(missing_ok=True)
        self.store = self.machine.open()

    @rule()
    def commit(self) -> None:
        pending = self.store.pending()
        made = commit(self.store)
        assert (made is None) == (pending == ())
        if made:
            assert self.store.changed(made) == pending
            self.store.diff(made)
            self.held[made.id] = live(self.machine)
        for path, entry in live(self.machine).items():
            assert self.store.entry("HEAD", path) == entry
        assert commit(self.store) is None

    @invariant()
    def nothing_is_forgotten(self) -> None:
        if getattr(self, "held", None):
            identity, entries = next(iter(self.held.items()))
            path = max(entries)
            assert self.store.entry(identity, path) == entries[path]


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
