"""Stores that are hurt on purpose, and what must hold of them afterwards."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from snapshots.live.entry import Entry
from snapshots.store import Store
from tests.store.machine import Machine, broken, commit, live, put

_EVENTS = ("open", "os.", "subprocess.Popen", "shutil.", "fcntl.flock")
"""The audit events that stand for work on files and processes."""

States = dict[str, dict[str, Entry | None]]


def grown(machine: Machine, count: int = 3) -> States:
    """Commits after a baseline; what /etc was in each, by its id."""
    store = machine.open()
    held = {}
    for number in range(count + 1):
        if number:
            (machine.etc / f"file{number}").write_text(f"{number}\n" * number * 50)
            (machine.etc / "mail/sendmail.mc").write_text(f"divert(0)dnl\nnumber {number}\n")
        made = commit(store, "apply" if number else "baseline", step="x", subject=f"number {number}")
        assert made is not None
        held[made.id] = live(machine)
    return held


def check(machine: Machine, held: States, store: Store) -> None:
    """The newest commit is one that was made, and can be restored; work goes on from there."""
    told = " ".join(store.healed)
    newest = store.find("HEAD")
    if newest.id in held:
        assert store.entries(newest, list(held[newest.id])) == held[newest.id]
    commit(store)
    before = live(machine)
    (machine.etc / "after").write_text("x")
    assert commit(store, "apply") is not None
    put(machine, store.reverse([store.find("HEAD")]).targets)
    commit(store, "rollback")
    assert live(machine) == before
    assert store.entries("HEAD", list(before)) == before
    assert len(list(store.history(path="etc/mail/sendmail.mc"))) >= min(1, len(held))
    if "cannot be read any more" not in told:
        assert broken(machine) == []
    again = machine.open()
    assert again.healed == ()
    assert commit(again) is None


def packs(machine: Machine) -> list[Path]:
    """Oldest first."""
    folder = machine.store_path / "objects/pack"
    return sorted(folder.glob("*.pack"), key=lambda one: one.stat().st_mtime_ns)


def everything(machine: Machine) -> dict[Path, bytes]:
    return {one: one.read_bytes() for one in machine.store_path.parent.rglob("*") if one.is_file()}


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def shortened(path: Path, length: float) -> None:
    """To a part of it, or by so many bytes."""
    content = path.read_bytes()
    overwrite(path, content[: int(length * len(content)) if 0 < length < 1 else int(length)])


def killed_in(deed: Callable[[], object], at: int) -> bool:
    """Whether the deed, in a child that is killed at an event of its work, was cut short."""
    child = os.fork()
    if not child:
        seen = 0

        def count(event: str, _: object) -> None:
            nonlocal seen
            seen += event.startswith(_EVENTS)
            if seen > at and event != "os.kill":
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            deed()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
