"""look -> plan -> show -> do + check -> record. Nothing goes round these five moves (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from wizard.engine.journal import Journal
from wizard.engine.planner import Planner
from wizard.engine.recorder import Recorder
from wizard.engine.run import Consent, Decide, Resume, Run, nobody
from wizard.engine.session import Session
from wizard.errors import NeededError
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Step
from wizard.packages.witness import forget
from wizard.steps.install import Install
from wizard.steps.mc_edit import AuthOptions
from wizard.steps.order import STEPS
from wizard.steps.restart import Restart, started_with
from wizard.steps.sendmailconfig import Sendmailconfig

if TYPE_CHECKING:
    from snapshots.store import Store


@dataclass(frozen=True)
class Engine(Planner):
    """Plans and applies steps on one host."""

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
        planner = replace(self, store=store)
        chosen = [step for step in self.steps if not wanted or step.id in wanted]
        installs, restarts = (any(step.id == each.id for step in chosen) for each in (Install, Restart))
        facts = planner.look(ask_apt=installs and self.apt_plan is None)
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
        session = Session(planner, recorder, journal, request, *asked, run, facts, resume)
        session.declined += sorted(self.skipped)
        first = self.steps[0]
        if wanted and first not in chosen and planner.plan_step(first, facts).outcome is Outcome.BLOCKED:
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
        if Sendmailconfig.id in absent | {each.id for each in chosen}:
            absent |= self._protecting(chosen, facts)
        steps = [each.id for each in self.steps if each in chosen or each.id in absent]
        last = max(map(steps.index, absent))
        what = f"step {step.id} needs {need}, which is not done: {reason}"
        raise NeededError(what, steps, steps[: last + 1])

    def _protecting(self, chosen: Sequence[Step], facts: Facts) -> set[str]:
        """What a login works without, and would cross the network in clear, as far as it is neither done nor chosen."""
        done = (Outcome.DONE, Outcome.NOT_APPLICABLE)
        others = (each for each in self.steps if each.id == AuthOptions.id and each not in chosen)
        return {each.id for each in others if self.plan_step(each, facts).outcome not in done}

    def _missing(self, step: Step, chosen: Sequence[Step], facts: Facts) -> dict[str, str]:
        """What the step needs, and what that needs in its turn, as far as it is neither done nor chosen, and why."""
        missing: dict[str, str] = {}
        for need in step.needs:
            other = next(each for each in self.steps if each.id == need)
            if other in chosen:  # it is looked at for itself
                continue
            plan = self.plan_step(other, facts)
            if plan.outcome not in (Outcome.DONE, Outcome.NOT_APPLICABLE):
                missing |= {need: plan.reason} | self._missing(other, chosen, facts)
        return missing
