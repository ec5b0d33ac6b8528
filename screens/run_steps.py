"""A few steps outside the set-up's order, such as a new certificate: shown, confirmed, applied, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from screens.base import PAGES
from screens.dialogs import WhatWouldEnd
from screens.jobs import EndingsWait, EngineSaid, Job, Reply, StepWaits
from screens.review_and_run import ReviewAndRun
from screens.widgets.diff_text import diff_content
from wizard.console import clean
from wizard.engine.engine import Run
from wizard.model.events import Failed, Planned
from wizard.model.plan import Outcome
from wizard.render.text import DIFF_INDENT, plan_text

if TYPE_CHECKING:
    from wizard.model.plan import Plan, Step


class RunSteps(ReviewAndRun[Run | None]):
    """One run of the engine over the steps that `make` returns. Its result is the run, None when nothing was done."""

    FIRST = "Preparing the plan ..."
    HELP_TEXT = """
First you see what will be done: each file with its diff, each command. Nothing is changed before you press y. What is
done is a commit in the history and can be rolled back from there. If it fails, it is undone at once.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Do it"),
        *PAGES,
        Binding("escape,enter", "back", "Cancel"),
    ]

    def __init__(self, heading: str, command: str, make: Callable[[], Sequence[Step]]) -> None:
        super().__init__()
        self.HEADING = heading  # type: ignore[misc]
        self._command, self._make = command, make
        self._run: Run | None = None

    def on_mount(self) -> None:
        """Begin; the plan comes as a message."""
        self.same(self._command)
        backend = self.wizard.backend
        self.start(self._command, lambda job: backend.apply(job, partial(self._decide, job), make=self._make))

    def _decide(self, job: Job, step: Step, plan: Plan) -> bool:
        return job.ask(StepWaits(step, plan, self.wizard.backend.own_edits(plan))) is Reply.YES

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """y only answers a question."""
        return self.wizard.desk.waiting if action == "go" else True

    def on_step_waits(self, message: StepWaits) -> None:
        """Show the plan, and ask."""
        parts = [diff_content(plan_text(message.step, message.plan), indent=DIFF_INDENT)]
        for edit in message.edits:
            parts.append(Content.styled(f"You have changed {clean(edit.path)} since:", "bold"))
            parts += [Content(clean(line)) for line in edit.text.splitlines()]
        self.show(*parts)
        self.say(f"y applies {message.step.id}. Enter and Escape cancel: nothing is changed.")
        self.refresh_bindings()

    def on_endings_wait(self, message: EndingsWait) -> None:
        """Something that works would end: a question of its own."""
        self.app.push_screen(
            WhatWouldEnd(message.step.id, message.ends),
            lambda yes: self.answer(Reply.YES if yes else Reply.NO),
        )

    def on_engine_said(self, message: EngineSaid) -> None:
        """A plan that needs no answer is shown too, and what failed."""
        match message.event:
            case Planned(step, plan, _) if plan.outcome is not Outcome.PENDING:
                self.show(plan_text(step, plan))
            case Failed(step, why, undone, not_undone, _):
                self.show_failure(f"{step.id} failed: {why}", tuple(undone), tuple(not_undone))

    def action_go(self) -> None:
        """Yes."""
        if self.wizard.desk.waiting:
            self.go_on()
            self.answer(Reply.YES)

    def leave(self) -> None:
        """Leave out what waits; close when it is over."""
        if self.over:
            self.dismiss(self._run)
        else:
            self.answer(Reply.NO)

    def ended(self, result: object) -> None:
        """Say how it ended."""
        assert isinstance(result, Run)
        self._run = run = result
        if run.failed:
            self.say(f"✗ {run.failed} failed and is undone unless it says NOT undone. Escape goes back.")
        elif run.blocked:
            self.say("Stopped: the problem is shown above. Escape goes back.")
        elif run.undecided:
            self.say(f"Stopped before {run.undecided}: something that works would end. Escape goes back.")
        elif run.applied:
            self.say("✓ Done. Escape goes back. It can be rolled back in the history (h).")
        elif run.skipped:
            self.dismiss(run)
        else:
            self.say("There is nothing to do. Escape goes back.")
