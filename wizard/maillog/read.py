"""The one reader of what sendmail and saslauthd logged, then and from now on: the journal where this host keeps one, else the
log files.

A line is evidence only if the daemon wrote it. Under its name anybody can log (`logger -t sm-mta`), and give any pid
with it; what the journal itself puts to a line nobody can give. Of that these count, by what Debian 12 and 13 record:

- `_TRANSPORT=syslog`, for both daemons call syslog(3);
- `_UID` is root's, smmta's or smmsp's. The kernel tells it of the process that speaks; of a setuid program it is the
  user's who runs it;
- `_EXE` is the daemon's program. It is missing where a process ended before the journal looked, as those that
  deliver a message often do: then the kernel's `_UID` alone has to do;
- not `_SYSTEMD_UNIT`: a daemon that its init script started has none, and a program that sendmail runs for a user's
  .forward has sendmail's. Nor `_COMM`, which a symbolic link can choose.

A file holds none of this: any user can have a line written into it, so a line there proves nothing.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import math
import os
import re
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Self

from wizard.errors import HostError
from wizard.maillog.journald import stores_mail
from wizard.system.host import Host

LOG = "/var/log/mail.log"
FILES = (LOG, "/var/log/auth.log")
NAMES = ("sm-mta", "sm-msp", "sendmail", "saslauthd")
_OURS = "msa-wizard"
UNPROVED = "who wrote it cannot be proved from a file: any user of this host can write such a line"
LONGEST = 3600.0
"""Seconds that a log is followed at most."""
_KEPT = 10_000
_POLL = 0.05
_LINE = 8192
_END = 256 * 1024
_MOST = 2000
"""Lines of the journal that are read at once."""
_MATCHING = 5000
"""Of a whole day."""
_FILE_END = 16 * 1024 * 1024
"""Bytes of a log file in which something is looked for."""
_FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,_PID,_UID,_EXE,_TRANSPORT,_SOURCE_REALTIME_TIMESTAMP"
_ANY_ENTRY = ("journalctl", "-q", "--no-pager", "-n", "1")
_ACCOUNTS = re.compile(r"^(?:smmta|smmsp):[^:\n]*:(\d+):", re.MULTILINE)
_PROGRAMS = {
    "sendmail": ("/usr/libexec/sendmail/sendmail", "/usr/sbin/sendmail-mta"),
    "saslauthd": ("/usr/sbin/saslauthd",),
}
_CLIENTS_WORDS = re.compile(r"(?:from|to|msgid|ruleset|arg1)=|<|\S+: (?:DSN|return to sender)|clone")
_NUMBER = re.compile(r"[0-9]{1,19}")
_FILE = re.compile(r"(\S+ +\d+ [\d:]+|\d{4}-\d\d-\d\dT\S+) \S+ ([^\s:\[]+)(?:\[(\d+)\])?: ?(.*)")
QUEUE_ID = re.compile(r"^([0-9A-Za-z]{8}\d{6,10}|[0-9A-Za-z]{14,20}): ")
"""At the start of what sendmail logs of one message (op.me, section 2.1.1)."""
# The client itself fills sender, message id and recipients, so an address counts only where sendmail puts its own.
# A client that answers ident is user@host [address], and user@[address] without a name in DNS.
_HOST = r"(?:[^\s,\[\]]+ |[^\s,\[\]@]+@)?\[(?:IPv6:)?([0-9A-Fa-f.:]+)\](?: \(may be forged\))?"
_PEER = re.compile(
    rf"(?:STARTTLS|AUTH)=server, (?:error: .*, )?relay={_HOST}(?:,|$)"
    rf"|[0-9A-Za-z]+: {_HOST} did not issue MAIL"
    rf"|[0-9A-Za-z]+: AUTH failure .*, relay={_HOST}$"
    rf"|[0-9A-Za-z]+: from=.*, relay={_HOST}$"
)
_LOGIN = re.compile(r"AUTH=server, relay=.*authid=([^,]*), mech=")


@dataclass(frozen=True)
class LogLine:
    """One line: when (seconds since the epoch, 0.0: not known), whose, of which process (0: not said), what. Not
    cleaned. `file` is the log file, "" for a line of the journal, which the daemon itself wrote."""

    time: float
    name: str
    pid: int
    text: str
    file: str = ""

    @property
    def queue_id(self) -> str:
        """The message that it is about, "" for none."""
        match = QUEUE_ID.match(self.text)
        return match[1] if match else ""

    @property
    def own_words(self) -> bool:
        """Whether only the daemon chose the words: senders, recipients and message ids are the client's."""
        return not _CLIENTS_WORDS.match(QUEUE_ID.sub("", self.text).removeprefix("NOQUEUE: "))

    @property
    def peer(self) -> str | None:
        """The address of the client that a line of sendmail names, None where it names none."""
        match = _PEER.match(self.text) if self.name == "sm-mta" else None
        try:
            address = ipaddress.ip_address(next(filter(None, match.groups()))) if match else None
        except ValueError:
            return None
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return str(mapped or address) if address else None

    @property
    def authid(self) -> str | None:
        """Who logged in, None where the line does not say that somebody did."""
        match = _LOGIN.match(self.text)
        return match[1] if match else None

    @property
    def source(self) -> str:
        """Where the line is, when it was written, by this host's clock, and what that proves."""
        when = f", {datetime.fromtimestamp(self.time):%F %T}" if self.time else ""
        return f"{self.file}{when}; {UNPROVED}" if self.file else f"journal, {self.name}{when}"


def where(host: Host) -> str | None:
    """`journal`, or the path of the mail log; None where this host keeps neither, or it cannot be read. A journal that is
    only there still, and written no more, counts for nothing."""
    alive = host.exists("/run/systemd/journal/socket") and stores_mail(host)
    for folder in ("/run/log/journal", "/var/log/journal") if alive else ():
        if any(host.names(f"{folder}/{name}") for name in host.names(folder)):
            return "journal"
    try:
        with _opened(host.path(LOG)):
            return LOG
    except OSError:
        return None


def arrives(host: Host, within: float) -> bool:
    """Whether what is logged of mail comes to where it is read, within so many seconds: by a line of our own. Raises
    HostError."""
    words, end = f"a trial of where this comes to: {time.time_ns()}", time.monotonic() + within
    place = where(host)
    host.run(["logger", "-p", "mail.info", "-t", _OURS, "--", words], timeout=within)
    newest = ["journalctl", "-q", "--no-pager", "-o", "cat", "-n", "1", "-t", _OURS]
    while True:
        if place == "journal":
            is_there = words in host.run(newest, timeout=30).stdout
        else:
            is_there = any(line.text == words for line in _end_of(host, LOG))
        if is_there or time.monotonic() > end:
            return is_there
        time.sleep(_POLL)


def lines(host: Host, since: float, names: Sequence[str] = NAMES) -> tuple[LogLine, ...] | None:
    """The last lines since the second `since` (since the epoch), oldest first; None where this host keeps no log of mail.

    Of the files the last 256 KiB: a line whose date has no year may be of any time, and has the time 0.0. Raises
    HostError where there is a log that cannot be read: why."""
    if where(host) != "journal":
        try:
            with _opened(host.path(LOG)):
                logged = [line for path in FILES for line in _end_of(host, path)]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"{LOG} cannot be read: {error.strerror}") from error
        return tuple(x for x in logged if x.name in names and (not x.time or x.time >= int(since)))[-_MOST:]
    journal = Journal(host, names)
    result = host.run(journal.argv(since, "-n", str(_MOST)), timeout=30)
    # It ends with 0, too, where all is corrupted; of one such file it complains, and reads the others.
    silent = result.stderr.strip() and not result.stdout and not host.run(_ANY_ENTRY, timeout=30).stdout
    if result.code != 0 or silent:
        raise HostError(f"journalctl ended with status {result.code}: {result.stderr.strip()[-300:]}")
    return tuple(filter(None, map(journal.line, result.stdout.splitlines())))


@dataclass(frozen=True)
class Logged:
    """Lines of a log, oldest first, and how far they are all that there was."""

    lines: tuple[LogLine, ...] = ()
    lacks: str = ""
    """Why some may be missing, empty where none is."""
    whole_since: float = math.inf
    """Where some are missing: since when none is (seconds since the epoch); infinite where nobody knows."""


def matching(host: Host, since: float, words: str, within: float, most: int = _MATCHING) -> Logged:
    """sendmail's own lines since then that the expression `words` (pcre2pattern(3)) matches: the last ones, `most` at most,
    as many as come `within` so many seconds. None where there is no journal: a line of a file proves nothing."""
    if where(host) != "journal":
        return Logged(lacks="this host keeps no journal")
    journal = Journal(host, [name for name in NAMES if name != "saslauthd"])
    found, end = list[str](), time.monotonic() + within
    argv = journal.argv(since, "--reverse", "-n", str(most), "--case-sensitive", "-g", words)
    late, lacks = False, ""

    def over() -> bool:
        nonlocal late
        late = late or time.monotonic() > end
        return late

    try:
        result = host.run(argv, timeout=2 * within, say=found.append, over=over)
        # It ends with 1, too, where nothing matches; of a corrupted file it complains, and reads the others.
        if not late and (result.stderr.strip() or result.code not in (0, 1)):
            lacks = f"journalctl ended with status {result.code}: {result.stderr.strip()[-300:]}"
    except HostError as error:  # what was read so far counts
        lacks = str(error)
    lines = tuple(reversed([*filter(None, map(journal.line, found))]))
    if lacks:
        return Logged(lines, lacks)
    if late or len(found) >= most:
        why = (
            f"{within:.0f} seconds did not do for more"
            if late
            else f"there are more than the {most} newest lines"
        )
        return Logged(lines, why, lines[0].time if lines else math.inf)
    return Logged(lines)


class _FirstLineError(Exception):
    """There it is: of a command that would go on for all of a long journal."""


def journal_begin(host: Host) -> float:
    """The second of the journal's oldest entry (since the epoch), infinite where it has none. Raises HostError."""
    found = list[str]()

    def first(line: str) -> None:
        found.append(line)
        raise _FirstLineError("its first line is all that was asked for")  # for the log of the run

    argv = ["journalctl", "-q", "--no-pager", "-o", "json", "--output-fields=_PID"]
    with suppress(
        _FirstLineError
    ):  # it ends the command: one that writes as fast as we read is asked nothing by `over`
        host.run(argv, timeout=30, say=first)
    match = re.search(r'"__REALTIME_TIMESTAMP" ?: ?"(\d{1,19})"', found[0]) if found else None
    return int(match[1]) / 1e6 if match else math.inf


def matching_in_file(host: Host, since: float, words: str) -> Logged:
    """The same out of the end of the log file, all that is dated since then or has no whole date. Raises HostError where
    it cannot be read."""
    try:
        with _opened(host.path(LOG)) as log:
            size = os.fstat(log.fileno()).st_size
            log.seek(max(0, size - _FILE_END))
            texts = log.read(_FILE_END).decode("utf-8", "replace").splitlines()[size > _FILE_END :]
    except OSError as error:
        raise HostError(f"{LOG} cannot be read: {error.strerror}") from error
    all_lines = [line for text in texts if (line := file_line(text, 0.0))]
    matches = re.compile(words).search
    lines = tuple(
        line
        for line in all_lines
        if line.name == "sm-mta" and matches(line.text) and (not line.time or line.time >= since)
    )
    if not all(line.time for line in all_lines):
        return Logged(lines, f"the dates in {LOG} have no year")
    if not all_lines or all_lines[0].time > since:
        why = f"only the end of {LOG} is read" if size > _FILE_END else f"{LOG} goes back no further"
        return Logged(lines, why, all_lines[0].time if all_lines else math.inf)
    return Logged(lines)


def _opened(path: Path) -> IO[bytes]:
    """A log file; a pipe or a device is not waited for. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file")
    return os.fdopen(descriptor, "rb")


class Journal:
    """The daemons' own lines in the journal."""

    def __init__(self, host: Host, names: Sequence[str] = NAMES) -> None:
        self._names = names
        try:
            accounts = host.path("/etc/passwd").read_text("latin-1")
        except OSError:
            accounts = ""
        self._uids = ("0", *_ACCOUNTS.findall(accounts))
        self._programs = {
            family: (*paths, *(os.path.realpath(host.path(path)) for path in paths))
            for family, paths in _PROGRAMS.items()
        }

    def argv(self, since: float, *options: str) -> list[str]:
        """The command that prints them, one JSON object a line; `line` still has to judge each."""
        fields = [("_TRANSPORT", "syslog"), *(("SYSLOG_IDENTIFIER", name) for name in self._names)]
        fields += [("_UID", uid) for uid in self._uids]
        wanted = [f"{name}={value}" for name, value in fields]
        argv = ["journalctl", "-q", "--no-pager", "--all", "-o", "json", f"--output-fields={_FIELDS}"]
        return [*argv, f"--since=@{int(since)}", *options, *wanted]

    def line(self, text: str) -> LogLine | None:
        """What a line of that output says; None where it is not the daemon's, or none at all."""
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(entry, dict) or not self._own(entry):
            return None
        message = entry.get("MESSAGE")
        if isinstance(message, list) and all(isinstance(x, int) and 0 <= x < 256 for x in message):
            message = bytes(message).decode("utf-8", "replace")
        stamp = str(entry.get("_SOURCE_REALTIME_TIMESTAMP") or entry.get("__REALTIME_TIMESTAMP"))
        pid = str(entry.get("_PID"))
        if not (isinstance(message, str) and _NUMBER.fullmatch(stamp) and _NUMBER.fullmatch(pid)):
            return None
        return LogLine(int(stamp) / 1e6, entry["SYSLOG_IDENTIFIER"], int(pid), message)

    def _own(self, entry: dict[str, object]) -> bool:
        """Whether the daemon wrote it, by the fields that the journal itself puts there."""
        name, exe = entry.get("SYSLOG_IDENTIFIER"), entry.get("_EXE")
        family = "saslauthd" if name == "saslauthd" else "sendmail"
        return (
            name in self._names
            and entry.get("_TRANSPORT") == "syslog"
            and entry.get("_UID") in self._uids
            and (exe is None or exe in self._programs[family])
        )


def file_line(text: str, now: float, path: str = LOG) -> LogLine | None:
    """A line of a log file, None if it is none. The old kind of date has neither year nor fraction: such a line
    counts as of `now`, when it was read."""
    match = _FILE.match(text)
    if not match:
        return None
    try:
        when = datetime.fromisoformat(match[1]).timestamp()
    except (ValueError, OverflowError):
        when = now
    return LogLine(when, match[2], int(match[3] or 0), match[4], path)


def _end_of(host: Host, path: str) -> list[LogLine]:
    try:
        with _opened(host.path(path)) as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _END))
            text = log.read(_END).decode("utf-8", "replace")
    except OSError:
        return []
    return [line for item in text.splitlines() if (line := file_line(item, 0.0, path))]


class LogFollower:
    """What is logged while inside."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.source = where(host)
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._began = time.time()
        acts: list[Callable[[], None]] = [self._journal]
        if self.source != "journal":
            tails = [Tail(self._host, path) for path in FILES if self.source is not None]
            acts = [partial(tail.follow, self._over, self._add) for tail in tails]
        self._threads = [threading.Thread(target=act, daemon=True) for act in acts]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, _kind: object, _error: object, _trace: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def taken(self) -> list[LogLine]:
        """The lines that have not been taken yet."""
        return [self._lines.popleft() for _ in range(len(self._lines))]

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
        with suppress(HostError):  # what was read so far counts
            self._host.run(argv, timeout=LONGEST, say=add, over=self._over.is_set)


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
            return _opened(self._path)
        except OSError:
            return None

    def _read(self, file: IO[bytes]) -> list[LogLine]:
        *whole, self._half = (self._half + file.read()).split(b"\n")
        self._half = self._half[-_LINE:]
        texts = (line[:_LINE].decode("utf-8", "replace") for line in whole)
        lines = (file_line(text, time.time(), self._name) for text in texts)
        return list(filter(None, lines))

    def _rotated(self, file: IO[bytes]) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return True
        return there.st_ino != os.fstat(file.fileno()).st_ino or there.st_size < file.tell()
