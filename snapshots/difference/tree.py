"""What commits hold: reading entries and finding what one commit changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snapshots.difference.stat_cache import NEVER, NO_BLOB, Recorded, Row
from snapshots.errors import StoreError
from snapshots.format import layout
from snapshots.format.layout import Metadata, What, parse_fields, parse_listing
from snapshots.format.message import Commit, parse_raw
from snapshots.git.processes import ObjectReader
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry, Kind

_COMMIT = re.compile(rb"tree ([0-9a-f]{40})\n(?:parent ([0-9a-f]{40})\n)?")
FOLDER = b"40000"
"""Git's mode of a folder in a tree."""
_NOTHING = (b"", b"")


@dataclass(frozen=True, slots=True)
class Difference:
    """One path between two commits: its metadata (None: not there), and whether its content differs."""

    path: bytes
    before: Metadata | None
    after: Metadata | None
    content: bool

    @property
    def what(self) -> What:
        """The one word for it."""
        return layout.what_changed(self.before, self.after, content=self.content)


@dataclass(frozen=True, slots=True)
class RawChange:
    """One name of the tree that differs between two commits: ids are of blobs, empty for none."""

    name: bytes
    before: bytes
    after: bytes
    type_changed: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two commits; `before` None is the commit that holds nothing."""

    before: str | None
    after: str
    raw: list[RawChange]
    """In the order of git."""
    differences: list[Difference]
    """Sorted by path."""


@dataclass(frozen=True, slots=True)
class Link:
    """A commit in the chain of the history."""

    commit: Commit
    parent: str | None
    """None at the beginning, also where a repaired history begins."""
    tree: bytes


def read_link(reader: ObjectReader, commit: str) -> Link:
    """The commit of this id. Raises StoreError."""
    (text,) = reader.read([commit.encode()])
    match = _COMMIT.match(text or b"")
    if text is None or match is None:
        raise StoreError(f"There is no commit {commit}.")
    parent = match[2].decode() if match[2] and commit not in reader.cut else None
    try:
        return Link(parse_raw(commit, text), parent, match[1])
    except ValueError as cause:
        raise StoreError(f"The commit {commit} is damaged: {cause}.") from cause


def _raw_changes(reader: ObjectReader, before: bytes, after: bytes) -> list[RawChange]:
    """The names that differ between two trees (an empty id: the empty tree), in git's order. Raises StoreError."""
    changes: list[RawChange] = []
    pending = [(b"", before, after)]
    while pending:
        wanted = sorted({tree for _, *pair in pending for tree in pair if tree})
        trees = dict(zip(wanted, map(parse_tree, reader.read(wanted)), strict=True))
        below: list[tuple[bytes, bytes, bytes]] = []
        for folder, old_tree, new_tree in pending:
            old, new = trees.get(old_tree, {}), trees.get(new_tree, {})
            for name in old.keys() | new.keys():
                pair = old.get(name, _NOTHING), new.get(name, _NOTHING)
                if pair[0] == pair[1]:
                    continue
                path = folder + name
                folders = [identity if mode == FOLDER else b"" for mode, identity in pair]
                if any(folders):
                    below.append((path + b"/", folders[0], folders[1]))
                blobs = [b"" if mode == FOLDER else identity for mode, identity in pair]
                if any(blobs):
                    # Git shows a file that became a link, or the reverse, as two changes.
                    type_changed = all(blobs) and pair[0][0][:3] != pair[1][0][:3]
                    changes.append(RawChange(path, blobs[0], blobs[1], type_changed))
        pending = below
    return sorted(changes, key=lambda one: one.name)


def _differences(
    reader: ObjectReader, raw: list[RawChange], before: str | None, after: str
) -> list[Difference]:
    """What `raw` means for the live paths, sorted by path. Raises StoreError."""
    contents = {
        layout.from_tree(one.name) for one in raw if layout.is_live(one.name) and one.before != one.after
    }
    folders = ((layout.folder_of_listing(one.name), one) for one in raw)
    listings = {folder: (one.before, one.after) for folder, one in folders if folder is not None}
    lacking = {layout.from_tree(one.name) for one in raw if not (one.before and one.after)}
    for folder in {layout.split(path)[0] for path in contents} - listings.keys():
        name = b":" + layout.listing_of(folder)
        listings[folder] = before.encode() + name if before else b"", after.encode() + name
    wanted = sorted({name for pair in listings.values() for name in pair if name})
    texts = dict(zip(wanted, reader.read(wanted), strict=True))
    differences = []
    for folder, (old_name, new_name) in listings.items():
        old, new = _parse(texts.get(old_name)), _parse(texts.get(new_name))
        for name in old.keys() | new.keys():
            path = layout.join(folder, name)
            # The same in both listings, and content in one: an older version wrote below a link, which git then dropped.
            if old.get(name) == new.get(name) and (path not in contents or path in lacking):
                continue
            pair = [parse_fields(fields) if fields else None for fields in (old.get(name), new.get(name))]
            differences.append(Difference(path, pair[0], pair[1], path in contents))
    return sorted(differences, key=lambda one: one.path)


def compare(reader: ObjectReader, commit: str) -> Comparison:
    """A commit beside the one before it. Raises StoreError."""
    one = read_link(reader, commit)
    raw = _raw_changes(reader, read_link(reader, one.parent).tree if one.parent else b"", one.tree)
    return Comparison(one.parent, commit, raw, _differences(reader, raw, one.parent, commit))


def changed_entries(
    reader: ObjectReader, compared: Comparison
) -> dict[bytes, tuple[Entry | None, Entry | None]]:
    """What each path that differs was before and after. Raises StoreError."""
    differences = compared.differences
    old = _with_contents(reader, compared.before or "", {one.path: one.before for one in differences})
    new = _with_contents(reader, compared.after, {one.path: one.after for one in differences})
    return {one.path: (old[one.path], new[one.path]) for one in differences}


def read_entries(reader: ObjectReader, commit: str, paths: Iterable[bytes]) -> dict[bytes, Entry | None]:
    """What each of `paths` was in `commit`, None where it was not. Raises StoreError."""
    wanted = {path: layout.split(path) for path in paths}
    folders = read_folders(reader, commit, {folder for folder, _ in wanted.values()})
    metadata = {path: folders[folder].get(name) for path, (folder, name) in wanted.items()}
    return _with_contents(reader, commit, metadata)


def read_folders(
    reader: ObjectReader, commit: str, folders: Iterable[bytes]
) -> dict[bytes, dict[bytes, Metadata]]:
    """What was in each of `folders` in `commit`, by name; nothing for what was no folder. Raises StoreError."""
    wanted = sorted(folders)
    prefix = commit.encode() + b":"
    texts = reader.read([prefix + layout.listing_of(folder) for folder in wanted])
    return {
        folder: {name: parse_fields(fields) for name, fields in _parse(text).items()}
        for folder, text in zip(wanted, texts, strict=True)
    }


def _with_contents(
    reader: ObjectReader, commit: str, metadata: Mapping[bytes, Metadata | None]
) -> dict[bytes, Entry | None]:
    prefix = commit.encode() + b":"
    having = [path for path, one in metadata.items() if one and one.kind in (Kind.FILE, Kind.SYMLINK)]
    texts = dict(zip(having, reader.read([prefix + layout.to_tree(path) for path in having]), strict=True))
    entries: dict[bytes, Entry | None] = {}
    for path, one in metadata.items():
        content = texts.get(path, b"")
        if content is None:
            raise StoreError(
                f"The content of {path!r} is missing from commit {commit}: the store is damaged."
            )
        entries[path] = one.with_content(content) if one else None
    return entries


def read_recorded(repository: GitRepository, commit: str) -> Recorded:
    """Everything that `commit` holds, with no stat known: every path will be read again. Raises StoreError."""
    recorded = Recorded(commit)
    blobs: dict[bytes, bytes] = {}
    listings: list[tuple[bytes, bytes]] = []
    for line in repository.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
        head, _, name = line.partition(b"\t")
        identity = head.split(b" ")[2]
        folder = layout.folder_of_listing(name)
        if folder is not None:
            listings.append((folder, identity))
        elif layout.is_live(name):
            blobs[layout.from_tree(name)] = bytes.fromhex(identity.decode())
    with ObjectReader(repository) as reader:
        texts = reader.read([identity for _, identity in listings])
    for (folder, _), text in zip(listings, texts, strict=True):
        rows = recorded.folders.setdefault(folder, {})
        for name, fields in _parse(text).items():
            blob = blobs.get(layout.join(folder, name), NO_BLOB)
            rows[name] = Row(NEVER, 0, 0, 0, 0, 0, 0, recorded.number_of(fields), blob)
    return recorded


def parse_tree(text: bytes | None) -> dict[bytes, tuple[bytes, bytes]]:
    """Git's mode and the id of what a tree holds, by name. Raises StoreError where there is no tree."""
    if text is None:
        raise StoreError("The store is damaged: a tree is missing.")
    entries = {}
    at = 0
    while at < len(text):
        end = text.index(b"\0", at)
        mode, _, name = text[at:end].partition(b" ")
        at = end + 21
        entries[name] = mode, text[end + 1 : at].hex().encode()
    return entries


def _parse(listing: bytes | None) -> dict[bytes, bytes]:
    try:
        return parse_listing(listing or b"")
    except ValueError as cause:
        raise StoreError(f"The store is damaged: {cause}.") from cause
