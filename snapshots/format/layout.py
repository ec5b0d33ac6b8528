"""How the tree of a commit holds live paths: their names, and a listing of what the entries of each folder are.

A live path keeps its name: `etc/mail/sendmail.mc`. What the entries of one folder are is one text file,
`.metadata/etc/mail/%entries`, so that a change costs what changed. It has one line per entry:

    sendmail.mc file 0644 root:0 smmsp:107 user.note=6869

name, kind, mode, owner, group, attributes (hexadecimal). Names are escaped (`\\x20`), sorted by their
bytes. The numbers of owner and group count; their names are what they were called then.

Some names mean something to git (`.git`, `.gitattributes`, `.gitmodules` and what some file systems take for
them). These, and names that begin with `%`, carry a `%` in front and behind each backslash.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from snapshots.live.entry import Entry, Kind, Xattrs, is_large

METADATA = b".metadata"
RECORD = b".record.json"
LISTING = b"%entries"

_IGNORED_BY_HFS = re.compile(b"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf")
_GIT_NAME = re.compile(
    rb"(?:\.git(?:modules|attributes)?|g[a-z0-9]{0,5}~[0-9]+)[ .]*(?::.*)?\Z", re.IGNORECASE | re.DOTALL
)
"""What git itself reads or refuses, with the short names and endings that NTFS takes for the same."""

_SUSPECT = re.compile(b"(?:^|[/\\\\])[.gG%]|\xe2\x80|\xe2\x81|\xef\xbb")

_PLAIN = re.compile(rb"[!-\[\]-~]+\Z")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def to_tree(path: bytes) -> bytes:
    """The name in a commit's tree of a live path (relative, no empty, `.` or `..` part)."""
    if not _SUSPECT.search(path):
        return path
    return b"/".join(
        b"%" + part.replace(b"\\", b"\\%") if _needs_mark(part) else part for part in path.split(b"/")
    )


def from_tree(name: bytes) -> bytes:
    """The live path of a name in a commit's tree: the inverse of `to_tree`."""
    if b"%" not in name:
        return name
    return b"/".join(
        part[1:].replace(b"\\%", b"\\") if part.startswith(b"%") else part for part in name.split(b"/")
    )


def listing_of(folder: bytes) -> bytes:
    """The name in the tree of the text file that says what the entries of the live `folder` are."""
    return b"/".join((METADATA, to_tree(folder), LISTING) if folder else (METADATA, LISTING))


def folder_of_listing(name: bytes) -> bytes | None:
    """The live folder that a name in the tree lists, or None where the name is no such list."""
    if not name.startswith(METADATA + b"/") or not name.endswith(b"/" + LISTING):
        return None
    return from_tree(name[len(METADATA) + 1 : -len(LISTING)].rstrip(b"/"))


def is_live(name: bytes) -> bool:
    """Whether a name in the tree holds the content of a live path."""
    return name != RECORD and not name.startswith(METADATA + b"/")


def split(path: bytes) -> tuple[bytes, bytes]:
    """The folder (empty at the top) and the last part of a live path."""
    folder, _, name = path.rpartition(b"/")
    return folder, name


def join(folder: bytes, name: bytes) -> bytes:
    """The live path of a name in a folder: the inverse of `split`."""
    return folder + b"/" + name if folder else name


def _needs_mark(part: bytes) -> bool:
    if part.startswith(b"%"):
        return True
    # Git looks behind each backslash too: elsewhere that is a folder.
    return any(_GIT_NAME.match(piece) for piece in _IGNORED_BY_HFS.sub(b"", part).split(b"\\"))


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

    def describes(self, entry: Entry) -> bool:
        """Whether `entry` is exactly this, content aside."""
        return self.with_content(entry.content) == entry

    def with_content(self, content: bytes) -> Entry:
        """The entry that this and its content make."""
        return Entry(self.kind, self.mode, self.uid, self.gid, content, self.xattrs, self.special)


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
        b"%s:%d" % (escape(_raw(owners.users.get(entry.uid, ""))), entry.uid),
        b"%s:%d" % (escape(_raw(owners.groups.get(entry.gid, ""))), entry.gid),
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


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


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
