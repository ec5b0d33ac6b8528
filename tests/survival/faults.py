"""A run in which the system refuses one operation, or from one operation on all that needs room on a disk."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.killing.counter import Counter

REFUSED = (
    *("open", "write", "pwrite", "fsync", "truncate", "ftruncate", "rename", "replace", "symlink", "mkdir"),
    *("fchmod", "chmod", "chown", "fchown", "setxattr", "unlink", "rmdir", "remove"),
)
"""What a file system may refuse."""
_STRANGE = {
    "fsync": {errno.EROFS},
    "unlink": {errno.ENOSPC},
    "rmdir": {errno.ENOSPC},
    "remove": {errno.ENOSPC},
}
"""What it does not answer to these."""
_CRASHED = 99


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, and what it said."""

    code: int
    said: str

    @property
    def crashed(self) -> bool:
        """Whether it ended by an exception that nobody expected."""
        return self.code == _CRASHED


class _Faults(Counter):
    """Counts as Counter does; raises at an operation instead of killing there."""

    def __init__(self, log: int, number: int, error: int, *, lasting: bool) -> None:
        super().__init__(log)
        self._at, self._error, self._lasting = number, error, lasting

    @contextlib.contextmanager
    def operation(self, words: str) -> Iterator[None]:
        with super().operation(words):
            if self._count == self._at or (self._lasting and self._count > self._at):
                self._refuse(words)
            yield

    def _refuse(self, words: str) -> None:
        if can_be_refused(words, self._error):
            raise OSError(self._error, os.strerror(self._error), words.split()[1])


def can_be_refused(words: str, error: int) -> bool:
    """Whether a file system may answer this operation with this error."""
    name = words.split(" ", 1)[0]
    elsewhere = "pipe:" in words or "/run/" in words  # in memory
    return name in REFUSED and not elsewhere and error not in _STRANGE.get(name, ())


def run_refused(run: Callable[[], int], number: int, error: int, *, lasting: bool) -> Ended:
    """The run in a child, where the operation of this number is refused, and with `lasting` all after it."""
    sys.stdout.flush()
    sys.stderr.flush()
    said = os.memfd_create("said")
    try:
        child = os.fork()
        if child == 0:
            _run(run, _Faults(os.memfd_create("operations"), number, error, lasting=lasting), said)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return Ended(code, os.pread(said, 1 << 20, 0).decode())
    finally:
        os.close(said)


def _run(run: Callable[[], int], faults: _Faults, said: int) -> None:
    code, write, text = _CRASHED, os.pwrite, io.StringIO()
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            faults.install()
            code = run()
    except BaseException:
        text.write(traceback.format_exc())
    finally:
        write(said, text.getvalue().encode(), 0)
        os._exit(code)
