"""Three states of one path made one: the one way by which anything is rolled back, undone or written late."""

from __future__ import annotations

from snapshots.format.layout import Owners
from snapshots.live.entry import Entry
from snapshots.merge.accounts import database, merge_accounts
from snapshots.merge.text import merge_text
from snapshots.merge.three_way import Choice, ContentMerge, EntryMerge, merge_entry


def merge_path(
    path: str,
    base: Entry | None,
    ours: Entry | None,
    theirs: Entry | None,
    *,
    choice: Choice | None,
    owners: Owners,
) -> EntryMerge:
    """What the change from `base` to `theirs` makes of `ours`, at `path` (relative to the root).

    Account databases are merged record by record, other texts line by line. Where both changed the same, `choice`
    decides or it is a conflict; of a backup of an account database (`etc/shadow-`), which the system writes at each
    change, what is there now stays. Raises StoreError."""
    name = database(path)
    if name and path.endswith("-"):
        choice = Choice.KEEP

    def contents(old: bytes, mine: bytes, other: bytes) -> ContentMerge:
        if name:
            return merge_accounts(name, old, mine, other, choice)
        return merge_text(old, mine, other, choice)

    return merge_entry(path, base, ours, theirs, choice=choice, contents=contents, owners=owners)
