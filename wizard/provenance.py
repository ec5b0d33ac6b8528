"""Whose a difference below /etc is: what our own processes wrote, told from what others did at the same time.

A file change knows its bytes. A command says what it may claim, by evidence: dpkg's own lists, links to what a package
brought, names of accounts. Everything else that changed meanwhile is somebody else's (docs/provenance.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from snapshots.accounts import database, records_of
from snapshots.entry import Entry, Kind
from wizard.changes.claim import Claim
from wizard.changes.file import FileEffect

if TYPE_CHECKING:
    from snapshots.merge import EntryMerge
    from wizard.host import Host
    from wizard.plan import Effect

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

    @classmethod
    def of(cls, host: Host, effects: Sequence[Effect], merge: Merge) -> Provenance:
        """Read on the host what each effect may claim. Raises HostError."""
        files = tuple(effect for effect in effects if isinstance(effect, FileEffect))
        others = [effect for effect in effects if not isinstance(effect, FileEffect)]
        return cls(files, tuple(effect.claim(host) for effect in others), merge)

    def and_of(self, other: Provenance) -> Provenance:
        """The claims of both, on the same files: before and after packages came or went."""
        return replace(self, claims=(*self.claims, *other.claims))

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the files that were written, each once."""
        return tuple(dict.fromkeys(_relative(effect.path) for effect in self.files))

    def ours(self, before: States, live: States) -> dict[str, Entry | None]:
        """What the step made of `before`, without anybody else's work: what its commit is to hold."""
        made: dict[str, Entry | None] = {}
        for path in dict.fromkeys((*live, *self.paths)):
            entry, there = before.get(path), live.get(path)
            own = self._files_of(path)
            if self.claimed(path, entry, there):  # what a command did to it came first
                entry = self._part(path, entry, own[0].before if own else there)
            for effect in own:
                entry = self._settled(path, effect.before, entry, effect.after)
            made[path] = entry
        made = {path: entry for path, entry in made.items() if entry != before.get(path)}
        return made | {path: live[path] for path in _new_folders(made, before, live)}

    def undone(self, before: States, live: States) -> tuple[dict[str, Entry | None], dict[str, EntryMerge]]:
        """What is to be at each path once the step is undone, where that is not what is there: everybody else's work
        stays. And where both changed the same: the merges, which keep the others' side."""
        targets: dict[str, Entry | None] = {}
        met: dict[str, EntryMerge] = {}
        for path in dict.fromkeys((*live, *self.paths)):
            entry, there = before.get(path), live.get(path)
            own, target = self._files_of(path), there
            for effect in reversed(own):
                merge = self.merge(path, effect.after, target, effect.before)
                target = merge.entry
                if merge.conflicts:
                    met[path] = merge
            if self.claimed(path, entry, there) and (not own or target == own[0].before):
                target = self._part(path, target, entry)
            if target != there:
                targets[path] = target
        goes = [path for path, target in targets.items() if target is None]
        return targets | dict.fromkeys(_new_folders(goes, before, live)), met

    def _files_of(self, path: str) -> list[FileEffect]:
        return [effect for effect in self.files if _relative(effect.path) == path]

    def _settled(
        self, path: str, base: Entry | None, ours: Entry | None, theirs: Entry | None
    ) -> Entry | None:
        merge = self.merge(path, base, ours, theirs)
        return theirs if merge.conflicts else merge.entry

    def claimed(self, path: str, before: Entry | None, live: Entry | None) -> bool:
        """Whether a command did this to the path, or to accounts in it."""
        if before == live:
            return False
        if database(path):
            return any(claim.accounts for claim in self.claims)
        return any(claim.owns(path, before, live) for claim in self.claims)

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


def _new_folders(paths: Iterable[str], before: States, live: States) -> list[str]:
    """The folders of the paths that were not there before."""
    above = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
    return [
        each
        for each in sorted(above)
        if before.get(each) is None and (entry := live.get(each)) and entry.kind is Kind.DIRECTORY
    ]


def _relative(path: str) -> str:
    return path.lstrip("/")
