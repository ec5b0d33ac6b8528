"""One commit made of what a walk over the live paths finds changed."""

from __future__ import annotations

import datetime
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapshots.difference.scan import Change, Scan, What, given, scan, what_changed
from snapshots.difference.stat_cache import NO_BLOB, Recorded, Row
from snapshots.format import layout
from snapshots.format.author import Author
from snapshots.format.metadata import parse_fields, render_listing
from snapshots.git.fast_import import FastImport
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry


@dataclass(frozen=True, slots=True)
class Draft:
    """What a commit says beside its files; `record` is bytes kept with it alone."""

    parent: str | None
    author: Author
    time: datetime.datetime
    message: str
    record: bytes | None = None


def record_commit(
    repository: GitRepository,
    root: Path,
    source: Sequence[bytes] | Mapping[bytes, Entry | None],
    recorded: Recorded,
    draft: Draft,
) -> Scan:
    """Commits what differs from `recorded`, the content of the parent, and returns what was found.

    `source` is the live paths to walk, or entries in place of them: then all others stay as `recorded` has them.
    Without a difference, a record or the need of a first commit there is none. Raises StoreError; the
    history is then as it was.
    """
    with FastImport(repository) as stream:
        if isinstance(source, Mapping):
            outcome = given(root, source, recorded, stream.blob)
        else:
            outcome = scan(root, source, recorded, stream.blob)
        if not outcome.changes and draft.record is None and draft.parent is not None:
            return outcome
        deleted, blobs = _content_changes(recorded, outcome.changes)
        empty, texts = _listing_changes(recorded, outcome)
        if draft.record is None:
            empty.append(layout.RECORD)
        else:
            texts.append((layout.RECORD, draft.record))
        stream.commit(
            parent=draft.parent,
            author=draft.author.signature(),
            committer=Author("msa-wizard", draft.author.email).signature(),
            time=draft.time,
            message=draft.message.encode("utf-8", "replace"),
            deleted=deleted + empty,
            blobs=blobs,
            texts=texts,
        )
    return outcome


def what(recorded: Recorded, change: Change) -> What:
    """The one word for a change."""
    before, after = (
        parse_fields(recorded.fields[row.fields]) if row else None for row in (change.before, change.after)
    )
    content = bool(change.before and change.after and change.before.blob != change.after.blob)
    return what_changed(before, after, content=content)


def _content_changes(
    recorded: Recorded, changes: Iterable[Change]
) -> tuple[list[bytes], list[tuple[bytes, bytes, bytes]]]:
    """The names of the tree that go, and those that come or change, as (git's mode, blob, name)."""
    deleted, written = [], []
    for change in changes:
        name = layout.to_tree(change.path)
        old = _tree_entry(recorded, change.before)
        new = _tree_entry(recorded, change.after)
        if new is None:
            if old is not None:
                deleted.append(name)
        elif new != old:
            written.append((*new, name))
    return deleted, written


def _listing_changes(recorded: Recorded, outcome: Scan) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """The metadata listings that go, their folder being empty or gone, and the text of those that change."""
    gone, texts = [], []
    for folder in sorted({layout.split(change.path)[0] for change in outcome.changes}):
        rows = outcome.folders.get(folder)
        name = layout.listing_of(folder)
        if rows:
            text = render_listing((entry, recorded.fields[row.fields]) for entry, row in rows.items())
            texts.append((name, text))
        else:
            gone.append(name)
    return gone, texts


def _tree_entry(recorded: Recorded, row: Row | None) -> tuple[bytes, bytes] | None:
    if row is None or row.blob == NO_BLOB:
        return None
    kind, mode = recorded.fields[row.fields].split(b" ", 2)[:2]
    if kind == b"symlink":
        return b"120000", row.blob.hex().encode()
    return (b"100755" if int(mode, 8) & stat.S_IXUSR else b"100644"), row.blob.hex().encode()
