"""What the engine says while steps are applied, told to the steps screen: the part of it that listens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from screens import error_text as problems
from screens.external_programs import edit
from screens.jobs import Reply, Stopped
from screens.messages import EndingsWait, EngineSaid, JobEnded, StepWaits
from wizard.console import clean
from wizard.engine.apply import Run
from wizard.engine.state_dir import InterruptedRun
from wizard.errors import Interrupted
from wizard.model.events import Checked, Drifted, Failed, Planned, Progress, Recorded
from wizard.model.plan import Outcome

if TYPE_CHECKING:
    from screens.step_layout import StepBoard


SHOWN = 0.5
"""Seconds that a step's diff stays in front, before the output of what it does comes there."""


class StepNews:
    """Follows one run for a Steps screen."""

    def __init__(self, screen: StepBoard) -> None:
        self._screen = screen
        self.current: str | None = None
        """The step in front of the engine."""
        self.failure: Failed | None = None
        self.last: list[str] = []
        """The last lines of output."""
        self.problem = ""
        """Why a run could not begin, until it was said."""
        self._began = 0.0
        self._second = 0
        self._progress = ""
        """How far the command at work says that it is."""
        self._to_edit = ""
        """The file that the admin wants to edit, once the run has ended."""
        self._follow = False
        """Whether the output comes to the front by itself, once, if the step takes that long."""

    def work(self) -> None:
        """A step begins to be applied."""
        if self.current:
            self._screen.state(self.current, "working")
        self._began, self._second, self._follow, self._progress = time.monotonic(), 0, True, ""
        self._screen.say(f"{self.current or 'The first step'} is at work.")

    def draw(self) -> None:
        """New output, and the seconds that pass."""
        lines = self._screen.wizard.desk.taken()
        if lines:
            self.last = [*self.last, *lines][-12:]
            self._screen.panes.write(lines)
        if (
            self._follow
            and self._began
            and time.monotonic() - self._began > SHOWN
            and self._screen.wizard.desk.changing
        ):
            self._follow = False
            self._screen.panes.pane("output")
        seconds = int(time.monotonic() - self._began)
        if self._screen.wizard.desk.changing and self._began and seconds > self._second:
            self._second = seconds
            self._screen.say(f"{self.current or 'The first step'} is at work, {seconds} s.{self._progress}")

    def _no_progress(self) -> None:
        self._progress = ""
        self._screen.panes.progress(None)

    def said(self, message: EngineSaid) -> None:
        """An event of the engine."""
        self.draw()
        screen = self._screen
        match message.event:
            case Planned(step, plan, again):
                screen.planned(step.id, plan)
                if plan.outcome is Outcome.PENDING:
                    self.current = step.id
                    screen.checks[step.id] = []
                    screen.state(step.id, "working")
                    screen.select(step.id)
                    screen.panes.write([f"-- {step.id}" + (", planned anew" if again else "")])
                    screen.panes.pane("diff")
                    self.work()
            case Progress(_, percent, doing):
                self._progress = f" {clean(doing)[:48]}"
                screen.panes.progress(percent)
            case Checked(step, check):
                self._no_progress()
                screen.checks.setdefault(step.id, []).append(check)
                if screen.chosen == step.id:
                    screen.panes.show_checks(screen.checks[step.id])
            case Recorded(step, commit, seconds):
                screen.state(step.id, "applied")
                screen.panes.write([f"{step.id} done in {seconds:.1f} s, recorded as {commit}"])
            case Drifted(commit, paths):
                some = ", ".join(map(clean, paths[:3]))
                screen.panes.write([f"changed outside msa-wizard, recorded first as {commit}: {some}"])
            case Failed() as failure:
                self.failure = failure
                screen.state(failure.step.id, "failed")

    def waits(self, message: StepWaits) -> None:
        """The engine asks: may it?"""
        self.draw()
        name = message.step.id
        again = (
            self.current == name
            and self._screen.states.get(name) == "working"
            and self._screen.approved(name)
        )
        self.current = name
        self._screen.planned(name, message.plan)
        self._screen.state(name, "waiting")
        self._screen.select(name)
        self._screen.panes.pane("diff")
        self._screen.show()
        changed = "The host has changed since this was shown; now it is this. " if again else ""
        self._screen.say(f"{changed}Enter applies {name}, s leaves it out, a applies all that remain.")
        if message.edits:
            from screens.local_edits import OwnEdits

            self._screen.app.push_screen(OwnEdits(name, message.edits), self._decided)

    def endings(self, message: EndingsWait) -> None:
        """The engine asks: may what would end with the step?"""
        from screens.what_would_end import Endings

        self.draw()
        name = message.step.id
        self._screen.state(name, "waiting")
        self._screen.select(name)

        def decided(yes: bool | None) -> None:
            if yes:
                self.work()
            self._screen.wizard.desk.answer(Reply.YES if yes else Reply.NO)

        self._screen.app.push_screen(Endings(name, message.ends), decided)

    def _decided(self, choice: str | None) -> None:
        """What becomes of the admin's own edits."""
        match choice:
            case "take":
                self._screen.action_apply()
            case "keep":
                self._screen.action_skip()
            case None:
                self._screen.wizard.desk.answer(Reply.STOP)
            case path:
                self._to_edit = path
                self._screen.wizard.desk.answer(Reply.STOP)

    def ended(self, message: JobEnded) -> Run | None:
        """The run is over; what it came to, None when it did not come that far."""
        self.draw()
        self._no_progress()
        self.current, self._began = None, 0.0
        if self._to_edit:
            path, self._to_edit = self._to_edit, ""
            edit(self._screen.app, self._screen.wizard.machine.host.path(path))
        error = message.error
        if isinstance(message.result, Run):
            return message.result
        if isinstance(error, Stopped | Interrupted) or error is None:
            return None
        if isinstance(error, InterruptedRun):
            from screens.recovery import Interrupted as InterruptedScreen

            self._screen.app.push_screen(InterruptedScreen())
            return None
        said = problems.words(error)
        if said is None:
            raise error
        self.problem = said
        return None

    def failed_words(self, run: Run) -> tuple[str, Sequence[str]]:
        """Why a run stopped, and what was undone."""
        if self.failure is not None and self.failure.step.id == run.failed:
            return self.failure.why, self.failure.undone
        checks = self._screen.checks.get(run.failed or "", [])
        return "; ".join(check.says for check in checks if check.sign == "failed"), ()
