"""Reading the store: its commits, what each changed, what each holds."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator

from snapshots.difference.diff import difference_text
from snapshots.difference.scan import PathChange
from snapshots.difference.tree import changed_entries, compare, read_entries
from snapshots.errors import StoreError
from snapshots.format import layout
from snapshots.format.message import LOG_FORMAT, Commit, parse_log
from snapshots.git.object_reader import ObjectReader
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry

_ID = re.compile(r"[0-9a-f]{4,40}\Z")
_WHOLE_ID = re.compile(r"[0-9a-f]{40}\Z")
_SHOWN = 8
"""How many commits an error names."""


class History:
    """The commits of one repository. Every method raises StoreError where git cannot read."""

    def __init__(self, repository: GitRepository) -> None:
        self._repository = repository

    def head(self) -> Commit | None:
        """The newest commit, None where there is none."""
        return next(self.commits(1, None), None)

    def commits(self, limit: int | None, path: bytes | None) -> Iterator[Commit]:
        """The commits, newest first; with `path` those that changed it or what is below it."""
        head = self._repository.head()
        if head is None:
            return
        if path is None:
            yield from self._log(head, limit, ())
            return
        listing = layout.listing_of(layout.split(path)[0])
        below = layout.METADATA + b"/" + layout.to_tree(path)
        try:
            commits = self._log(head, None, (layout.to_tree(path), below, listing))
        except StoreError:  # a mended store may lack what an old commit held
            commits = self._log(head, None, ())
        with ObjectReader(self._repository) as reader:
            # The listing is of the whole folder: see whether the line of this path is among what changed.
            yield from itertools.islice((one for one in commits if _may_change(reader, one, path)), limit)

    def find(self, ref: str) -> Commit:
        """The commit that `ref` names: `HEAD`, a step (its newest apply), an id or the beginning of one."""
        commits = list(self.commits(None, None))
        if not commits:
            raise StoreError(f"There is no commit {ref!r}: the store is empty, it has no baseline yet.")
        if ref == "HEAD":
            return commits[0]
        for commit in commits:
            if commit.step == ref and commit.operation == "apply":
                return commit
        found = [one for one in commits if _ID.match(ref.lower()) and one.id.startswith(ref.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            raise StoreError(
                f"{ref!r} is the beginning of {len(found)} commits: {_names(found)}. Give more digits."
            )
        steps = sorted({one.step for one in commits if one.step and one.operation == "apply"})
        raise StoreError(
            f"There is no commit or applied step {ref!r}. "
            f"Applied steps: {', '.join(steps) or 'none'}. Newest commits: {_names(commits)}."
        )

    def diff(self, ref: str | Commit) -> str:
        """What a commit changed, as text for people."""
        with ObjectReader(self._repository) as reader:
            one = compare(reader, self._id(ref))
        return difference_text(self._repository, one)

    def changed(self, ref: str | Commit) -> tuple[PathChange, ...]:
        """The paths that a commit changed."""
        with ObjectReader(self._repository) as reader:
            found = compare(reader, self._id(ref)).found
        return tuple(PathChange(os.fsdecode(one.path), one.what) for one in found)

    def changes(self, ref: str | Commit) -> dict[str, tuple[Entry | None, Entry | None]]:
        """What each path that a commit changed was before and after it."""
        with ObjectReader(self._repository) as reader:
            one = compare(reader, self._id(ref))
            found = changed_entries(reader, one)
        return {os.fsdecode(path): pair for path, pair in found.items()}

    def entries(self, ref: str | Commit, paths: Iterable[str]) -> dict[str, Entry | None]:
        """What each path was in a commit."""
        with ObjectReader(self._repository) as reader:
            found = read_entries(reader, self._id(ref), map(os.fsencode, paths))
        return {os.fsdecode(path): entry for path, entry in found.items()}

    def record(self, ref: str | Commit) -> bytes | None:
        """The record that was given with a commit."""
        with ObjectReader(self._repository) as reader:
            return reader.read([self._id(ref).encode() + b":" + layout.RECORD])[0]

    def _log(self, head: str, limit: int | None, paths: tuple[bytes, ...]) -> list[Commit]:
        count = () if limit is None else (f"--max-count={limit}",)
        output = self._repository.run(
            "--literal-pathspecs", "log", "--first-parent", "--date=raw", "--no-show-signature",
            "--no-mailmap", "--no-color", "--no-notes", f"--format={LOG_FORMAT}", *count, head, "--", *paths,
        )  # fmt: skip
        return parse_log(output)

    def _id(self, ref: str | Commit) -> str:
        if isinstance(ref, Commit):
            return ref.id
        if ref == "HEAD" and (head := self._repository.head()):
            return head
        return ref if _WHOLE_ID.match(ref) else self.find(ref).id


def _may_change(reader: ObjectReader, commit: Commit, path: bytes) -> bool:
    """Whether a commit changed `path` or what is below it; True where that cannot be read any more."""
    try:
        found = compare(reader, commit.id).found
    except StoreError:
        return True
    return any(one.path == path or one.path.startswith(path + b"/") for one in found)


def _names(commits: list[Commit]) -> str:
    more = ", …" if len(commits) > _SHOWN else ""
    return ", ".join(f"{one.short} ({one.subject[:40]})" for one in commits[:_SHOWN]) + more
