"""Three states of a path made one, each field on its own. Pure: contents are merged by what is handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from snapshots.format.layout import Owners
from snapshots.format.secret_text import PasswordMask, hidden
from snapshots.live.entry import Entry, Kind
from snapshots.visible import visible_bytes

_T = TypeVar("_T")
_ACL = "system.posix_acl_access"

LABELS = ("yours", "as the step left it", "as it was before")
"""What the three sides of a conflict are called: ours, the base, theirs."""


class Choice(StrEnum):
    """Whose side a conflict takes: KEEP what is there now, RESTORE what was before; BOTH where two have added lines in
    the same place, and a conflict where they have changed the same ones."""

    KEEP = "keep"
    RESTORE = "restore"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Conflict:
    """What both the admin and the change to be rolled back did to one path, each differently."""

    path: str
    what: str
    """`content`, `mode`, `owner`, `group`, `xattrs`, `kind` or `deletion`."""
    text: str
    """For people: hunks between markers, or one line. Nothing secret is in it."""


@dataclass(frozen=True, slots=True)
class ContentMerge:
    """Contents made one. `conflict` is empty where there is none, and `content` is ours otherwise.

    It may hold secrets: what shows it is a `Conflict`."""

    content: bytes
    conflict: str = ""


ContentMerger = Callable[[bytes, bytes, bytes], ContentMerge]
"""Merges (base, ours, theirs), each of which differs from the others."""


@dataclass(frozen=True, slots=True)
class EntryMerge:
    """The entry that three states come to. With conflicts, it has ours where they are."""

    entry: Entry | None
    conflicts: tuple[Conflict, ...] = ()
    note: str = ""
    """What is to be said of the path, such as `was deleted since; ...`; empty for nothing."""


def three_way(base: _T, ours: _T, theirs: _T, choice: Choice | None) -> tuple[_T, bool]:
    """The value that two changes of `base` come to, and whether that is settled: `ours` otherwise."""
    if ours == base:
        return theirs, True
    if theirs in (base, ours):
        return ours, True
    return (theirs if choice is Choice.RESTORE else ours), choice is not None


def merge_entry(
    path: str,
    base: Entry | None,
    ours: Entry | None,
    theirs: Entry | None,
    *,
    choice: Choice | None,
    contents: ContentMerger,
    owners: Owners,
) -> EntryMerge:
    """What rolling `base` back to `theirs` makes of `ours`. Raises what `contents` raises."""
    entry, settled = three_way(base, ours, theirs, None)
    if settled:
        return EntryMerge(entry)
    if ours is None:
        return EntryMerge(theirs, note="was deleted since; it is brought back as it was before")
    if base is None or theirs is None:
        if base and base.kind is ours.kind is Kind.DIRECTORY:
            # Its mode alone is no work of the admin that would be lost with it.
            return EntryMerge(None, note="goes, though its mode, owner or attributes were changed since")
        return _created_or_deleted(path, base, ours, theirs, choice)
    if not _kind(base) == _kind(ours) == _kind(theirs):
        return _settle(path, "kind", base, ours, theirs, choice, _in_words("kind", _kind, ours, base, theirs))
    return _Fields(path, (base, ours, theirs), choice, owners).merged(contents)


def _created_or_deleted(
    path: str, base: Entry | None, ours: Entry, theirs: Entry | None, choice: Choice | None
) -> EntryMerge:
    if base is None:
        other, words = theirs, "the step deleted it; it was made again since, but not as it was before"
    else:
        other, words = base, "the step made it; it was changed since"
    differing = ", ".join(_differing(ours, other)) if other else ""
    return _settle(path, "deletion", base, ours, theirs, choice, f"{words} ({differing})")


def _settle(
    path: str,
    what: str,
    base: Entry | None,
    ours: Entry | None,
    theirs: Entry | None,
    choice: Choice | None,
    text: str,
) -> EntryMerge:
    entry, settled = three_way(base, ours, theirs, choice)
    return EntryMerge(entry, () if settled else (Conflict(path, what, text),))


@dataclass(slots=True)
class _Fields:
    """Three entries of one kind (base, ours, theirs), merged field by field."""

    _path: str
    _sides: tuple[Entry, Entry, Entry]
    _choice: Choice | None
    _owners: Owners
    _conflicts: list[Conflict] = field(default_factory=list)

    def merged(self, contents: ContentMerger) -> EntryMerge:
        _, ours, _ = self._sides
        mode, acl = self._field("mode", "mode", _permissions, _mode_text)
        users, groups = self._owners.users, self._owners.groups
        entry = replace(
            ours,
            mode=mode,
            uid=self._field("owner", "owner", lambda one: one.uid, lambda number: _who(users, number)),
            gid=self._field("group", "group", lambda one: one.gid, lambda number: _who(groups, number)),
            content=self._content(contents),
            xattrs=tuple(sorted([*acl, *self._xattrs()])),
        )
        return EntryMerge(entry, tuple(self._conflicts))

    def _field(self, what: str, word: str, of: Callable[[Entry], _T], text: Callable[[_T], str]) -> _T:
        base, ours, theirs = map(of, self._sides)
        value, settled = three_way(base, ours, theirs, self._choice)
        if not settled:
            self._conflicts.append(Conflict(self._path, what, _in_words(word, text, ours, base, theirs)))
        return value

    def _content(self, contents: ContentMerger) -> bytes:
        base, ours, theirs = (one.content for one in self._sides)
        content, settled = three_way(base, ours, theirs, None)
        if settled:
            return content
        if self._sides[0].kind is Kind.SYMLINK:
            return self._field("content", "target", lambda one: one.content, visible_bytes)
        merge = contents(base, ours, theirs)
        if merge.conflict:
            self._conflicts.append(Conflict(self._path, "content", self._shown(merge.conflict)))
        return merge.content

    def _shown(self, conflict: str) -> str:
        """The conflict without what is secret."""
        lines = PasswordMask(self._path).text(conflict.encode("utf-8", "surrogateescape"))
        return hidden(self._path)[1:-1] or lines.decode("utf-8", "surrogateescape")

    def _xattrs(self) -> list[tuple[str, bytes]]:
        names = sorted({name for one in self._sides for name, _ in one.xattrs} - {_ACL})
        pairs = []
        for name in names:
            value = self._field("xattrs", f"attribute {name}", lambda one: dict(one.xattrs).get(name), _size)  # noqa: B023
            if value is not None:
                pairs.append((name, value))
        return pairs


def _permissions(entry: Entry) -> tuple[int, tuple[tuple[str, bytes], ...]]:
    # One field: the group's bits of the mode are the mask of the access list.
    return entry.mode, tuple(pair for pair in entry.xattrs if pair[0] == _ACL)


def _mode_text(permissions: tuple[int, tuple[tuple[str, bytes], ...]]) -> str:
    mode, acl = permissions
    return f"{mode:04o} with an access list" if acl else f"{mode:04o}"


def _who(names: Mapping[int, str], number: int) -> str:
    return f"{names[number]} ({number})" if number in names else str(number)


def _size(value: bytes | None) -> str:
    return "none" if value is None else f"{len(value)} bytes"


def _kind(entry: Entry) -> str:
    return entry.special or entry.kind.value


def _differing(one: Entry, other: Entry) -> list[str]:
    pairs = {
        "kind": (_kind(one), _kind(other)),
        "content": (one.content, other.content),
        "mode": (one.mode, other.mode),
        "owner": (one.uid, other.uid),
        "group": (one.gid, other.gid),
        "attributes": (one.xattrs, other.xattrs),
    }
    return [word for word, (mine, its) in pairs.items() if mine != its]


def _in_words(word: str, text: Callable[[_T], str], ours: _T, base: _T, theirs: _T) -> str:
    return f"{word}: {text(ours)} now, {text(base)} as the step left it, {text(theirs)} before"
