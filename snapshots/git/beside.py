"""What lies beside the history: the list of the paths outside /etc that a store holds, and the mark beside the store that
says there is a history. The mark outlives the store, so that one that was wiped is missed."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Sequence
from pathlib import Path

from snapshots.errors import StoreError
from snapshots.live.entry import Entry, EntryError, Kind, read_entry, write_entry

_FILE = "declared-paths.json"


def read_declared(store: Path) -> tuple[str, ...]:
    """The declared paths. Raises StoreError when they cannot be told."""
    error: Exception | None = None
    try:
        entry = read_entry(store / _FILE)
        if entry is None:
            return ()
        import json  # here, since most stores have no such list

        paths = json.loads(entry.content)
        if isinstance(paths, list) and all(isinstance(path, str) for path in paths):
            return tuple(paths)
    except (EntryError, RecursionError, ValueError) as cause:
        error = cause
    raise StoreError(
        f"The list of declared paths in {str(store)!r} is damaged{f' ({error})' if error else ''}: remove {_FILE} there, "
        f"and declare them again."
    ) from error


def write_declared(store: Path, paths: Sequence[str]) -> None:
    """Keeps the declared paths. Raises StoreError."""
    import json

    try:
        write_private(store / _FILE, json.dumps(paths))
    except EntryError as cause:
        raise StoreError(f"The declared paths could not be kept: {cause}") from cause


def with_declared(known: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """`known` and those of `paths` that neither /etc nor one of `known` covers. Raises StoreError for what is
    not a plain path below the root."""
    declared = [*known]
    for path in paths:
        parts = path.split("/")
        if "\0" in path or any(part in ("", ".", "..", ".git") for part in parts) or parts[0].startswith("."):
            raise StoreError(
                f"{path!r} cannot be held by the store: it takes a plain path below the root, "
                f"without a leading slash, without '.', '..' and '.git'."
            )
        if not any(path == one or path.startswith(one + "/") for one in ("etc", *declared)):
            declared.append(path)
    return tuple(declared)


def mark_history(store: Path) -> None:
    """Leave the mark, unless it is there. Where it cannot be written, the next opening of the store tries again: that is
    no reason not to work with a history which is there."""
    path = _mark(store)
    if not path.is_file():
        since = f"{datetime.datetime.now().astimezone():%F %T %z}"
        with contextlib.suppress(EntryError):
            write_private(path, f"{store.name} holds the history of /etc since {since} or earlier.\n")


def lost_history(store: Path) -> str:
    """The sentence for a store that is empty, or not there, though there was a history in it; "" where there was none."""
    if not _mark(store).is_file():
        return ""
    return (
        f"The history that was in {str(store)!r} is gone: somebody has wiped it. What was done before cannot be rolled "
        f"back any more, unless you bring the folder back from a backup (move away what is there first); else the next "
        f"`apply` begins a new history."
    )


def _mark(store: Path) -> Path:
    return store.with_name(f"{store.name}-history")


def write_private(path: Path, text: str) -> None:
    """Writes a file of the store for its owner alone, in one rename. Raises EntryError."""
    write_entry(path, Entry(Kind.FILE, 0o600, os.geteuid(), os.getegid(), text.encode()))
