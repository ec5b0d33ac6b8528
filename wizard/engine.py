"""look -> plan -> show -> do + check -> record. Nothing goes round these five moves (DESIGN.md section 1)."""

from __future__ import annotations

import importlib
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.answers import Answers
from wizard.events import Checked, Failed, Output, Planned, Recorded, Report
from wizard.facts import Facts
from wizard.host import Host, HostError
from wizard.look import look
from wizard.plan import ChangeError, Check, Effect, Outcome, Plan, Sign, StaleError, Step
from wizard.recorder import Recorder
from wizard.steps import STEPS

if TYPE_CHECKING:
    from snapshots.store import Store

FRESH = 0.5
"""Seconds for which facts count as read just now, as long as nobody was asked and nothing was changed in between."""

ROUNDS = 3
"""How often a step may find more to do after its changes: update_auth first makes the file that is then edited."""

AHEAD = ("pexpect", "wizard.submission", "wizard.smtp")
"""Loaded while the first change's commands run, for the last steps: a fifth of a second."""

Decide = Callable[[Step, Plan], bool]
"""Asked before a step's changes, after they were shown; False leaves the step as it is."""


class EngineError(Exception):
    """The run cannot begin: what is in the way, and what to do."""


@dataclass
class Run:
    """What one apply came to. `failed` is the step that failed, `blocked` one that must not be done here."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    plans: dict[str, Plan] = field(default_factory=dict)
    checks: dict[str, list[Check]] = field(default_factory=dict)
    applied: dict[str, str] = field(default_factory=dict)
    """Step id to commit id."""
    skipped: list[str] = field(default_factory=list)
    failed: str | None = None
    blocked: str | None = None


@dataclass(frozen=True)
class Engine:
    """Plans and applies steps on one host."""

    host: Host
    answers: Answers
    report: Report

    def plan(self, wanted: Sequence[str] = ()) -> dict[str, Plan]:
        """The plan of each wanted step (all of them when none is named), as if those before it were done."""
        facts = look(self.host, ask_apt=True)
        plans: dict[str, Plan] = {}
        for step in STEPS:
            plan = self.plan_step(step, facts)
            plans[step.id] = plan
            if not wanted or step.id in wanted:
                self.report(Planned(step, plan))
            facts = facts.after(plan)
        return {name: plan for name, plan in plans.items() if not wanted or name in wanted}

    def plan_step(self, step: Step, facts: Facts) -> Plan:
        """The step's plan; a file that only root may read makes it `later`."""
        try:
            return step.plan(facts, self.answers)
        except PermissionError as error:
            return Plan.later(step.id, f"{error}; run this as root to see it")

    def apply(
        self, store: Store, wanted: Sequence[str], decide: Decide, interrupt: Callable[[], None]
    ) -> Run:
        """Apply the wanted steps in the howto's order, each one commit in `store`. Stops at the first that fails.

        `interrupt` is called between changes and raises Interrupted when a signal asked us to end. Raises EngineError
        when a named step needs one that is neither done nor named, StoreError when there can be no history."""
        run = Run()
        recorder = Recorder(self.host, store, run.id, self.report)
        recorder.baseline()
        chosen = [step for step in STEPS if not wanted or step.id in wanted]
        session = Session(self, recorder, decide, interrupt, run, look(self.host), frozenset(wanted))
        first = STEPS[0]
        if wanted and first not in chosen and self.plan_step(first, session.facts).outcome is Outcome.BLOCKED:
            chosen = [first]  # it says what is in the way, and ends the run
        elif wanted:
            self._needs(chosen, session.facts)
        for step in chosen:
            if not session.step(step):
                break
        return run

    def _needs(self, chosen: Sequence[Step], facts: Facts) -> None:
        done = (Outcome.DONE, Outcome.NOT_APPLICABLE)
        for step in chosen:
            for need in step.needs:
                other = next(item for item in STEPS if item.id == need)
                if other not in chosen and self.plan_step(other, facts).outcome not in done:
                    raise EngineError(
                        f"step {step.id} needs {need}, which is not done. "
                        f"Name it too: msa-wizard apply {need} {step.id}; or apply all: msa-wizard apply"
                    )


@dataclass
class Session:
    """One apply at work: the steps one after the other, and the way back when one of them fails."""

    engine: Engine
    recorder: Recorder
    decide: Decide
    interrupt: Callable[[], None]
    run: Run
    facts: Facts
    named: frozenset[str]

    def step(self, step: Step) -> bool:
        """One step. False ends the run."""
        started = time.monotonic()
        plan = self._show(step, self.engine.plan_step(step, self.facts))
        if plan.outcome is Outcome.BLOCKED:
            self.run.blocked = step.id
            return False
        if plan.outcome is not Outcome.PENDING:
            return self._reported(step)
        if not self.decide(step, plan):
            self.run.skipped.append(step.id)
            return True
        work = Work(step)
        threading.Thread(target=lambda: list(map(importlib.import_module, AHEAD)), daemon=True).start()
        try:
            self.recorder.drift()
            self._change(work, plan)
            checks = self._checked(step)
            commit = self.recorder.record(step, plan, work.effects, checks)
        except Declined:
            self.recorder.undo(work.effects, work.touched, work.say(self.engine.report))
            self.run.skipped.append(step.id)
            return True
        except Exception as error:
            # Whatever it was, also a mistake of ours: a step is whole, or it is not there.
            self._take_back(work, error)
            if isinstance(error, ChangeError | HostError | StoreError | OSError):
                return False
            raise
        self.run.applied[step.id] = commit
        self.engine.report(Recorded(step, commit, time.monotonic() - started))
        return True

    def _show(self, step: Step, plan: Plan, *, again: bool = False) -> Plan:
        self.run.plans[step.id] = plan
        self.engine.report(Planned(step, plan, again))
        return plan

    def _change(self, work: Work, plan: Plan) -> None:
        """Apply the plan's changes; after a command plan again, for it may have made what the next change edits.

        Facts are read anew first; what has changed since its diff was shown is shown again."""
        for _ in range(ROUNDS):
            fresh = self._planned_now(work.step, plan)
            if fresh.outcome is Outcome.BLOCKED:
                raise ChangeError(fresh.reason)
            if fresh.outcome is not Outcome.PENDING:
                return
            if fresh.changes != plan.changes:
                self._show(work.step, fresh, again=True)
                if not self.decide(work.step, fresh):
                    raise Declined
            plan = fresh
            try:
                self._apply(work, plan)
            except StaleError:
                continue  # planned, and shown, once more
            if not any(change.kind == "command" for change in plan.changes):
                return
        raise ChangeError(
            f"{work.step.id} is not done after {ROUNDS} rounds: its files change while it works on them"
        )

    def _planned_now(self, step: Step, plan: Plan) -> Plan:
        """The plan on facts that are not older than FRESH seconds."""
        if time.monotonic() - self.facts.taken < FRESH:
            return plan
        self.facts = look(self.engine.host)
        return self.engine.plan_step(step, self.facts)

    def _apply(self, work: Work, plan: Plan) -> None:
        say = work.say(self.engine.report)
        for change in plan.changes:
            self.interrupt()
            work.touched.update(change.touches)
            self.facts = replace(self.facts, taken=0.0)
            try:
                work.effects.append(change.apply(self.engine.host, say))
            except ChangeError as error:
                if error.effect is not None:
                    work.effects.append(error.effect)
                raise

    def _checked(self, step: Step) -> list[Check]:
        """The checks of a step that was applied. Raises ChangeError when one failed."""
        self.facts = look(self.engine.host)
        checks = self._verify(step)
        bad = [check for check in checks if check.sign is Sign.FAILED]
        if bad:
            raise ChangeError("; ".join(item.says for item in bad) + _remedies(bad))
        return checks

    def _reported(self, step: Step) -> bool:
        """A step that changes nothing reports its checks, when there is something new to report."""
        wanted = self.run.applied or step.id == "preflight" or step.id in self.named
        if not step.reports or not wanted:
            return True
        if any(check.sign is Sign.FAILED for check in self._verify(step)):
            self.run.failed = step.id
        return self.run.failed is None

    def _verify(self, step: Step) -> list[Check]:
        try:
            checks = step.verify(self.engine.host, self.facts, self.engine.answers)
        except HostError as error:
            checks = [Check(step.id, Sign.FAILED, str(error))]
        self.run.checks[step.id] = checks
        for check in checks:
            self.engine.report(Checked(step, check))
        return checks

    def _take_back(self, work: Work, error: Exception) -> None:
        step = work.step
        earlier = [
            item
            for item in STEPS
            if item.id in step.takes_back and item.id in self.run.applied and work.effects
        ]
        undone, not_undone = self.recorder.undo(
            work.effects, work.touched, work.say(self.engine.report), earlier
        )
        self.run.failed = step.id
        why = str(error) or type(error).__name__
        self.engine.report(Failed(step, why, undone, not_undone, _next(step, not_undone)))


@dataclass
class Work:
    """What a step has done so far: its effects in order, and the paths it may have written."""

    step: Step
    effects: list[Effect] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)

    def say(self, report: Report) -> Callable[[str], None]:
        """Where its changes' output goes."""
        return lambda line: report(Output(self.step, line))


class Declined(Exception):
    """The admin saw the new diff and said no."""


def _remedies(checks: Sequence[Check]) -> str:
    lines = [check.remedy for check in checks if check.remedy]
    return f". What to do: {'; '.join(lines)}" if lines else ""


def _next(step: Step, not_undone: Sequence[str]) -> str:
    if not_undone:
        return "put right by hand what could not be undone, then run the same command again"
    return f"mend the cause, then run the same command again (`msa-wizard plan {step.id}` shows what it would do)"
