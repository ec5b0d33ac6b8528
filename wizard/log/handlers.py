"""Where the records of the log go: root's file, and standard error."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
from pathlib import Path

from wizard.console import error

_FORM = logging.Formatter("%(asctime)s [%(process)d] %(message)s", "%Y-%m-%dT%H:%M:%S%z")
LONGEST = 4 * 1024 * 1024
"""Bytes of the file; then it is renamed to .1, and the one before is gone."""


def logger(path: Path | None, *, verbose: bool) -> logging.Logger:
    """A logger of our own, which no other library's root logger hears, with the handlers of one run."""
    own = logging.Logger("msa-wizard", logging.INFO)
    if path is not None:
        own.addHandler(LogFile(path))
    if verbose:
        own.addHandler(Commands())
    return own


class Commands(logging.Handler):
    """Standard error: the commands alone."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show it."""
        if getattr(record, "command", False):
            error(record.getMessage())


class LogFile(logging.Handler):
    """A file for root alone, opened for each record: so logrotate, a killed run and a second process do no harm.

    Whatever the disk does, the program goes on without a log."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Append it, its further lines and its output indented."""
        output = getattr(record, "more", "")
        text = _FORM.format(record) + (f"\n{output}" if output else "")
        line = text.replace("\n", "\n    ") + "\n"
        with contextlib.suppress(OSError):
            self._append(line.encode("utf-8", "backslashreplace"))

    def _append(self, line: bytes) -> None:
        descriptor = self._open()
        try:
            if os.fstat(descriptor).st_size + len(line) > LONGEST:
                self._rotate(descriptor)
                os.close(descriptor)
                descriptor = self._open()
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """Raises OSError for anything but a regular file of ours with one name: a link may lead anywhere."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            os.close(descriptor)
            raise OSError(f"{self._path} is not a regular file of ours")
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
        return descriptor

    def _rotate(self, descriptor: int) -> None:
        """Rename it, unless a second process does or just has. Raises OSError."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(self._path.lstat(), os.fstat(descriptor)):
                self._path.replace(f"{self._path}.1")
