"""The account databases, merged record by record: users and groups come and go beside each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Set

from snapshots.merge.three_way import LABELS, Choice, ContentMerge, shown, three_way

DATABASES = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
"""Their names in /etc; each has a backup with `-` behind it."""
_NAMES = re.compile(rf"etc/({'|'.join(DATABASES)})-?\Z")
_LISTS = {"group": (3,), "gshadow": (2, 3)}
"""The last fields, which are lists of names: each is merged as a set."""
_GROUP_FIELDS = 4
_Key = tuple[bytes, int]
_Record = bytes | None


def database(path: str) -> str | None:
    """Which account database a path is (`shadow` for `etc/shadow` and its backup `etc/shadow-`), if any."""
    match = _NAMES.match(path)
    return match[1] if match else None


def merge_accounts(name: str, base: bytes, ours: bytes, theirs: bytes, choice: Choice | None) -> ContentMerge:
    """What `theirs` changed in `base`, done to `ours`: records by their first field (subuid, subgid: lines).
    The order is that of `ours`; a record that comes back goes behind the one before it in `theirs`. A record
    that both changed differently goes as `choice` says, or is a conflict."""
    old, mine, other = (_records(name, content) for content in (base, ours, theirs))
    result: dict[_Key, bytes] = {}
    conflicts: list[bytes] = []
    for key in dict.fromkeys((*mine, *other, *old)):
        sides = old.get(key), mine.get(key), other.get(key)
        record, settled = _merged(*sides, _LISTS.get(name, ()), choice)
        if not settled:
            conflicts += _conflict(*sides)
        if record is not None:
            result[key] = record
    if conflicts:
        return ContentMerge(ours, shown(conflicts))
    lines = [result[key] for key in _ordered(result, mine, other)]
    ends = [not content or content.endswith(b"\n") for content in (base, ours, theirs)]
    ended, _ = three_way(ends[0], ends[1], ends[2], choice)
    return ContentMerge(b"\n".join(lines) + (b"\n" if lines and ended else b""))


def records_of(name: str, base: bytes, live: bytes, names: Set[str]) -> bytes:
    """`base` with what `live` has of the users and groups `names` alone: their records, and where they are members."""
    wanted = {each.encode() for each in names}
    old, new = _records(name, base), _records(name, live)
    result = dict(old)
    for key in {**old, **new}:
        if key[0].split(b":", 1)[0] in wanted:
            result.pop(key, None)
            if key in new:
                result[key] = new[key]
        elif key in old and key in new:
            result[key] = _with_members(old[key], new[key], _LISTS.get(name, ()), wanted)
    lines = [result[key] for key in _ordered(result, old, new)]
    ended = (live if len(result) > len(old) else base)[-1:] in (b"", b"\n")
    return b"\n".join(lines) + (b"\n" if lines and ended else b"")


def alike(name: str, one: bytes, other: bytes, *more: bytes) -> frozenset[str]:
    """The users and groups whose records are the same in both, of all that one of them or of `more` has."""
    sides = _records(name, one), _records(name, other)
    keys = {key for content in (one, other, *more) for key in _records(name, content)}
    differ = {key[0] for key in keys if sides[0].get(key) != sides[1].get(key)}
    return frozenset(
        key[0].split(b":", 1)[0].decode(errors="replace") for key in keys if key[0] not in differ
    )


def between(name: str, one: bytes, other: bytes, copy: bytes) -> frozenset[str]:
    """The groups whose records in `copy` lie between those of `one` and `other`, which add or remove members one by one: the
    fields of one of these, all the members that both have, and none that neither has."""
    before, after, lists = _records(name, one), _records(name, other), _LISTS.get(name, ())
    return frozenset(
        key[0].decode(errors="replace")
        for key, record in _records(name, copy).items()
        if _lies_between(before.get(key, b""), after.get(key, b""), record, lists)
    )


def _lies_between(one: bytes, other: bytes, copy: bytes, lists: tuple[int, ...]) -> bool:
    before, after, copied = (record.split(b":") for record in (one, other, copy))
    if not lists or not len(before) == len(after) == len(copied) == _GROUP_FIELDS:
        return False
    if copied[: lists[0]] not in (before[: lists[0]], after[: lists[0]]):
        return False
    for at in lists:
        was, now, has = ({*fields[at].split(b",")} - {b""} for fields in (before, after, copied))
        if not was & now <= has <= was | now:
            return False
    return True


def _with_members(old: bytes, new: bytes, lists: tuple[int, ...], names: Set[bytes]) -> bytes:
    """A record of before, in whose lists the `names` are members where they are in the new one."""
    before, after = old.split(b":"), new.split(b":")
    if not lists or not len(before) == len(after) == _GROUP_FIELDS:
        return old
    for at in lists:
        was, now = ([each for each in fields[at].split(b",") if each] for fields in (before, after))
        stay = [each for each in was if each not in names or each in now]
        before[at] = b",".join([*stay, *(each for each in now if each in names and each not in was)])
    return b":".join(before)


def _records(database: str, content: bytes) -> dict[_Key, bytes]:
    """Records by name (of subuid and subgid: by line); the second of the same name is another one."""
    records: dict[_Key, bytes] = {}
    counts: Counter[bytes] = Counter()
    for line in content.removesuffix(b"\n").split(b"\n") if content else ():
        name = line if database.startswith("sub") else line.split(b":", 1)[0]
        counts[name] += 1
        records[name, counts[name]] = line
    return records


def _merged(
    base: _Record, ours: _Record, theirs: _Record, lists: tuple[int, ...], choice: Choice | None
) -> tuple[_Record, bool]:
    """The record, and whether nothing about it is left to be decided."""
    record, settled = three_way(base, ours, theirs, None)
    if not (settled or base is None or ours is None or theirs is None):
        old, mine, other = (one.split(b":") for one in (base, ours, theirs))
        if lists and len(old) == len(mine) == len(other) == _GROUP_FIELDS:
            names = [_merged_list(old[at], mine[at], other[at]) for at in lists]
            first = lists[0]
            rest, settled = three_way(old[:first], mine[:first], other[:first], choice)
            return b":".join([*rest, *names]), settled
    return (record, True) if settled else three_way(base, ours, theirs, choice)


def _merged_list(base: bytes, ours: bytes, theirs: bytes) -> bytes:
    value, settled = three_way(base, ours, theirs, None)
    if settled:
        return value
    old, mine, other = ([name for name in text.split(b",") if name] for text in (base, ours, theirs))
    gone = set(old) - set(other)
    came = [name for name in other if name not in old]
    return b",".join(dict.fromkeys([*(name for name in mine if name not in gone), *came]))


def _ordered(result: dict[_Key, bytes], ours: dict[_Key, bytes], theirs: dict[_Key, bytes]) -> Iterator[_Key]:
    behind: dict[_Key | None, list[_Key]] = {}
    last = None
    for key in theirs:
        if key in result:
            if key in ours:
                last = key
            else:
                behind.setdefault(last, []).append(key)
    yield from behind.get(None, ())
    for key in ours:
        if key in result:
            yield key
            yield from behind.get(key, ())


def _conflict(base: _Record, ours: _Record, theirs: _Record) -> list[bytes]:
    yours, left, before = (label.encode() for label in LABELS)
    mine, old, other = ([] if record is None else [record] for record in (ours, base, theirs))
    return [
        b"<<<<<<< " + yours, *mine, b"||||||| " + left, *old, b"=======", *other, b">>>>>>> " + before
    ]  # fmt: skip
