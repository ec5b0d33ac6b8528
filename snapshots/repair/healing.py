"""A damaged store put together again: from what is sound, what can still be read, and what lies in /etc.

All is first made in a folder of its own, so that a store that cannot be repaired is left as it was found.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from snapshots.errors import StoreError
from snapshots.git.frame import frame_faults, put_back
from snapshots.git.private_folder import make_private_folder
from snapshots.git.repository import BRANCH, SHALLOW, GitRepository
from snapshots.git.writers import HEALING_PREFIX
from snapshots.live.entry import Entry, EntryError, Kind, write_entry
from snapshots.repair.damage import Damage, loose_objects
from snapshots.repair.whole_commit import Whole, newest_whole

_DAMAGED = "damaged"
_TOGETHER = 256
"""How many objects git is asked for at a time."""

_SHOWN = 20
"""How many commits a sentence names."""


def heal(
    repository: GitRepository, damage: Damage, store_again: Callable[[GitRepository], None]
) -> tuple[str, ...]:
    """Moves the branch to the newest commit that is whole and says what was done, in sentences.

    `store_again` puts the live paths into a repository: what was damaged and has not changed since comes
    back so. What was damaged goes to the folder `damaged` in the store. Cut short, it is done again by the
    next start. Raises StoreError when no commit is left, and nothing was changed then.
    """
    store = repository.path
    draft = store / f"{HEALING_PREFIX}{secrets.token_hex(8)}"
    try:
        GitRepository.create(draft)
        fresh = GitRepository(draft)
        _gather(store, fresh, damage)
        whole = _newest_whole(fresh, _wanted(repository), store_again)
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
    draft = store.with_name(f".{store.name}.{secrets.token_hex(8)}")
    try:
        GitRepository.create(draft)
        put_back(store, faults, draft)
    except OSError as cause:
        raise StoreError(f"The store {str(store)!r} is damaged and could not be repaired: {cause}") from cause
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    kept = store / _DAMAGED
    return tuple(
        f"{name} of the store {fault}: it is as it was when the store was made; the old is in {kept}."
        if fault != "is missing"
        else f"{name} of the store was missing: it is as it was when the store was made."
        for name, fault in faults.items()
    )


def _wanted(repository: GitRepository) -> str | None:
    try:
        return repository.head()
    except StoreError:
        return None


def _newest_whole(
    fresh: GitRepository, wanted: str | None, store_again: Callable[[GitRepository], None]
) -> Whole | None:
    whole = newest_whole(fresh, wanted)
    if whole is None or whole.lost:
        with contextlib.suppress(StoreError):  # then it is as much as there was
            store_again(fresh)
            whole = newest_whole(fresh, wanted)
    return whole


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


def _put_back(store: Path, draft: Path, damage: Damage, whole: Whole) -> Path:
    """Makes the store what the draft is, each step harmless if it is the last one. Returns what keeps the old."""
    kept = store / _DAMAGED / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
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
    _write(store / SHALLOW, "".join(f"{one}\n" for one in whole.cut))
    _write(store / BRANCH, whole.id + "\n")
    for file in {*broken, *damage.loose} - came:
        file.unlink()
    return kept


def _write(path: Path, text: str) -> None:
    if text:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_entry(path, Entry(Kind.FILE, 0o600, os.geteuid(), os.getegid(), text.encode()))
    else:
        path.unlink(missing_ok=True)


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
        sentences.append(f"All that was before {whole.cut[0][:10]} is lost: the history begins there now.")
    if whole.lacking:
        sentences.append(f"Some of the content cannot be read any more in {_named(whole.lacking)}.")
    return [*sentences, f"What was damaged is kept in {kept}."]


def _named(commits: Sequence[str]) -> str:
    more = f" and {len(commits) - _SHOWN} more" if len(commits) > _SHOWN else ""
    return ", ".join(commits[:_SHOWN]) + more
