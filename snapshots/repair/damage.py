"""What is wrong with a store, as far as a quick look tells; nothing is changed.

The format of packs is that of gitformat-pack(5), version 2 of both the pack and its index.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from snapshots.difference.tree import read_link
from snapshots.errors import StoreError
from snapshots.git.frame import fault_of_file
from snapshots.git.processes import ObjectReader
from snapshots.git.repository import BRANCH, SHALLOW, GitRepository

_SUM = 20
_INDEX_MAGIC = b"\xfftOc\0\0\0\2"
_HEADER = 12
_COMMITS = re.compile(rb"(?:[0-9a-f]{40}\n)*")
_TRUST = 16_000_000
"""Bytes: a pack larger than this is known by its last bytes alone, so that opening the store stays quick."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Faults of a store, in words by the file that has them."""

    packs: dict[Path, str]
    loose: dict[Path, str]
    head: str = ""
    """What is wrong with the newest commit, or with what says which it is."""

    def __bool__(self) -> bool:
        return bool(self.packs or self.loose or self.head)

    def sentences(self) -> tuple[str, ...]:
        """One for each fault."""
        packs = (f"The pack {path.name} {fault}." for path, fault in self.packs.items())
        loose = (f"The object {path.parent.name}{path.name} {fault}." for path, fault in self.loose.items())
        return (*packs, *loose, *filter(None, [self.head]))


def find_damage(repository: GitRepository) -> Damage:
    """Looks at every pack, every loose object and the newest commit. Raises StoreError where it cannot look."""
    path = repository.path
    try:
        packs = {pack: fault for pack in _packs(path) if (fault := _fault_of_pack(pack))}
        loose = {one: fault for one in loose_objects(path) if (fault := _fault_of_loose(one))}
    except OSError as cause:
        raise StoreError(f"The store {str(path)!r} could not be looked at: {cause}.") from cause
    return Damage(packs, loose, _fault_of_head(repository))


def loose_objects(path: Path) -> list[Path]:
    """The files of one object each in the repository at `path`."""
    return sorted(one for one in path.glob("objects/[0-9a-f][0-9a-f]/*") if len(one.name) == 38)


def _packs(path: Path) -> list[Path]:
    """The packs, also those of which only the index is there."""
    files = path.glob("objects/pack/pack-*")
    return sorted({one.with_suffix(".pack") for one in files if one.suffix in (".pack", ".idx")})


def _fault_of_pack(pack: Path) -> str | None:
    """What is wrong with a pack or its index, in words; None where both are sound. Raises OSError."""
    try:
        known = pack.with_suffix(".idx").read_bytes()
    except FileNotFoundError:
        return "has no index"
    if not (known.startswith(_INDEX_MAGIC) and _is_summed(known)):
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


def _fault_of_loose(path: Path) -> str | None:
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


def _fault_of_head(repository: GitRepository) -> str:
    try:
        head = repository.head()
    except StoreError:
        return f"{BRANCH}, which names the newest commit, is damaged."
    if head is None:
        objects = _packs(repository.path) or loose_objects(repository.path)
        return f"{BRANCH}, which names the newest commit, is missing." if objects else ""
    if fault_of_file(repository.path / SHALLOW, _COMMITS.fullmatch) not in ("", "is missing"):
        return f"{SHALLOW}, which says where the history begins, is damaged."
    try:
        with ObjectReader(repository) as reader:
            (tree,) = reader.read([read_link(reader, head).tree])
    except StoreError:
        tree = None
    return "" if tree is not None else f"The newest commit, {head[:10]}, cannot be read."
