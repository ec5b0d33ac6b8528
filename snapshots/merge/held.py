"""A file that is being replaced, held open: what others write into the old one meanwhile is seen, and not lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from snapshots.live.lease import wait_until_quiet


class HeldFile:
    """The regular file that was at a path, open for reading, with the content that was seen.

    Held from just before the rename that puts another in its place: a process that had opened the path before writes into
    the old one, which nobody would look at again. `late` gives what came; `close` lets it go."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.content = self._read()

    @property
    def descriptor(self) -> int:
        """Of the open file, as long as it is held."""
        return self._descriptor

    def late(self) -> bytes | None:
        """What is in it now, where that is not what was seen last time; None while nothing came, and once it was let go.
        Raises OSError."""
        if self._descriptor < 0:
            return None
        content = self._read()
        if content == self.content:
            return None
        self.content = content
        return content

    def wait(self, seconds: float) -> None:
        """Return once nobody has it open for writing any more, or after that many seconds."""
        if self._descriptor >= 0:
            wait_until_quiet(self._descriptor, seconds)

    def close(self) -> None:
        """It is needed no more; twice does no harm."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()

    def _read(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, size + 1, 0)


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
