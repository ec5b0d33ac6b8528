"""One apply at work."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.changes.file import FileChange
from wizard.delivery import from_anywhere
from wizard.engine.edits import edits_behind, half_edited, looking_ahead
from wizard.engine.journal import Journal
from wizard.engine.planner import Planner, leave_out, needs_met
from wizard.engine.recorder import Recorder
from wizard.engine.run import (
    AGAIN,
    BY_HAND,
    Consent,
    Decide,
    Declined,
    Enough,
    Resume,
    Run,
    Undecided,
)
from wizard.engine.undo import carry_out, undo_effects
from wizard.errors import ChangeError, DeclinedError, HostError, StaleError, UnconfirmedError, cause_of
from wizard.model.events import Checked, Failed, Output, Planned, Progress, Recorded, RolledBack
from wizard.model.facts import Facts
from wizard.model.plan import NOT_NOW, Check, Effect, Ending, Outcome, Plan, Sign, Step, ids
from wizard.packages.apt import progress_of
from wizard.steps.install import Install
from wizard.steps.order import STEPS
from wizard.steps.sendmailconfig import EDITS, Sendmailconfig
from wizard.system.host import Say

if TYPE_CHECKING:
    from snapshots.store import Commit

FRESH = 0.5
"""Seconds for which facts count as read just now, as long as nobody was asked and nothing was changed in between."""

ROUNDS = 3
"""How often a step may find more to do after its changes: update_auth first makes the file that is then edited."""

AHEAD = ("pexpect", "jinja2", "wizard.smtp.session", "wizard.smtp.login_test", "asn1crypto.x509")
"""Loaded while the first change's commands run, for the last steps: a fifth of a second."""
AHEAD_AFTER = 0.5
"""Seconds until then: by that time apt is at work, and loading is in nobody's way."""


@dataclass
class Work:
    """What a step has done so far."""

    step: Step
    effects: list[Effect]
    say: Say
    """Where the output of its changes goes."""
    before: str = ""
    """The commit that holds everything as it was before."""
    asked: bool = False
    """Whether somebody is being asked about it."""


@dataclass
class Session:
    """One apply at work. Each step goes

        planned  --nothing to do-->  reported
        planned  --declined-->  skipped, and so is each after it that needs it
        planned  --enough-->  the run ends before it
        planned  --blocked, unless it is left out, or something would end that nobody accepted-->  the run ends before it
        planned  --decided-->  journal open  --changes, checks-->  recorded (one commit), the next step
        journal open  --broken off at a question, nothing begun-->  the run ends before it
        journal open  --anything fails, or is declined half-way-->  undone; the run ends where it failed

    Whatever ends the run before sendmailconfig, which was to come, but enough: edits of sendmail.mc before it are rolled back.
    The journal knows the step from `begin` to `settled`; what could not be undone keeps it open for `recover`."""

    planner: Planner
    recorder: Recorder
    journal: Journal
    request: dict[str, object]
    wanted: Sequence[str]
    decide: Decide
    consent: Consent
    interrupt: Callable[[], None]
    run: Run
    facts: Facts
    resume: Resume | None
    agreed: list[Ending] = field(default_factory=list)
    """What somebody was asked about, and accepted as it was shown."""
    of_edits: set[str] = field(default_factory=set)
    """The ids of what may end with the edits of sendmail.mc, as somebody has agreed at one of them."""
    left: dict[str, str] = field(default_factory=dict)
    """The steps that the run goes without; see `needs_met`."""
    declined: list[str] = field(default_factory=list)
    """The steps that nobody wants, for the journal: who finishes a killed run goes without them, too."""

    def steps(self, chosen: Sequence[Step]) -> None:
        """One after the other, until one ends the run, also by what it raises."""
        for number, step in enumerate(chosen):
            try:
                if self.step(step):
                    continue
            except Exception:
                self._ended_before(step, chosen[number:])
                raise
            self._ended_before(step, chosen[number:])
            return

    def step(self, step: Step) -> bool:
        """One step. False ends the run."""
        plan = self._show(step, self._planned(step))
        if plan.outcome is Outcome.BLOCKED:
            if step.id in self.planner.skipped:
                return self._skipped(step, plan)
            self.run.blocked = step.id
            return False
        kept = self.resume.effects if self.resume is not None and self.resume.step == step.id else ()
        work = Work(step, [*kept], self._say(step))
        if plan.outcome is not Outcome.PENDING and not work.effects:
            return plan.word == NOT_NOW or self._reported(step)
        try:
            wanted = self.decide(step, plan)
        except Enough:
            self.run.enough = step.id
            return False
        except Undecided:
            return self._undecided(work)
        if not wanted:
            return self._skipped(step, plan)
        if not self._agreed(step, plan):
            return self._undecided(work)
        if not self.run.applied:
            self._load_ahead()
        started = time.monotonic()  # nobody's answer is waited for from here on
        try:
            if not work.effects:
                self.recorder.drift()
            work.before = self.recorder.head()
            self.journal.begin("apply", self.run.id, self.recorder.who, work.before, self.request)
            self._noted(work)
            self._change(work, plan)
            checks = self._checked(step)
            self.recorder.settle(work.effects, work.say)
            commit = self.recorder.record(
                step, plan, work.effects, checks, work.before, asdict(self.planner.answers)
            )
            self.journal.settled()
        except Declined:
            return self._given_up(work) and self._skipped(step, plan)
        except Enough:
            if self._given_up(work):
                self.run.enough = step.id
            return False
        except Undecided:
            return self._undecided(work)
        except Exception as error:
            known = isinstance(error, ChangeError | HostError | StoreError | OSError)
            if work.asked and not (work.effects or known) and self._taken_back(work):
                raise  # nothing was begun: whoever breaks off at a question makes no failure of the step
            # Whatever it was, also a mistake of ours: a step is whole, or it is not there.
            self._undo_failed_step(work, error)
            if known:
                return False
            raise
        self.run.applied[step.id] = commit
        self.planner.report(Recorded(step, commit, time.monotonic() - started))
        return True

    def _skipped(self, step: Step, plan: Plan) -> bool:
        """The run goes on without the step, and without those that need it."""
        self.run.skipped.append(step.id)
        leave_out(step, plan, self.left)
        if step.id not in self.declined:
            self.declined.append(step.id)
            # A step that is taken up again is still in hand, in the journal, until it is its turn: its line says this, too.
            if self.resume is None or not self.resume.effects or self.resume.step in self.run.plans:
                self.journal.settled(self.declined)
        return True

    def _noted(self, work: Work, *, agreed: bool = True) -> None:
        """The journal knows that the step is in hand."""
        accepted = [ending.id for ending in self.agreed]
        self.journal.step(work.step.id, work.before, accepted, self.declined, agreed=agreed)

    def _given_up(self, work: Work) -> bool:
        """Take back a step that was declined half-way, which is noted first: its way back may be killed, too."""
        self.declined.append(work.step.id)
        with contextlib.suppress(OSError):
            self._noted(work)
        return self._taken_back(work)

    def _look(self) -> Facts:
        return replace(self.planner.look(), starts_later=self.facts.starts_later)

    def _say(self, step: Step) -> Say:
        def say(line: str) -> None:
            progress = progress_of(line)
            self.planner.report(Progress(step, *progress) if progress else Output(step, line))

        return say

    @staticmethod
    def _load_ahead() -> None:
        timer = threading.Timer(AHEAD_AFTER, lambda: list(map(importlib.import_module, AHEAD)))
        timer.daemon = True
        timer.start()

    def _agreed(self, step: Step, plan: Plan, announced: Sequence[Ending] = ()) -> bool:
        """Whether all that would end may: by the answers, because somebody says so now, or where it was `announced` and may."""
        unasked = plan.waits_for({*self.planner.answers.accept, *(ending.id for ending in announced)})
        waits = tuple(ending for ending in unasked if ending not in self.agreed)
        if waits and not self.consent(step, plan, waits):
            self.run.ends = waits
            return False
        self.agreed += waits
        if step.id in EDITS:
            self.of_edits |= {*ids(plan.ends)}
        return True

    def _undecided(self, work: Work) -> bool:
        """The run ends before the step; what had been begun of it is undone. Where not all could be, it has failed."""
        if work.effects and not work.before:  # packages of a killed run, which its recovery has kept
            work.before, self.journal.in_hand = self.recorder.head(), True
        begun = work.effects or self.journal.in_hand
        if begun and not self._taken_back(work):
            self.run.ends = ()
        else:
            self.run.undecided = work.step.id
        return False

    def _ended_before(self, step: Step, rest: Sequence[Step]) -> None:
        """The run has ended before this step, and the `rest` behind it: edits of sendmail.mc that no sendmail.cf was made of, as
        was to come, are rolled back. The next start of sendmail would make one."""
        left_out = {*self.run.skipped, *self.planner.skipped}
        to_come = any(each.id == Sendmailconfig.id for each in rest) and Sendmailconfig.id not in left_out
        if to_come and not (self.run.enough or self.journal.in_hand) and not self._edits_rolled_back(step):
            self.run.failed, self.run.blocked, self.run.undecided, self.run.ends = step.id, None, None, ()

    def _edits_rolled_back(self, step: Step) -> bool:
        """Roll back the edits of sendmail.mc that the run ends behind; False where not all could be, which is a failure."""
        back = Work(step, [], self._say(step))
        why = "the edits of sendmail.mc before it could not be rolled back"
        try:
            edits = half_edited(self.planner.host, self.recorder.store, self.run.id)
            if not edits:
                return True
            self.recorder.drift()
            back.before = self.recorder.head()
            self._noted(back, agreed=False)
        except (HostError, StoreError, OSError) as error:
            self._undo_failed_step(back, HostError(f"{why}: {error}"))
            return False
        if not self._taken_back(back, why, edits):
            return False
        self.run.rolled_back = tuple(str(commit.step) for commit in reversed(edits))
        for name in self.run.rolled_back:
            self.run.applied.pop(name, None)
        self.planner.report(RolledBack(self.run.rolled_back))
        return True

    def _taken_back(
        self,
        work: Work,
        why: str = "nobody agreed to its rest, and what had been begun could not be undone",
        edits: Sequence[Commit] = (),
    ) -> bool:
        """Undo what was begun of a step before somebody said no to its rest, or roll back the `edits` before it; False where not
        all could be, which is a failure, and `why`."""
        undone, not_undone = self._undo(work, edits)
        if not_undone:
            self.run.failed = work.step.id
            self.planner.report(Failed(work.step, why, undone, not_undone, BY_HAND))
        return not not_undone

    def _undo(self, work: Work, earlier: Sequence[Commit] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was undone of the step; and what could not be, which keeps the journal open, for `recover`."""
        undone = undo_effects(self.recorder, work.effects, work.before, work.say, self.journal, earlier)
        if not undone[1]:
            self.journal.settled()
        return undone

    def _show(self, step: Step, plan: Plan, *, again: bool = False) -> Plan:
        self.run.plans[step.id] = plan
        self.planner.report(Planned(step, plan, again))
        return plan

    def _change(self, work: Work, plan: Plan) -> None:
        """Apply the plan's changes; after a command plan again, for it may have made what the next change edits.

        Facts are read again first; what has changed since its diff was shown is shown again, and asked about unless the plan
        has announced it."""
        for round_ in range(1, ROUNDS + 1):
            fresh = self._planned_now(work.step, plan)
            if fresh.outcome is Outcome.BLOCKED:
                raise ChangeError(fresh.reason)
            if fresh.outcome is not Outcome.PENDING:
                return
            announced = plan.announces(fresh)
            work.asked = True
            if fresh.changes != plan.changes:
                fresh = replace(fresh, begun=bool(work.effects))
                self._show(work.step, fresh, again=True)
                if not announced and not self.decide(work.step, fresh):
                    raise Declined
            if not self._agreed(work.step, fresh, plan.ends if announced else ()):
                raise Undecided
            work.asked = False
            plan = fresh
            if round_ == ROUNDS:
                # A file that is written to all the time: the change goes into it as it is at that moment.
                over = (
                    replace(each, over=True) if isinstance(each, FileChange) else each
                    for each in plan.changes
                )
                plan = replace(plan, changes=tuple(over))
            self.facts = replace(self.facts, taken=0.0)
            try:
                carry_out(
                    plan.changes, work.effects, self.planner.host, self.journal, work.say, self.interrupt
                )
            except StaleError:
                continue  # planned, and shown, once more
            if not any(change.kind == "command" for change in plan.changes):
                return
        raise ChangeError(
            f"{work.step.id} is not done after {ROUNDS} rounds: its files change while it works on them"
        )

    def _planned(self, step: Step) -> Plan:
        """The plan; of the first edit of sendmail.mc with what would end with the others of this run."""
        plan = self._but_asked(self.planner.plan_step(step, self.facts))
        plan = needs_met(step, plan, self.left, self.run.applied)
        if step.id not in EDITS or plan.outcome is not Outcome.PENDING or self.run.applied.keys() & EDITS:
            return plan
        behind = (
            each
            for each in edits_behind(step, self.planner.steps)
            if each.id not in self.planner.skipped and (not self.wanted or each.id in self.wanted)
        )
        return looking_ahead(plan, self.facts, behind, self.planner.plan_step)

    def _but_asked(self, plan: Plan) -> Plan:
        """The plan; of an edit of sendmail.mc behind another, and of sendmailconfig behind one, without what may end since that:
        mail came in meanwhile, perhaps, or the edits themselves have changed which lines are concerned."""
        if plan.step not in EDITS | {Sendmailconfig.id} or not self.run.applied.keys() & EDITS:
            return plan
        return replace(plan, ends=plan.waits_for(self.of_edits))

    def _planned_now(self, step: Step, plan: Plan) -> Plan:
        """The plan on facts that are not older than FRESH seconds."""
        if time.monotonic() - self.facts.taken < FRESH:
            return plan
        self.facts = self._look()
        return self._but_asked(self.planner.plan_step(step, self.facts))

    def _checked(self, step: Step) -> list[Check]:
        """The checks of a step that was applied. Raises ChangeError when one failed."""
        self.facts = self._look()
        checks = self._verify(step)
        if bad := [check for check in checks if check.sign is Sign.FAILED]:
            to_do = f". What to do: {remedies}" if (remedies := _remedies(bad)) else ""
            raise ChangeError(_says(bad) + to_do)
        return checks

    def _reported(self, step: Step) -> bool:
        """A step that changes nothing reports its checks, where there is something new to report."""
        worth_it = self.run.applied or step.id == "preflight" or step.id in self.wanted
        if not (step.reports or step.always_reports) or not worth_it:
            return True
        bad = [check for check in self._verify(step) if check.sign is Sign.FAILED]
        if bad:
            self.run.failed = step.id
            says, to_do = _says(bad), _remedies(bad) or AGAIN
            self.planner.report(Failed(step, says, (), (), to_do, reported=True))
        return not bad

    def _verify(self, step: Step) -> list[Check]:
        try:
            checks = step.verify(self.planner.host, self.facts, self.planner.answers)
        except HostError as error:
            checks = [Check(step.id, Sign.FAILED, str(error))]
        self.run.checks[step.id] = checks
        for check in checks:
            self.planner.report(Checked(step, check))
        return checks

    def _undo_failed_step(self, work: Work, error: Exception) -> None:
        step = work.step
        also = step.also_reverts if work.effects else ()
        earlier = [name for name in also if name in self.run.applied]
        commits = [self.recorder.store.find(self.run.applied[name]) for name in earlier]
        undone, not_undone = self._undo(work, commits)
        rolled_back = () if not_undone else tuple(earlier)
        for name in rolled_back:
            del self.run.applied[name]
        unconfirmed = isinstance(error, UnconfirmedError)
        if unconfirmed and not not_undone:
            self.recorder.note(f"{step.id}: rolled back, {error}", step.id)
        self.run.failed = step.id
        to_do = AGAIN if self.resume is None else "fix the cause"  # recover says how it goes on then
        if any(each.id == step.id for each in STEPS):  # `plan` knows no others
            to_do += f" (`msa-wizard plan {step.id}` shows what it would do)"
        if isinstance(error, DeclinedError):
            to_do = "find out what keeps a login out, then apply it again"
        elif unconfirmed:
            to_do = (
                f"apply it again, and confirm while it waits, here or with `{from_anywhere('confirm')}` from another session; "
                "--confirm-within gives more time"
            )
        if not_undone:
            to_do = BY_HAND
        if self.facts.starts_later and Install.id in self.run.applied:
            to_do += ". sendmail has not been started yet"
        self.planner.report(Failed(step, cause_of(error), undone, not_undone, to_do, rolled_back))


def _says(checks: Sequence[Check]) -> str:
    """In one sentence: some checks say whole ones."""
    return "; ".join(check.says.removesuffix(".") for check in checks)


def _remedies(checks: Sequence[Check]) -> str:
    return "; ".join(dict.fromkeys(check.remedy for check in checks if check.remedy))
