"""What commits hold: reading entries and finding what one commit changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snapshots import layout
from snapshots.entry import Entry, Kind
from snapshots.errors import StoreError
from snapshots.git_repository import EMPTY_TREE, GitRepository
from snapshots.metadata import Metadata, parse_fields, parse_listing
from snapshots.scan import What, what_changed
from snapshots.stat_cache import NEVER, NO_BLOB, Recorded, Row


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
        return what_changed(self.before, self.after, content=self.content)


@dataclass(frozen=True, slots=True)
class RawChange:
    """One name of the tree that differs between two commits: ids are of blobs, empty for none."""

    name: bytes
    before: bytes
    after: bytes
    type_changed: bool


def raw_changes(repository: GitRepository, before: str | None, after: str) -> list[RawChange]:
    """The names of the tree that differ, in the order of the tree; `before` None is the empty tree.

    Raises StoreError.
    """
    output = repository.run("diff-tree", "-r", "-z", "--raw", "--no-renames", before or EMPTY_TREE, after)
    parts = iter(output.split(b"\0"))
    changes = []
    for head in parts:
        if not head:
            break
        _, _, old, new, status = head.split(b" ")
        changes.append(
            RawChange(next(parts), old.strip(b"0") and old, new.strip(b"0") and new, status == b"T")
        )
    return changes


def differences(
    repository: GitRepository, raw: list[RawChange], before: str | None, after: str
) -> list[Difference]:
    """What `raw` means for the live paths, sorted by path. Raises StoreError."""
    contents = {layout.from_tree(one.name) for one in raw if layout.is_live(one.name)}
    listings: dict[bytes, tuple[bytes, bytes]] = {}
    for one in raw:
        folder = layout.folder_of_listing(one.name)
        if folder is not None:
            listings[folder] = (one.before, one.after)
    for folder in {layout.split(path)[0] for path in contents} - listings.keys():
        name = layout.listing_of(folder)
        listings[folder] = (
            before.encode() + b":" + name if before else b"",
            after.encode() + b":" + name,
        )
    wanted = sorted({name for pair in listings.values() for name in pair if name})
    texts = dict(zip(wanted, repository.objects(wanted), strict=True))
    found = []
    for folder, (old_name, new_name) in listings.items():
        old = _parse(texts.get(old_name))
        new = _parse(texts.get(new_name))
        for name in old.keys() | new.keys():
            path = folder + b"/" + name if folder else name
            if old.get(name) == new.get(name) and path not in contents:
                continue
            pair = [parse_fields(fields) if fields else None for fields in (old.get(name), new.get(name))]
            found.append(Difference(path, pair[0], pair[1], path in contents))
    return sorted(found, key=lambda one: one.path)


def read_entry_of(repository: GitRepository, commit: str, path: bytes) -> Entry | None:
    """What `path` was in `commit`, None where it was not. Raises StoreError."""
    folder, name = layout.split(path)
    prefix = commit.encode() + b":"
    listing, content = repository.objects([prefix + layout.listing_of(folder), prefix + layout.to_tree(path)])
    fields = _parse(listing).get(name)
    if fields is None:
        return None
    metadata = parse_fields(fields)
    if metadata.kind in (Kind.DIRECTORY, Kind.SPECIAL):
        return metadata.with_content(b"")
    if content is None:
        raise StoreError(f"The content of {path!r} is missing from commit {commit}: the store is damaged.")
    return metadata.with_content(content)


def read_recorded(repository: GitRepository, commit: str) -> Recorded:
    """Everything that `commit` holds, with no stat known: every path will be read again.

    Raises StoreError.
    """
    recorded = Recorded(commit)
    blobs: dict[bytes, bytes] = {}
    listings: list[tuple[bytes, bytes]] = []
    for name, identity in _tree(repository, commit):
        folder = layout.folder_of_listing(name)
        if folder is not None:
            listings.append((folder, identity))
        elif layout.is_live(name):
            blobs[layout.from_tree(name)] = bytes.fromhex(identity.decode())
    texts = repository.objects([identity for _, identity in listings])
    for (folder, _), text in zip(listings, texts, strict=True):
        rows = recorded.folders.setdefault(folder, {})
        for name, fields in _parse(text).items():
            blob = blobs.get(folder + b"/" + name if folder else name, NO_BLOB)
            rows[name] = Row(NEVER, 0, 0, 0, 0, 0, 0, recorded.number_of(fields), blob)
    return recorded


def _tree(repository: GitRepository, commit: str) -> Iterator[tuple[bytes, bytes]]:
    for line in repository.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
        if line:
            head, _, name = line.partition(b"\t")
            yield name, head.split(b" ")[2]


def _parse(listing: bytes | None) -> dict[bytes, bytes]:
    try:
        return parse_listing(listing or b"")
    except ValueError as cause:
        raise StoreError(f"The store is damaged: {cause}.") from cause
