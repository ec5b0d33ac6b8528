"""Reading the store: its commits, what each holds, what each changed, also as text for people."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from snapshots.difference.tree import Comparison, Difference, changed_entries, compare, read_entries
from snapshots.errors import StoreError
from snapshots.format import layout
from snapshots.format.layout import Metadata, PathChange, What
from snapshots.format.message import LOG_FORMAT, Commit, parse_log
from snapshots.git.processes import ObjectReader
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry, Kind, is_large
from snapshots.visible import visible, visible_bytes

Key = TypeVar("Key")
Answer = TypeVar("Answer")

SHORTEST_ID = 4
"""Digits of the id of a commit that are enough to name it, where no other begins with them."""
_ID = re.compile(rf"[0-9a-f]{{{SHORTEST_ID},40}}\Z")
_SHORT_ID = re.compile(r"[0-9a-f]+\Z")
_WHOLE_ID = re.compile(r"[0-9a-f]{40}\Z")
_SHOWN = 8
"""How many commits an error names."""
_KEPT = 256
"""Answers that are kept: a commit never changes, and each question costs a process."""
_SMALL = 64 * 1024
"""Bytes of a file that is kept."""
_HUGE = "1m"
"""Files larger than this are named in a diff, not shown."""


class History:
    """The commits of one repository. Every method raises StoreError where git cannot read."""

    def __init__(self, repository: GitRepository) -> None:
        self._repository = repository
        self._logs: dict[tuple[str, int | None, bytes | None], list[Commit]] = {}
        self._changes_path: dict[tuple[str, bytes], bool] = {}
        self._entries: dict[tuple[str, str], Entry | None] = {}

    def head(self) -> Commit | None:
        """The newest commit, None before the baseline."""
        return next(self.history(1), None)

    def history(self, limit: int | None = None, path: str | None = None) -> Iterator[Commit]:
        """The commits, newest first, at most `limit`; with `path` those that changed it or what is below it."""
        head = self._repository.head()
        if head is None:
            return
        if path is None:
            yield from self._log(head, limit, None)
            return
        name = os.fsencode(path)
        try:
            commits = self._log(head, None, name)
        except StoreError:  # a repaired store may lack what an old commit held
            commits = self._log(head, None, None)
        with ObjectReader(self._repository) as reader:
            # The listing is of the whole folder: see whether the line of this path is among what changed.
            changed = (commit for commit in commits if self._may_change(reader, commit, name))
            yield from itertools.islice(changed, limit)

    def _added(self, parent: str, commit: Commit, changed: Collection[bytes]) -> None:
        """The store has this commit on top of `parent` now, which changed these paths: git need not be asked for it."""
        for (head, limit, path), commits in list(self._logs.items()):
            if head == parent and limit is None:
                concerned = path is None or any(_covers(path, each) for each in changed)
                _keep(self._logs, (commit.id, None, path), [commit, *commits] if concerned else commits)
        _keep(self._logs, (commit.id, 1, None), [commit])

    def _remember_newest(self, commit: Commit | None) -> None:
        """It was read by its id: git need not be asked for it."""
        if commit is not None:
            _keep(self._logs, (commit.id, 1, None), [commit])

    def find(self, ref: str) -> Commit:
        """The commit that `ref` names: `HEAD`, a step (its newest apply), an id or the beginning of one."""
        commits = list(self.history())
        if not commits:
            raise StoreError(f"there is no commit {ref!r}: the history is empty.")
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
        import difflib  # for an error alone

        near = difflib.get_close_matches(ref, steps, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        if len(ref) < SHORTEST_ID and _SHORT_ID.match(ref.lower()):
            hint = f": of the id of a commit at least {SHORTEST_ID} digits are needed."
        raise StoreError(
            f"there is no commit or applied step {ref!r}{hint} Applied steps: {', '.join(steps) or 'none'}."
        )

    def diff(self, ref: str | Commit, in_words: Callable[[bytes], bytes] = bytes) -> str:
        """What a commit changed, for people: metadata in words (`/etc/x: mode 0640 -> 0600`), text files as a
        unified diff, binary and huge files by name; for the baseline a list of what it holds. Control
        characters are shown as escapes; what `secret_text` hides is not shown. Where `in_words` says the content
        of an encoded file otherwise, that is compared."""
        with ObjectReader(self._repository) as reader:
            compared = compare(reader, self._id(ref))
            patches = self._patches(reader, compared, in_words)
        lines: list[str] = []
        for one in compared.differences:
            name = visible(os.fsdecode(one.path))
            lines += [f"/{name}: {line}" for line in _metadata_lines(one)]
            lines += map(visible_bytes, patches.get(one.path, ()))
        return "".join(line + "\n" for line in lines)

    def _patches(
        self, reader: ObjectReader, compared: Comparison, in_words: Callable[[bytes], bytes]
    ) -> dict[bytes, list[bytes]]:
        """Git's patch for each live path, by path, without what is secret."""
        if compared.before is None:
            return {}
        from snapshots.format.secret_text import PasswordMask, hidden, may_be_of_a_key

        output = self._repository.run(
            "-c", f"core.bigFileThreshold={_HUGE}", "diff-tree", "-r", "-p", "--no-renames", "--no-color",
            "--no-ext-diff", "--no-textconv", compared.before, compared.after,
            "--", ".", f":(exclude){layout.METADATA.decode()}", f":(exclude){layout.RECORD.decode()}",
        )  # fmt: skip
        sections: list[list[bytes]] = []
        for line in output.split(b"\n")[:-1]:
            if line.startswith(b"diff --git "):
                sections.append([])
            sections[-1].append(line)
        # The sections come in the order of the tree; a file that became a link, or the reverse, has two.
        patches: dict[bytes, list[bytes]] = {}
        remaining = iter(sections)
        for one in compared.raw:
            if layout.is_live(one.name):
                patch = [line for _ in range(2 if one.type_changed else 1) for line in next(remaining)]
                path = layout.from_tree(one.name)
                name = os.fsdecode(path)
                # Only where a line could be of a key, or of a certificate, the whole contents are looked at.
                sides = [blob for blob in (one.before, one.after) if blob]
                contents = reader.read(sides) if may_be_of_a_key(b"\n".join(patch)) else []
                instead = hidden(name, *contents)
                if contents and not one.type_changed:
                    found = iter(contents)
                    pair = tuple((next(found) or b"") if blob else b"" for blob in (one.before, one.after))
                    patch = _said(patch, pair, in_words)
                patches[path] = [instead.encode()] if instead else list(map(PasswordMask(name).line, patch))
        return patches

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
        """Whether a commit changed `path` or what is below it; True where that cannot be read any more."""
        known = self._changes_path.get((commit.id, path))
        if known is None:
            try:
                known = any(_covers(path, one.path) for one in compare(reader, commit.id).differences)
            except StoreError:
                known = True
            _keep(self._changes_path, (commit.id, path), known)
        return known

    def _id(self, ref: str | Commit) -> str:
        if isinstance(ref, Commit):
            return ref.id
        if ref == "HEAD" and (head := self._repository.head()):
            return head
        return ref if _WHOLE_ID.match(ref) else self.find(ref).id


def _said(patch: list[bytes], pair: tuple[bytes, ...], in_words: Callable[[bytes], bytes]) -> list[bytes]:
    """The patch with its hunks made of the contents in words, where these are others and differ."""
    before, after = map(in_words, pair)
    if (before, after) == pair:
        return patch
    import difflib

    head = itertools.takewhile(lambda line: not line.startswith(b"@@"), patch)
    made = difflib.diff_bytes(difflib.unified_diff, before.splitlines(), after.splitlines(), lineterm=b"")
    hunks = list(made)[2:]
    return [*head, *hunks] if hunks else patch


def _keep(answers: dict[Key, Answer], key: Key, answer: Answer) -> Answer:
    """The answer, kept; all before it go when they are too many."""
    if len(answers) >= _KEPT:
        answers.clear()
    answers[key] = answer
    return answer


def _covers(path: bytes, changed: bytes) -> bool:
    return changed == path or changed.startswith(path + b"/")


def _names(commits: list[Commit]) -> str:
    more = ", …" if len(commits) > _SHOWN else ""
    return ", ".join(f"{one.short} ({one.subject[:40]})" for one in commits[:_SHOWN]) + more


def _metadata_lines(one: Difference) -> list[str]:
    """What differs beside the content, such as `mode 0640 -> 0600`, `owner root -> smmta`."""
    before, after = one.before, one.after
    if before is None or after is None:
        there = after or before
        return [f"{one.what}, {_described(there)}"] if there else []
    lines = []
    if one.what is What.KIND or before.special != after.special:
        lines.append(f"{_kind(before)} -> {_kind(after)}")
    if before.mode != after.mode:
        lines.append(f"mode {before.mode:04o} -> {after.mode:04o}")
    if before.uid != after.uid:
        lines.append(f"owner {_change(before.owner, before.uid, after.owner, after.uid)}")
    if before.gid != after.gid:
        lines.append(f"group {_change(before.group, before.gid, after.group, after.gid)}")
    old, new = dict(before.xattrs), dict(after.xattrs)
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            lines.append(f"attribute {name} removed")
        elif new[name] != old.get(name):
            verb = "changed" if name in old else "added"
            lines.append(f"attribute {name} {verb} ({len(new[name])} bytes)")
    return lines


def _described(there: Metadata) -> str:
    owner, group = there.owner or there.uid, there.group or there.gid
    text = f"{_kind(there)}, mode {there.mode:04o}, owner {owner}, group {group}"
    return ", ".join((text, *(f"attribute {name}" for name, _ in there.xattrs)))


def _kind(there: Metadata) -> str:
    if is_large(there.special):
        size, time = map(int, there.special.split(":")[1:])
        when = datetime.fromtimestamp(time // 1_000_000_000, UTC).isoformat(" ", "seconds")
        return f"large file ({size} bytes of {when}, content not kept)"
    return there.special if there.kind is Kind.SPECIAL else there.kind.value


def _change(old_name: str, old: int, new_name: str, new: int) -> str:
    if old_name == new_name:  # the name moved to another number
        return f"{old_name}({old}) -> {new_name}({new})" if old_name else f"{old} -> {new}"
    return f"{old_name or old} -> {new_name or new}"
