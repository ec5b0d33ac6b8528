"""look -> plan -> show -> do + check -> record. Nothing goes round these five moves (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from wizard.engine.apply import Consent, Decide, Resume, Run, Session, nobody
from wizard.engine.journal import Journal
from wizard.engine.planner import Planner
from wizard.engine.recorder import Recorder
from wizard.errors import UsageError
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Step
from wizard.packages.witness import forget
from wizard.steps.restart import started_with

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
        about what would end and is not accepted in the answers; without it the run ends there. Raises UsageError
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
        if not self.of_the_howto:
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
        in_place = (Outcome.DONE, Outcome.NOT_APPLICABLE)
        for step in chosen:
            for need in step.needs:
                other = next(each for each in self.steps if each.id == need)
                if other not in chosen and self.plan_step(other, facts).outcome not in in_place:
                    raise UsageError(
                        f"step {step.id} needs {need}, which is not done. "
                        f"Name it too: msa-wizard apply {need} {step.id}; or apply all: msa-wizard apply"
                    )
