"""What each step would do on one host. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wizard.engine.edits import at_the_first
from wizard.engine.trial import tried
from wizard.gather.host import look
from wizard.gather.origin import must_be_debians
from wizard.model.answers import Answers
from wizard.model.events import Planned, Report
from wizard.model.facts import Facts
from wizard.model.plan import UNKNOWN, Outcome, Plan, Step, after
from wizard.model.step_facts import AptPlan
from wizard.sendmail import mc_repair
from wizard.sendmail.m4 import earlier
from wizard.steps.install import Install
from wizard.steps.order import STEPS
from wizard.steps.preflight import Preflight
from wizard.steps.sendmailconfig import EDITS, Sendmailconfig
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Store


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
    if not (by_hand or plan.outcome in (Outcome.DONE, Outcome.NOT_APPLICABLE)):
        left.setdefault(step.id, step.id)


@dataclass(frozen=True)
class Planner:
    """Plans steps on one host: those of the howto's order, or `steps` beyond it (`wizard.mends`)."""

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
    needs one that it cannot be applied; `apply` goes on without those, also where they are blocked."""

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
        on what is there. Raises HostError, StoreError, CannotHere."""
        facts = self.look(ask_apt=True) if facts is None else self._remembering(facts)
        if wanted and Preflight.id not in wanted:
            must_be_debians(facts)
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
