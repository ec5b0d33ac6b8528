"""The one reader of what sendmail and saslauthd logged: the journal where this host keeps one, else the log files.

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

import ipaddress
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wizard.errors import HostError
from wizard.system.host import Host

LOG = "/var/log/mail.log"
FILES = (LOG, "/var/log/auth.log")
NAMES = ("sm-mta", "sm-msp", "sendmail", "saslauthd")
UNPROVED = "who wrote it cannot be proved from a file: any user of this host can have such a line written"
_END = 256 * 1024
_MOST = 2000
"""Lines of the journal that are read at once."""
_FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,_PID,_UID,_EXE,_TRANSPORT,_SOURCE_REALTIME_TIMESTAMP"
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
_HOST = r"(?:[^\s,\[\]]+ )?\[(?:IPv6:)?([0-9A-Fa-f.:]+)\](?: \(may be forged\))?"
_PEER = re.compile(
    rf"(?:STARTTLS|AUTH)=server, (?:error: .*, )?relay={_HOST}(?:,|$)"
    rf"|[0-9A-Za-z]+: {_HOST} did not issue MAIL"
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
        """Where the line is, and what that proves."""
        return f"{self.file}; {UNPROVED}" if self.file else f"journal, {self.name}"


def where(host: Host) -> str | None:
    """`journal`, or the path of the mail log; None where this host keeps neither, or it cannot be read."""
    listening = host.exists("/run/systemd/journal/socket")
    for folder in ("/run/log/journal", "/var/log/journal") if listening else ():
        if any(host.names(f"{folder}/{name}") for name in host.names(folder)):
            return "journal"
    return LOG if os.access(host.path(LOG), os.R_OK) else None


def lines(host: Host, since: float, names: Sequence[str] = NAMES) -> tuple[LogLine, ...] | None:
    """The last lines since the second `since` (since the epoch), oldest first; None where this host keeps no log of mail.

    Of the files the last 256 KiB: a line whose date has no year may be of any time, and has the time 0.0."""
    source = where(host)
    if source is None:
        return None
    if source != "journal":
        logged = [line for path in FILES for line in _end_of(host, path)]
        return tuple(x for x in logged if x.name in names and (not x.time or x.time >= int(since)))[-_MOST:]
    journal = Journal(host, names)
    try:
        result = host.run(journal.argv(since, "-n", str(_MOST)), timeout=30)
    except HostError:
        return None
    if result.code != 0:
        return None
    return tuple(line for line in map(journal.line, result.stdout.splitlines()) if line is not None)


class Journal:
    """The daemons' own lines in the journal."""

    def __init__(self, host: Host, names: Sequence[str] = NAMES) -> None:
        self._names = names
        self._uids = ("0", *_ACCOUNTS.findall(_text(host, "/etc/passwd")))
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
    real = host.path(path)
    try:
        with real.open("rb") as log:
            log.seek(max(0, real.stat().st_size - _END))
            text = log.read(_END).decode("utf-8", "replace")
    except OSError:
        return []
    return [line for item in text.splitlines() if (line := file_line(item, 0.0, path))]


def _text(host: Host, path: str) -> str:
    try:
        return host.path(path).read_text("latin-1")
    except OSError:
        return ""
