"""Git's packs, read without git: whether one is sound, and what can still be read of one that is not.

The format is that of gitformat-pack(5), version 2 of both the pack and its index.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SUM = 20
_INDEX_MAGIC = b"\xfftOc\0\0\0\2"
_FANOUT = 256 * 4
_HEADER = 12
_TRUST = 16_000_000
"""Bytes: a pack larger than this is known by its last bytes alone, so that opening the store stays quick."""

_KINDS = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_BASE_BY_OFFSET = 6
_BASE_BY_ID = 7
_STEP = 65536
_FAR = 0x80000000
_RECENT = 256
"""How many objects are kept in memory, for those that are made of them."""


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of git."""

    kind: bytes
    content: bytes

    @property
    def id(self) -> bytes:
        """The 20 bytes that name it."""
        return hashlib.sha1(self._header() + self.content, usedforsecurity=False).digest()

    def loose(self) -> bytes:
        """The object as a file of its own."""
        return zlib.compress(self._header() + self.content, 1)

    def _header(self) -> bytes:
        return b"%s %d\0" % (self.kind, len(self.content))


def fault_of_pack(pack: Path) -> str | None:
    """What is wrong with a pack or its index, in words; None where both are sound. Raises OSError."""
    try:
        known = pack.with_suffix(".idx").read_bytes()
    except FileNotFoundError:
        return "has no index"
    if not _is_sound_index(known):
        return "has a damaged index"
    try:
        file = pack.open("rb")
    except FileNotFoundError:
        return "is missing"
    with file:
        size = file.seek(0, 2)
        if size < _HEADER + _SUM:
            return "is cut short"
        file.seek(size - _SUM)
        if file.read(_SUM) != known[-2 * _SUM : -_SUM]:
            return "is cut short or overwritten at its end"
        file.seek(0)
        if size <= _TRUST and not _is_summed(file.read()):
            return "is damaged inside"
    return None


def fault_of_loose(path: Path) -> str | None:
    """What is wrong with the file of one object, in words; None where it is sound. Raises OSError."""
    try:
        raw = zlib.decompress(path.read_bytes())
    except zlib.error:
        return "is damaged"
    if hashlib.sha1(raw, usedforsecurity=False).hexdigest() != path.parent.name + path.name:
        return "is not what its name says"
    return None


def readable_objects(pack: Path) -> Iterator[RawObject]:
    """What can be read of a damaged pack: by its index where that is sound, else up to the first fault.

    Raises OSError.
    """
    content = pack.read_bytes()
    try:
        known = pack.with_suffix(".idx").read_bytes()
    except FileNotFoundError:
        known = b""
    reading = _Reading(content)
    if _is_sound_index(known):
        for offset in _offsets(known):
            if found := reading.object_at(offset):
                yield found
        return
    offset = _HEADER
    while (found := reading.object_at(offset)) is not None:
        yield found
        offset = reading.end_of[offset]


def _is_summed(content: bytes) -> bool:
    return hashlib.sha1(memoryview(content)[:-_SUM], usedforsecurity=False).digest() == content[-_SUM:]


def _is_sound_index(content: bytes) -> bool:
    return content.startswith(_INDEX_MAGIC) and _is_summed(content)


def _offsets(index: bytes) -> list[int]:
    start = len(_INDEX_MAGIC) + _FANOUT
    (count,) = struct.unpack_from(">I", index, start - 4)
    near = struct.unpack_from(f">{count}I", index, start + count * (_SUM + 4))
    far = start + count * (_SUM + 8)
    return [
        struct.unpack_from(">Q", index, far + 8 * (offset - _FAR))[0] if offset >= _FAR else offset
        for offset in near
    ]


class _Reading:
    """One pack, whose objects are made of others before them."""

    def __init__(self, pack: bytes) -> None:
        self._pack = memoryview(pack)
        self._recent: dict[int, RawObject] = {}
        self._offset_of: dict[bytes, int] = {}
        self.end_of: dict[int, int] = {}
        """Where the object at an offset ends."""

    def object_at(self, offset: int) -> RawObject | None:
        """The object at an offset, None where it cannot be read."""
        found = self._recent.get(offset)
        if found is None:
            try:
                found = self._read(offset)
            except (IndexError, ValueError, zlib.error):
                return None
            if found:
                if len(self._recent) >= _RECENT:
                    self._recent.clear()
                self._recent[offset] = found
                self._offset_of[found.id] = offset
        return found

    def _read(self, offset: int) -> RawObject | None:
        pack = self._pack
        at = offset + 1
        kind, size = pack[offset] >> 4 & 7, pack[offset] & 15
        shift = 4
        while pack[at - 1] & 0x80:
            size |= (pack[at] & 0x7F) << shift
            shift += 7
            at += 1
        base: RawObject | None = None
        if kind == _BASE_BY_OFFSET:
            back = pack[at] & 0x7F
            at += 1
            while pack[at - 1] & 0x80:
                back = (back + 1) << 7 | pack[at] & 0x7F
                at += 1
            base = self.object_at(offset - back) if 0 < back < offset else None
        elif kind == _BASE_BY_ID:
            known = self._offset_of.get(bytes(pack[at : at + _SUM]))
            base = None if known is None else self.object_at(known)
            at += _SUM
        content = self._inflate(offset, at, size)
        if kind in _KINDS:
            return RawObject(_KINDS[kind], content)
        return RawObject(base.kind, _patched(base.content, content)) if base else None

    def _inflate(self, offset: int, at: int, size: int) -> bytes:
        inflating = zlib.decompressobj()
        parts = []
        while not inflating.eof:
            piece = self._pack[at : at + _STEP]
            if not piece:
                raise ValueError("the pack ends here")
            parts.append(inflating.decompress(piece))
            at += len(piece)
        self.end_of[offset] = at - len(inflating.unused_data)
        content = b"".join(parts)
        if len(content) != size:
            raise ValueError("another size was said")
        return content


def _patched(base: bytes, delta: bytes) -> bytes:
    """`base` changed by git's delta. Raises ValueError and IndexError for what is none."""
    _, at = _varint(delta, 0)
    size, at = _varint(delta, at)
    parts = []
    while at < len(delta):
        what = delta[at]
        at += 1
        if what & 0x80:
            number = 0
            for bit in range(7):  # four bytes of a place, three of a length, each only where it is not 0
                if what >> bit & 1:
                    number |= delta[at] << 8 * bit
                    at += 1
            start, count = number & 0xFFFFFFFF, number >> 32 or 0x10000
            parts.append(base[start : start + count])
        else:
            parts.append(delta[at : at + what])
            at += what
    content = b"".join(parts)
    if len(content) != size:
        raise ValueError("another size was said")
    return content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return number, at
