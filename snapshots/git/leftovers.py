"""What a process that was killed leaves in a store: locks, and files that were not whole yet."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

HEALING_PREFIX = "healing."
"""How the name of the folder begins in which a damaged store is put together again."""

_PATTERNS = (
    "*.lock",
    "refs/**/*.lock",
    "objects/info/**/*.lock",
    "objects/pack/tmp_*",
    "objects/pack/.tmp-*",
    "objects/??/tmp_obj_*",
    "objects/tmp_objdir-*",
    "fast_import_crash_*",
    "stat-cache.*",
    ".msa-wizard-*",
    f"{HEALING_PREFIX}*",
    f".{HEALING_PREFIX}*",
)
_KEEP = b"fast-import"
"""What git fast-import writes into the file that guards a pack until its commit is made."""


def remove_leftovers(store: Path) -> tuple[str, ...]:
    """Removes them, also the drafts beside the store. Returns their names; for one writer at a time.

    What cannot be removed stays: it fails again, and is said, where it is in the way.
    """
    gone = []
    for leftover in _leftovers(store):
        with contextlib.suppress(OSError):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
            gone.append(leftover.name)
    return tuple(gone)


def _leftovers(store: Path) -> Iterator[Path]:
    for pattern in _PATTERNS:
        yield from store.glob(pattern)
    yield from store.parent.glob(f".{store.name}.*")
    for guard in store.glob("objects/pack/*.keep"):
        with contextlib.suppress(OSError):
            if guard.read_bytes() == _KEEP:
                yield guard
