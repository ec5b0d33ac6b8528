"""The engine's hand on the snapshot store: baseline, drift, one commit a step, and the way back when a step fails."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from snapshots.store import Author, author_from_environment
from wizard.changes.file import FileEffect, in_turn, kept_sentence, merged
from wizard.changes.service import reload_units
from wizard.derived import DATED, derived
from wizard.events import Drifted, Report
from wizard.facts import DECLARED
from wizard.host import Host, HostError
from wizard.plan import ChangeError, Check, Effect, Plan, Say, Step
from wizard.provenance import Provenance, States

if TYPE_CHECKING:
    from snapshots.entry import Entry
    from snapshots.merge import EntryMerge
    from snapshots.store import Store
    from wizard.standing import Target

Targets = Mapping[str, tuple["Entry | None", "Entry | None"]]
"""By path: what it is, and what it is to be."""
SCHEMA = 1
_UNITS = ("etc/systemd/",)


class Recorder:
    """Commits of one run, by the admin behind sudo or SSH."""

    def __init__(self, host: Host, store: Store, run: str, report: Report) -> None:
        self._host = host
        self._store = store
        self._run = run
        self._report = report
        self._author: Author = author_from_environment(os.environ)
        self._steps: dict[str, str] = {}
        """The commits of this run's steps."""

    def baseline(self) -> None:
        """The host as it is found, before the first change ever. What has changed since the last run is drift."""
        self._store.declare(DECLARED)
        if self._store.head() is None:
            self._store.commit(
                operation="baseline", subject="The host as it was found", run=self._run, author=self._author
            )

    @property
    def who(self) -> str:
        """The admin behind sudo or SSH."""
        return self._author.name

    def head(self) -> str:
        """The id of the newest commit. Raises StoreError when there is none."""
        head = self._store.head()
        if head is None:
            raise StoreError("The snapshot store has no commit yet.")
        return head.id

    def drift(self) -> None:
        """Commit what changed outside the wizard, so that a step's commit holds that step's change alone."""
        commit = self._store.commit(
            operation="drift", subject="Changes made outside msa-wizard", run=self._run, author=self._author
        )
        if commit is not None:
            self._report(Drifted(commit.short, tuple(item.path for item in self._store.changed(commit))))

    def record(
        self, step: Step, plan: Plan, effects: Sequence[Effect], checks: Sequence[Check], before: str
    ) -> str:
        """One commit for what the step itself did since the commit `before`, with the effects that are not files beside
        it. Returns its short id."""
        body = {
            "schema": SCHEMA,
            "step": step.id,
            "effects": [effect.record() for effect in effects],
            "checks": [{"id": item.id, "sign": item.sign, "says": item.says} for item in checks],
        }
        commit = self._store.commit(
            operation="apply",
            subject=f"{step.id}: {step.title}",
            body=f"{plan.reason}\n\n" + "\n".join(f"- {change.describe().title}" for change in plan.changes),
            step=step.id,
            howto=step.howto,
            run=self._run,
            author=self._author,
            record=json.dumps(body, indent=1, sort_keys=True).encode(),
            entries=self._own(effects, before),
        )
        if commit is None:
            raise ChangeError("the snapshot store made no commit of this step")
        self._steps[step.id] = commit.id
        return commit.short

    def note(self, subject: str, step: str | None) -> None:
        """A commit that changes nothing, and tells what was taken back before it could be recorded."""
        shown = json.dumps({"schema": SCHEMA, "effects": []}).encode()
        self._store.commit(
            operation="rollback",
            subject=subject,
            step=step,
            run=self._run,
            author=self._author,
            record=shown,
            entries={},
        )

    def record_rollback(
        self, operation: str, subject: str, body: str, target: Target, effects: Sequence[Effect], before: str
    ) -> str:
        """One commit for what was rolled back since the commit `before`, with the effects that are not files.

        Returns its short id."""
        shown = {"schema": SCHEMA, "effects": [effect.record() for effect in effects]}
        commit = self._store.commit(
            operation=operation,
            subject=subject,
            body=body,
            step=target.steps[0] if len(target.steps) == 1 else None,
            run=self._run,
            author=self._author,
            record=json.dumps(shown, indent=1, sort_keys=True).encode(),
            reverts=[commit.id for commit in target.commits],
            entries=self._own(effects, before),
        )
        if commit is None:
            raise ChangeError("the snapshot store made no commit of this rollback")
        return commit.short

    def settle(self, effects: Sequence[Effect], say: Say) -> None:
        """What others have written into the files that were replaced, since: it is brought into the new ones.

        Raises ChangeError where both wrote the same lines."""
        for effect in effects:
            if isinstance(effect, FileEffect):
                effect.settle(self._host, say)

    def undo(
        self, effects: Sequence[Effect], before: str, say: Say, roll_back: Sequence[Step] = ()
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Take out what the effects did to the host since the commit `before`, and nothing that others did.

        The files of the steps in `roll_back`, applied earlier in this run, go first, so that a restarted daemon reads
        the old ones; that is recorded as a rollback. Returns what was undone and what could not be, in words."""
        if not effects and not roll_back:
            return (), ()
        undone: list[str] = []
        failed: list[str] = []
        try:
            provenance = Provenance.of(self._host, effects, self._merge)  # while their packages are here
            earlier = {step: self._roll_back_files(step, say, undone, failed) for step in roll_back}
            own = {path for entries in earlier.values() for path in entries}
            then, live = self._states(provenance, before, own)
            targets, met = provenance.undone(then, live)
            packages = [effect for effect in effects if effect.record()["kind"] == "packages"]
            others = [effect for effect in effects if effect not in packages and not _is_file(effect)]
            if self._undo_effects(packages, say, undone, failed):
                wanted = {path: live[path] for path in provenance.paths if path in live} | targets
                claims = provenance.and_of(Provenance.of(self._host, packages, self._merge))
                self._undo_files(claims, before, wanted, own, say, undone, failed)
                failed += [kept_sentence(f"/{path}", merge) for path, merge in met.items()]
            else:
                failed.append(
                    "the files in /etc stay as they are, for they belong to packages that are still installed"
                )
            try:
                reload_units(self._host, _UNITS)
            except HostError as error:
                failed.append(f"systemd was not told that units are back: {error}")
            self._undo_effects(others, say, undone, failed)  # services last: they read the files
            for step, entries in earlier.items() if not failed else ():  # else recovery rolls them back
                self._commit_rollback(step, entries)
        except (StoreError, HostError, PermissionError) as error:
            failed.append(f"files below /etc: {error}")
        return tuple(dict.fromkeys(undone)), tuple(failed)

    def _undo_effects(
        self, effects: Sequence[Effect], say: Say, undone: list[str], failed: list[str]
    ) -> bool:
        """False when packages could not be undone: their files must stay, then."""
        whole = True
        for effect in reversed(effects):
            name = _name(effect)
            try:
                effect.undo(self._host, say)
                if name:
                    undone.append(name)
            except (ChangeError, HostError) as error:
                failed.append(f"{name}: {error}")
                whole = whole and effect.record()["kind"] != "packages"
        return whole

    def _undo_files(
        self,
        claims: Provenance,
        before: str,
        wanted: States,
        leave: Set[str],
        say: Say,
        undone: list[str],
        failed: list[str],
    ) -> None:
        """The files as wanted; and what packages did to others when they went or came again is undone as well."""
        then, live = self._states(claims, before, leave, wanted)
        rest, _ = replace(claims, files=()).undone(then, live)
        targets = {path: (live.get(path), target) for path, target in (rest | dict(wanted)).items()}
        self._write(targets, say, undone, failed)

    def _states(
        self, provenance: Provenance, before: str, leave: Set[str] = frozenset(), more: Iterable[str] = ()
    ) -> tuple[States, States]:
        """The paths in question as the commit `before` has them, and as they are."""
        pending = [item.path for item in self._store.pending()]
        paths = [path for path in dict.fromkeys((*pending, *provenance.paths, *more)) if path not in leave]
        return self._store.entries(before, paths), {path: self._host.entry(f"/{path}") for path in paths}

    def taken_along(
        self, targets: Targets, effects: Sequence[Effect], before: str, leave: Set[str]
    ) -> dict[str, tuple[Entry | None, Entry | None]]:
        """What packages took along when they went, though the commit `before` has it, and it is not among the targets:
        work of others in their folders, and folders of what is to be."""
        provenance = Provenance.of(self._host, effects, self._merge)
        then, live = self._states(provenance, before, {*targets, *leave})
        gone = {path: entry for path, entry in then.items() if entry is not None and live[path] is None}
        back = {path for path, entry in gone.items() if provenance.claimed(path, entry, None)}
        back |= {path for path, (_, wanted) in targets.items() if wanted is not None}
        return {
            path: (None, entry)
            for path, entry in gone.items()
            if path in back or any(each.startswith(f"{path}/") for each in back)
        }

    def as_packages_left_them(
        self, targets: Targets, effects: Sequence[Effect], before: str
    ) -> dict[str, tuple[Entry | None, Entry | None]]:
        """The targets, each from what it is now that packages came or went: what these did to a path is no work of
        others."""
        provenance = Provenance.of(self._host, effects, self._merge)
        _, live = self._states(provenance, before)
        return {
            path: (provenance.by_commands(path, now, live[path]) if path in live else now, wanted)
            for path, (now, wanted) in targets.items()
        }

    def _own(self, effects: Sequence[Effect], before: str) -> dict[str, Entry | None]:
        """What the effects made of the commit `before`, without anybody else's work."""
        provenance = Provenance.of(self._host, effects, self._merge)
        return provenance.ours(*self._states(provenance, before))

    def _merge(self, path: str, base: Entry | None, ours: Entry | None, theirs: Entry | None) -> EntryMerge:
        return merged(self._host, f"/{path}", base, ours, theirs)

    def _roll_back_files(self, step: Step, say: Say, undone: list[str], failed: list[str]) -> States:
        """The files of a step of this run as they were before it, later work of others kept; what they are then."""
        from snapshots.merge import Choice

        commit = self._store.find(self._steps[step.id])
        reversal = self._store.reverse([commit], choice=Choice.KEEP, derived=derived, dated=DATED)
        self._write(reversal.targets, say, undone, failed)
        return {path: wanted for path, (_, wanted) in reversal.targets.items()}

    def _commit_rollback(self, step: Step, entries: States) -> None:
        self._store.commit(
            reverts=[self._steps[step.id]],
            operation="rollback",
            subject=f"{step.id}: rolled back, since a later step failed",
            step=step.id,
            howto=step.howto,
            run=self._run,
            author=self._author,
            entries=entries,
        )

    def _write(
        self,
        targets: Targets,
        say: Say,
        undone: list[str],
        failed: list[str],
    ) -> None:
        """Each path from what it is to what it is to be, with what others write at this very moment."""
        effects = []
        for change in in_turn({path: pair for path, pair in targets.items() if pair[0] != pair[1]}):
            try:
                effects.append(change.apply(self._host, say))
                undone.append(f"{change.path} ({'removed' if change.after is None else 'as before'})")
            except ChangeError as error:
                failed.append(str(error))
        try:
            self.settle(effects, say)
        except ChangeError as error:
            failed.append(str(error))


def _is_file(effect: Effect) -> bool:
    return effect.record()["kind"] == "file"


def _name(effect: Effect) -> str:
    shown = effect.record()
    match shown["kind"]:
        case "packages":
            return "packages (as before)"
        case "rules":
            return "live firewall rules (as before)"
        case "service":
            return f"service {shown['name']} (as before)"
        case _:
            return ""
