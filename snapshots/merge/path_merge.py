"""Three states of one path made one, each field on its own: the one way by which anything is rolled back, undone or
written late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TypeVar

from snapshots.format.layout import Owners
from snapshots.format.secret_text import PasswordMask, encoded, hidden
from snapshots.live.entry import ACL, Entry, Kind, Xattrs
from snapshots.merge.accounts import database, merge_accounts
from snapshots.merge.three_way import Choice, merge_text, three_way
from snapshots.visible import visible_bytes

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Conflict:
    """What both the admin and the change to be rolled back did to one path, each differently."""

    path: str
    what: str
    """`content`, `mode`, `owner`, `group`, `xattrs`, `kind` or `deletion`."""
    text: str
    """For people: hunks between markers, or one line. Nothing secret is in it."""
    sides: tuple[Entry, Entry] | None = None
    """Of a deletion: what the step left or deleted, and what is there now; of certificates: what is there now, and what was before.
    They may hold secrets."""

    @property
    def hunks(self) -> bool:
        """Whether it is of lines alone, which are between markers."""
        return "<<<<<<< " in self.text


@dataclass(frozen=True, slots=True)
class EntryMerge:
    """The entry that three states come to. With conflicts, it has ours where they are."""

    entry: Entry | None
    conflicts: tuple[Conflict, ...] = ()
    note: str = ""
    """What is to be said of the path, such as `was deleted since; ...`; empty for nothing."""


def merge_path(
    path: str,
    base: Entry | None,
    ours: Entry | None,
    theirs: Entry | None,
    *,
    choice: Choice | None,
    owners: Owners,
) -> EntryMerge:
    """What the change from `base` to `theirs` makes of `ours`, at `path` (relative to the root).

    Account databases are merged record by record, other texts line by line. Where both changed the same, `choice`
    decides or it is a conflict; of a backup of an account database (`etc/shadow-`), which the system writes at each
    change, what is there now stays. Raises StoreError."""
    if database(path) and path.endswith("-"):
        choice = Choice.KEEP
    entry, settled = three_way(base, ours, theirs, None)
    if settled:
        return EntryMerge(entry)
    if ours is None:
        return EntryMerge(theirs, note="was deleted since; it is brought back as it was before")
    sides = None
    if base is None or theirs is None:
        if base and base.kind is ours.kind is Kind.DIRECTORY:
            # Its mode alone is no work of the admin that would be lost with it.
            return EntryMerge(None, note="goes, though its mode, owner or attributes were changed since")
        words = "the step deleted it; it was made again since, but not as it was before"
        if base:
            words = "the step made it; it was changed since"
        other = base or theirs
        differing = [word for word, of in _FIELDS.items() if other and of(ours) != of(other)]
        what, text = "deletion", f"{words} ({', '.join(differing)})"
        sides = (other, ours) if other else None
    elif not _kind(base) == _kind(ours) == _kind(theirs):
        what, text = "kind", _in_words("kind", _kind, ours, base, theirs)
    else:
        return _FieldMerge(path, (base, ours, theirs), choice, owners).merged()
    entry, settled = three_way(base, ours, theirs, choice)
    return EntryMerge(entry, () if settled else (Conflict(path, what, text, sides),))


@dataclass(slots=True)
class _FieldMerge:
    """Three entries of one kind (base, ours, theirs), merged field by field."""

    _path: str
    _sides: tuple[Entry, Entry, Entry]
    _choice: Choice | None
    _owners: Owners
    _conflicts: list[Conflict] = field(default_factory=list)

    def merged(self) -> EntryMerge:
        mode, acl = self._field("mode", "mode", _permissions, _mode_text)
        users, groups = self._owners.users, self._owners.groups
        entry = replace(
            self._sides[1],
            mode=mode,
            uid=self._field("owner", "owner", lambda one: one.uid, lambda number: _who(users, number)),
            gid=self._field("group", "group", lambda one: one.gid, lambda number: _who(groups, number)),
            content=self._content(),
            xattrs=tuple(sorted([*acl, *self._xattrs()])),
        )
        return EntryMerge(entry, tuple(self._conflicts))

    def _field(self, what: str, word: str, of: Callable[[Entry], _T], text: Callable[[_T], str]) -> _T:
        base, ours, theirs = map(of, self._sides)
        value, settled = three_way(base, ours, theirs, self._choice)
        if not settled:
            self._conflicts.append(Conflict(self._path, what, _in_words(word, text, ours, base, theirs)))
        return value

    def _content(self) -> bytes:
        base, ours, theirs = (one.content for one in self._sides)
        content, settled = three_way(base, ours, theirs, None)
        if settled:
            return content
        if self._sides[0].kind is Kind.SYMLINK:
            return self._field("content", "target", lambda one: one.content, visible_bytes)
        if name := database(self._path):
            merge = merge_accounts(name, base, ours, theirs, self._choice)
        else:
            merge = merge_text(base, ours, theirs, self._choice)
        if merge.conflict:
            lines = PasswordMask(self._path).text(merge.conflict.encode("utf-8", "surrogateescape"))
            text = hidden(self._path)[1:-1] or lines.decode("utf-8", "surrogateescape")
            certificates = any(map(encoded, (ours, theirs))) and not hidden(self._path, base, ours, theirs)
            sides = self._sides[1:] if certificates else None
            self._conflicts.append(Conflict(self._path, "content", text, sides))
        return merge.content

    def _xattrs(self) -> list[tuple[str, bytes]]:
        names = sorted({name for one in self._sides for name, _ in one.xattrs} - {ACL})
        pairs = []
        for name in names:
            value = self._field("xattrs", f"attribute {name}", lambda one: dict(one.xattrs).get(name), _size)  # noqa: B023
            if value is not None:
                pairs.append((name, value))
        return pairs


def _permissions(entry: Entry) -> tuple[int, Xattrs]:
    # One field: the group's bits of the mode are the mask of the access list.
    return entry.mode, tuple(pair for pair in entry.xattrs if pair[0] == ACL)


def _mode_text(permissions: tuple[int, Xattrs]) -> str:
    return f"{permissions[0]:04o}" + (" with an access list" if permissions[1] else "")


def _who(names: Mapping[int, str], number: int) -> str:
    return f"{names[number]} ({number})" if number in names else str(number)


def _size(value: bytes | None) -> str:
    return "none" if value is None else f"{len(value)} bytes"


def _kind(entry: Entry) -> str:
    return entry.special or entry.kind.value


_FIELDS: dict[str, Callable[[Entry], object]] = {
    "kind": _kind,
    "content": attrgetter("content"),
    "mode": attrgetter("mode"),
    "owner": attrgetter("uid"),
    "group": attrgetter("gid"),
    "attributes": attrgetter("xattrs"),
}


def _in_words(word: str, text: Callable[[_T], str], ours: _T, base: _T, theirs: _T) -> str:
    return f"{word}: {text(ours)} now, {text(base)} as the step left it, {text(theirs)} before"
