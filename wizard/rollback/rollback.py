"""A rollback in three moves for whoever can show and ask: name it (which commits go together), work it out, do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.engine.in_force import Target, applied, commits_in_force
from wizard.engine.journal import Journal
from wizard.engine.recorder import Recorder
from wizard.engine.run import Run
from wizard.errors import NothingToRollBack, UsageError
from wizard.gather.host import look
from wizard.mends.order import extra
from wizard.model.events import Report
from wizard.model.facts import Facts
from wizard.rollback import services
from wizard.rollback.apply import RollbackResult, RollbackSession
from wizard.rollback.plan import REGENERATING_STEPS, Rollback, prepare
from wizard.steps.order import STEPS
from wizard.system.host import Host, Say

if TYPE_CHECKING:
    from snapshots.merge.three_way import Choice
    from snapshots.store import Commit, Store

EVERYTHING = "--all"
"""The name of a target that is all that was applied."""


@dataclass
class RollbackRun:
    """One rollback on its way, while the host is ours (`wizard.engine.state_dir.at_work`)."""

    host: Host
    store: Store
    journal: Journal
    report: Report

    def __post_init__(self) -> None:
        self.run = Run()
        self.recorder = Recorder(self.host, self.store, self.run.id, self.report)
        self._facts: Facts | None = None
        self._choice: Choice | None = None

    def target(self, ref: str) -> Target:
        """What a step's id, a commit's id or EVERYTHING stands for; what changed outside is recorded first.

        Raises NothingToRollBack, UsageError, StoreError."""
        if self.store.head() is None:
            raise NothingToRollBack("nothing was ever applied on this host")
        self.recorder.drift()
        history = list(self.store.history())
        if ref == EVERYTHING:
            return everything(history)
        if ref in {step.id for step in (*STEPS, *extra())}:
            return of_step(history, ref)
        try:
            return of_commit(history, self.store.find(ref))
        except StoreError as problem:
            raise UsageError(str(problem)) from problem

    def back_to(self, ref: str) -> Target:
        """All that was applied after the commit `ref` and is in force. Raises NothingToRollBack, UsageError, StoreError."""
        self.recorder.drift()
        try:
            commit = self.store.find(ref)
        except StoreError as problem:
            raise UsageError(str(problem)) from problem
        return after(list(self.store.history()), commit)

    def prepared(self, target: Target, choice: Choice | None = None) -> Rollback:
        """What it comes to; nothing is changed. Raises RollbackRefused, StoreError, HostError."""
        asked = self._facts is not None
        self._facts = look(self.host)
        self._choice = choice
        place = self.host, self.store, self._facts
        return prepare(*place, target, choice, asked_apt=asked, as_found=target.everything)

    def do(self, rollback: Rollback, say: Say, interrupt: Callable[[], None]) -> RollbackResult:
        """Do what `prepared` said, with the journal open. Raises OSError, Interrupted."""
        assert self._facts is not None, "prepare it first"
        request: dict[str, object] = {
            "commits": [commit.id for commit in rollback.target.commits],
            "steps": list(rollback.target.steps),
            "dependents": list(rollback.target.dependents),
            "everything": rollback.target.everything,
            "running": list(services.running(self._facts)),
            "choice": str(self._choice) if self._choice else None,
        }
        self.journal.begin("rollback", self.run.id, self.recorder.who, rollback.reversal.head, request)
        try:
            session = RollbackSession(self.host, self.store, self.journal, self.recorder, say, interrupt)
            return session.run(rollback, self._facts)
        finally:
            self.journal.finish()


def must_exist(store: Store, ref: str) -> None:
    """Raises UsageError where `ref` is neither a step's id nor a commit's."""
    if ref not in {step.id for step in (*STEPS, *extra())}:
        try:
            store.find(ref)
        except StoreError as problem:
            raise UsageError(str(problem)) from problem


def needing(steps: Iterable[str]) -> set[str]:
    """The steps that need one of `steps`, directly or through another."""
    named = set(steps)
    while more := {step.id for step in (*STEPS, *extra()) if named & set(step.needs)} - named:
        named |= more
    return named - set(steps)


def everything(history: Sequence[Commit]) -> Target:
    """All that was applied and is in force."""
    commits = tuple(applied(history))
    if not commits:
        raise NothingToRollBack("nothing that msa-wizard applied is in force on this host")
    return Target(commits, _steps(commits), everything=True)


def after(history: Sequence[Commit], commit: Commit) -> Target:
    """All that was applied after the commit and is in force. Raises NothingToRollBack."""
    ids = [each.id for each in history]
    newer = set(ids[: ids.index(commit.id)])
    commits = tuple(each for each in everything(history).commits if each.id in newer)
    if not commits:
        raise NothingToRollBack(f"nothing that was applied after {commit.short} is in force")
    return Target(commits, _steps(commits))


def of_step(history: Sequence[Commit], step: str) -> Target:
    """A step, and the steps applied after it that need it. Raises NothingToRollBack."""
    force = applied(history)
    own = [commit for commit in force if commit.step == step]
    if not own:
        ever = [commit for commit in history if commit.step == step and commit.operation == "apply"]
        by = next((each for each in history if {commit.id for commit in ever} & set(each.reverts)), None)
        if by is None:
            raise NothingToRollBack(f"{step} was never applied here")
        raise NothingToRollBack(f"{step} was already rolled back, by {by.short} ({by.subject})")
    return _with_dependents(force, own)


def of_commit(history: Sequence[Commit], commit: Commit) -> Target:
    """One commit; where it applied a step, with the steps applied after it that need that step.

    Raises NothingToRollBack."""
    force = commits_in_force(history)
    if commit.operation == "baseline":
        baseline = f"{commit.short} is the host as it was found"
        raise NothingToRollBack(
            f"{baseline}: `msa-wizard rollback --all` goes back to it, or g in the history"
        )
    if commit.id not in {each.id for each in force}:
        by = next((each for each in history if commit.id in each.reverts), None)
        by_which = f", by {by.short} ({by.subject})" if by else ""
        raise NothingToRollBack(f"{commit.short} was already rolled back{by_which}")
    if commit.operation == "rollback" and not commit.reverts:
        raise NothingToRollBack(f"{commit.short} only tells of what was undone at once: {commit.subject}")
    if commit.operation != "apply":
        return Target((commit,), ())
    return _with_dependents(applied(history), [commit])


def _with_dependents(force: Sequence[Commit], own: Sequence[Commit]) -> Target:
    steps = set(_steps(own))
    needing_them = needing(steps)
    if "install" not in steps:
        needing_them -= REGENERATING_STEPS
    later = [commit for commit in force[: force.index(own[-1])] if commit.step in needing_them]
    commits = tuple(commit for commit in force if commit in own or commit in later)
    return Target(commits, _steps(own), _steps(later))


def _steps(commits: Iterable[Commit]) -> tuple[str, ...]:
    """Their steps in the howto's order, then those beyond it, each once."""
    named = {commit.step for commit in commits}
    return tuple(step.id for step in (*STEPS, *extra()) if step.id in named)
