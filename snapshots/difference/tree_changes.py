"""What a scan found, as changes of the tree of the next commit."""

from __future__ import annotations

import stat
from collections.abc import Iterable

from snapshots.difference.scan import Change, Scan, What, what_changed
from snapshots.difference.stat_cache import NO_BLOB, Recorded, Row
from snapshots.format import layout
from snapshots.format.metadata import parse_fields, render_listing


def what(recorded: Recorded, change: Change) -> What:
    """The one word for a change."""
    before, after = (
        parse_fields(recorded.fields[row.fields]) if row else None for row in (change.before, change.after)
    )
    content = bool(change.before and change.after and change.before.blob != change.after.blob)
    return what_changed(before, after, content=content)


def content_changes(
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


def listing_changes(recorded: Recorded, outcome: Scan) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
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
