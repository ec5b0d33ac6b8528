"""A quick look at git's packs and objects: whether they are sound.

The format is that of gitformat-pack(5), version 2 of both the pack and its index.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

_SUM = 20
_INDEX_MAGIC = b"\xfftOc\0\0\0\2"
_HEADER = 12
_TRUST = 16_000_000
"""Bytes: a pack larger than this is known by its last bytes alone, so that opening the store stays quick."""


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


def _is_summed(content: bytes) -> bool:
    return hashlib.sha1(memoryview(content)[:-_SUM], usedforsecurity=False).digest() == content[-_SUM:]


def _is_sound_index(content: bytes) -> bool:
    return content.startswith(_INDEX_MAGIC) and _is_summed(content)
