"""A file that is being replaced, held open: what others write into the old one meanwhile is seen, and not lost."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import time
from pathlib import Path


class HeldFile:
    """The regular file that was at a path, open for reading, with the content that was seen.

    Held from just before the rename that puts another in its place: a process that had opened the path before writes into
    the old one, which nobody would look at again. `late` gives what came; `close` lets it go."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        """Of the open file, as long as it is held; then -1."""
        self.content = self._read()

    def late(self) -> bytes | None:
        """What is in it now, where that is not what was seen last time; None while nothing came, and once it was let go.
        Raises OSError."""
        if self.descriptor < 0 or (content := self._read()) == self.content:
            return None
        self.content = content
        return content

    def wait(self, seconds: float) -> None:
        """Return once nobody has it open for writing any more, or after that many seconds."""
        if self.descriptor >= 0:
            wait_until_quiet(self.descriptor, seconds)

    def close(self) -> None:
        """It is needed no more; twice does no harm."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        self.close()

    def _read(self) -> bytes:
        return os.pread(self.descriptor, os.fstat(self.descriptor).st_size + 1, 0)


def hold(path: Path) -> HeldFile | None:
    """The regular file at `path`, held open; None where there is none. Raises OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return HeldFile(descriptor)


def wait_until_quiet(descriptor: int, seconds: float) -> None:
    """Return once nobody has the file, which is open read-only here, open for writing, or after that many seconds."""
    end = time.monotonic() + seconds
    while not _quiet(descriptor) and time.monotonic() < end:
        time.sleep(0.005)


def _quiet(descriptor: int) -> bool:
    """Whether a read lease is given: then nobody writes (fcntl(2), F_SETLEASE). True also where the file system knows no
    leases."""
    try:
        # One that is broken tells by SIGIO, which would end us; a file without a name can be opened by nobody.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
