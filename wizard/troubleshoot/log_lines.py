"""The last lines that sendmail and saslauthd logged: the journal where there is one, else the log files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.host import Host, HostError

SINCE = 3600
"""Seconds that are looked back."""
_FILES = ("/var/log/mail.log", "/var/log/auth.log")
_NAMES = ("sm-mta", "sm-msp", "sendmail", "saslauthd")
_JOURNAL = re.compile(r"(\d+\.\d+) \S+ ([^\s:\[]+)(?:\[\d+\])?: ?(.*)")
_FILE = re.compile(r"(?:\S+ +\d+ [\d:]+|\S+T\S+) \S+ ([^\s:\[]+)(?:\[\d+\])?: ?(.*)")
_END = 128 * 1024


@dataclass(frozen=True)
class LogLine:
    """One line: when (seconds since the epoch; 0.0 in a file, whose dates have no year), whose, what, and where."""

    time: float
    name: str
    text: str
    source: str


def look(host: Host) -> tuple[LogLine, ...] | None:
    """The lines of the last hour, oldest first; None where this host keeps no log of mail."""
    if host.exists("/run/systemd/journal/socket"):
        found = _journal(host)
        if found is not None:
            return found
    made = [line for path in _FILES for line in _file(host, path) or ()]
    return tuple(made) if any(host.exists(path) for path in _FILES) else None


def _journal(host: Host) -> tuple[LogLine, ...] | None:
    names = [word for name in _NAMES for word in ("-t", name)]
    argv = ["journalctl", "-q", *names, "-o", "short-unix", "--no-pager", "-n", "500", f"--since=-{SINCE}s"]
    try:
        done = host.run(argv, timeout=15)
    except HostError:
        return None
    if done.code != 0:
        return None
    found = (_JOURNAL.match(line) for line in done.stdout.splitlines())
    return tuple(LogLine(float(item[1]), item[2], item[3], f"journal, {item[2]}") for item in found if item)


def _file(host: Host, path: str) -> list[LogLine] | None:
    real = host.path(path)
    try:
        with real.open("rb") as log:
            log.seek(max(0, real.stat().st_size - _END))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    found = (_FILE.match(line) for line in lines)
    return [LogLine(0.0, item[1], item[2], path) for item in found if item and item[1] in _NAMES][-500:]
