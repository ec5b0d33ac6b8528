"""Who writes a store: a git that outlives the program that started it is waited for, and what a killed one left is removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from snapshots.errors import StoreError

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

_PATIENCE = 20.0
_PAUSE = 0.02


@contextlib.contextmanager
def writer_mark(store: Path) -> Iterator[int]:
    """A descriptor for a git that writes to inherit: for as long as it lives, `wait_for_writers` waits."""
    descriptor = _locked(store, fcntl.LOCK_SH)  # at most a moment, while another looks
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # the mark stays with the git that has it


def wait_for_writers(store: Path) -> None:
    """Returns when no git of an earlier program writes any more. Raises StoreError after 20 seconds."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            os.close(_locked(store, fcntl.LOCK_EX | fcntl.LOCK_NB))
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"A git that an earlier run started is still at work in {str(store)!r}. "
                    f"Nothing was changed; try again when it has ended."
                ) from None
            time.sleep(_PAUSE)


def _locked(store: Path, how: int) -> int:
    descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def remove_leftovers(store: Path) -> tuple[str, ...]:
    """Removes them, also the drafts beside the store. Returns their names; for one writer at a time. What
    cannot be removed stays: it fails again, and is said, where it is in the way."""
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
