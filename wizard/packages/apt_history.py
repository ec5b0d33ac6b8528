"""apt's own record of its runs: history.log, and what logrotate has put aside of it.

apt writes the command line, and the lists of what it will do, before dpkg begins. Each run of ours carries a mark on
its command line, so that what it did can be told from what somebody else's apt did at the same time."""

from __future__ import annotations

import bz2
import lzma
import os
import re
import secrets
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wizard.errors import HostError
from wizard.system.host import Host

OPTION = "MSA-Wizard::Transaction"
"""The configuration item of the mark: apt does not know it, and writes it down with the rest of the command line."""

FIX_UP = "fixup"
"""The mark of a run that only ends what another run had begun: what it installs belongs to that one."""

OWN_LOG = "/var/lib/msa-wizard/apt-history.log"
"""Where our runs are recorded on a host whose apt keeps no history."""

_MOST = 64 * 1024 * 1024
"""Bytes that are read of one log."""
_ROOM = 64 * 1024
"""Bytes that have to be free where apt writes its history."""

_MARK = re.compile(rf"{OPTION}=([0-9a-z]+)(?:\s|$)")
_PACKAGE = re.compile(r"([^\s,()]+) \(([^()]*)\)")
_UNPACKED: Mapping[str, Callable[[], zlib._Decompress | lzma.LZMADecompressor | bz2.BZ2Decompressor]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".xz": lzma.LZMADecompressor,
    ".bz2": bz2.BZ2Decompressor,
}
_LISTS = (("Install",), ("Upgrade", "Downgrade"), ("Remove", "Purge"))
"""The lists of a run: what came, what has another version now, and what went."""


def new_mark() -> str:
    """A mark that no other run has."""
    return secrets.token_hex(6)


def marking(mark: str) -> tuple[str, str]:
    """The options of apt that put the mark on a command line."""
    return "-o", f"{OPTION}={mark}"


@dataclass(frozen=True)
class Transaction:
    """One run of apt that got as far as dpkg. Packages are written name:architecture."""

    command: str = ""
    installed: frozenset[str] = frozenset()
    automatic: frozenset[str] = frozenset()
    """Those of the installed that came for others alone."""
    upgraded: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    @property
    def mark(self) -> str | None:
        """Its mark, None for somebody else's run."""
        match = _MARK.search(self.command)
        return match[1] if match else None

    @property
    def named(self) -> frozenset[str]:
        """The packages that the command line asked to install, without architecture and version."""
        words = self.command.split()
        if "install" not in words:
            return frozenset()
        asked = [word for word in words[words.index("install") + 1 :] if not word.startswith("-")]
        return frozenset(
            re.split("[=/:]", word)[0].removesuffix("+")
            for word in asked
            if not word.endswith("-") and not word.startswith("/")
        )


def transactions(text: str) -> tuple[Transaction, ...]:
    """The runs that a history tells of, oldest first. A line that was cut off counts as far as it can be read."""
    runs: list[dict[str, str]] = []
    for line in text.split("\n"):
        key, colon, value = line.partition(": ")
        if key == "Start-Date" and colon:
            runs.append({})
        elif runs and colon:
            # A run has each list once; a second one can only be noise behind a run that was cut off.
            runs[-1].setdefault(key, value)
    return tuple(_transaction(fields) for fields in runs)


def _transaction(fields: Mapping[str, str]) -> Transaction:
    installed, upgraded, removed = (
        frozenset(package for key in keys for package, _ in _PACKAGE.findall(fields.get(key, "")))
        for keys in _LISTS
    )
    came = _PACKAGE.findall(fields.get("Install", ""))
    automatic = frozenset(package for package, about in came if about.endswith(", automatic"))
    return Transaction(fields.get("Commandline", ""), installed, automatic, upgraded, removed)


@dataclass(frozen=True)
class Ours:
    """What marked runs did, and nobody else did again since; packages as apt and as dpkg-query spell them."""

    installed: frozenset[str] = frozenset()
    automatic: frozenset[str] = frozenset()
    upgraded: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    """What they asked for, and what runs of ours that took them back asked for; without architecture."""


@dataclass(frozen=True)
class History:
    """All runs that are on record, oldest first."""

    runs: tuple[Transaction, ...] = field(default=())

    @classmethod
    def of(cls, host: Host) -> History:
        """What the host's logs tell. Raises HostError when the log is there and cannot be read."""
        logs = (*_aside(host, OWN_LOG), OWN_LOG)
        if path := configured_log(host):
            logs = (*logs, *_aside(host, path), path)
        return cls(tuple(run for log in logs for run in transactions(_text(host, log))))

    def since(self, marks: Iterable[str]) -> History:
        """From the first run with one of these marks on; all of it where the logs do not go back as far."""
        wanted = set(marks)
        first = next((at for at, run in enumerate(self.runs) if run.mark in wanted), 0)
        return History(self.runs[first:])

    def has(self, mark: str) -> bool:
        """Whether a run with this mark is on record."""
        return any(run.mark == mark for run in self.runs)

    def ours(self, marks: Iterable[str]) -> Ours:
        """What the runs with these marks did, and somebody else's run did not do again since."""
        wanted = set(marks)
        mine = [run for run in self.runs if run.mark in wanted]
        if not mine:
            return Ours()
        later = self.since(wanted)
        installed, removed = later.installed_by_others().keys(), later.removed_by_others().keys()
        return Ours(
            _spelled(name for run in mine for name in run.installed) - installed,
            _spelled(name for run in mine for name in run.automatic) - installed,
            _spelled(name for run in mine for name in run.upgraded),
            _spelled(name for run in mine for name in run.removed) - removed,
            later.named_by_us(),
        )

    def installed_by_others(self) -> dict[str, str]:
        """The packages that somebody else's run was the last to install, with its command line."""
        return _by_others((run.installed, run) for run in self.runs)

    def removed_by_others(self) -> dict[str, str]:
        """The packages that somebody else's run was the last to remove, with its command line."""
        return _by_others((run.removed, run) for run in self.runs)

    def named_by_others(self) -> dict[str, str]:
        """The packages, without architecture, that somebody else's run asked for, with its command line."""
        return {name: run.command for run in self.runs if run.mark is None for name in run.named}

    def named_by_us(self) -> frozenset[str]:
        """The packages, without architecture, that any run of ours asked for."""
        return frozenset(name for run in self.runs if run.mark is not None for name in run.named)


def bare(name: str) -> str:
    """A package's name without its architecture."""
    return name.partition(":")[0]


def _spelled(names: Iterable[str]) -> frozenset[str]:
    """dpkg-query leaves the architecture out where there can be only one of a package."""
    return frozenset(each for name in names for each in (name, bare(name)))


def _by_others(lists: Iterable[tuple[frozenset[str], Transaction]]) -> dict[str, str]:
    last = {name: run for names, run in lists for name in _spelled(names)}
    return {name: run.command for name, run in last.items() if run.mark is None}


def configured_log(host: Host) -> str | None:
    """Where this host's apt writes its history; None where it is told to write none."""
    return _configured(host, "History")[0]


def _configured(host: Host, *logs: str) -> tuple[str | None, ...]:
    """The paths of these logs of apt's."""
    names = [word for log in logs for word in (log, f"Dir::Log::{log}/f")]
    try:
        output = host.run(["apt-config", "shell", *names]).stdout
        paths = dict(word.partition("=")[::2] for word in shlex.split(output))
    except (HostError, ValueError):
        return (None,) * len(logs)
    configured = (paths.get(log, "") for log in logs)
    return tuple(path if path.startswith("/") and path != "/dev/null" else None for path in configured)


def logging_options(host: Host) -> tuple[str, ...]:
    """Options of apt for a run that must be on record: none where apt will write it down by itself."""
    path, terminal = _configured(host, "History", "Terminal")
    # Where apt cannot open the log of its output it does not open its history either.
    output = () if not terminal or _writable(host, terminal) else ("-o", "Dir::Log::Terminal=/dev/null")
    history = () if path and _writable(host, path) else ("-o", f"Dir::Log::History={OWN_LOG}")
    return (*output, *history)


def _writable(host: Host, path: str) -> bool:
    """apt goes on without a word where it cannot write its history, so that is looked at before."""
    place = host.path(path)
    if place.exists() and not place.is_file():
        return False
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        room = os.statvfs(place)
    except OSError:
        return False
    return os.access(place, os.W_OK) and room.f_bavail * room.f_frsize >= _ROOM


def _aside(host: Host, path: str) -> tuple[str, ...]:
    """The logs that were rotated away, oldest first: history.log.1.gz, or history.log-20261101."""
    folder, _, name = path.rpartition("/")
    logs = [f"{folder}/{each}" for each in host.names(folder) if each.startswith((f"{name}.", f"{name}-"))]
    return tuple(sorted(logs, key=host.mtime))


def _text(host: Host, path: str) -> str:
    """What a log says, empty where there is none. Raises HostError."""
    if not host.path(path).is_file():
        return ""
    content, _ = host.small_file(path, _MOST)
    ending = path[path.rfind(".") :]
    if ending in _UNPACKED:
        content = b"".join(_pieces(content, ending))
    return content.decode("utf-8", "replace")


def _pieces(content: bytes, ending: str) -> Iterator[bytes]:
    """A damaged log counts as far as it can be read."""
    unpacked, size = _UNPACKED[ending](), 0
    for start in range(0, len(content), 4096):
        try:
            piece = unpacked.decompress(content[start : start + 4096])
        except (zlib.error, lzma.LZMAError, EOFError, OSError):
            return
        size += len(piece)
        if size > _MOST:
            return
        yield piece
