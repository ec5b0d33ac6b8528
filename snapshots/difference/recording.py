"""One commit made of what a walk over the live paths finds changed."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapshots.difference.scan import Scan, given, scan
from snapshots.difference.stat_cache import Recorded
from snapshots.difference.tree_changes import content_changes, listing_changes
from snapshots.format import layout
from snapshots.format.author import Author
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


def record_live(
    repository: GitRepository, root: Path, tops: Sequence[bytes], recorded: Recorded, draft: Draft
) -> Scan:
    """Commits what differs from `recorded`, the content of the parent, and returns what was found.

    Without a difference, a record or the need of a first commit there is none. Raises StoreError; the
    history is then as it was.
    """
    return _record(repository, recorded, draft, lambda keep: scan(root, tops, recorded, keep))


def record_given(
    repository: GitRepository,
    root: Path,
    entries: Mapping[bytes, Entry | None],
    recorded: Recorded,
    draft: Draft,
) -> Scan:
    """The same, of these entries in place of the live paths: all others stay as `recorded` has them."""
    return _record(repository, recorded, draft, lambda keep: given(root, entries, recorded, keep))


def _record(
    repository: GitRepository,
    recorded: Recorded,
    draft: Draft,
    look: Callable[[Callable[[bytes], None]], Scan],
) -> Scan:
    with FastImport(repository) as stream:
        outcome = look(stream.blob)
        if not outcome.changes and draft.record is None and draft.parent is not None:
            return outcome
        deleted, blobs = content_changes(recorded, outcome.changes)
        empty, texts = listing_changes(recorded, outcome)
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
