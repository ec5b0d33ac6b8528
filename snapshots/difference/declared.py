"""The paths outside /etc that a store holds, kept in a file beside the history."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from snapshots.errors import StoreError
from snapshots.live.entry import Entry, EntryError, Kind, read_entry, write_entry

_FILE = "declared-paths.json"


def read_declared(store: Path) -> tuple[str, ...]:
    """The declared paths. Raises StoreError when they cannot be told."""
    try:
        entry = read_entry(store / _FILE)
        paths = json.loads(entry.content) if entry else []
    except (EntryError, RecursionError, ValueError) as cause:
        raise _damaged(store, f" ({cause})") from cause
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise _damaged(store, "")
    return tuple(paths)


def write_declared(store: Path, paths: Sequence[str]) -> None:
    """Keeps the declared paths. Raises StoreError."""
    content = json.dumps(paths).encode()
    try:
        write_entry(store / _FILE, Entry(Kind.FILE, 0o600, os.geteuid(), os.getegid(), content))
    except EntryError as cause:
        raise StoreError(f"The declared paths could not be kept: {cause}") from cause


def with_declared(known: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """`known` and those of `paths` that neither /etc nor one of `known` covers.

    Raises StoreError for what is not a plain path below the root.
    """
    declared = [*known]
    for path in paths:
        _check_declarable(path)
        if not any(path == one or path.startswith(one + "/") for one in ("etc", *declared)):
            declared.append(path)
    return tuple(declared)


def _check_declarable(path: str) -> None:
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..", ".git") for part in parts) or parts[0].startswith("."):
        raise StoreError(
            f"{path!r} cannot be held by the store: it takes a plain path below the root, "
            f"without a leading slash, without '.', '..' and '.git'."
        )


def _damaged(store: Path, why: str) -> StoreError:
    return StoreError(
        f"The list of declared paths in {str(store)!r} is damaged{why}: remove {_FILE} there, "
        f"and declare them again."
    )
