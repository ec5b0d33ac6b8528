"""look -> plan -> show -> do + check -> record. Nothing goes round these five moves (DESIGN.md section 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from wizard.engine.apply import Consent, Decide, Resume, Run, Session, nobody
from wizard.engine.journal import Journal
from wizard.engine.recorder import Recorder
from wizard.engine.trial import tried
from wizard.gather.host import look
from wizard.model.answers import Answers
from wizard.model.events import Planned, Report
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan, Step
from wizard.packages.witness import forget
from wizard.sendmail.mc_history import earlier
from wizard.steps import STEPS
from wizard.steps.restart import started_with
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Store


class EngineError(Exception):
    """The run cannot begin: what is in the way, and what to do."""


@dataclass(frozen=True)
class Engine:
    """Plans and applies steps on one host: those of the howto's order, or `steps` beyond it (`wizard.mends.catalogue`)."""

    host: Host
    answers: Answers
    report: Report
    steps: Sequence[Step] = field(default_factory=lambda: STEPS)
    store: Store | None = None
    """The history, where there is one that may be read."""

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
            facts = facts.after(plan)
        return {name: plan for name, plan in plans.items() if not wanted or name in wanted}

    def plan_step(self, step: Step, facts: Facts) -> Plan:
        """The step's plan, tried out (`wizard.engine.trial`); a file that only root may read makes it `later`."""
        try:
            return tried(self.host, facts, step.plan(facts, self.answers))
        except PermissionError as error:
            return Plan.later(step.id, f"{error}; run this as root to see it")

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
        about what would end and is not accepted in the answers; without it the run ends there. Raises EngineError
        when a named step needs one that is neither done nor named, StoreError when there can be no history."""
        if self.store is not store:
            return replace(self, store=store).apply(
                store, journal, wanted, decide, interrupt, resume, consent
            )
        run = Run(resume.run) if resume else Run()
        recorder = Recorder(self.host, store, run.id, self.report)
        recorder.baseline()
        facts = self.look()
        recorder.started_with = resume.started_with if resume else started_with(facts)
        chosen = [step for step in self.steps if not wanted or step.id in wanted]
        request: dict[str, object] = {
            "wanted": list(wanted),
            "answers": asdict(self.answers),
            "started_with": recorder.started_with,
        }
        if self.steps is not STEPS:
            request["extra"] = [[step.id, step.request()] for step in self.steps]
        session = Session(
            self,
            recorder,
            journal,
            self.steps,
            request,
            decide,
            consent,
            interrupt,
            run,
            facts,
            frozenset(wanted),
            resume,
        )
        first = self.steps[0]
        if wanted and first not in chosen and self.plan_step(first, session.facts).outcome is Outcome.BLOCKED:
            chosen = [first]  # it says what is in the way, and ends the run
        elif wanted:
            self._needs(chosen, session.facts)
        try:
            for step in chosen:
                if not session.step(step):
                    break
        finally:
            journal.finish()
        if not journal.in_hand:
            if run.applied:
                recorder.drift()  # what others did during the last step
            forget()
        return run

    def _needs(self, chosen: Sequence[Step], facts: Facts) -> None:
        done = (Outcome.DONE, Outcome.NOT_APPLICABLE)
        for step in chosen:
            for need in step.needs:
                other = next(item for item in self.steps if item.id == need)
                if other not in chosen and self.plan_step(other, facts).outcome not in done:
                    raise EngineError(
                        f"step {step.id} needs {need}, which is not done. "
                        f"Name it too: msa-wizard apply {need} {step.id}; or apply all: msa-wizard apply"
                    )
