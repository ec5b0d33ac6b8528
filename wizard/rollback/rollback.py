"""A rollback in three moves for whoever can show and ask: name it, work it out, do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.engine.apply import Run
from wizard.engine.in_force import Target
from wizard.engine.journal import Journal
from wizard.engine.recorder import Recorder
from wizard.errors import NothingToRollBack, UsageError
from wizard.gather.host import look
from wizard.mends import extra
from wizard.model.events import Report
from wizard.model.facts import Facts
from wizard.rollback.apply import RollbackResult, RollbackSession, running
from wizard.rollback.plan import Rollback, prepare
from wizard.rollback.targets import after, everything, of_commit, of_step
from wizard.steps import STEPS
from wizard.system.host import Host, Say

if TYPE_CHECKING:
    from snapshots.merge.three_way import Choice
    from snapshots.store import Store

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
        """All that was applied after the commit `ref` and is in force. Raises NothingToRollBack, StoreError."""
        self.recorder.drift()
        return after(list(self.store.history()), self.store.find(ref))

    def prepared(self, target: Target, choice: Choice | None = None) -> Rollback:
        """What it comes to; nothing is changed. Raises RollbackRefused, StoreError, HostError."""
        asked = self._facts is not None
        self._facts = look(self.host)
        self._choice = choice
        return prepare(
            *(self.host, self.store, self._facts, target, choice),
            asked_apt=asked,
            as_found=target.everything,
        )

    def do(self, rollback: Rollback, say: Say, interrupt: Callable[[], None]) -> RollbackResult:
        """Do what `prepared` said, with the journal open. Raises OSError, Interrupted."""
        assert self._facts is not None, "prepare it first"
        request: dict[str, object] = {
            "commits": [commit.id for commit in rollback.target.commits],
            "steps": list(rollback.target.steps),
            "dependents": list(rollback.target.dependents),
            "everything": rollback.target.everything,
            "running": list(running(self._facts)),
            "choice": str(self._choice) if self._choice else None,
        }
        self.journal.begin("rollback", self.run.id, self.recorder.who, rollback.reversal.head, request)
        try:
            session = RollbackSession(self.host, self.store, self.journal, self.recorder, say, interrupt)
            return session.run(rollback, self._facts)
        finally:
            self.journal.finish()
