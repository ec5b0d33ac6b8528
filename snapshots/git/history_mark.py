"""The mark beside a store that says there is a history: it outlives the store, so that one that was wiped is missed."""

from __future__ import annotations

import contextlib
import datetime
import os
from pathlib import Path

from snapshots.live.entry import Entry, EntryError, Kind, write_entry


def mark(store: Path) -> None:
    """Leave the mark, unless it is there. Where it cannot be written, the next opening of the store tries again: that is
    no reason not to work with a history which is there."""
    path = _path(store)
    if path.is_file():
        return
    since = f"{datetime.datetime.now().astimezone():%F %T %z}"
    text = f"{store.name} holds the history of /etc since {since} or earlier.\n"
    with contextlib.suppress(EntryError):
        write_entry(path, Entry(Kind.FILE, 0o600, os.geteuid(), os.getegid(), text.encode()))


def lost(store: Path) -> str:
    """The sentence for a store that is empty, or not there, though there was a history in it; "" where there was none."""
    if not _path(store).is_file():
        return ""
    return (
        f"The history that was in {str(store)!r} is gone: somebody has wiped it. What was done before cannot be rolled "
        f"back any more, unless you bring the folder back from a backup (move away what is there first); else the next "
        f"`apply` begins a new history."
    )


def _path(store: Path) -> Path:
    return store.with_name(f"{store.name}-history")
