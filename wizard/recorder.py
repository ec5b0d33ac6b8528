"""The engine's hand on the snapshot store: baseline, drift, one commit a step, and the way back when a step fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from snapshots.store import Author, author_from_environment
from wizard.changes.service import reload_units
from wizard.derived import in_order
from wizard.events import Drifted, Report
from wizard.facts import DECLARED
from wizard.host import Host, HostError
from wizard.plan import ChangeError, Check, Effect, Plan, Say, Step

if TYPE_CHECKING:
    from snapshots.store import Store
    from wizard.standing import Target

SCHEMA = 1


class Recorder:
    """Commits of one run, by the admin behind sudo or SSH."""

    def __init__(self, host: Host, store: Store, run: str, report: Report) -> None:
        self._host = host
        self._store = store
        self._run = run
        self._report = report
        self._author: Author = author_from_environment(os.environ)
        self._steps: dict[str, tuple[str, str]] = {}

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
        """One commit for the step, with the effects that are not files beside it; `before` is the newest commit
        so far. Returns its short id."""
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
        )
        if commit is None:
            raise ChangeError("the snapshot store made no commit of this step")
        self._steps[step.id] = (before, commit.id)
        return commit.short

    def note(self, subject: str, step: str | None) -> None:
        """A commit that changes nothing, and tells what was taken back before it could be recorded."""
        shown = json.dumps({"schema": SCHEMA, "effects": []}).encode()
        self._store.commit(
            operation="rollback", subject=subject, step=step, run=self._run, author=self._author, record=shown
        )

    def record_rollback(
        self, operation: str, subject: str, body: str, target: Target, effects: Sequence[Effect]
    ) -> str:
        """One commit for what was taken back, with the effects that are not files. Returns its short id."""
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
        )
        if commit is None:
            raise ChangeError("the snapshot store made no commit of this rollback")
        return commit.short

    def undo(
        self, effects: Sequence[Effect], touched: set[str], say: Say, take_back: Sequence[Step] = ()
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Take the effects back in reverse order, and the touched files to what the last commit holds.

        The files of the steps in `take_back`, applied earlier in this run, go first, so that a restarted daemon reads
        the old ones; that is recorded as a rollback. Returns what was undone and what could not be, in words."""
        undone: list[str] = []
        failed: list[str] = []
        try:
            head = self._store.head()
            earlier = [path for step in take_back for path in self._take_back(step, undone, failed)]
            packages = [effect for effect in effects if effect.record()["kind"] == "packages"]
            others = [effect for effect in effects if effect not in packages and not _is_file(effect)]
            whole = self._undo_effects(packages, say, undone, failed)
            pending = [item.path for item in self._store.pending() if _below(f"/{item.path}", touched)]
            if not whole:
                failed.append(
                    "the files in /etc stay as they are, for they belong to packages that are still installed"
                )
            elif head is not None:
                self._put_back([path for path in pending if path not in earlier], head.id, undone, failed)
            try:
                reload_units(self._host, pending)
            except HostError as error:
                failed.append(f"systemd was not told that units are back: {error}")
            self._undo_effects(others, say, undone, failed)  # services last: they read the files
            for step in () if failed else take_back:  # else it stands, and recovery takes it back
                self._commit_rollback(step)
        except StoreError as error:
            failed.append(f"files of {', '.join(sorted(touched))}: {error}")
        return tuple(dict.fromkeys(undone)), tuple(failed)

    def _undo_effects(
        self, effects: Sequence[Effect], say: Say, undone: list[str], failed: list[str]
    ) -> bool:
        """False when packages could not be taken back: their files must stay, then."""
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

    def _take_back(self, step: Step, undone: list[str], failed: list[str]) -> list[str]:
        """The files of a step of this run as they were before it; returns their paths."""
        before, after = self._steps[step.id]
        paths = [item.path for item in self._store.changed(after)]
        self._put_back(paths, before, undone, failed)
        return paths

    def _commit_rollback(self, step: Step) -> None:
        _, taken_back = self._steps[step.id]
        self._store.commit(
            reverts=[taken_back],
            operation="rollback",
            subject=f"{step.id}: taken back, since a later step failed",
            step=step.id,
            howto=step.howto,
            run=self._run,
            author=self._author,
        )

    def _put_back(self, paths: Sequence[str], ref: str, undone: list[str], failed: list[str]) -> None:
        """Each path as the commit `ref` holds it. What was made since goes first, deepest first."""
        then = self._store.entries(ref, paths)
        for path in sorted((path for path, entry in then.items() if entry is None), reverse=True):
            self._try(partial(self._host.remove, f"/{path}"), f"/{path} (removed)", undone, failed)
        for path in in_order(then):
            entry = then[path]
            if entry is not None:
                self._try(
                    partial(self._host.write, f"/{path}", entry), f"/{path} (as before)", undone, failed
                )

    def _try(self, act: Callable[[], None], words: str, undone: list[str], failed: list[str]) -> None:
        try:
            act()
            undone.append(words)
        except HostError as error:
            failed.append(str(error))


def _below(path: str, touched: set[str]) -> bool:
    return any(path == item or path.startswith(item.rstrip("/") + "/") for item in touched)


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
