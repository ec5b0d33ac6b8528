"""The engine's hand on the snapshot store: baseline, drift, one commit a step, and the way back when a step fails."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from snapshots.errors import StoreError
from snapshots.format.message import author_from_environment
from snapshots.live.entry import Kind, is_temporary
from snapshots.merge.accounts import database
from wizard.changes.file import FileEffect, merged
from wizard.changes.packages import PackagesBefore, PackagesEffect
from wizard.changes.records import effects_of
from wizard.engine.provenance import Provenance, States
from wizard.errors import HostError
from wizard.model.events import Drifted, Report
from wizard.model.facts import DECLARED
from wizard.model.generated_files import KEPT_UP
from wizard.model.plan import Check, Effect, Plan, Step
from wizard.packages.witness import evidence_of
from wizard.system.host import Host, Say
from wizard.system.links import real

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from snapshots.merge.path_merge import EntryMerge
    from snapshots.store import Commit, Store
    from wizard.engine.in_force import Target

Targets = Mapping[str, tuple["Entry | None", "Entry | None"]]
"""By path: what it is, and what it is to be."""
SCHEMA = 1
_NOTHING: States = MappingProxyType({})


class Recorder:
    """Commits of one run, by the admin behind sudo or SSH."""

    def __init__(self, host: Host, store: Store, run: str, report: Report) -> None:
        self.host = host
        self.store = store
        self._report = report
        author = author_from_environment(os.environ)
        self.who = author.name
        """The admin behind sudo or SSH."""
        self._kept = partial(store.commit, run=run, author=author)
        self.started_with = True
        """Whether sendmail is known to have started with the configuration that the run found."""
        self.looked = 0.0
        """When it last looked for what others have done, in seconds since the epoch."""

    def _commit(self, *, entries: States | None = None, **more: Any) -> Commit | None:
        """A commit of the store, each of the entries by the one name that the history has for it."""
        return self._kept(entries=None if entries is None else self._placed(entries), **more)

    def _placed(self, entries: States) -> States:
        """What lies outside /etc behind a link is in no snapshot."""
        places = {path: real(self.host, f"/{path}")[1:] for path in entries if path.startswith("etc/")}
        behind = {place: entries[path] for path, place in places.items() if place != path}
        below = {path: entry for path, entry in behind.items() if path.startswith("etc/")}
        return below | {path: entry for path, entry in entries.items() if places.get(path, path) == path}

    def baseline(self) -> None:
        """The host as it is found, before the first change ever. What has changed since the last run is drift."""
        self.store.declare(DECLARED)
        if self.store.head() is None:
            self._commit(operation="baseline", subject="The host as it was found")

    def head(self) -> str:
        """The id of the newest commit. Raises StoreError when there is none."""
        head = self.store.head()
        if head is None:
            raise StoreError("The snapshot store has no commit yet.")
        return head.id

    def drift(self, entries: States | None = None) -> None:
        """Commit what changed outside the wizard, so that a step's commit holds that step's change alone; with `entries`
        these, where a step's work is there, too."""
        self.looked = time.time() if entries is None else self.looked
        commit = self._commit(operation="drift", subject="Changes made outside msa-wizard", entries=entries)
        if commit is None:
            return
        paths = [change.path for change in self.store.changed(commit)]
        # What the system writes beside each change of an account or a library is no news to anybody.
        beside = {*KEPT_UP, *(path for path in paths if path.endswith("-") and database(path) is not None)}
        if theirs := tuple(path for path in paths if path not in beside):
            self._report(Drifted(commit.short, theirs))

    def settings(self, before: States) -> None:
        """Commit the settings that the program has just saved; what others had made of these paths `before` is drift."""
        self.drift(before)
        live = {path: self.host.entry(f"/{path}") for path in before}
        self._commit(operation="settings", subject="The settings of msa-wizard", entries=live)

    def record(
        self,
        step: Step,
        plan: Plan,
        effects: Sequence[Effect],
        checks: Sequence[Check],
        before: str,
        answers: Mapping[str, object],
    ) -> str:
        """One commit for what the step itself did since the commit `before`, with the effects that are not files beside
        it, and the answers that asked for it. Returns its short id."""
        judged = [{"id": check.id, "sign": check.sign, "says": check.says} for check in checks]
        commit = self._commit(
            operation="apply",
            subject=f"{step.id}: {step.title}",
            body=f"{plan.reason}\n\n" + "\n".join(f"- {change.describe().title}" for change in plan.changes),
            step=step.id,
            howto=step.howto,
            record=_record(
                effects, step=step.id, checks=judged, started_with=self.started_with, answers=answers
            ),
            entries=self._own(effects, before),
        )
        assert commit is not None, "a record makes a commit"
        return commit.short

    def note(self, subject: str, step: str | None, operation: str = "rollback") -> str:
        """A commit that changes nothing, and tells what was undone before it could be recorded; its short id."""
        commit = self._commit(operation=operation, subject=subject, step=step, record=_record(()), entries={})
        assert commit is not None, "a record makes a commit"
        return commit.short

    def record_rollback(
        self,
        operation: str,
        subject: str,
        body: str,
        target: Target,
        effects: Sequence[Effect],
        before: str,
        in_part: Sequence[Commit] = (),
    ) -> str:
        """One commit for what was rolled back since the commit `before`, with the effects that are not files. Commits that went
        `in_part` stay in force.

        Returns its short id."""
        commit = self._commit(
            operation=operation,
            subject=subject,
            body=body,
            step=target.steps[0] if len(target.steps) == 1 else None,
            record=_record(effects, **({"in_part": [commit.id for commit in in_part]} if in_part else {})),
            reverts=[commit.id for commit in target.commits if commit not in in_part],
            entries=self._own(effects, before),
        )
        assert commit is not None, "a record makes a commit"
        return commit.short

    def settle(self, effects: Sequence[Effect], say: Say) -> None:
        """What others have written into the files that were replaced, since: it is brought into the new ones.

        Raises ChangeError where both wrote the same lines."""
        for effect in effects:
            if isinstance(effect, FileEffect):
                effect.settle(self.host, say)

    def states(
        self, provenance: Provenance, before: str, leave: Set[str] = frozenset()
    ) -> tuple[States, States]:
        """The paths in question as the commit `before` has them, and as they are."""
        self.looked = time.time()
        pending = [change.path for change in self.store.pending() if not is_temporary(change.path)]
        paths = [path for path in dict.fromkeys((*pending, *provenance.paths)) if path not in leave]
        return self.store.entries(before, paths), {path: self.host.entry(f"/{path}") for path in paths}

    def provenance(self, effects: Sequence[Effect]) -> Provenance:
        """What these effects may call their own, as dpkg's lists are now. Raises HostError."""
        return Provenance.of(self.host, effects, self.merge)

    def as_brought(self, packages: Sequence[PackagesEffect | PackagesBefore]) -> dict[str, Entry]:
        """The files of packages that went as these write them, by the newest step that brought packages: where they are
        there again somebody may have edited them since, and that stays."""
        tops = [path.lstrip("/") for effect in packages for path in effect.tops]
        for commit in self.store.history() if tops else ():
            effects = effects_of(self.store, commit) if commit.operation == "apply" else []
            if any(isinstance(effect, PackagesEffect) and effect.installed for effect in effects):
                files = self.store.entries(commit.id, tops)
                return {path: entry for path, entry in files.items() if entry and entry.kind is Kind.FILE}
        return {}

    def taken_along(
        self, marks: Iterable[str], looked: States = _NOTHING
    ) -> dict[str, tuple[Entry | None, Entry]]:
        """What others wrote while the commands with these marks ran, where that is not what is there, or where what is
        there is not what was `looked` at before: what is there, and what they had left there.

        Of new files those whose folder went too: who took another one away again cannot be told. Raises HostError."""
        try:
            evidence = evidence_of(self.host, marks)
        except OSError as error:
            raise HostError(f"what others wrote while packages went cannot be read: {error}") from error
        others = {path.lstrip("/"): entries for path, entries in evidence.others.items()}
        taken: dict[str, tuple[Entry | None, Entry]] = {}
        for path in dict.fromkeys((*others, *looked)):
            live, seen = self.host.entry(f"/{path}"), looked.get(path)
            edited = _is_file(live) and live != seen and path in looked and evidence.wrote(path) is False
            if database(path) is not None or not (path in others or edited):
                continue
            parts = (seen, *others.get(path, ()), live)
            whole = _whole([entry for entry in parts if entry is not None and _is_file(entry)])
            if whole != live or edited:
                taken[path] = (live, whole)
        known = self.store.entries(self.head(), list(taken))
        for path, (live, _) in list(taken.items()):
            folder, _, name = path.rpartition("/")
            new = known.get(path) is None and live is None
            if new and (_DRAFT.fullmatch(name) or self.host.exists(f"/{folder}")):
                del taken[path]
        return taken

    def after_packages(
        self, targets: Targets, effects: Sequence[Effect], before: str
    ) -> dict[str, tuple[Entry | None, Entry | None]]:
        """The targets once packages went or came again, each from what it is now: what these did to a path is no work of
        others. And what they did to what is not among the targets, from what it is to what the commit `before` has: work
        of others in their folders comes back, and so do folders of what is to be."""
        provenance = self.provenance(effects)
        _, live = self.states(provenance, before)
        wanted = {
            path: (provenance.by_commands(path, now, live[path]) if path in live else now, entry)
            for path, (now, entry) in targets.items()
        }
        commands = replace(provenance, files=())
        then, live = self.states(commands, before, {*targets, *KEPT_UP})
        rest, _ = commands.undone(then, live)
        stay = [path for path, (_, entry) in targets.items() if entry is not None]
        for path, entry in then.items():
            if live[path] is None and any(each.startswith(f"{path}/") for each in stay):
                rest.setdefault(path, entry)
        return wanted | {path: (live.get(path), entry) for path, entry in rest.items()}

    def _own(self, effects: Sequence[Effect], before: str) -> dict[str, Entry | None]:
        """What the effects made of the commit `before`, without anybody else's work; what of that we met is committed
        first."""
        provenance = self.provenance(effects)
        then, live = self.states(provenance, before)
        if others := provenance.met(then):
            self.drift(others)
            then = {**then, **others}
        return provenance.ours(then, live)

    def merge(self, path: str, base: Entry | None, ours: Entry | None, theirs: Entry | None) -> EntryMerge:
        return merged(self.host, f"/{path}", base, ours, theirs)

    def record_rolled_back(self, commits: Sequence[Commit], entries: States) -> None:
        """The files of these steps of this run, newest first, were rolled back, since a later one was not done."""
        names = [str(commit.step) for commit in commits]
        self._commit(
            reverts=[commit.id for commit in commits],
            operation="rollback",
            subject=f"{', '.join(names)}: rolled back, since a later step was not done",
            step=names[0] if len(names) == 1 else None,
            howto=commits[0].howto if len(names) == 1 else None,
            entries=entries,
        )


_DRAFT = re.compile(r"4913|.*~|\..*\.sw[a-z]|sed\w{6}")
"""Files that editors make beside the one that is edited, and remove."""


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.FILE


def _whole(entries: Sequence[Entry]) -> Entry:
    """The last of the files that had one path, with what was in those before it where these were taken away, and somebody
    went on appending. One that was saved in the place of another has lines of that one."""
    parts = [entries[0]]
    for entry in entries[1:]:
        lines = [set(each.content.splitlines()) for each in (parts[-1], entry)]
        apart = entry.kind is parts[-1].kind is Kind.FILE and all(lines) and not lines[0] & lines[1]
        parts = [*parts, entry] if apart else [*parts[:-1], entry]
    return replace(entries[-1], content=b"".join(each.content for each in parts))


def _record(effects: Sequence[Effect], **more: object) -> bytes:
    """What a commit keeps beside the tree."""
    record = {"schema": SCHEMA, "effects": [effect.record() for effect in effects], **more}
    return json.dumps(record, indent=1, sort_keys=True).encode()
