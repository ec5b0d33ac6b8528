"""look -> plan: what each step would do now (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wizard.engine.trial import tried
from wizard.gather.host import look
from wizard.model.answers import Answers
from wizard.model.events import Planned, Report
from wizard.model.facts import Facts
from wizard.model.plan import Plan, Step, after
from wizard.sendmail.m4 import earlier
from wizard.steps import STEPS
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Store


@dataclass(frozen=True)
class Planner:
    """Plans steps on one host: those of the howto's order, or `steps` beyond it (`wizard.mends`)."""

    host: Host
    answers: Answers
    report: Report
    steps: Sequence[Step] = field(default_factory=lambda: STEPS)
    store: Store | None = None
    """The history, where there is one that may be read."""

    @property
    def of_the_howto(self) -> bool:
        """Whether its steps are those of the howto's order."""
        return self.steps is STEPS

    def look(self, *, ask_apt: bool = False) -> Facts:
        """The facts, with what these steps read besides. Raises HostError, StoreError."""
        facts = look(self.host, ask_apt=ask_apt, also=[path for step in self.steps for path in step.reads])
        return self.remembering(facts)

    def remembering(self, facts: Facts) -> Facts:
        """The facts, with what the history knows. Raises HostError, StoreError."""
        return replace(facts, cf_earlier=earlier(self.host, self.store, facts)) if self.store else facts

    def plan(self, wanted: Sequence[str] = ()) -> dict[str, Plan]:
        """The plan of each wanted step (all of them when none is named), as if those before it were done."""
        facts = self.look(ask_apt=True)
        plans: dict[str, Plan] = {}
        for step in self.steps:
            plan = self.plan_step(step, facts)
            plans[step.id] = plan
            if not wanted or step.id in wanted:
                self.report(Planned(step, plan))
            facts = after(facts, plan)
        return {name: plan for name, plan in plans.items() if not wanted or name in wanted}

    def plan_step(self, step: Step, facts: Facts) -> Plan:
        """The step's plan, tried out (`wizard.engine.trial`); a file that only root may read makes it `later`."""
        try:
            return tried(self.host, facts, step.plan(facts, self.answers))
        except PermissionError as error:
            return Plan.later(step.id, f"{error}; run this as root to see it")
