"""Whose a difference below /etc is: what our own processes wrote, told from what others did at the same time.

A file change knows its bytes. A command says what it may claim, by evidence: dpkg's own lists, links to what a package
brought, names of accounts. Everything else that changed meanwhile is somebody else's (docs/provenance.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from snapshots.live.entry import Entry, Kind
from snapshots.merge.accounts import alike, between, database, records_of
from wizard.changes.command import CommandEffect
from wizard.changes.file import FileEffect
from wizard.model.claim import Claim
from wizard.model.generated_files import KEPT_UP, derived

if TYPE_CHECKING:
    from snapshots.merge.path_merge import EntryMerge
    from wizard.model.plan import Effect
    from wizard.system.host import Host

States = Mapping[str, Entry | None]
"""What is at each path, relative to the root; None: nothing."""
Merge = Callable[[str, Entry | None, Entry | None, Entry | None], "EntryMerge"]
"""path, base, ours, theirs: what the change from base to theirs makes of ours."""


@dataclass(frozen=True)
class Provenance:
    """The effects of one step, in the order in which they were made, and what they claim. Pure."""

    files: tuple[FileEffect, ...]
    claims: tuple[Claim, ...]
    merge: Merge
    known: States = field(default_factory=dict)
    """How a command writes files whenever it writes them, where that is known."""

    @classmethod
    def of(cls, host: Host, effects: Sequence[Effect], merge: Merge) -> Provenance:
        """Read on the host what each effect may claim. Raises HostError."""
        written = [effect.writes if isinstance(effect, CommandEffect) else (effect,) for effect in effects]
        files = tuple(file for each in written for file in each if isinstance(file, FileEffect))
        others = [effect for effect in effects if not isinstance(effect, FileEffect)]
        return cls(files, tuple(effect.claim(host) for effect in others), merge)

    def without(self, kept: Sequence[Claim]) -> Provenance:
        """The same files, and of the claims what none of `kept` claims."""
        claims = list(self.claims)
        for each in kept:
            claims = [claim.without(each) for claim in claims]
        return replace(self, claims=tuple(claims))

    def edited(self, path: str, before: Entry | None, live: Entry | None) -> bool:
        """Whether somebody has edited a file since a command wrote it, or that the command has not come to."""
        known = self.known.get(path)
        there = known is not None and live is not None and live.kind is Kind.FILE
        return there and live not in (before, known)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the files that were written, each once."""
        return tuple(dict.fromkeys(_relative(effect.path) for effect in self.files))

    def met(self, before: States) -> dict[str, Entry | None]:
        """What somebody else had made of a path since `before` when we wrote to it first, or removed it: the history is
        to have that even where nothing of it is left."""
        others: dict[str, Entry | None] = {}
        for path in self.paths:
            entry, then = before.get(path), self._files_of(path)[0].before
            if entry != then and not self.claimed(path, entry, then) and not derived(path):
                others[path] = then
        return others

    def ours(self, before: States, live: States) -> dict[str, Entry | None]:
        """What the step made of `before`, without anybody else's work: what its commit is to hold."""
        own: dict[str, Entry | None] = {}
        for path in dict.fromkeys((*live, *self.paths)):
            entry = before.get(path)
            for old, new in self._writes(path, entry, live.get(path)):
                merge = self.merge(path, old, entry, new)
                entry = new if merge.conflicts else merge.entry
            if entry != before.get(path):
                own[path] = entry
        own |= self._copies(own, before, live)
        if any(claim.of_packages for claim in self.claims):
            own |= {path: live[path] for path in KEPT_UP & live.keys() if live[path] != before.get(path)}
        return own | {path: live.get(path) for path in _folders(own, before, live)}

    def _copies(self, own: States, before: States, live: States) -> dict[str, Entry | None]:
        """The backups of account databases: a copy of the database brings them to where that was, whoever had changed it,
        or to where the step brought it."""
        copies: dict[str, Entry | None] = {}
        for path, entry in live.items():
            name, was = database(path), before.get(path[:-1])
            if path.endswith("-") and name and entry and was and self.claimed(path, before.get(path), entry):
                start = own.get(path, before.get(path))
                old = start.content if start else b""
                brought = own.get(path[:-1]) or was
                names = between(name, was.content, brought.content, entry.content).union(
                    *(alike(name, each.content, entry.content, old) for each in (was, brought))
                )
                copies[path] = replace(entry, content=records_of(name, old, entry.content, names))
        return {path: copy for path, copy in copies.items() if copy != before.get(path)}

    def undone(self, before: States, live: States) -> tuple[dict[str, Entry | None], dict[str, EntryMerge]]:
        """What is to be at each path once the step is undone, where that is not what is there: everybody else's work
        stays. And where both changed the same: the merges, which keep the others' side."""
        targets: dict[str, Entry | None] = {}
        met: dict[str, EntryMerge] = {}
        for path in dict.fromkeys((*live, *self.paths)):
            target = live.get(path)
            for old, new in reversed(self._writes(path, before.get(path), target)):
                merge = self.merge(path, new, target, old)
                target = merge.entry
                if merge.conflicts:
                    met[path] = merge
            if target != live.get(path):
                targets[path] = target
        targets |= self._backups(targets, before, live)
        targets = {path: before.get(path) for path in _folders(targets, before, live)} | targets
        # Folders stay that hold what stays.
        stay = [path for path in (*live, *targets) if targets.get(path, live.get(path)) is not None]
        above = folders_above(stay)
        return {path: to for path, to in targets.items() if to is not None or path not in above}, met

    def _backups(self, targets: States, before: States, live: States) -> dict[str, Entry | None]:
        """The backups of account databases (`etc/shadow-`) as they were, where nobody else has changed an account."""
        if not any(claim.accounts for claim in self.claims):
            return {}
        accounts = {path[:-1]: path for path in live if path.endswith("-") and database(path)}
        as_before = [path for path in accounts if targets.get(path, live.get(path)) == before.get(path)]
        return {accounts[path]: before.get(accounts[path]) for path in as_before}

    def _writes(
        self, path: str, before: Entry | None, live: Entry | None
    ) -> list[tuple[Entry | None, Entry | None]]:
        """What was done to the path, each time from what to what: by a command, which came first, then file by file; and
        by a command that came later, as a start of sendmail that makes it again, or packages that come back."""
        own = [(effect.before, effect.after) for effect in self._files_of(path)]
        left = own[0][0] if own else live
        last = self._by_command(path, own[-1][1], live) if own else []
        return [*self._by_command(path, before, left), *own, *last]

    def _by_command(
        self, path: str, before: Entry | None, left: Entry | None
    ) -> list[tuple[Entry | None, Entry | None]]:
        if not self.claimed(path, before, left):
            return []
        written = self._seen(path, left)
        return [(before, written) if written else (self._part(path, left, before), left)]

    def _seen(self, path: str, left: Entry | None) -> Entry | None:
        """What a command was seen to write there, where somebody has changed that since."""
        if database(path) or left is None or left.kind is not Kind.FILE:
            return None
        if path in self.known:
            return self.known[path] if self.known[path] != left else None
        files = (claim.left[path] for claim in self.claims if path in claim.left)
        return next(
            (replace(left, content=file.content) for file in files if file.content != left.content), None
        )

    def _files_of(self, path: str) -> list[FileEffect]:
        return [effect for effect in self.files if _relative(effect.path) == path]

    def claimed(self, path: str, before: Entry | None, live: Entry | None) -> bool:
        """Whether a command did this to the path, or to accounts in it."""
        if before == live:
            return False
        if database(path.removesuffix("+")):  # with a plus: what adduser left, cut short
            return any(claim.accounts for claim in self.claims)
        return any(claim.owns(path, before, live) for claim in self.claims)

    def by_commands(self, path: str, before: Entry | None, live: Entry | None) -> Entry | None:
        """What the commands alone made of `before`, seen by what is there now."""
        return self._part(path, before, live) if self.claimed(path, before, live) else before

    def _part(self, path: str, entry: Entry | None, other: Entry | None) -> Entry | None:
        """`entry` with what is ours of `other`: all of it, but for account files."""
        name, there = database(path), entry or other
        if name is None or there is None:
            return other
        names = frozenset[str]().union(*(claim.accounts for claim in self.claims))
        sides = [each.content if each else b"" for each in (entry, other)]
        content = records_of(name, sides[0], sides[1], names)
        if not content and (entry is None or other is None):
            return None
        return replace(there, content=content)


def _folders(paths: Iterable[str], before: States, live: States) -> list[str]:
    """The folders of the paths that came or went with them."""
    return [
        path
        for path in sorted(folders_above(paths))
        if _is_folder(before.get(path)) != _is_folder(live.get(path))
    ]


def folders_above(paths: Iterable[str]) -> set[str]:
    """The folders in which the paths are, as far as they are named; paths are relative to the root."""
    return {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.DIRECTORY


def _relative(path: str) -> str:
    return path.lstrip("/")
