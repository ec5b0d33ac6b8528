"""Reading any number of paths by one process."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

import pytest

from snapshots.format.message import Commit
from snapshots.git.repository import GitRepository
from snapshots.store import Store, StoreError
from tests.store.machine import Machine, live
from tests.store.test_reversal import step


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[str | bytes]:
    """The git commands that are started."""
    started: list[str | bytes] = []
    real = GitRepository.start

    def spy(self: GitRepository, *arguments: str | bytes, **more: object) -> object:
        started.append(arguments[0])
        return real(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(GitRepository, "start", spy)
    return started


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, made: store.changes(made),
        lambda store, made: store.changes(made.id),
        lambda store, made: store.changed(made),
        lambda store, made: store.entries(made, [f"etc/d{number}" for number in range(300)]),
        lambda store, made: store.reverse([made]),
    ],
)
def test_one_process_reads_any_number_of_paths(
    machine: Machine, processes: list[str | bytes], ask: Callable[[Store, Commit], object]
) -> None:
    store = machine.store()
    for number in range(300):
        (machine.etc / f"d{number}").mkdir()
        (machine.etc / f"d{number}" / ("n" * 200)).write_text("x" * number)
    made = step(store)
    processes.clear()
    assert ask(store, made)
    assert processes == ["cat-file"]


def test_changes_and_entries_are_what_was_on_disk(machine: Machine) -> None:
    (machine.etc / "n\nl missing\n").write_text("odd")
    (machine.etc / "%").symlink_to("x")
    store = machine.store()
    before = live(machine)
    (machine.etc / "n\nl missing\n").chmod(0o700)
    (machine.etc / "%").unlink()
    (machine.etc / "new").mkdir()
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, 6, 0xFFFFFFFF) for tag in (1, 4, 16, 32))
    os.setxattr(machine.etc / "group", "system.posix_acl_access", acl)
    made = step(store)
    after = live(machine)
    changes = store.changes("HEAD")
    assert changes == {
        path: (before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }
    assert list(changes) == [one.path for one in store.changed(made)]
    assert store.entries("HEAD", [*after, "etc/%", "no/thing", "etc/group/below"]) == (
        after | {"etc/%": None, "no/thing": None, "etc/group/below": None}
    )
    first = list(store.history())[-1]
    assert store.changes(first) == {path: (None, before[path]) for path in sorted(before)}
    with pytest.raises(StoreError, match="no commit 0000000000"):
        store.changes("0" * 40)
