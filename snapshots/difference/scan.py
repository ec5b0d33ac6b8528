"""One walk over the live paths: what differs from what a commit holds."""

from __future__ import annotations

import hashlib
import operator
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from snapshots.difference.stat_cache import NEVER, NO_BLOB, Folders, Recorded, Row
from snapshots.errors import StoreError
from snapshots.format import layout
from snapshots.format.metadata import Metadata, Owners, parse_fields, render_fields
from snapshots.live.entry import Entry, Kind, capture, is_large

_TICK = 20_000_000
"""Nanoseconds: no kernel's clock for file times is coarser (one tick at 100 Hz is 10 ms)."""

_COARSE_TICK = 2_100_000_000
"""Nanoseconds: the same for file systems that keep whole seconds (FAT: two)."""

_STAT = operator.attrgetter("st_ctime_ns", "st_mtime_ns", "st_size", "st_ino", "st_mode", "st_uid", "st_gid")
"""Of a stat, what a row has of it, in the order of the row."""

_TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.SPECIAL: stat.S_IFIFO,
}


class What(StrEnum):
    """How a path differs. KIND: a link where a file was; CONTENT: perhaps its metadata as well."""

    CREATED = "created"
    DELETED = "deleted"
    KIND = "kind"
    CONTENT = "content"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class PathChange:
    """One path, relative to the root, and how it differs."""

    path: str
    what: What


@dataclass(frozen=True, slots=True)
class Change:
    """One path whose row differs; a row is None where there is nothing."""

    path: bytes
    before: Row | None
    after: Row | None


@dataclass(slots=True)
class Scan:
    """What a walk found."""

    folders: Folders = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    refreshed: bool = False
    """Whether rows changed that do not matter to a commit (a new stat of the same content)."""


def blob_id(content: bytes) -> bytes:
    """The id that git gives this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest()


def what_changed(before: Metadata | None, after: Metadata | None, *, content: bool) -> What:
    """The one word for a difference between two states of a path."""
    if before is None:
        return What.CREATED
    if after is None:
        return What.DELETED
    if is_large(before.special) and is_large(after.special):
        content = before.special != after.special
    elif (before.kind, before.special) != (after.kind, after.special):
        return What.KIND
    return What.CONTENT if content else What.METADATA


def scan(
    root: Path, tops: Sequence[bytes], recorded: Recorded, keep: Callable[[bytes], None] | None = None
) -> Scan:
    """Walks `tops` (paths relative to `root`, folders with everything below them) and compares.

    `keep` is given the content of each file and symbolic link that is not what `recorded` holds. Folders
    called `.git` are left out. What vanishes during the walk is not there. Raises StoreError for a path
    that is there and cannot be read.
    """
    walk = _Walk(os.fsencode(root), recorded, Owners(root), keep)
    for top in tops:
        walk.top(top)
    walk.find_deleted()
    return walk.outcome


def given(
    root: Path,
    entries: Mapping[bytes, Entry | None],
    recorded: Recorded,
    keep: Callable[[bytes], None] | None = None,
) -> Scan:
    """What `recorded` becomes where each of the paths is what `entries` says, None: not there.

    A folder that is to go and holds what is not among them stays. Their rows are read again by the next scan.
    """
    walk = _Walk(os.fsencode(root), recorded, Owners(root), keep)
    walk.outcome.folders = dict(recorded.folders)
    for path in sorted(entries, reverse=True):  # what is in a folder before the folder
        walk.give(path, entries[path])
    return walk.outcome


@dataclass(slots=True)
class _Walk:
    _root: bytes
    _recorded: Recorded
    _owners: Owners
    _keep: Callable[[bytes], None] | None
    outcome: Scan = field(default_factory=Scan)

    def top(self, path: bytes) -> None:
        folder, name = layout.split(path)
        try:
            there = os.lstat(self._root + b"/" + path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as cause:
            raise _unreadable(path, cause) from cause
        old = self._recorded.folders.get(folder, {})
        row = old.get(name)
        if row is None or row[:7] != _STAT(there):
            row = self._look(path, row)
        if row is None:
            return
        self.outcome.folders.setdefault(folder, {})[name] = row
        if stat.S_ISDIR(row.mode):
            self._below(path)

    def _below(self, top: bytes) -> None:
        pending = [top]
        folders = self._recorded.folders
        current = self.outcome.folders
        while pending:
            folder = pending.pop()
            old = folders.get(folder, {})
            new = current.setdefault(folder, {})
            try:
                listing = os.scandir(self._root + b"/" + folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as cause:
                raise _unreadable(folder, cause) from cause
            with listing:
                for child in listing:
                    name = child.name
                    try:
                        there = child.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    except OSError as cause:
                        raise _unreadable(folder + b"/" + name, cause) from cause
                    row = old.get(name)
                    if row is None or row[:7] != _STAT(there):
                        if name == b".git" and stat.S_ISDIR(there.st_mode):
                            continue
                        row = self._look(folder + b"/" + name, row)
                        if row is None:
                            continue
                    new[name] = row
                    if stat.S_ISDIR(row.mode):
                        pending.append(folder + b"/" + name)

    def _look(self, path: bytes, before: Row | None) -> Row | None:
        """Reads a path whose stat is not the recorded one, and notes how it differs."""
        now = time.time_ns()
        try:
            captured = capture(self._root + b"/" + path)
        except OSError as cause:
            raise _unreadable(path, cause) from cause
        if captured is None:
            return None
        entry, there = captured
        blob = NO_BLOB if entry.kind in (Kind.DIRECTORY, Kind.SPECIAL) else blob_id(entry.content)
        fields = self._fields(entry, before)
        after = _row(there, now, fields, blob)
        if before is None or before.blob != blob or before.fields != fields:
            if self._keep and blob != NO_BLOB and (before is None or before.blob != blob):
                self._keep(entry.content)
            self.outcome.changes.append(Change(path, before, after))
        elif after != before:
            self.outcome.refreshed = True
        return after

    def give(self, path: bytes, entry: Entry | None) -> None:
        """Notes a path as `entry`, whatever it is on the disk."""
        folder, name = layout.split(path)
        rows = dict(self.outcome.folders.get(folder, {}))
        before = rows.get(name)
        if self.outcome.folders.get(path) and (entry is None or entry.kind is not Kind.DIRECTORY):
            return
        if entry is None:
            if before is None:
                return
            del rows[name]
            self.outcome.folders.pop(path, None)
            self.outcome.changes.append(Change(path, before, None))
        else:
            row = self._given_row(entry, before)
            if before is not None and (before.blob, before.fields) == (row.blob, row.fields):
                return
            rows[name] = row
            if self._keep and row.blob != NO_BLOB:
                self._keep(entry.content)
            self.outcome.changes.append(Change(path, before, row))
        self.outcome.folders[folder] = rows

    def _given_row(self, entry: Entry, before: Row | None) -> Row:
        blob = NO_BLOB if entry.kind in (Kind.DIRECTORY, Kind.SPECIAL) else blob_id(entry.content)
        mode = _TYPES[entry.kind] | entry.mode
        size = len(entry.content)
        return Row(NEVER, 0, size, 0, mode, entry.uid, entry.gid, self._fields(entry, before), blob)

    def _fields(self, entry: Entry, before: Row | None) -> int:
        # What a number is called may have changed since: that alone is no change of this path.
        if before is not None and parse_fields(self._recorded.fields[before.fields]).describes(entry):
            return before.fields
        return self._recorded.number_of(render_fields(entry, self._owners))

    def find_deleted(self) -> None:
        for folder, old in self._recorded.folders.items():
            new = self.outcome.folders.get(folder, {})
            if old.keys() <= new.keys():
                continue
            for name in old.keys() - new.keys():
                path = folder + b"/" + name if folder else name
                self.outcome.changes.append(Change(path, old[name], None))


def _row(there: os.stat_result, now: int, fields: int, blob: bytes) -> Row:
    """The row for a reading that began at `now`. A path that changed just before may change again
    without a new time, so it has to be read again."""
    newest = max(there.st_ctime_ns, there.st_mtime_ns)
    tick = _COARSE_TICK if there.st_ctime_ns % 1_000_000_000 == 0 else _TICK
    row = Row._make((*_STAT(there), fields, blob))
    return row._replace(ctime=NEVER) if newest >= now - tick else row


def _unreadable(path: bytes, cause: OSError) -> StoreError:
    return StoreError(
        f"{os.fsdecode(path)!r} could not be read for the snapshot: {os.strerror(cause.errno or 0)}. "
        f"Nothing was recorded."
    )
