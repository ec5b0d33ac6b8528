"""What the last commit holds of each path, with the stat under which the path was seen to be that.

A path whose stat is still the same need not be read again. The file is a cache: missing, damaged, of
another format or of another commit it is made again from the commit, and only time is lost.
"""

from __future__ import annotations

import array
import gc
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

from snapshots.live.entry import is_large

_MAGIC = b"msa-wizard stat cache 2\n"
_DIGEST_SIZE = 16
_ROW = struct.Struct("<qqQQIIII20s")
_HEAD = struct.Struct("<20sIII")

NEVER = -(2**63)
"""The ctime of a row whose path must be read again, whatever its stat."""

NO_BLOB = bytes(20)
"""The blob of what has no content: folders, fifos, sockets, devices."""


class Row(NamedTuple):
    """One path: its stat (times in nanoseconds), the number of its metadata, the id of its content."""

    ctime: int
    mtime: int
    size: int
    inode: int
    mode: int
    uid: int
    gid: int
    fields: int
    blob: bytes


Folders = dict[bytes, dict[bytes, Row]]
"""Rows by folder, then by name: live paths relative to the root."""


@dataclass(slots=True)
class Recorded:
    """Everything that one commit holds."""

    commit: str | None
    folders: Folders = field(default_factory=dict)
    fields: list[bytes] = field(default_factory=list)
    """The distinct metadata, as `layout.render_fields` writes it; rows refer to it by number."""
    _numbers: dict[bytes, int] = field(default_factory=dict)

    def large(self) -> Iterator[bytes]:
        """The paths of files whose content is not kept."""
        numbers = {number for number, fields in enumerate(self.fields) if is_large(fields.decode("latin-1"))}
        for folder, rows in self.folders.items() if numbers else ():
            yield from (folder + b"/" + name for name, row in rows.items() if row.fields in numbers)

    def number_of(self, fields: bytes) -> int:
        """The number of this metadata in a row."""
        if not self._numbers:
            self._numbers = {known: number for number, known in enumerate(self.fields)}
        number = self._numbers.get(fields)
        if number is None:
            number = self._numbers[fields] = len(self.fields)
            self.fields.append(fields)
        return number


def load(path: Path, commit: str) -> Recorded | None:
    """What the cache says of `commit`; None where there is no sound cache of just that commit."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST_SIZE
    body = raw[start:]
    if not raw.startswith(_MAGIC) or _digest(body) != raw[len(_MAGIC) : start]:
        return None
    collecting = gc.isenabled()
    gc.disable()  # no looking for garbage among rows by the thousand, which are none: that takes half of the time
    try:
        return _parsed(zlib.decompress(body), commit)
    finally:
        if collecting:
            gc.enable()


def _parsed(body: bytes, commit: str) -> Recorded | None:
    identity, folder_count, row_count, fields_length = _HEAD.unpack_from(body)
    if identity.hex() != commit:
        return None
    at = _HEAD.size
    counts = array.array("I", body[at : at + 4 * folder_count])
    at += 4 * folder_count
    rows = list(map(Row._make, _ROW.iter_unpack(body[at : at + _ROW.size * row_count])))
    at += _ROW.size * row_count
    fields = body[at : at + fields_length].split(b"\n")
    names = body[at + fields_length :].split(b"\0")
    folders: Folders = {}
    first = 0
    for number, count in enumerate(counts):
        last = first + count
        folders[names[number]] = dict(
            zip(names[folder_count + first : folder_count + last], rows[first:last], strict=True)
        )
        first = last
    return Recorded(commit, folders, fields)


def save(path: Path, recorded: Recorded) -> None:
    """Writes the cache, in one rename. Raises OSError. Not synced to the disk: a cache that a power cut
    damaged is known by its digest and made again."""
    folders = {folder: rows for folder, rows in recorded.folders.items() if rows}
    fields = b"\n".join(recorded.fields)
    rows = [row for entries in folders.values() for row in entries.values()]
    head = _HEAD.pack(bytes.fromhex(recorded.commit or "0" * 40), len(folders), len(rows), len(fields))
    counts = array.array("I", map(len, folders.values())).tobytes()
    names = b"\0".join([*folders, *(name for entries in folders.values() for name in entries)])
    body = zlib.compress(b"".join((head, counts, *starmap(_ROW.pack, rows), fields, names)), 1)
    draft = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(_MAGIC + _digest(body) + body)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_SIZE).digest()
