"""The mail log from a moment on, line by line as it grows: the journal where this host keeps one, else the log file."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Self

from wizard.host import Host, HostError
from wizard.log_words import QUEUE_ID
from wizard.mail_log import LOG

if TYPE_CHECKING:
    from types import TracebackType

NAMES = ("sm-mta", "sendmail", "saslauthd")
LONGEST = 3600.0
"""Seconds that a log is followed at most."""
_AUTH_LOG = "/var/log/auth.log"
_KEPT = 10_000
_POLL = 0.05
_LINE = 8192
_JOURNAL = re.compile(r"(\d+\.\d+) \S+ ([^\s:\[]+)(?:\[(\d+)\])?: ?(.*)")
_FILE = re.compile(r"(\S+ +\d+ [\d:]+|\d{4}-\d\d-\d\dT\S+) \S+ ([^\s:\[]+)(?:\[(\d+)\])?: ?(.*)")


@dataclass(frozen=True)
class Logged:
    """One line: when (seconds since the epoch), whose, of which process (0: not said), what. Not cleaned."""

    time: float
    name: str
    pid: int
    text: str

    @property
    def queue_id(self) -> str:
        """The message that it is about, "" for none."""
        found = QUEUE_ID.match(self.text)
        return found[1] if found else ""


def where(host: Host) -> str | None:
    """`journal`, or the path of the mail log; None where this host keeps neither, or we may not read it."""
    listening = host.exists("/run/systemd/journal/socket")
    for folder in ("/run/log/journal", "/var/log/journal") if listening else ():
        if any(host.names(f"{folder}/{name}") for name in host.names(folder)):
            return "journal"
    return LOG if os.access(host.path(LOG), os.R_OK) else None


class LogFollower:
    """What is logged while inside."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.source = where(host)
        self._lines: deque[Logged] = deque(maxlen=_KEPT)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._began = time.time()
        if self.source == "journal":
            self._start(self._journal)
        elif self.source is not None:
            for path in (LOG, _AUTH_LOG):
                tail = Tail(self._host, path)
                self._start(partial(tail.follow, self._over, self._add))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def taken(self) -> list[Logged]:
        """The lines that were not taken yet."""
        found = []
        while self._lines:
            found.append(self._lines.popleft())
        return found

    def _start(self, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _add(self, line: Logged) -> None:
        if line.name in NAMES:
            self._lines.append(line)

    def _journal(self) -> None:
        # It writes to no pipe, so it would go on for ever without us: the kernel ends it.
        tags = [word for name in NAMES for word in ("-t", name)]
        argv = ["setpriv", "--pdeathsig", "KILL", "journalctl", "-q", "-f", "--no-pager", "-o", "short-unix"]
        try:
            self._host.run(
                [*argv, "-n", "all", f"--since=@{int(self._began)}", *tags],
                timeout=LONGEST,
                say=self._said,
                over=self._over.is_set,
            )
        except HostError:
            return  # what was read so far counts

    def _said(self, text: str) -> None:
        line = journal_line(text)
        if line is not None and line.time >= self._began:
            self._add(line)


class Tail:
    """A log file from its present end on; one that is rotated away is read to its end, and the new one after it."""

    def __init__(self, host: Host, path: str) -> None:
        self._path = host.path(path)
        self._half = b""
        self._file = self._opened()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def follow(self, over: threading.Event, add: Callable[[Logged], None]) -> None:
        """Until `over`; each whole line goes to `add`."""
        while not over.wait(_POLL):
            for line in self.lines():
                add(line)
        if self._file is not None:
            self._file.close()

    def lines(self) -> list[Logged]:
        """The whole lines that came since the last time."""
        self._file = self._file or self._opened()
        if self._file is None:
            return []
        found = self._read(self._file)
        if self._rotated(self._file):
            found += self._read(self._file)
            self._file.close()
            self._file = None
        return found

    def _opened(self) -> IO[bytes] | None:
        try:
            return self._path.open("rb")
        except OSError:
            return None

    def _read(self, file: IO[bytes]) -> list[Logged]:
        *whole, self._half = (self._half + file.read()).split(b"\n")
        self._half = self._half[-_LINE:]
        made = (file_line(line[:_LINE].decode("utf-8", "replace"), time.time()) for line in whole)
        return [line for line in made if line is not None]

    def _rotated(self, file: IO[bytes]) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return True
        return there.st_ino != os.fstat(file.fileno()).st_ino or there.st_size < file.tell()


def journal_line(text: str) -> Logged | None:
    """A line of `journalctl -o short-unix`, None for what is none."""
    found = _JOURNAL.match(text)
    return Logged(float(found[1]), found[2], int(found[3] or 0), found[4]) if found else None


def file_line(text: str, now: float) -> Logged | None:
    """A line of a log file, None for what is none. The old kind of date has neither year nor fraction: that line
    counts as of `now`, when it was read."""
    found = _FILE.match(text)
    if not found:
        return None
    try:
        when = datetime.fromisoformat(found[1]).timestamp()
    except ValueError:
        when = now
    return Logged(when, found[2], int(found[3] or 0), found[4])
