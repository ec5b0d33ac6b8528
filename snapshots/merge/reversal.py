"""What rolling commits back comes to, worked out against the newest commit; nothing is written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from snapshots.difference.tree import Link, changed_entries, compare, read_entries, read_folders, read_link
from snapshots.errors import StoreError
from snapshots.format.layout import Owners
from snapshots.format.message import Commit
from snapshots.git.processes import ObjectReader
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry, Kind
from snapshots.merge.behind_links import behind_links
from snapshots.merge.path_merge import Conflict, merge_path
from snapshots.merge.three_way import Choice
from snapshots.visible import visible

_LARGE = "is or was larger than what is kept of a file"
_Chain = list[list[Entry | None]]
"""What commits did to one path, newest first: the states it went through, from what they left to what was before.
A new list begins where something else was at work between two of them."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What rolling commits back comes to, worked out against the newest commit, not the live files."""

    head: str
    """The id of the newest commit."""
    commits: tuple[Commit, ...]
    """What is rolled back, newest first: of those asked for, the ones that no later commit rolls back."""
    targets: Mapping[str, tuple[Entry | None, Entry | None]]
    """By path, sorted: what it is in `head`, and what it is to be. Only where these differ."""
    merged: tuple[str, ...]
    """The paths that keep later work of the admin."""
    conflicts: tuple[Conflict, ...]
    """What is to be decided first; `targets` has none of these paths."""
    notes: tuple[str, ...]
    """Sentences on what nobody would expect."""


def reverse(
    repository: GitRepository,
    head: str,
    commits: Sequence[Commit],
    *,
    tops: Sequence[str],
    owners: Owners,
    choice: Choice | None,
    derived: Callable[[str], bool],
    dated: re.Pattern[bytes] | None,
    grown: Callable[[str], bool] | None,
    stays: Callable[[str], bool],
    back: Callable[[Commit, str], bool],
    kept_up: Callable[[str], bool],
) -> Reversal:
    """See Store.reverse. `tops` are the paths that the store holds, with all below them. Raises StoreError."""
    with ObjectReader(repository) as reader:
        holding, gone = _split(reader, head, commits)
        chains = _chains(reader, head, holding, back)
        paths = dict.fromkeys([*chains, *(one for path in chains for one in _folders_of(path, tops))])
        work = _Work(reader, head, _entries(reader, head, paths), tops, choice, dated)
        for path, chain in chains.items():
            if stays(path):
                work.leave(path)
            elif work.large(path, chain):
                work.leave_large(path, chain)
            elif derived(path):
                work.put_back(path, chain)
            else:
                work.merge(path, chain, owners, kept_up=kept_up(path))
        if grown is not None:
            work.take_along(grown)
        work.empty_folders()
        work.find_folders()
        return work.reversal(holding, gone)


@dataclass(slots=True)
class _Work:
    """The paths on their way from what they are in the newest commit to what they are to be."""

    _reader: ObjectReader
    _head: str
    _ours: dict[str, Entry | None]
    _tops: Sequence[str]
    _choice: Choice | None
    _dated: re.Pattern[bytes] | None
    _wanted: dict[str, Entry | None] = field(default_factory=dict)
    _kept: list[str] = field(default_factory=list)
    _conflicts: list[Conflict] = field(default_factory=list)
    _notes: dict[str, str] = field(default_factory=dict)

    def large(self, path: str, chain: _Chain) -> bool:
        """Whether it is, or was, a file whose content is not kept."""
        return any(state and state.large for states in ([self._ours[path]], *chain) for state in states)

    def leave_large(self, path: str, chain: _Chain) -> None:
        """A file whose content is not kept stays as it is."""
        self.leave(path)
        if self._ours[path] != chain[-1][-1]:
            self._notes[path] = f"{_LARGE}, so it stays as it is"

    def put_back(self, path: str, chain: _Chain) -> None:
        """A generated file: whatever it is now, it goes back."""
        if self._ours[path] not in (chain[0][0], chain[-1][-1]):
            self._notes[path] = "is generated; what it became since is not kept"
        self._want(path, chain[-1][-1])

    def merge(self, path: str, chain: _Chain, owners: Owners, *, kept_up: bool) -> None:
        """An authored file: later work stays; so does all of one that the system keeps up, where both changed the same."""
        choice = None if kept_up else self._choice
        entry = self._ours[path]
        kept = in_conflict = False
        conflicts: list[Conflict] = []
        for states in chain:
            # It may be part of the way back already: a rollback of one of them, itself rolled back, did nothing any more.
            *passed, theirs = states
            newest, *older = (_dated_as(state, entry, self._dated) for state in passed)
            base = entry if entry in older else newest
            merge = merge_path(path, base, entry, theirs, choice=None, owners=owners)
            if merge.conflicts and choice is not None:
                in_conflict |= choice is Choice.KEEP
                merge = merge_path(path, base, entry, theirs, choice=choice, owners=owners)
            if base != theirs:
                kept = entry != base and merge.entry != theirs
            entry = merge.entry
            conflicts += merge.conflicts
            if merge.note:
                self._notes[path] = merge.note
        if conflicts and len(chain) > 1:  # shown as one: what is there now, and what comes back in the end
            base, theirs = _dated_as(chain[0][0], self._ours[path], self._dated), chain[-1][-1]
            whole = merge_path(path, base, self._ours[path], theirs, choice=None, owners=owners)
            conflicts = list(whole.conflicts) or conflicts
        if conflicts or entry == self._ours[path]:
            self._conflicts += () if kept_up else conflicts
            self.leave(path)
        else:
            self._want(path, entry)
        if kept and not conflicts:
            self._kept.append(path)
        if in_conflict:
            same = entry == self._ours[path]
            self._notes[path] = "stays as it is now" if same else "keeps what was changed there since"

    def take_along(self, grown: Callable[[str], bool]) -> None:
        """What was made since in folders that go."""
        folders = [
            path for path in self._wanted if _is_folder(self._ours[path]) and self._wanted[path] is None
        ]
        for path in folders:
            for one in self._below(path):
                if one not in self._wanted and grown(one):
                    self._wanted[one] = None

    def empty_folders(self) -> None:
        """Folders that should go, or become something else, and hold what stays."""
        folders = [path for path in self._wanted if _is_folder(self._ours[path])]
        going = [path for path in folders if not _is_folder(self._wanted[path])]
        undecided = {one.path for one in self._conflicts}
        for path in sorted(going, key=lambda one: one.count("/"), reverse=True):
            staying = sorted(
                self._children(path) - {one for one, entry in self._wanted.items() if entry is None}
            )
            if not staying:
                continue
            holds = f"still holds /{visible(staying[0])}"
            if len(staying) > 1:
                holds += f" and {len(staying) - 1} more"
            entry = self._wanted[path]
            if entry is None:
                self.leave(path)
                if undecided.isdisjoint(staying):
                    self._notes[path] = f"stays, for it {holds}"
                else:  # whether it stays is decided with them
                    undecided.add(path)
            elif self._choice is Choice.RESTORE:
                below = self._below(path)
                if any(entry is not None and entry.large for entry in map(self._ours.get, below)):
                    self.leave(path)
                    self._notes[path] = f"stays, for what is in it {_LARGE}"
                    continue
                for one in below:
                    self._wanted[one] = None
                self._notes[path] = f"becomes a {entry.kind} again, and what it holds goes"
            else:
                self._undecided(path, f"kind: a folder now, that {holds}; a {entry.kind} before")

    def find_folders(self) -> None:
        """Folders that are not there any more for what is to be in them."""
        for path in sorted(self._wanted):
            if self._wanted[path] is None:
                continue
            for folder in _folders_of(path, self._tops):
                there = self._wanted.get(folder, self._ours[folder])
                if _is_folder(there):
                    continue
                if there is not None and self._choice is not Choice.RESTORE:
                    name = f"/{visible(path)}"
                    self._undecided(folder, f"kind: a {there.kind} now, and {name} was in it before")
                    self.leave(path)
                    break
                if _is_folder(self._ours[folder]):
                    self.leave(folder)
                    self._notes[folder] = f"stays, for /{visible(path)} is to be in it"
                else:
                    self._wanted[folder] = self._newest_folder(folder)
                    self._notes[folder] = f"is a folder again, for /{visible(path)} is to be in it"

    def reversal(self, commits: tuple[Commit, ...], gone: tuple[Commit, ...]) -> Reversal:
        """All that came out."""
        notes = [f"{one.short} ({one.subject}) was rolled back already." for one in gone]
        notes += [f"/{visible(path)} {note}." for path, note in sorted(self._notes.items())]
        targets = {
            path: (self._ours[path], self._wanted[path])
            for path in sorted(self._wanted, key=os.fsencode)
            if self._ours[path] != self._wanted[path]
        }
        return Reversal(
            self._head,
            commits,
            targets,
            tuple(path for path in sorted(self._kept) if self._wanted[path] is not None),
            tuple(sorted(self._conflicts, key=lambda one: one.path)),
            tuple(notes),
        )

    def _want(self, path: str, entry: Entry | None) -> None:
        self._wanted[path] = entry
        if entry is not None and entry.kind is Kind.SPECIAL and entry != self._ours[path]:
            self.leave(path)
            self._notes[path] = f"was a {entry.special}: that is recorded, not written, so it stays as it is"

    def leave(self, path: str) -> None:
        """It stays as it is."""
        self._wanted[path] = self._ours[path]
        self._notes.pop(path, None)

    def _undecided(self, path: str, text: str) -> None:
        self.leave(path)
        if self._choice is None and all(one.path != path for one in self._conflicts):
            self._conflicts.append(Conflict(path, "kind", text))

    def _children(self, folder: str) -> set[str]:
        """What is in a folder of the newest commit, and what is to be in it."""
        name = os.fsencode(folder)
        entries = read_folders(self._reader, self._head, [name])[name]
        children = {f"{folder}/{os.fsdecode(one)}" for one in entries}
        return children | {path for path in self._wanted if path.rpartition("/")[0] == folder}

    def _below(self, folder: str) -> list[str]:
        """All below a folder, which is then known."""
        children = sorted(self._children(folder))
        self._ours |= _entries(self._reader, self._head, [one for one in children if one not in self._ours])
        return [
            path
            for one in children
            for path in ((one, *self._below(one)) if _is_folder(self._ours[one]) else (one,))
        ]

    def _newest_folder(self, path: str) -> Entry:
        for link in _history(self._reader, self._head):
            entry = _entries(self._reader, link.commit.id, [path])[path]
            if entry is not None and entry.kind is Kind.DIRECTORY:
                return entry
        raise StoreError(f"No commit has the folder {path!r}: the store is damaged.")


def _dated_as(base: Entry | None, ours: Entry | None, dated: re.Pattern[bytes] | None) -> Entry | None:
    """`base` with the dated lines of `ours`, so that a new date alone is no change."""
    if dated is None or base is None or ours is None or not base.kind is ours.kind is Kind.FILE:
        return base
    lines = dated.findall(ours.content)
    if base.content == ours.content or len(lines) != len(dated.findall(base.content)):
        return base
    news = iter(lines)
    return replace(base, content=dated.sub(lambda _: next(news), base.content))


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.DIRECTORY


def _folders_of(path: str, tops: Sequence[str]) -> list[str]:
    """The folders that a path is in, outermost first, as far as the store holds them."""
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    return [one for one in above if any(one == top or one.startswith(top + "/") for top in tops)]


def _entries(reader: ObjectReader, commit: str, paths: Iterable[str]) -> dict[str, Entry | None]:
    entries = read_entries(reader, commit, map(os.fsencode, paths))
    return {os.fsdecode(path): entry for path, entry in entries.items()}


def _history(reader: ObjectReader, head: str) -> Iterator[Link]:
    identity: str | None = head
    while identity:
        link = read_link(reader, identity)
        yield link
        identity = link.parent


def _split(
    reader: ObjectReader, head: str, commits: Sequence[Commit]
) -> tuple[tuple[Commit, ...], tuple[Commit, ...]]:
    """The commits newest first: those that hold, and those that were rolled back since."""
    asked = {commit.id: commit for commit in commits}
    holding: list[Commit] = []
    gone: list[Commit] = []
    reverted: set[str] = set()
    for link in _history(reader, head) if asked else ():
        identity = link.commit.id
        if identity not in reverted:
            reverted.update(link.commit.reverts)
        if one := asked.pop(identity, None):
            (gone if identity in reverted else holding).append(one)
            if not asked:
                break
    if asked:
        strange = ", ".join(one.short for one in asked.values())
        raise StoreError(f"There is nothing to roll back: {strange} is not in the history.")
    return tuple(holding), tuple(gone)


def _chains(
    reader: ObjectReader, head: str, commits: Iterable[Commit], back: Callable[[Commit, str], bool]
) -> dict[str, _Chain]:
    chains: dict[str, _Chain] = {}
    for commit in commits:
        compared = compare(reader, commit.id)
        if compared.before is None:
            raise StoreError("The baseline is the beginning: it cannot be rolled back.")
        pairs = changed_entries(reader, compared)
        changed = {os.fsdecode(path): pair for path, pair in pairs.items()}
        for path, (before, after) in behind_links(reader, head, compared, changed).items():
            if back(commit, path):
                continue
            chain = chains.setdefault(path, [])
            if chain and chain[-1][-1] == after:
                chain[-1].append(before)
            else:
                chain.append([after, before])
    return chains
