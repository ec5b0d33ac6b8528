"""One msa-wizard at a time changes a machine; the second says who holds the lock, and since when."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wizard.errors import Locked

_MOST = 4096
"""Bytes of what a holder writes."""


@contextmanager
def held(path: Path, who: str, work: str = "") -> Iterator[None]:
    """Hold the lock at `path` while inside, for this `work`. Raises Locked with the holder's name, pid, work and start; OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(_holder(os.pread(descriptor, _MOST, 0))) from error
        os.ftruncate(descriptor, 0)
        record = {"pid": os.getpid(), "who": who, "since": time.time(), "work": work}
        os.pwrite(descriptor, json.dumps(record).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def free(path: Path) -> bool:
    """Whether nobody holds the lock at `path` now. Raises OSError."""
    return _record(path) is None


def holder(path: Path) -> str:
    """Who else holds the lock at `path` now, since when, and for what, as a clause; "" where nobody does but this process.
    Raises OSError."""
    record = _record(path)
    return "" if record is None or _pid(record) == os.getpid() else _holder(record)


def _record(path: Path) -> bytes | None:
    """What the lock's holder wrote; None where nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, _MOST, 0)
    finally:
        os.close(descriptor)
    return None


def taken(take: Callable[[], None], patience: float) -> bool:
    """Try to take a lock until it is ours; False when `patience` seconds are over."""
    end = time.monotonic() + patience
    while True:
        try:
            take()
            return True
        except (BlockingIOError, PermissionError):  # fcntl(2) has both
            if time.monotonic() > end:
                return False
            time.sleep(0.05)


def _pid(record: bytes) -> object:
    try:
        return json.loads(record).get("pid")
    except (ValueError, AttributeError):
        return None


def _holder(record: bytes) -> str:
    try:
        shown = json.loads(record)
        since = time.strftime("%F %T", time.localtime(shown["since"]))
        work = f", {shown['work']}" if shown.get("work") else ""
        return f"{shown['who']} has been running msa-wizard (pid {shown['pid']}{work}) since {since}"
    except (ValueError, KeyError, TypeError):
        return "another msa-wizard has just started"
