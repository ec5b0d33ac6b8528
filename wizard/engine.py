"""look -> plan -> show -> do + check -> record. Nothing goes round these five moves (DESIGN.md section 1)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.answers import Answers
from wizard.events import Checked, Failed, Output, Planned, Recorded, Report
from wizard.facts import Facts
from wizard.host import Host, HostError
from wizard.interrupt import Interrupted
from wizard.look import look
from wizard.plan import ChangeError, Check, Effect, Outcome, Plan, Sign, StaleError, Step
from wizard.recorder import Recorder
from wizard.steps import STEPS

if TYPE_CHECKING:
    from snapshots.store import Store

ROUNDS = 3
"""How often a step may find more to do after its changes: update_auth first makes the file that is then edited."""

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

    def apply(self, store: Store, wanted: Sequence[str], decide: Decide, admin: Callable[[], None]) -> Run:
        """Apply the wanted steps in the howto's order, each one commit in `store`. Stops at the first that fails.

        `admin` is called between changes and raises Interrupted when a signal asked us to end."""
        run = Run()
        recorder = Recorder(self.host, store, run.id, self.report)
        recorder.baseline()
        chosen = [step for step in STEPS if not wanted or step.id in wanted]
        facts = look(self.host)
        self._needs(chosen, facts, wanted)
        for step in chosen:
            if not self._step(step, facts, run, recorder, decide, admin):
                break
            if step.id in run.applied:
                facts = look(self.host)
        return run

    def _needs(self, chosen: Sequence[Step], facts: Facts, wanted: Sequence[str]) -> None:
        """Raises EngineError when a named step needs another one that is not done and was not named."""
        done = (Outcome.DONE, Outcome.NOT_APPLICABLE)
        for step in chosen if wanted else ():
            for need in step.needs:
                other = next(item for item in STEPS if item.id == need)
                if other not in chosen and self.plan_step(other, facts).outcome not in done:
                    raise EngineError(
                        f"step {step.id} needs {need}, which is not done. "
                        f"Name it too: msa-wizard apply {need} {step.id}; or apply all: msa-wizard apply"
                    )

    def _step(
        self,
        step: Step,
        facts: Facts,
        run: Run,
        recorder: Recorder,
        decide: Decide,
        admin: Callable[[], None],
    ) -> bool:
        """One step. False ends the run."""
        started = time.monotonic()
        plan = self.plan_step(step, facts)
        run.plans[step.id] = plan
        self.report(Planned(step, plan))
        if plan.outcome is Outcome.BLOCKED:
            run.blocked = step.id
            return False
        if plan.outcome is not Outcome.PENDING:
            if step.reports and (run.applied or step.id == "preflight"):
                self._report_checks(step, facts, run)
            return not self._failed_checks(run, step)
        if not decide(step, plan):
            run.skipped.append(step.id)
            return True
        effects: list[Effect] = []
        touched: set[str] = set()
        try:
            recorder.drift()
            self._changes(step, plan, effects, touched, admin, decide)
            checks = self._verify(step, look(self.host), run)
            bad = [check for check in checks if check.sign is Sign.FAILED]
            if bad:
                raise ChangeError("; ".join(f"{item.says}" for item in bad) + _remedies(bad))
            commit = recorder.record(step, plan, effects, checks)
        except Declined:
            recorder.undo(effects, touched, self._say(step))
            run.skipped.append(step.id)
            return True
        except (ChangeError, HostError, StoreError, Interrupted) as error:
            earlier = [
                item for item in STEPS if item.id in step.takes_back and item.id in run.applied and effects
            ]
            undone, not_undone = recorder.undo(effects, touched, self._say(step), earlier)
            run.failed = step.id
            self.report(Failed(step, str(error), undone, not_undone, _next(step, not_undone)))
            if isinstance(error, Interrupted):
                raise
            return False
        run.applied[step.id] = commit
        self.report(Recorded(step, commit, time.monotonic() - started))
        return True

    def _changes(
        self,
        step: Step,
        plan: Plan,
        effects: list[Effect],
        touched: set[str],
        admin: Callable[[], None],
        decide: Decide,
    ) -> None:
        """Apply the plan's changes; plan again, for a change may have made what the next one edits.

        Facts are read anew before each round; what has changed since its diff was shown is shown again first."""
        for round_number in range(ROUNDS):
            fresh = self.plan_step(step, look(self.host))
            if fresh.outcome is not Outcome.PENDING:
                return
            if fresh.changes != plan.changes:
                self.report(Planned(step, fresh, again=True))
                if not decide(step, fresh):
                    raise Declined
            plan = fresh
            try:
                for change in plan.changes:
                    admin()
                    touched.update(change.touches)
                    effects.append(change.apply(self.host, self._say(step)))
            except StaleError:
                if round_number == ROUNDS - 1:
                    raise
                continue  # planned, and shown, once more
            except ChangeError as error:
                if error.effect is not None:
                    effects.append(error.effect)
                raise
            if not any(change.kind == "command" for change in plan.changes):
                return

    def _verify(self, step: Step, facts: Facts, run: Run) -> list[Check]:
        checks = step.verify(self.host, facts, self.answers)
        run.checks[step.id] = checks
        for check in checks:
            self.report(Checked(step, check))
        return checks

    def _report_checks(self, step: Step, facts: Facts, run: Run) -> None:
        try:
            self._verify(step, facts, run)
        except HostError as error:
            run.checks[step.id] = [Check(step.id, Sign.FAILED, str(error))]

    def _failed_checks(self, run: Run, step: Step) -> bool:
        bad = any(check.sign is Sign.FAILED for check in run.checks.get(step.id, []))
        if bad:
            run.failed = step.id
        return bad

    def _say(self, step: Step) -> Callable[[str], None]:
        return lambda line: self.report(Output(step, line))


class Declined(Exception):
    """The admin saw the new diff and said no."""


def _remedies(checks: Sequence[Check]) -> str:
    lines = [check.remedy for check in checks if check.remedy]
    return f". What to do: {'; '.join(lines)}" if lines else ""


def _next(step: Step, not_undone: Sequence[str]) -> str:
    if not_undone:
        return "put right by hand what could not be undone, then run the same command again"
    return f"mend the cause, then run the same command again (`msa-wizard plan {step.id}` shows what it would do)"
