"""What a command of ours wrote, file by file, with the bytes as it last wrote them (docs/provenance.md)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snapshots.errors import StoreError
from snapshots.git.private_folder import make_private_folder
from snapshots.live.entry import Entry, Kind
from wizard.model.facts import DECLARED
from wizard.packages import witness_process
from wizard.packages.footprint import Footprint
from wizard.packages.witness_process import below
from wizard.system.host import Host

FOLDER = Path("/var/lib/msa-wizard/witness")
TOPS = ("/etc", *(f"/{path}" for path in DECLARED))


@dataclass(frozen=True)
class Evidence:
    """What is known of the regular files that one command wrote."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    """By absolute path, symbolic links on the way resolved: content, mode and owner when the command last closed it."""
    complete: bool = False
    """Whether `files` are all: the command was watched from its first to its last moment, and nothing was lost."""
    why: str = ""
    """Why it is not complete."""
    others: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    """What others wrote below the same paths at the same time: each file that had the path, the last written last."""

    def wrote(self, path: str) -> bool | None:
        """Whether the command wrote a regular file at `path`; None where that cannot be told."""
        full = "/" + path.strip("/")
        return True if full in self.files else False if self.complete else None


def watched(host: Host, mark: str, command: Sequence[str], since: float) -> list[str]:
    """The command line that runs `command` and keeps what that writes in a folder of its own, by its mark; the command
    alone where it cannot be watched: on a fake root, for anybody but root, or where scripts start daemons themselves.

    `evidence_of` reads it, also while the command runs or once it was killed."""
    if host.root != Path("/") or os.geteuid() != 0 or not host.exists("/run/systemd/system"):
        return [*command]
    folder = FOLDER / mark
    try:
        make_private_folder(FOLDER)
        shutil.rmtree(folder, ignore_errors=True)  # of a first try, which had fetched no package
    except (OSError, StoreError):
        return [*command]
    return watching(folder, TOPS, command, since)


def evidence_of(host: Host, marks: Iterable[str]) -> Evidence:
    """What the commands with these marks wrote. Raises OSError."""
    if host.root != Path("/"):
        return Evidence(why="a fake root is not watched")
    records = [evidence(FOLDER / mark) for mark in marks]
    files = {path: entry for each in records for path, entry in each.files.items()}
    others: dict[str, tuple[Entry, ...]] = {}
    for each in records:
        for path, entries in each.others.items():
            others[path] = (*others.get(path, ()), *entries)
    return Evidence(files, bool(records) and all(each.complete for each in records), others=others)


def runs(host: Host) -> frozenset[str]:
    """The marks of the commands of which there is a record."""
    return frozenset(host.names(str(FOLDER))) if host.root == Path("/") else frozenset()


def forget() -> None:
    """What was kept of runs that are recorded or undone is needed no more."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def watching(folder: Path, paths: Sequence[str], command: Sequence[str], since: float = 0) -> list[str]:
    """The command line that runs `command` and keeps in `folder`, which it makes, what that writes below `paths`, and what
    others have changed there since `since` (seconds since the epoch; 0: from the start of the command on).

    Paths are absolute, without links."""
    script = str(Path(witness_process.__file__).resolve())
    return [sys.executable, "-I", "-S", "-B", script, str(folder), str(since), *paths, "--", *command]


def owns(owner: Footprint, read: Evidence, path: str, before: Entry | None, after: Entry | None) -> bool:
    """Whether apt, which brought the packages of `owner` and was watched, did this to `path`, which differs.

    What was written is known by the witness where its record is complete. What leaves no bytes (a link, a folder, a
    removal, a mode, a conffile that only got a new name) is known by the footprint alone."""
    alike = before and after and before.kind is Kind.FILE and before.content == after.content
    if after is None or after.kind is not Kind.FILE or alike:
        return owner.owns(path, before, after)
    wrote = read.wrote(path)
    if wrote is False and before is None:
        return "/" + path.strip("/") in owner.listed
    return owner.owns(path, before, after) if wrote is None else wrote


def evidence(folder: Path) -> Evidence:
    """What is in `folder`; nothing, and not complete, where no command was watched. A line that was cut off, or any
    damage, ends it. Raises OSError where the file is there and cannot be read."""
    try:
        data = (folder / witness_process.NAME).read_bytes()
    except FileNotFoundError:
        return Evidence(why="no command was watched")
    written: dict[_Identity, _Written] = {}
    others: dict[_Identity, _Written] = {}
    tops: tuple[str, ...] = ()
    why, lost = "the record has no beginning", False
    for line, content in _lines(data):
        if isinstance(line.get("watching"), list):
            tops = tuple(str(top) for top in line["watching"])
            why = "the record has no end" if tops else str(line.get("why"))
        elif "end" in line:
            why = "some events or bytes were lost" if lost else "" if tops else why
            if line.get("half_way"):  # somebody, or we ourselves, ran `dpkg --configure -a` after it
                why = "the command was ended, and something else did the rest of its work"
        elif line.get("lost"):
            lost = lost or not line.get("others")
        elif not _took(line, content, others if line.get("others") else written):
            break
    # Of two files that had one name, the one that has it still, else the later.
    last_first = sorted(written.values(), key=lambda one: one.there)
    files = {one.path: one.entry for one in last_first if below(one.path, tops)}
    beside: dict[str, tuple[Entry, ...]] = {}
    for one in others.values():
        if below(one.path, tops):
            beside[one.path] = (*beside.get(one.path, ()), one.entry)
    return Evidence(files, not why, why, beside)


_Identity = tuple[object, object]
"""Device and inode: the witness holds the file open, so no other gets them."""


@dataclass(frozen=True)
class _Written:
    path: str
    entry: Entry
    there: bool = False
    """Whether it still had the path in the end."""


def _took(line: Mapping[str, Any], content: bytes, written: dict[_Identity, _Written]) -> bool:
    """Put what a line says into `written`; False where it says nothing that can be understood."""
    match line:
        case {"path": str(path), "mode": int(mode), "uid": int(uid), "gid": int(gid), "sha256": str(_)}:
            identity = line.get("device"), line.get("inode")
            written.pop(identity, None)  # the order is that of the last writing
            written[identity] = _Written(path, Entry(Kind.FILE, mode, uid, gid, content))
        case {"now": str(path), "there": bool(there)}:
            identity = line.get("device"), line.get("inode")
            if identity in written:
                written[identity] = _Written(path, written[identity].entry, there)
        case _:
            return False
    return True


def _lines(data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each line with the bytes behind it, up to the first that is not whole."""
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        try:
            line = json.loads(data[at:end])
        except (ValueError, RecursionError):
            return
        size = line.get("size", 0) if isinstance(line, dict) else None
        if not isinstance(size, int) or size < 0:
            return
        content = data[end + 1 : end + 1 + size]
        if len(content) != size or line.get("sha256", _sha(content)) != _sha(content):
            return
        yield line, content
        at = end + 1 + size


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
