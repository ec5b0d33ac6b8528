"""One walk over the live paths: what differs from what a commit holds, and the commit that is made of it."""

from __future__ import annotations

import hashlib
import operator
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snapshots.difference.stat_cache import NEVER, NO_BLOB, Folders, Recorded, Row
from snapshots.errors import StoreError
from snapshots.format import layout
from snapshots.format.layout import Owners, What, parse_fields, render_fields
from snapshots.git.processes import Draft, FastImport
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry, Kind, capture

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


Source = Sequence[bytes] | Mapping[bytes, Entry | None]
"""What is compared: live paths (relative to the root, folders with everything below them), which are walked; or entries in
place of them (None: not there), and then all other paths are as they were. A folder that is to go and holds what is not
among the entries stays; their rows are read again by the next scan."""


def scan(root: Path, source: Source, recorded: Recorded, keep: Callable[[bytes], None] | None = None) -> Scan:
    """Compares the source with what is recorded. `keep` is given the content of each file and symbolic link
    that is not what `recorded` holds. Folders called `.git` are left out. What vanishes during the walk is
    not there. Raises StoreError for a path that is there and cannot be read."""
    walk = _Walk(os.fsencode(root), recorded, Owners(root), keep)
    if isinstance(source, Mapping):
        walk.outcome.folders = dict(recorded.folders)
        for path in sorted(source, reverse=True):  # what is in a folder before the folder
            walk.give(path, source[path])
        for path in source:
            walk.must_be_in_folders(path)
    else:
        for top in source:
            walk.top(top)
        walk.find_deleted()
    return walk.outcome


def record_commit(
    repository: GitRepository, root: Path, source: Source, recorded: Recorded, draft: Draft
) -> Scan:
    """Commits what differs from `recorded`, the content of the parent, and returns what was found. Without a
    difference, a record or the need of a first commit there is none. Raises StoreError; the history is then
    as it was."""
    with FastImport(repository) as stream:
        outcome = scan(root, source, recorded, stream.blob)
        if not outcome.changes and draft.record is None and draft.parent is not None:
            return outcome
        deleted, blobs = _content_changes(recorded, outcome.changes)
        gone, texts = _listing_changes(recorded, outcome)
        if draft.record is None:
            gone.append(layout.RECORD)
        else:
            texts.append((layout.RECORD, draft.record))
        stream.commit(draft, deleted + gone, blobs, texts)
    return outcome


def what(recorded: Recorded, change: Change) -> What:
    """The one word for a change."""
    rows = change.before, change.after
    before, after = (parse_fields(recorded.fields[row.fields]) if row else None for row in rows)
    content = bool(change.before and change.after and change.before.blob != change.after.blob)
    return layout.what_changed(before, after, content=content)


def _content_changes(
    recorded: Recorded, changes: Sequence[Change]
) -> tuple[list[bytes], list[tuple[bytes, bytes, bytes]]]:
    """The names of the tree that go, and those that come or change, as (git's mode, blob, name)."""
    deleted, written = [], []
    for change in changes:
        name = layout.to_tree(change.path)
        old, new = _tree_entry(recorded, change.before), _tree_entry(recorded, change.after)
        if new and new != old:
            written.append((*new, name))
        elif old and not new:
            deleted.append(name)
    return deleted, written


def _listing_changes(recorded: Recorded, outcome: Scan) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """The metadata listings that go, their folder being empty or gone, and the text of those that change."""
    gone, texts = [], []
    for folder in sorted({layout.split(change.path)[0] for change in outcome.changes}):
        rows = outcome.folders.get(folder)
        name = layout.listing_of(folder)
        if rows:
            lines = ((entry, recorded.fields[row.fields]) for entry, row in rows.items())
            texts.append((name, layout.render_listing(lines)))
        else:
            gone.append(name)
    return gone, texts


def _tree_entry(recorded: Recorded, row: Row | None) -> tuple[bytes, bytes] | None:
    if row is None or row.blob == NO_BLOB:
        return None
    kind, mode = recorded.fields[row.fields].split(b" ", 2)[:2]
    if kind == b"symlink":
        return b"120000", row.blob.hex().encode()
    return (b"100755" if int(mode, 8) & stat.S_IXUSR else b"100644"), row.blob.hex().encode()


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
        row = self._recorded.folders.get(folder, {}).get(name)
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
        blob, fields = _blob(entry), self._fields(entry, before)
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
            mode = _TYPES[entry.kind] | entry.mode
            fields = self._fields(entry, before)
            row = Row(NEVER, 0, len(entry.content), 0, mode, entry.uid, entry.gid, fields, _blob(entry))
            if before is not None and (before.blob, before.fields) == (row.blob, row.fields):
                return
            rows[name] = row
            if self._keep and row.blob != NO_BLOB:
                self._keep(entry.content)
            self.outcome.changes.append(Change(path, before, row))
        self.outcome.folders[folder] = rows

    def must_be_in_folders(self, path: bytes) -> None:
        """Raises StoreError for what would lie below something else: git makes that a folder, and it is lost."""
        folder, name = layout.split(path)
        if name not in self.outcome.folders.get(folder, {}):
            return
        while folder:
            inside = folder
            folder, name = layout.split(folder)
            row = self.outcome.folders.get(folder, {}).get(name)
            kind = self._recorded.fields[row.fields].split(b" ", 1)[0] if row else b"directory"
            if kind != b"directory":
                raise StoreError(
                    f"{os.fsdecode(path)!r} cannot be recorded: {os.fsdecode(inside)!r} is no folder but a "
                    f"{kind.decode()}. Nothing was recorded."
                )

    def _fields(self, entry: Entry, before: Row | None) -> int:
        # What a number is called may have changed since: that alone is no change of this path.
        if before is not None and parse_fields(self._recorded.fields[before.fields]).describes(entry):
            return before.fields
        return self._recorded.number_of(render_fields(entry, self._owners))

    def find_deleted(self) -> None:
        for folder, old in self._recorded.folders.items():
            new = self.outcome.folders.get(folder, {})
            if not old.keys() <= new.keys():
                for name in old.keys() - new.keys():
                    self.outcome.changes.append(Change(layout.join(folder, name), old[name], None))


def _blob(entry: Entry) -> bytes:
    """The id that git gives its content."""
    if entry.kind in (Kind.DIRECTORY, Kind.SPECIAL):
        return NO_BLOB
    return hashlib.sha1(b"blob %d\0" % len(entry.content) + entry.content, usedforsecurity=False).digest()


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
