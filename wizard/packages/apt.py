"""apt and dpkg: running them, and what they say."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import replace

from wizard.errors import ChangeError, HostError
from wizard.packages.apt_history import FIX_UP, logging_options, marking
from wizard.packages.witness import watched
from wizard.system.host import Completed, Host, Say
from wizard.system.sockets import process_name

LOCK_PATIENCE = 120
"""Seconds to wait for another apt or dpkg."""

_LOCK = "/var/lib/dpkg/lock-frontend"
_NO_LOCK = "Unable to acquire the dpkg"

DEADLINE = 1800.0
"""Seconds for one apt run: a slow mirror is normal, a night is not."""

_UPDATES = "/var/lib/dpkg/updates"
"""Numbered files here: dpkg was interrupted. apt refuses to work, whatever `dpkg --audit` says."""

_STATUS = re.compile(r"(?:dl|pm)status:.*?:(?P<percent>\d+(?:\.\d+)?):(?P<doing>.*)")

_ENV = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_MODE": "l"}


def installed(host: Host, *, configured: bool = False) -> dict[str, str]:
    """All packages that are unpacked in any state, name to version; with `configured` also those of which only the
    configuration files are left. Raises HostError."""
    gone = ("not-installed",) if configured else ("not-installed", "config-files")
    return {name: version for name, version, state in _known(host) if state not in gone}


def auto_installed(host: Host) -> tuple[str, ...]:
    """The packages that apt notes as installed for others alone (/var/lib/apt/extended_states), with their
    architecture as dpkg-query has it, and without."""
    path = host.path("/var/lib/apt/extended_states")
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    names = []
    for block in text.split("\n\n"):
        rows = dict(line.partition(": ")[::2] for line in block.splitlines())
        if rows.get("Auto-Installed") == "1" and "Package" in rows:
            names += [rows["Package"], f"{rows['Package']}:{rows.get('Architecture', '')}"]
    return tuple(names)


def overridden(host: Host) -> dict[str, str]:
    """The paths whose owner and mode dpkg was told to leave alone, with owner, group and mode as
    dpkg-statoverride(1) has them."""
    path = host.path("/var/lib/dpkg/statoverride")
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    rows = [line.split(" ", 3) for line in lines if line.count(" ") >= 3]
    return {row[3]: " ".join(row[:3]) for row in rows}


def apt_get(
    host: Host,
    arguments: Sequence[str],
    say: Say,
    *,
    mark: str | None = None,
    since: float = 0,
    progress: bool = False,
) -> Completed:
    """Run apt-get; it may take half an hour. With `mark` it is on record as ours (wizard.packages.apt_history), and what it
    writes is watched (wizard.packages.witness), with what others write from the moment `since` on. With `progress` the lines that `progress_of` reads are said, too, which are no
    part of the output that is returned.

    Raises ChangeError when it hangs: then dpkg has been put right."""
    record = (*marking(mark), *logging_options(host)) if mark else ()
    argv = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_PATIENCE}", *record, *arguments]
    if holder := _lock_holder(host):
        say(f"{holder} is at work on the packages; apt waits for it, at most {LOCK_PATIENCE} s")
    try:
        completed = host.run(
            watched(host, mark, argv, since) if mark else argv,
            timeout=DEADLINE,
            say=_without_counts(say),
            env=_ENV,
            # Not 1: apt closes it for dpkg, and a postinst without an output fails.
            told=(lambda number: ("-o", f"APT::Status-Fd={number}")) if progress else None,
        )
        lines = [line for line in completed.stdout.splitlines(keepends=True) if progress_of(line) is None]
        completed = replace(
            completed, argv=tuple(argv), stdout="".join(lines) if progress else completed.stdout
        )
        return _with_the_holder(host, completed)
    except HostError as error:
        settle(host, say)
        raise ChangeError(f"{error}. `dpkg --configure -a` was run; see `apt-get check`") from error


def _lock_holder(host: Host) -> str:
    """Which process has dpkg's lock; empty for none. apt of Debian 14 waits without a word where its output is no terminal."""
    query = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock, fcntl(2)
    try:
        with host.path(_LOCK).open("rb") as file:
            kind, _, _, _, pid = struct.unpack("@hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, query))
    except OSError:
        return ""  # apt will say it
    return f"{process_name(host, pid) or 'a process'} (pid {pid})" if kind != fcntl.F_UNLCK else ""


def _with_the_holder(host: Host, completed: Completed) -> Completed:
    """What apt of Debian 14 leaves out where it gives up: who has the lock."""
    output = completed.stdout + completed.stderr
    if completed.code == 0 or _NO_LOCK not in output or "held by process" in output:
        return completed
    holder = _lock_holder(host) or "a process that has ended by now"
    return replace(completed, stderr=f"{completed.stderr.rstrip()}\nThe lock is held by {holder}.\n")


def _without_counts(say: Say) -> Say:
    """dpkg says before each of its runs how many files it knows: nobody wants to read that."""

    def told(line: str) -> None:
        if not line.startswith("(Reading database "):
            say(line)

    return told


def progress_of(line: str) -> tuple[float, str] | None:
    """The percentage and what apt is doing, where the line is one of apt's status lines (README.progress-reporting of
    apt-doc): `dlstatus` counts what is fetched, `pmstatus` what dpkg does with it, each from 0 to 100."""
    status = _STATUS.match(line)
    return (min(float(status["percent"]), 100.0), status["doing"]) if status else None


def settle(host: Host, say: Say) -> None:
    """What dpkg left half-done is finished first, or apt refuses everything; what is still wrong then, apt says."""
    with contextlib.suppress(HostError):
        completed = host.run(["dpkg", "--audit"])
        if not completed.stdout.strip() and not _interrupted(host):
            return
        say("dpkg was left half-way: dpkg --configure -a")
        host.run(
            ["dpkg", "--force-confold", "--configure", "-a"],
            timeout=DEADLINE,
            say=_without_counts(say),
            env=_ENV,
        )
        half = {name: version for name, version, state in _known(host) if state == "half-installed"}
        if half:  # dpkg itself passes these by, and removes none that must be reinstalled
            say(f"left half-way: {', '.join(half)}: apt-get install --reinstall")
            options = ["-o", f"DPkg::Lock::Timeout={LOCK_PATIENCE}", "-o", "Dpkg::Options::=--force-confold"]
            names = [f"{name}={version}" for name, version in half.items()]
            record = (*marking(FIX_UP), *logging_options(host))
            argv = ["apt-get", *options, *record, "install", "--reinstall", "-y", "-q", *names]
            host.run(argv, timeout=DEADLINE, say=say, env=_ENV)


def half_way(host: Host) -> tuple[str, ...]:
    """What dpkg has not ended: packages, and its own work on its database. Raises HostError."""
    halves = ("half-installed", "unpacked", "half-configured")
    names = tuple(name for name, _, state in _known(host) if state in halves)
    return (*names, *(("its database",) if _interrupted(host) else ()))


def _interrupted(host: Host) -> bool:
    return any(name.isdigit() for name in host.names(_UPDATES))


def _known(host: Host) -> list[tuple[str, str, str]]:
    """Name, version and state of each package. Raises HostError."""
    completed = host.run(["dpkg-query", "-W", "-f", "${binary:Package} ${Version} ${db:Status-Status}\n"])
    rows = (line.split() for line in completed.stdout.splitlines())
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]


def wants_update(output: str) -> bool:
    """Whether apt's package lists are missing or stale."""
    stale = ("Unable to locate package", "has no installation candidate", "404  Not Found", "apt-get update")
    return any(words in output for words in stale)


_LOCKED = "Another program holds apt's lock (named above). Wait for it, then try again."
_ADVICE = {
    "Could not get lock": _LOCKED,
    _NO_LOCK: _LOCKED,
    "Temporary failure resolving": "No name server answers: check the network, then try again.",
    "Could not connect": "The package server cannot be reached: check network and proxy, then try again.",
    "Unable to fetch": "Not all packages could be fetched: check the network, then try again.",
    "No space left": "The disk is full: `df -h`, make room, then try again.",
    "need to be removed but remove is disabled": "A package would have to go: see `apt-get -s install`.",
    "Read-only file system": "A file system is read-only: `mount -o remount,rw` it, then try again.",
    "Unable to locate package": "No package source has it: check /etc/apt/sources.list.",
    "held broken packages": "Held packages are in the way: `apt-mark showhold`.",
    "": "What apt says above is the reason; fix it, then try again.",
}
"""By what apt says, first things first."""


def advice(output: str) -> str:
    """What the admin can do about what apt said."""
    return next(advice for words, advice in _ADVICE.items() if words in output)


def simulated(simulation: str, *verbs: str) -> frozenset[str]:
    """The packages that a simulation (apt-get -s) would install or upgrade (`Inst`), remove (`Remv`), purge (`Purg`)."""
    rows = [line.split() for line in simulation.splitlines()]
    return frozenset(row[1] for row in rows if len(row) > 1 and row[0] in verbs)


def unneeded(host: Host, names: Sequence[str], back: Sequence[str]) -> frozenset[str] | None:
    """What apt would purge if `names` had come for others alone, everything else were wanted for its own sake, and
    `back` (name=version) were installed: those of the names that nothing else needs, and whatever cannot be together
    with what comes back. None when apt refuses. Raises ChangeError, HostError."""
    blocks = (
        [f"Package: {name}", *([f"Architecture: {kind}"] if kind else []), "Auto-Installed: 1\n"]
        for name, _, kind in (name.partition(":") for name in names)
    )
    states = "\n".join("\n".join(block) for block in blocks)
    verb = (
        ["install", "--purge", "--auto-remove", "--no-install-recommends", *back]
        if back
        else ["autoremove", "--purge"]
    )
    with host.in_memory(states.encode()) as path:
        options = ["-o", f"Dir::State::extended_states={path}"]
        for kind in ("Recommends", "Suggests"):
            options += ["-o", f"APT::AutoRemove::{kind}Important=false"]
        completed = apt_get(host, ["-s", *options, *verb], lambda _: None)
    return simulated(completed.stdout, "Remv", "Purg") if completed.code == 0 else None


def needed_by(host: Host, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each of the names the installed packages that depend on it, without architecture. Raises HostError."""
    options = ["--installed", *(f"--no-{kind}" for kind in ("recommends", "suggests", "enhances"))]
    options += [f"--no-{kind}" for kind in ("conflicts", "breaks", "replaces")]
    completed = host.run(["apt-cache", "rdepends", *options, *names])
    dependents: dict[str, list[str]] = {}
    name = ""
    for line in completed.stdout.splitlines():
        if line.startswith(" "):
            dependents.setdefault(name, []).append(line.strip(" |").partition(":")[0])
        elif not line.startswith("Reverse Depends"):
            name = line.strip().partition(":")[0]
    return {name: tuple(dependents.get(name.partition(":")[0], ())) for name in names}
