"""Reading the store: its commits, what each changed, what each holds."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from snapshots.difference.diff import difference_text
from snapshots.difference.scan import PathChange
from snapshots.difference.tree import changed_entries, compare, read_entries
from snapshots.errors import StoreError
from snapshots.format import layout
from snapshots.format.message import LOG_FORMAT, Commit, parse_log
from snapshots.git.object_reader import ObjectReader
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry

Key = TypeVar("Key")
Answer = TypeVar("Answer")

_ID = re.compile(r"[0-9a-f]{4,40}\Z")
_WHOLE_ID = re.compile(r"[0-9a-f]{40}\Z")
_SHOWN = 8
"""How many commits an error names."""
_KEPT = 256
"""Answers that are kept: a commit never changes, and each question costs a process."""
_SMALL = 64 * 1024
"""Bytes of a file that is kept."""


class History:
    """The commits of one repository. Every method raises StoreError where git cannot read."""

    def __init__(self, repository: GitRepository) -> None:
        self._repository = repository
        self._logs: dict[tuple[str, int | None, bytes | None], list[Commit]] = {}
        self._changes_path: dict[tuple[str, bytes], bool] = {}
        self._entries: dict[tuple[str, str], Entry | None] = {}

    def head(self) -> Commit | None:
        """The newest commit, None before the baseline."""
        return next(self._commits(1, None), None)

    def _commits(self, limit: int | None, path: bytes | None) -> Iterator[Commit]:
        """The commits, newest first; with `path` those that changed it or what is below it."""
        head = self._repository.head()
        if head is None:
            return
        if path is None:
            yield from self._log(head, limit, None)
            return
        try:
            commits = self._log(head, None, path)
        except StoreError:  # a repaired store may lack what an old commit held
            commits = self._log(head, None, None)
        with ObjectReader(self._repository) as reader:
            # The listing is of the whole folder: see whether the line of this path is among what changed.
            changed = (commit for commit in commits if self._may_change(reader, commit, path))
            yield from itertools.islice(changed, limit)

    def _added(self, parent: str, commit: Commit, changed: Collection[bytes]) -> None:
        """The store has this commit on top of `parent` now, which changed these paths: git need not be asked for it."""
        for (head, limit, path), commits in list(self._logs.items()):
            if head == parent and limit is None:
                concerned = path is None or any(_covers(path, each) for each in changed)
                _keep(self._logs, (commit.id, None, path), [commit, *commits] if concerned else commits)
        _keep(self._logs, (commit.id, 1, None), [commit])

    def find(self, ref: str) -> Commit:
        """The commit that `ref` names: `HEAD`, a step (its newest apply), an id or the beginning of one."""
        commits = list(self._commits(None, None))
        if not commits:
            raise StoreError(f"There is no commit {ref!r}: the store is empty, it has no baseline yet.")
        if ref == "HEAD":
            return commits[0]
        for commit in commits:
            if commit.step == ref and commit.operation == "apply":
                return commit
        matches = [one for one in commits if _ID.match(ref.lower()) and one.id.startswith(ref.lower())]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise StoreError(
                f"{ref!r} is the beginning of {len(matches)} commits: {_names(matches)}. Give more digits."
            )
        steps = sorted({one.step for one in commits if one.step and one.operation == "apply"})
        raise StoreError(
            f"There is no commit or applied step {ref!r}. "
            f"Applied steps: {', '.join(steps) or 'none'}. Newest commits: {_names(commits)}."
        )

    def diff(self, ref: str | Commit) -> str:
        """What a commit changed, for people: metadata in words (`etc/x: mode 0640 -> 0600`), text files as a
        unified diff, binary and huge files by name; for the baseline a list."""
        with ObjectReader(self._repository) as reader:
            one = compare(reader, self._id(ref))
        return difference_text(self._repository, one)

    def changed(self, ref: str | Commit) -> tuple[PathChange, ...]:
        """The paths that a commit changed, sorted."""
        with ObjectReader(self._repository) as reader:
            differences = compare(reader, self._id(ref)).differences
        return tuple(PathChange(os.fsdecode(one.path), one.what) for one in differences)

    def changes(self, ref: str | Commit) -> dict[str, tuple[Entry | None, Entry | None]]:
        """What each path that a commit changed was before and after it, sorted by path; None where there was nothing."""
        with ObjectReader(self._repository) as reader:
            one = compare(reader, self._id(ref))
            pairs = changed_entries(reader, one)
        return {os.fsdecode(path): pair for path, pair in pairs.items()}

    def entry(self, ref: str | Commit, path: str) -> Entry | None:
        """What `path` was in a commit, None where it was not."""
        return self.entries(ref, [path])[path]

    def entries(self, ref: str | Commit, paths: Iterable[str]) -> dict[str, Entry | None]:
        """What each of the paths was in a commit, None where it was not."""
        commit, paths = self._id(ref), list(paths)
        known = {path: self._entries[commit, path] for path in paths if (commit, path) in self._entries}
        unknown = [os.fsencode(path) for path in paths if path not in known]
        if unknown:
            with ObjectReader(self._repository) as reader:
                read = read_entries(reader, commit, unknown)
            for path, entry in read.items():
                known[os.fsdecode(path)] = entry
                if entry is None or len(entry.content) <= _SMALL:
                    _keep(self._entries, (commit, os.fsdecode(path)), entry)
        return {path: known[path] for path in paths}

    def record(self, ref: str | Commit) -> bytes | None:
        """The `record` that was given with a commit, None where there was none."""
        with ObjectReader(self._repository) as reader:
            return reader.read([self._id(ref).encode() + b":" + layout.RECORD])[0]

    def _log(self, head: str, limit: int | None, path: bytes | None) -> list[Commit]:
        """The commits from `head` on; with `path` all those that touched it, and perhaps others of its folder."""
        if (known := self._logs.get((head, limit, path))) is not None:
            return known
        paths: tuple[bytes, ...] = ()
        if path is not None:
            below = layout.METADATA + b"/" + layout.to_tree(path)
            paths = layout.to_tree(path), below, layout.listing_of(layout.split(path)[0])
        count = () if limit is None else (f"--max-count={limit}",)
        output = self._repository.run(
            "--literal-pathspecs", "log", "--first-parent", "--date=raw", "--no-show-signature",
            "--no-mailmap", "--no-color", "--no-notes", f"--format={LOG_FORMAT}", *count, head, "--", *paths,
        )  # fmt: skip
        return _keep(self._logs, (head, limit, path), parse_log(output))

    def _may_change(self, reader: ObjectReader, commit: Commit, path: bytes) -> bool:
        known = self._changes_path.get((commit.id, path))
        if known is None:
            known = _keep(self._changes_path, (commit.id, path), _may_change(reader, commit, path))
        return known

    def _id(self, ref: str | Commit) -> str:
        if isinstance(ref, Commit):
            return ref.id
        if ref == "HEAD" and (head := self._repository.head()):
            return head
        return ref if _WHOLE_ID.match(ref) else self.find(ref).id


def _keep(answers: dict[Key, Answer], key: Key, answer: Answer) -> Answer:
    """The answer, kept; all before it go when they are too many."""
    if len(answers) >= _KEPT:
        answers.clear()
    answers[key] = answer
    return answer


def _may_change(reader: ObjectReader, commit: Commit, path: bytes) -> bool:
    """Whether a commit changed `path` or what is below it; True where that cannot be read any more."""
    try:
        differences = compare(reader, commit.id).differences
    except StoreError:
        return True
    return any(_covers(path, one.path) for one in differences)


def _covers(path: bytes, changed: bytes) -> bool:
    return changed == path or changed.startswith(path + b"/")


def _names(commits: list[Commit]) -> str:
    more = ", …" if len(commits) > _SHOWN else ""
    return ", ".join(f"{one.short} ({one.subject[:40]})" for one in commits[:_SHOWN]) + more
