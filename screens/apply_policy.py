"""Which of the engine's questions need the admin, while steps are applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from screens.jobs import Job, Reply, StepWaits
from wizard.model.plan import Plan, Step

if TYPE_CHECKING:
    from wizard.engine.local_edits import OwnEdit


@dataclass
class ApplyPolicy:
    """Repeats the answers that the admin has given already, and asks for the rest. Lives in the worker."""

    skipped: set[str] = field(default_factory=set)
    everything: bool = False
    """Apply all that remain: each is shown, none waits."""
    shown: tuple[str, Plan] | None = None
    """The step and plan on which the admin pressed the key that began the run."""

    own_edits: Callable[[Plan], Sequence[OwnEdit]] = lambda _: ()
    """The admin's edits of the lines that a plan would write again."""
    approved: str | None = None
    """The step whose plan the admin has approved last."""

    def decide(self, job: Job, step: Step, plan: Plan) -> bool:
        """The engine's question before a step's changes. Raises Stopped, Interrupted."""
        job.interrupt()
        if step.id in self.skipped:
            return False
        if edits := self.own_edits(plan):  # never without a question
            return self._asked(job, StepWaits(step, plan, tuple(edits)))
        if self.everything:
            return True
        if self.shown is not None and self.shown[0] == step.id and same(self.shown[1], plan):
            self.shown, self.approved = None, step.id
            return True
        return self._asked(job, StepWaits(step, plan))

    def _asked(self, job: Job, question: StepWaits) -> bool:
        if job.ask(question) is not Reply.YES:
            return False
        self.approved = question.step.id
        return True


def same(shown: Plan, now: Plan) -> bool:
    """Whether what would be done is what was shown. For packages the command counts: apt's own forecast is only asked for
    in an overview."""
    return (
        shown.outcome is now.outcome
        and len(shown.changes) == len(now.changes)
        and all(
            before == after
            or (
                before.kind == after.kind == "packages"
                and before.describe().commands[:1] == after.describe().commands[:1]
            )
            for before, after in zip(shown.changes, now.changes, strict=True)
        )
    )
