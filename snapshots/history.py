"""Reading the store: its commits, what each changed, what each holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from snapshots import layout
from snapshots.difference_text import difference_text
from snapshots.entry import Entry
from snapshots.errors import StoreError
from snapshots.git_repository import GitRepository
from snapshots.message import LOG_FORMAT, Commit, parse_log
from snapshots.scan import PathChange
from snapshots.tree import Difference, RawChange, differences, raw_changes, read_entry_of

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
        count = 0
        for commit in self._log(head, None, (layout.to_tree(path), below, listing)):
            if limit is not None and count >= limit:
                return
            # The listing is of the whole folder: see whether the line of this path is among what changed.
            if any(one.path == path or one.path.startswith(path + b"/") for one in self._compare(commit)[2]):
                count += 1
                yield commit

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
        parent, raw, found, identity = self._compare(ref)
        return difference_text(self._repository, found, raw, parent, identity)

    def changed(self, ref: str | Commit) -> tuple[PathChange, ...]:
        """The paths that a commit changed."""
        return tuple(PathChange(os.fsdecode(one.path), one.what) for one in self._compare(ref)[2])

    def entry(self, ref: str | Commit, path: bytes) -> Entry | None:
        """What `path` was in a commit."""
        return read_entry_of(self._repository, self._id(ref), path)

    def record(self, ref: str | Commit) -> bytes | None:
        """The record that was given with a commit."""
        return self._repository.objects([self._id(ref).encode() + b":" + layout.RECORD])[0]

    def _log(self, head: str, limit: int | None, paths: tuple[bytes, ...]) -> Iterator[Commit]:
        count = () if limit is None else (f"--max-count={limit}",)
        output = self._repository.run(
            "--literal-pathspecs", "log", "--first-parent", "--date=raw", "--no-show-signature",
            "--no-mailmap", "--no-color", "--no-notes", f"--format={LOG_FORMAT}", *count, head, "--", *paths,
        )  # fmt: skip
        yield from parse_log(output)

    def _id(self, ref: str | Commit) -> str:
        if isinstance(ref, Commit):
            return ref.id
        if ref == "HEAD" and (head := self._repository.head()):
            return head
        return ref if _WHOLE_ID.match(ref) else self.find(ref).id

    def _compare(self, ref: str | Commit) -> tuple[str | None, list[RawChange], list[Difference], str]:
        identity = self._id(ref)
        output = self._repository.run("rev-list", "--parents", "--max-count=1", identity)
        _, *parents = output.decode().split()
        parent = parents[0] if parents else None
        raw = raw_changes(self._repository, parent, identity)
        return parent, raw, differences(self._repository, raw, parent, identity), identity


def _names(commits: list[Commit]) -> str:
    more = ", …" if len(commits) > _SHOWN else ""
    return ", ".join(f"{one.short} ({one.subject[:40]})" for one in commits[:_SHOWN]) + more
