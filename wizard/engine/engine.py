"""look -> plan -> show -> do + check -> record. Nothing goes round these five moves (docs/architecture.md)."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.changes.file import FileChange
from wizard.delivery import from_anywhere
from wizard.engine.edits import at_the_first, edits_behind, half_edited, looking_ahead
from wizard.engine.journal import Journal
from wizard.engine.recorder import Recorder
from wizard.engine.trial import tried
from wizard.engine.undo import carry_out, undo_effects
from wizard.errors import ChangeError, HostError, NeededError, StaleError, UnconfirmedError
from wizard.gather.host import look
from wizard.model.answers import Answers
from wizard.model.events import Checked, Failed, Output, Planned, Progress, Recorded, Report, RolledBack
from wizard.model.facts import AptPlan, Facts
from wizard.model.plan import NOT_NOW, UNKNOWN, Check, Effect, Ending, Outcome, Plan, Sign, Step, after, ids
from wizard.packages.apt import progress_of
from wizard.packages.witness import forget
from wizard.sendmail import mc_repair
from wizard.sendmail.m4 import earlier
from wizard.steps.install import Install
from wizard.steps.order import STEPS
from wizard.steps.restart import Restart, started_with
from wizard.steps.sendmailconfig import EDITS, Sendmailconfig
from wizard.system.host import Host, Say

if TYPE_CHECKING:
    from snapshots.store import Commit, Store

FRESH = 0.5
"""Seconds for which facts count as read just now, as long as nobody was asked and nothing was changed in between."""

ROUNDS = 3
"""How often a step may find more to do after its changes: update_auth first makes the file that is then edited."""

AGAIN = "fix the cause and run the same command again"
"""What is to do where all of it could be undone, or nothing was changed."""
BY_HAND = "put right by hand what could not be undone, then `msa-wizard recover`"
"""What is to do where a step could be undone only in part."""
AHEAD = ("pexpect", "jinja2", "wizard.smtp.session", "wizard.smtp.login_test", "asn1crypto.x509")
"""Loaded while the first change's commands run, for the last steps: a fifth of a second."""
AHEAD_AFTER = 0.5
"""Seconds until then: by that time apt is at work, and loading is in nobody's way."""

Decide = Callable[[Step, Plan], bool]
"""Asked before a step's changes, after they were shown; False leaves the step as it is. May raise Enough, Undecided."""

Consent = Callable[[Step, Plan, tuple[Ending, ...]], bool]
"""Asked when something that works would end with the plan, and was not accepted by name; False ends the run there."""


def not_asked(_step: Step, _plan: Plan) -> bool:
    """The decision of a run that can ask nobody: it ends before what nobody has agreed to."""
    raise Undecided


def nobody(_step: Step, _plan: Plan, _ends: tuple[Ending, ...]) -> bool:
    """The consent of a run that can ask nobody."""
    return False


@dataclass
class Run:
    """What one apply came to. `failed` is the step that failed, `blocked` one that must not be done here."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    plans: dict[str, Plan] = field(default_factory=dict)
    checks: dict[str, list[Check]] = field(default_factory=dict)
    applied: dict[str, str] = field(default_factory=dict)
    """Step id to commit id."""
    skipped: list[str] = field(default_factory=list)
    enough: str | None = None
    """Before this step the admin ended the run."""
    failed: str | None = None
    blocked: str | None = None
    undecided: str | None = None
    """The step that waits for a decision, as a rule until what would end with it is accepted; nothing of it was changed."""
    ends: tuple[Ending, ...] = ()
    """What would end with that; nothing where a killed run is finished, and nobody has been asked about the step."""
    rolled_back: tuple[str, ...] = ()
    """The edits of sendmail.mc that were rolled back, since the run ended before a sendmail.cf was made of them."""

    @property
    def stopped(self) -> str | None:
        """The step that ended the run before its time, whatever it was."""
        return self.failed or self.blocked or self.undecided


@dataclass(frozen=True)
class Resume:
    """A killed run that is finished: its id, the step it was in, and the effects of that step that stay."""

    run: str
    step: str | None
    effects: tuple[Effect, ...] = ()
    started_with: bool = True
    """Whether sendmail is known to have started with the configuration that the killed run found."""


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

    engine: Engine
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
            if step.id in self.engine.skipped:
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
                step, plan, work.effects, checks, work.before, asdict(self.engine.answers)
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
        self.engine.report(Recorded(step, commit, time.monotonic() - started))
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
        return replace(self.engine.look(), starts_later=self.facts.starts_later)

    def _say(self, step: Step) -> Say:
        def say(line: str) -> None:
            progress = progress_of(line)
            self.engine.report(Progress(step, *progress) if progress else Output(step, line))

        return say

    @staticmethod
    def _load_ahead() -> None:
        timer = threading.Timer(AHEAD_AFTER, lambda: list(map(importlib.import_module, AHEAD)))
        timer.daemon = True
        timer.start()

    def _agreed(self, step: Step, plan: Plan, announced: Sequence[Ending] = ()) -> bool:
        """Whether all that would end may: by the answers, because somebody says so now, or where it was `announced` and may."""
        unasked = plan.waits_for({*self.engine.answers.accept, *(ending.id for ending in announced)})
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
        left_out = {*self.run.skipped, *self.engine.skipped}
        to_come = any(each.id == Sendmailconfig.id for each in rest) and Sendmailconfig.id not in left_out
        if to_come and not (self.run.enough or self.journal.in_hand) and not self._edits_rolled_back(step):
            self.run.failed, self.run.blocked, self.run.undecided, self.run.ends = step.id, None, None, ()

    def _edits_rolled_back(self, step: Step) -> bool:
        """Roll back the edits of sendmail.mc that the run ends behind; False where not all could be, which is a failure."""
        back = Work(step, [], self._say(step))
        why = "the edits of sendmail.mc before it could not be rolled back"
        try:
            edits = half_edited(self.engine.host, self.recorder.store, self.run.id)
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
        self.engine.report(RolledBack(self.run.rolled_back))
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
            self.engine.report(Failed(work.step, why, undone, not_undone, BY_HAND))
        return not not_undone

    def _undo(self, work: Work, earlier: Sequence[Commit] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was undone of the step; and what could not be, which keeps the journal open, for `recover`."""
        undone = undo_effects(self.recorder, work.effects, work.before, work.say, self.journal, earlier)
        if not undone[1]:
            self.journal.settled()
        return undone

    def _show(self, step: Step, plan: Plan, *, again: bool = False) -> Plan:
        self.run.plans[step.id] = plan
        self.engine.report(Planned(step, plan, again))
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
                    plan.changes, work.effects, self.engine.host, self.journal, work.say, self.interrupt
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
        plan = self._but_asked(self.engine.plan_step(step, self.facts))
        plan = needs_met(step, plan, self.left, self.run.applied)
        if step.id not in EDITS or plan.outcome is not Outcome.PENDING or self.run.applied.keys() & EDITS:
            return plan
        behind = (
            each
            for each in edits_behind(step, self.engine.steps)
            if each.id not in self.engine.skipped and (not self.wanted or each.id in self.wanted)
        )
        return looking_ahead(plan, self.facts, behind, self.engine.plan_step)

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
        return self._but_asked(self.engine.plan_step(step, self.facts))

    def _checked(self, step: Step) -> list[Check]:
        """The checks of a step that was applied. Raises ChangeError when one failed."""
        self.facts = self._look()
        checks = self._verify(step)
        if bad := [check for check in checks if check.sign is Sign.FAILED]:
            to_do = f". What to do: {remedies}" if (remedies := _remedies(bad)) else ""
            raise ChangeError("; ".join(check.says for check in bad) + to_do)
        return checks

    def _reported(self, step: Step) -> bool:
        """A step that changes nothing reports its checks, where there is something new to report."""
        worth_it = self.run.applied or step.id == "preflight" or step.id in self.wanted
        if not (step.reports or step.always_reports) or not worth_it:
            return True
        bad = [check for check in self._verify(step) if check.sign is Sign.FAILED]
        if bad:
            self.run.failed = step.id
            says, to_do = "; ".join(check.says for check in bad), _remedies(bad) or AGAIN
            self.engine.report(Failed(step, says, (), (), to_do, reported=True))
        return not bad

    def _verify(self, step: Step) -> list[Check]:
        try:
            checks = step.verify(self.engine.host, self.facts, self.engine.answers)
        except HostError as error:
            checks = [Check(step.id, Sign.FAILED, str(error))]
        self.run.checks[step.id] = checks
        for check in checks:
            self.engine.report(Checked(step, check))
        return checks

    def _undo_failed_step(self, work: Work, error: Exception) -> None:
        step = work.step
        also = step.also_reverts if work.effects else ()
        earlier = [name for name in also if name in self.run.applied]
        commits = [self.recorder.store.find(self.recorder.steps[name]) for name in earlier]
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
        if unconfirmed:
            to_do = (
                f"apply it again, and confirm while it waits, here or with `{from_anywhere('confirm')}` from another session; "
                "--confirm-within gives more time"
            )
        if not_undone:
            to_do = BY_HAND
        if self.facts.starts_later and Install.id in self.run.applied:
            to_do += ". sendmail has not been started yet"
        why = str(error) or type(error).__name__
        self.engine.report(Failed(step, why, undone, not_undone, to_do, rolled_back))


def _remedies(checks: Sequence[Check]) -> str:
    return "; ".join(dict.fromkeys(check.remedy for check in checks if check.remedy))


def needs_met(step: Step, plan: Plan, left: dict[str, str], at_work: Collection[str]) -> Plan:
    """The plan; where there is something to do, and it needs a step that is `left` out, one that says so. Then it is left out,
    too: `left` has each of them with the one that began it.

    Where edits of sendmail.mc are `at_work`, a sendmail.cf is made of them all the same: the next start of sendmail would."""
    need = next((left[name] for name in step.needs if name in left), "")
    nothing_to_do = plan.outcome in (Outcome.DONE, Outcome.NOT_APPLICABLE) or plan.word == UNKNOWN
    if not need or nothing_to_do or (step.id == Sendmailconfig.id and EDITS.intersection(at_work)):
        return plan
    left[step.id] = need
    return Plan.not_now(step.id, need)


def leave_out(step: Step, plan: Plan, left: dict[str, str]) -> None:
    """Note in `left` a step that is skipped, where those that need it do not work without. What we cannot do may be done by
    hand by now: it holds up nothing, unless it is packages."""
    by_hand = plan.outcome is Outcome.BLOCKED and step.id != Install.id
    if not (step.without or by_hand or plan.outcome in (Outcome.DONE, Outcome.NOT_APPLICABLE)):
        left.setdefault(step.id, step.id)


class Undecided(Exception):
    """What would end was not accepted, and came to light when the step had begun; or nobody can be asked about the step."""


class Declined(Exception):
    """The admin saw the new diff and said no."""


class Enough(Exception):
    """The admin saw the diff of a step, and wants neither it nor those after it: the run ends before it."""


@dataclass(frozen=True)
class Engine:
    """Plans and applies steps on one host: those of the howto's order, or `steps` beyond it (`wizard.mends`)."""

    host: Host
    answers: Answers
    report: Report
    steps: Sequence[Step] = field(default_factory=lambda: STEPS)
    store: Store | None = None
    """The history, where there is one that may be read."""
    apt_plan: AptPlan | None = None
    """What apt said when it was asked a moment ago, so that `apply` does not ask again."""
    unattended: bool = False
    """Whether `apply` is asked for all of its steps at once, and nobody may leave one out."""
    skipped: frozenset[str] = frozenset()
    """The steps that are left out: `plan` does not take them for done when it plans those after them, and says of each that
    needs one that it cannot be applied; `apply` goes on without those that a login can do without, or that are blocked."""

    def look(self, *, ask_apt: bool = False) -> Facts:
        """The facts, with what these steps read besides. Raises HostError, StoreError."""
        recommends = self.answers.install.recommends
        facts = look(
            self.host,
            ask_apt=ask_apt,
            recommends=recommends,
            also=[path for step in self.steps for path in step.reads],
        )
        return self._remembering(facts)

    def _remembering(self, facts: Facts) -> Facts:
        """The facts, with what the history knows. Raises HostError, StoreError."""
        if any(step.id == mc_repair.STEP for step in self.steps):  # m4 takes its time
            facts = replace(facts, mc_fault=mc_repair.fault(self.host, facts, lambda: self.store))
        return replace(facts, cf_earlier=earlier(self.host, self.store, facts)) if self.store else facts

    def plan(self, wanted: Sequence[str] = (), facts: Facts | None = None) -> dict[str, Plan]:
        """The plan of each wanted step (all of them when none is named), as if those before it were done; on `facts`, or
        on what is there. Raises HostError, StoreError."""
        facts = self.look(ask_apt=True) if facts is None else self._remembering(facts)
        plans: dict[str, Plan] = {}
        left: dict[str, str] = {}
        for step in self.steps:
            plan = needs_met(step, self.plan_step(step, facts), left, facts.planned)
            if step.id not in self.skipped:
                facts = after(facts, plan)
            else:
                leave_out(step, plan, left)
            if not wanted or step.id in wanted:
                plans[step.id] = plan
        plans |= at_the_first({name: plan for name, plan in plans.items() if name not in self.skipped})
        for step in self.steps:
            if step.id in plans:
                self.report(Planned(step, plans[step.id]))
        return plans

    def plan_step(self, step: Step, facts: Facts) -> Plan:
        """The step's plan, tried out (`wizard.engine.trial`); a file that only root may read makes it `later`."""
        try:
            facts = step.gathered(self.host, facts, self.answers)
            return tried(self.host, facts, step.plan(facts, self.answers))
        except PermissionError as error:
            return Plan.unseen(step.id, f"{error}; run this as root to see it")

    def apply(
        self,
        store: Store,
        journal: Journal,
        wanted: Sequence[str],
        decide: Decide,
        interrupt: Callable[[], None],
        resume: Resume | None = None,
        consent: Consent = nobody,
    ) -> Run:
        """Apply the wanted steps in the howto's order, each one commit in `store`. Stops at the first that fails.

        What is begun is in `journal` first, which is closed when nothing is half-made. `interrupt` is called between
        changes and raises Interrupted when a signal asked us to end. `resume` takes up a killed run. `consent` is asked
        about what would end and is not accepted in the answers; without it the run ends there. Raises NeededError
        when a named step needs one that is neither done nor named, StoreError when there can be no history."""
        run = Run(resume.run) if resume else Run()
        recorder = Recorder(self.host, store, run.id, self.report)
        recorder.baseline()
        engine = replace(self, store=store)
        chosen = [step for step in self.steps if not wanted or step.id in wanted]
        installs, restarts = (any(step.id == each.id for step in chosen) for each in (Install, Restart))
        facts = engine.look(ask_apt=installs and self.apt_plan is None)
        if installs and self.apt_plan is not None:
            facts = replace(facts, apt_plan=self.apt_plan)
        starts_later = self.unattended and installs and restarts and "sendmail-bin" not in facts.packages
        facts = replace(facts, starts_later=starts_later)
        recorder.started_with = resume.started_with if resume else started_with(facts)
        request: dict[str, object] = {
            "wanted": list(wanted),
            "answers": asdict(self.answers),
            "started_with": recorder.started_with,
            "unattended": self.unattended,
        }
        if self.steps is not STEPS:
            request["extra"] = [[step.id, step.request()] for step in self.steps]
        asked = wanted, decide, consent, interrupt
        session = Session(engine, recorder, journal, request, *asked, run, facts, resume)
        session.declined += sorted(self.skipped)
        first = self.steps[0]
        if wanted and first not in chosen and engine.plan_step(first, facts).outcome is Outcome.BLOCKED:
            chosen = [first]  # it says what is in the way, and ends the run
        elif wanted:
            self._needs(chosen, facts)
        try:
            session.steps(chosen)
        finally:
            journal.finish()
        if not journal.in_hand:
            if run.applied:
                recorder.drift()  # what others did during the last step
            forget()
        return run

    def _needs(self, chosen: Sequence[Step], facts: Facts) -> None:
        """Raises NeededError where one needs what is neither done nor chosen; one that does not apply needs nothing."""
        all_missing = {step: self._missing(step, chosen, facts) for step in chosen}
        lacking = {
            step: missing
            for step, missing in all_missing.items()
            if missing and self.plan_step(step, facts).outcome is not Outcome.NOT_APPLICABLE
        }
        if not lacking:
            return
        step, missing = next(iter(lacking.items()))
        need, reason = next((name, why) for name, why in missing.items() if name in step.needs)
        absent = set[str]().union(*lacking.values())
        steps = [each.id for each in self.steps if each in chosen or each.id in absent]
        last = max(map(steps.index, absent))
        what = f"step {step.id} needs {need}, which is not done: {reason}"
        raise NeededError(what, steps, steps[: last + 1])

    def _missing(self, step: Step, chosen: Sequence[Step], facts: Facts) -> dict[str, str]:
        """What the step needs, and what that needs in its turn, as far as it is neither done nor chosen, and why."""
        missing: dict[str, str] = {}
        for need in step.needs:
            other = next(each for each in self.steps if each.id == need)
            if other in chosen:  # it is looked at for itself
                continue
            if other.without and other.id in self.skipped:
                continue
            plan = self.plan_step(other, facts)
            if plan.outcome not in (Outcome.DONE, Outcome.NOT_APPLICABLE):
                missing |= {need: plan.reason} | self._missing(other, chosen, facts)
        return missing
