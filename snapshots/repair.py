"""A damaged store: found by a quick look, and put together again from what is sound, what can still be read, and what
lies in /etc. All is first made in a folder of its own, so that a store that cannot be repaired is left as it was found.
The format of packs is that of gitformat-pack(5), version 2 of both the pack and its index.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from snapshots.difference.scan import record_commit
from snapshots.difference.stat_cache import Recorded
from snapshots.difference.tree import FOLDER, Link, parse_tree, read_link
from snapshots.errors import StoreError
from snapshots.format.message import Author, Commit
from snapshots.git.beside import write_private
from snapshots.git.frame import DAMAGED, fault_of_file, frame_faults, put_back
from snapshots.git.private_folder import make_private_folder
from snapshots.git.processes import Draft, ObjectReader
from snapshots.git.repository import BRANCH, SHALLOW, GitRepository
from snapshots.git.writers import HEALING_PREFIX
from snapshots.live.entry import EntryError

_SCRATCH = "The files as they were when the store was mended"
"""The subject of a commit that belongs to no history: it was made for the objects that it brought."""

_TOGETHER = 256
"""How many objects git is asked for at a time."""

_SHOWN = 20
"""How many commits a sentence names."""

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
    newest: Commit | None = None
    """The newest commit, where it can be read."""

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
    with ObjectReader(repository) as reader:
        reader.begin()  # git starts while we look at the packs
        try:
            packs = {pack: fault for pack in _packs(path) if (fault := _fault_of_pack(pack))}
            loose = {one: fault for one in loose_objects(path) if (fault := _fault_of_loose(one))}
        except OSError as cause:
            raise StoreError(f"The store {str(path)!r} could not be looked at: {cause}.") from cause
        return Damage(packs, loose, *_newest(repository, reader))


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


def _newest(repository: GitRepository, reader: ObjectReader) -> tuple[str, Commit | None]:
    """What is wrong with the newest commit, else nothing and that commit."""
    try:
        head = repository.head()
    except StoreError:
        return f"{BRANCH}, which names the newest commit, is damaged.", None
    if head is None:
        objects = _packs(repository.path) or loose_objects(repository.path)
        return f"{BRANCH}, which names the newest commit, is missing." if objects else "", None
    if fault_of_file(repository.path / SHALLOW, _COMMITS.fullmatch) not in ("", "is missing"):
        return f"{SHALLOW}, which says where the history begins, is damaged.", None
    with contextlib.suppress(StoreError):
        link = read_link(reader, head)
        if reader.read([link.tree]) != [None]:
            return "", link.commit
    return f"The newest commit, {head[:10]}, cannot be read.", None


@dataclass(frozen=True, slots=True)
class Whole:
    """A commit of which everything can be read."""

    id: str
    subject: str
    lost: tuple[str, ...]
    """The commits that were newer, each as its short id and its subject in brackets."""
    lacking: tuple[str, ...]
    """Older commits of which something cannot be read."""
    cut: str
    """The id of the commit at which the history begins, where what was before it cannot be read; else empty."""


def heal(repository: GitRepository, damage: Damage, root: Path, tops: Sequence[bytes]) -> tuple[str, ...]:
    """Moves the branch to the newest commit that is whole and says what was done, in sentences. The live
    paths `tops` below `root` are stored again: what was damaged and has not changed since comes back so. What
    was damaged goes to the folder `damaged` in the store. Cut short, it is done again by the next start.
    Raises StoreError when no commit is left, and nothing was changed then."""
    store = repository.path
    draft = store / f"{HEALING_PREFIX}{os.urandom(8).hex()}"
    wanted = None
    with contextlib.suppress(StoreError):
        wanted = repository.head()
    try:
        GitRepository.create(draft)
        fresh = GitRepository(draft)
        _gather(store, fresh, damage)
        whole = _newest_whole(fresh, wanted)
        if whole is None or whole.lost:
            with contextlib.suppress(StoreError):  # then it is as much as there was
                scratch = Draft(None, Author("root", "root@localhost"), datetime.now(UTC), _SCRATCH)
                record_commit(fresh, root, tops, Recorded(None), scratch)
                whole = _newest_whole(fresh, wanted)
        if whole is None:
            raise StoreError(
                f"no commit in it can be read as a whole. Nothing was changed. Move {str(store)!r} away, "
                f"and keep it; the next start begins a new history with the files as they are then."
            )
        kept = _put_back(store, draft, damage, whole)
    except (OSError, EntryError, StoreError) as cause:
        raise StoreError(
            f"The store {str(store)!r} is damaged: {' '.join(damage.sentences())} "
            f"It could not be repaired: {cause}"
        ) from cause
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    repository.join_packs(fewest=0)
    return (*damage.sentences(), *_sentences(whole, kept))


def heal_frame(store: Path) -> tuple[str, ...]:
    """Puts back what makes the store's folder a repository, and says what that was, in sentences. Raises StoreError."""
    faults = frame_faults(store)
    if not faults:
        return ()
    draft = store.with_name(f".{store.name}.{os.urandom(8).hex()}")
    try:
        GitRepository.create(draft)
        put_back(store, faults, draft)
    except OSError as cause:
        raise StoreError(f"The store {str(store)!r} is damaged and could not be repaired: {cause}") from cause
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return tuple(
        f"{name} of the store {fault}: it is as it was when the store was made; the old is in {store / DAMAGED}."
        if fault != "is missing"
        else f"{name} of the store was missing: it is as it was when the store was made."
        for name, fault in faults.items()
    )


def _gather(store: Path, fresh: GitRepository, damage: Damage) -> None:
    """Everything readable, in another repository; what is sound is one file in both."""
    packs = fresh.path / "objects/pack"
    for pack in sorted((store / "objects/pack").glob("pack-*.pack")):
        (packs / pack.name).hardlink_to(pack)
        if pack not in damage.packs:
            (packs / pack.name).with_suffix(".idx").hardlink_to(pack.with_suffix(".idx"))
            continue
        try:
            fresh.run("index-pack", str(packs / pack.name))
        except StoreError:  # not only its index
            _salvage(fresh, packs / pack.name, pack.with_suffix(".idx"))
    for path in loose_objects(store):
        if path not in damage.loose:
            _keep_loose(fresh.path, path.parent.name + path.name, path.read_bytes())


def _salvage(fresh: GitRepository, pack: Path, index: Path) -> None:
    """What git can still read of a damaged pack becomes loose objects: all up to the first fault, and what its index
    leads to behind it. The pack is removed. Raises StoreError where they cannot be written, and OSError."""
    try:
        fresh.run("unpack-objects", "-q", "-r", stdin=pack.read_bytes())
    except StoreError as error:  # there is a fault in it
        if any(words in str(error) for words in ("to write", "to create", "No space", "Read-only")):
            raise
    if index.exists():
        pack.with_suffix(".idx").hardlink_to(index)
        objects = dict(_indexed_objects(fresh, index.read_bytes()))
        pack.with_suffix(".idx").unlink()
        for identity, raw in objects.items():
            _keep_loose(fresh.path, identity, zlib.compress(raw, 1))
    pack.unlink()


def _indexed_objects(fresh: GitRepository, index: bytes) -> Iterator[tuple[str, bytes]]:
    """Id and content, with git's header before it, of the objects in an index that can be read."""
    try:
        rows = fresh.run("show-index", stdin=index).decode().splitlines()
    except StoreError:  # the index is damaged, too
        return
    ids = [row.split()[1] for row in rows]
    pending = [ids[at : at + _TOGETHER] for at in range(0, len(ids), _TOGETHER)]
    while pending:
        asked = pending.pop()
        try:
            answers = io.BytesIO(fresh.run("cat-file", "--batch", stdin="\n".join(asked).encode()))
        except StoreError:  # git ends at the first that it cannot read: that one is found by halving
            half = len(asked) // 2
            pending += [asked[:half], asked[half:]] if half else []
            continue
        for answer in answers:
            if answer.endswith(b" missing\n"):
                continue
            identity, kind, size = answer.split()
            raw = b"%s %s\0" % (kind, size) + answers.read(int(size) + 1)[:-1]
            if hashlib.sha1(raw, usedforsecurity=False).hexdigest() == identity.decode():
                yield identity.decode(), raw


def _keep_loose(repository: Path, identity: str, content: bytes) -> None:
    path = repository / "objects" / identity[:2] / identity[2:]
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o400)


def _newest_whole(repository: GitRepository, wanted: str | None) -> Whole | None:
    """The newest whole commit, `wanted` or one before it if there is one; else any, by the times. A commit
    whose history is there up to the first one goes before one whose history is cut. None where no commit is
    whole. Raises StoreError."""
    listed = repository.run("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)")
    kinds = dict(line.split(" ") for line in listed.decode().splitlines())
    with ObjectReader(repository) as reader:
        links = {one: read_link(reader, one) for one, kind in kinds.items() if kind == "commit"}
        history = {one: link for one, link in links.items() if link.commit.subject != _SCRATCH}
        return _Search(reader, kinds, history).newest(wanted)


@dataclass(slots=True)
class _Search:
    _reader: ObjectReader
    _kinds: dict[str, str]
    _commits: dict[str, Link]
    _whole_trees: set[bytes] = field(default_factory=set)

    def newest(self, wanted: str | None) -> Whole | None:
        parents = {one.parent for one in self._commits.values()}
        tips = sorted(
            self._commits.keys() - parents, key=lambda one: self._commits[one].commit.time, reverse=True
        )
        if wanted in self._commits:
            tips.insert(0, wanted)
        for whole_history in (True, False):
            for tip in tips:
                chain = list(self._chain(tip))
                if whole_history and self._commits[chain[-1]].parent is not None:
                    continue
                for identity in chain:
                    if self._is_whole(identity):
                        return self._described(identity, wanted, tips[0])
        return None

    def _described(self, identity: str, wanted: str | None, tip: str) -> Whole:
        history = list(self._chain(identity))
        lost = [one for one in self._chain(tip) if one not in history]
        first = self._commits[history[-1]]
        gap = self._commits[lost[-1]].parent if lost else None
        unreadable = dict.fromkeys(one for one in (wanted, gap) if one and one not in self._commits)
        return Whole(
            identity,
            self._commits[identity].commit.subject,
            (*map(self._named, lost), *(f"{one[:10]} (its subject, too)" for one in unreadable)),
            tuple(self._named(one) for one in history if not self._is_whole(one)),
            history[-1] if first.parent else "",
        )

    def _chain(self, tip: str) -> Iterator[str]:
        """A commit and those before it, as far as they are there."""
        identity: str | None = tip
        while identity in self._commits:
            yield identity
            identity = self._commits[identity].parent

    def _is_whole(self, identity: str) -> bool:
        trees = {self._commits[identity].tree}
        pending = trees - self._whole_trees
        while pending:
            if any(self._kinds.get(tree.decode()) != "tree" for tree in pending):
                return False
            below = set()
            for text in self._reader.read(sorted(pending)):
                for mode, child in parse_tree(text).values():
                    if mode == FOLDER:
                        below.add(child)
                    elif child.decode() not in self._kinds:
                        return False
            pending = below - trees - self._whole_trees
            trees |= below
        self._whole_trees |= trees
        return True

    def _named(self, identity: str) -> str:
        return f"{identity[:10]} ({self._commits[identity].commit.subject})"


def _put_back(store: Path, draft: Path, damage: Damage, whole: Whole) -> Path:
    """Makes the store what the draft is, each step harmless if it is the last one. Returns what keeps the old."""
    kept = store / DAMAGED / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.urandom(2).hex()}"
    make_private_folder(kept.parent)
    make_private_folder(kept)
    broken = [
        file
        for pack in damage.packs
        for file in (pack, *(pack.with_suffix(suffix) for suffix in (".idx", ".rev", ".bitmap", ".mtimes")))
        if file.exists()
    ]
    for file in (*broken, *damage.loose, store / BRANCH, store / SHALLOW):
        with contextlib.suppress(FileNotFoundError):
            name = file.name if file not in damage.loose else file.parent.name + file.name
            (kept / name).hardlink_to(file)
    came = set()
    for file in (draft / "objects").rglob("*"):
        place = store / file.relative_to(draft)
        if file.is_file() and (place in broken or place in damage.loose or not place.exists()):
            place.parent.mkdir(mode=0o700, exist_ok=True)
            file.replace(place)
            came.add(place)
    os.sync()  # what the branch is to name comes first
    if whole.cut:
        write_private(store / SHALLOW, whole.cut + "\n")
    else:
        (store / SHALLOW).unlink(missing_ok=True)
    (store / BRANCH).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(store / BRANCH, whole.id + "\n")
    for file in {*broken, *damage.loose} - came:
        file.unlink()
    return kept


def _sentences(whole: Whole, kept: Path) -> list[str]:
    newest = f"{whole.id[:10]} ({whole.subject})"
    if whole.lost:
        sentences = [
            f"The history goes on from {newest}, the newest commit that can be read as a whole.",
            f"Lost is {_named(whole.lost)}; what the files still have of it, the next commit records.",
        ]
    else:
        sentences = [f"The newest commit is {newest}, and none after it is lost."]
    if whole.cut:
        sentences.append(f"All that was before {whole.cut[:10]} is lost: the history begins there now.")
    if whole.lacking:
        sentences.append(f"Some of the content cannot be read any more in {_named(whole.lacking)}.")
    return [*sentences, f"What was damaged is kept in {kept}."]


def _named(commits: Sequence[str]) -> str:
    more = f" and {len(commits) - _SHOWN} more" if len(commits) > _SHOWN else ""
    return ", ".join(commits[:_SHOWN]) + more
