"""What a commit says of each path beside its content: one line of text per entry of a folder.

    sendmail.mc file 0644 root:0 smmsp:107 user.note=6869

name, kind, mode, owner, group, attributes (hexadecimal). Names are escaped (`\\x20`), sorted by their
bytes. The numbers of owner and group count; their names are what they were called then.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snapshots.live.entry import Entry, Kind, Xattrs

_PLAIN = re.compile(rb"[!-\[\]-~]+\Z")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Everything of an entry but its content."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    owner: str
    """The name of the owner when it was recorded, empty where the number had none."""
    group: str
    xattrs: Xattrs
    special: str

    def same(self, other: Metadata) -> bool:
        """Whether both say the same of a path; what a number is called does not matter."""
        return self._numbers() == other._numbers()

    def describes(self, entry: Entry) -> bool:
        """Whether `entry` is exactly this, content aside."""
        return self._numbers() == (entry.kind, entry.mode, entry.uid, entry.gid, entry.xattrs, entry.special)

    def with_content(self, content: bytes) -> Entry:
        """The entry that this and its content make."""
        return Entry(self.kind, self.mode, self.uid, self.gid, content, self.xattrs, self.special)

    def _numbers(self) -> tuple[Kind, int, int, int, Xattrs, str]:
        return (self.kind, self.mode, self.uid, self.gid, self.xattrs, self.special)


class Owners:
    """What users and groups are called, by the passwd and group files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @functools.cached_property
    def users(self) -> dict[int, str]:
        """Names by user number."""
        return _names(self._root / "etc/passwd")

    @functools.cached_property
    def groups(self) -> dict[int, str]:
        """Names by group number."""
        return _names(self._root / "etc/group")


def _names(table: Path) -> dict[int, str]:
    try:
        lines = table.read_bytes().split(b"\n")
    except OSError:  # the names are a help to the reader only: without the table there are numbers
        return {}
    names: dict[int, str] = {}
    for line in lines:
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit():
            names.setdefault(int(fields[2]), fields[0].decode("utf-8", "surrogateescape"))
    return names


def render_fields(entry: Entry, owners: Owners) -> bytes:
    """The line of an entry without its name."""
    kind = entry.special if entry.kind is Kind.SPECIAL else entry.kind.value
    fields = [
        kind.encode(),
        b"%04o" % entry.mode,
        _who(owners.users.get(entry.uid, ""), entry.uid),
        _who(owners.groups.get(entry.gid, ""), entry.gid),
    ]
    fields += [escape(_raw(name)) + b"=" + value.hex().encode() for name, value in entry.xattrs]
    return b" ".join(fields)


@functools.lru_cache(maxsize=4096)
def parse_fields(fields: bytes) -> Metadata:
    """The inverse of `render_fields`. Raises ValueError where `fields` is no such line."""
    kind, mode, owner, group, *xattrs = fields.split(b" ")
    special = "" if kind in (b"file", b"directory", b"symlink") else kind.decode()
    user, _, uid = owner.rpartition(b":")
    team, _, gid = group.rpartition(b":")
    pairs = []
    for pair in xattrs:
        name, _, value = pair.rpartition(b"=")
        pairs.append((_text(unescape(name)), bytes.fromhex(value.decode())))
    return Metadata(
        Kind.SPECIAL if special else Kind(kind.decode()),
        int(mode, 8),
        int(uid),
        int(gid),
        _text(unescape(user)),
        _text(unescape(team)),
        tuple(pairs),
        special,
    )


def render_listing(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The text for the entries of one folder, given as (name, fields)."""
    return b"".join(escape(name) + b" " + fields + b"\n" for name, fields in sorted(entries))


def parse_listing(text: bytes) -> dict[bytes, bytes]:
    """Fields by name: the inverse of `render_listing`. Raises ValueError where a line is no such line."""
    entries = {}
    for line in text.split(b"\n")[:-1]:
        name, space, fields = line.partition(b" ")
        if not space:
            raise ValueError(f"not a line of a metadata listing: {line[:80]!r}")
        entries[unescape(name)] = fields
    return entries


def escape(name: bytes) -> bytes:
    """`name` as one printable word; readable UTF-8 stays as it is."""
    if _PLAIN.match(name):
        return name
    text = _text(name)
    if "\\" not in text and " " not in text and text.isprintable():
        return name
    return b"".join(
        bytes((one,)) if 0x21 <= one <= 0x7E and one != 0x5C else b"\\x%02x" % one for one in name
    )


def unescape(word: bytes) -> bytes:
    """The inverse of `escape`."""
    if b"\\" not in word:
        return word
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), word)


def _who(name: str, number: int) -> bytes:
    return escape(_raw(name)) + b":%d" % number if name else b":%d" % number


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
