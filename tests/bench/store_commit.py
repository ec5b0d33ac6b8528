"""One commit of whatever changed, in a process that imports what that needs and no more.

Beside `store_times.py` in the machine, which starts it as the launcher starts the program."""

from __future__ import annotations

from pathlib import Path

from snapshots.format.message import Author, Commit
from snapshots.store import Store

STORE = Path("/var/lib/bench/etc.git")
ALICE = Author("Alice", "alice@mail.example.test")


def record(store: Store) -> Commit:
    """One commit of whatever changed."""
    operation = "drift" if store.head() else "baseline"
    made = store.commit(operation=operation, subject="a change", run="1", author=ALICE)
    assert made is not None
    return made
