"""Who writes a store: a git that outlives the program that started it is waited for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from snapshots.errors import StoreError

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
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"A git that an earlier run started is still at work in {str(store)!r}. "
                    f"Nothing was changed; try again when it has ended."
                ) from None
            time.sleep(_PAUSE)
        else:
            return


def _locked(store: Path, how: int) -> int:
    descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
