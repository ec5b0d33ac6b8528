"""Which of the engine's questions need the admin, while steps are applied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from screens.desk import Job, Reply
from screens.messages import StepWaits
from wizard.plan import Outcome, Plan, Step


@dataclass
class ApplyPolicy:
    """Answers for the admin what was answered already, and asks for the rest. Lives in the worker."""

    skipped: set[str] = field(default_factory=set)
    everything: bool = False
    """Apply all that remain: each is shown, none waits."""
    shown: tuple[str, Plan] | None = None
    """The step and plan on which the admin pressed the key that began the run."""

    approved: str | None = None
    """The step whose plan the admin has said yes to last."""

    @classmethod
    def beginning(cls, step: str, plan: Plan, skipped: Iterable[str], *, everything: bool) -> ApplyPolicy:
        """The admin has seen `plan`, and wants it; or, with `everything`, this and all that follow."""
        return cls(set(skipped), everything, (step, plan) if plan.outcome is Outcome.PENDING else None)

    def decide(self, job: Job, step: Step, plan: Plan) -> bool:
        """The engine's question before a step's changes. Raises Stopped, Interrupted."""
        job.interrupt()
        if step.id in self.skipped:
            return False
        if self.everything:
            return True
        if self.shown is not None and self.shown[0] == step.id and same(self.shown[1], plan):
            self.shown, self.approved = None, step.id
            return True
        if job.ask(StepWaits(step, plan)) is not Reply.YES:
            return False
        self.approved = step.id
        return True


def same(shown: Plan, now: Plan) -> bool:
    """Whether what would be done is what was shown. Of packages it is the command: apt's own forecast is only asked for
    while looking round."""
    return len(shown.changes) == len(now.changes) and all(
        before == after
        or (
            before.kind == after.kind == "packages"
            and before.describe().commands[:1] == after.describe().commands[:1]
        )
        for before, after in zip(shown.changes, now.changes, strict=True)
    )
