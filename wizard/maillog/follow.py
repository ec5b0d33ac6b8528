"""The mail log from a moment on, line by line as it grows: the journal where this host keeps one, else the log file."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import IO, TYPE_CHECKING, Self

from wizard.errors import HostError
from wizard.maillog.read import FILES, NAMES, Journal, LogLine, file_line, where
from wizard.system.host import Host

if TYPE_CHECKING:
    from types import TracebackType

LONGEST = 3600.0
"""Seconds that a log is followed at most."""
_KEPT = 10_000
_POLL = 0.05
_LINE = 8192


class LogFollower:
    """What is logged while inside."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.source = where(host)
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._began = time.time()
        if self.source == "journal":
            self._start(self._journal)
        elif self.source is not None:
            for path in FILES:
                tail = Tail(self._host, path)
                self._start(partial(tail.follow, self._over, self._add))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def taken(self) -> list[LogLine]:
        """The lines that have not been taken yet."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def _start(self, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _add(self, line: LogLine) -> None:
        if line.name in NAMES:
            self._lines.append(line)

    def _journal(self) -> None:
        journal = Journal(self._host)

        def add(text: str) -> None:
            line = journal.line(text)
            if line is not None and line.time >= self._began:
                self._lines.append(line)

        # It writes to no pipe, so it would go on for ever without us: the kernel ends it.
        argv = ["setpriv", "--pdeathsig", "KILL", *journal.argv(self._began, "-f", "-n", "all")]
        try:
            self._host.run(argv, timeout=LONGEST, say=add, over=self._over.is_set)
        except HostError:
            return  # what was read so far counts


class Tail:
    """A log file from its present end on; a rotated one is read to its end, then the new one."""

    def __init__(self, host: Host, path: str) -> None:
        self._path, self._name = host.path(path), path
        self._half = b""
        self._file = self._opened()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def follow(self, over: threading.Event, add: Callable[[LogLine], None]) -> None:
        """Until `over`; each whole line goes to `add`."""
        while not over.wait(_POLL):
            for line in self.lines():
                add(line)
        if self._file is not None:
            self._file.close()

    def lines(self) -> list[LogLine]:
        """The whole lines that came since the last time."""
        self._file = self._file or self._opened()
        if self._file is None:
            return []
        lines = self._read(self._file)
        if self._rotated(self._file):
            lines += self._read(self._file)
            self._file.close()
            self._file = None
        return lines

    def _opened(self) -> IO[bytes] | None:
        try:
            return self._path.open("rb")
        except OSError:
            return None

    def _read(self, file: IO[bytes]) -> list[LogLine]:
        *whole, self._half = (self._half + file.read()).split(b"\n")
        self._half = self._half[-_LINE:]
        texts = (line[:_LINE].decode("utf-8", "replace") for line in whole)
        lines = (file_line(text, time.time(), self._name) for text in texts)
        return [line for line in lines if line is not None]

    def _rotated(self, file: IO[bytes]) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return True
        return there.st_ino != os.fstat(file.fileno()).st_ino or there.st_size < file.tell()
