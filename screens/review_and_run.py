"""The base of the screens that change something: preview, run, result; and a few steps run that way."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base import PAGES, Frame, Result
from screens.dialogs import WhatWouldEnd
from screens.jobs import EndingsWait, EngineSaid, Job, JobEnded, Reply, StepWaits, Stopped
from screens.sentences import sentence
from screens.widgets.contents import check_content, diff_content, hanging
from screens.widgets.fitted import FittedText
from screens.widgets.output import Output
from wizard.console import clean, width
from wizard.errors import Interrupted
from wizard.model.events import Checked, Drifted, Event, Failed, Planned, Recorded, RolledBack
from wizard.model.plan import Outcome
from wizard.render.text import DIFF_INDENT, event_text, plan_text, rolled_back_text

if TYPE_CHECKING:
    from wizard.engine.run import Run
    from wizard.model.answers import Answers
    from wizard.model.plan import Plan, Step

DRAWN = 0.3
"""Seconds between two looks at new output."""


class ReviewAndRun(Frame[Result]):
    """Above what will be done, below it the output once there is some, then a line of news.

    It is at rest until `start`; then its job runs, waiting for an answer wherever it asks; then it is over, until
    another start."""

    AUTO_FOCUS = SCROLLED = "#preview"
    FIRST: ClassVar[str] = ""
    """What the preview holds at first."""
    AT_WORK: ClassVar[str] = "It is at work and ends in a moment. q quits."
    """Said to whoever wants to leave meanwhile."""
    running = False
    over = False
    _began = 0.0
    """When something began to be done, on the monotonic clock; 0 while nothing is."""
    _second = 0
    _doing = ""

    def body(self) -> ComposeResult:
        """Preview, output, news."""
        with VerticalScroll(id="preview"):
            yield FittedText(lambda _: Content(self.FIRST), id="comes-to")
        yield Output(id="output", classes="hidden")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Draw output while there is some."""
        self.set_interval(DRAWN, self.draw)

    def start(self, name: str, work: Callable[[Job], object], doing: str = "Preparing") -> None:
        """Do `work` in a thread; its messages come here, and its seconds are counted."""
        self.running, self.over = True, False
        self.count(doing)
        self.desk.start(self, name, work)
        self.refresh_bindings()

    def count(self, doing: str) -> None:
        """Count the seconds of what is done from now on."""
        self._doing, self._began, self._second = doing, time.monotonic(), 0

    def ask(self, how: str) -> None:
        """What is shown waits for an answer; `how` to give it is said once its keys count."""
        self._began = 0.0
        self.say("")
        self.ask_when_quiet(partial(self.say, how))

    def answer(self, reply: Reply) -> None:
        """Answer the question that waits."""
        self.ask_nothing()
        self.desk.answer(reply, self)

    def action_go(self) -> None:
        """Yes."""
        if self.desk.asks(self):
            self.go_on()
            self.answer(Reply.YES)

    def go_on(self, words: str = "At work") -> None:
        """Bring the output to the screen, for now something is done."""
        self.query_one("#output").remove_class("hidden")
        self.count(words)
        self.say(f"{words}.")

    def show(self, *parts: Content | str) -> None:
        """Fill the preview, one part below the other, and begin at its top."""

        def fitting(width: int) -> Content:
            return Content("\n").join(
                part
                if isinstance(part, Content)
                else Content("\n".join(hanging(line, width) for line in part.split("\n")))
                for part in parts
            )

        self.query_one("#comes-to", FittedText).make(fitting)
        self.query_one("#preview").scroll_home(animate=False)

    def show_failure(self, words: str, undone: Iterable[str], not_undone: Iterable[str]) -> None:
        """Show what failed, and what was undone of it."""
        self.show(
            Content.styled(f"✗ {clean(words)}", "bold ansi_red"),
            *(f"undone: {clean(line)}" for line in undone),
            *(Content.styled(f"NOT undone: {clean(line)}", "bold ansi_red") for line in not_undone),
        )

    def draw(self) -> None:
        """Show the output that has come, and the seconds that pass."""
        if self.running and (lines := self.desk.taken(self)):
            self.query_one("#output", Output).write(lines)
        if self._began and self.running and self.desk.changing:
            passed = int(time.monotonic() - self._began)
            if passed > self._second:
                self._second = passed
                self.say(f"{self._doing} ({passed} s).")

    def on_engine_said(self, message: EngineSaid) -> None:
        """An event of the run."""
        self.draw()
        if lines := event_line(message.event, width()):
            self.query_one("#output", Output).write(lines.split("\n"))

    def on_job_ended(self, message: JobEnded) -> None:
        """The run is over."""
        self.draw()
        self.running, self.over, self._began = False, True, 0.0
        self.ask_when_quiet()
        if message.error is None:
            self.ended(message.result)
        elif isinstance(message.error, Stopped | Interrupted):
            self.interrupted()
        else:
            self.failed(sentence(message.error))
        output = self.query_one("#output", Output)
        output.set_class(not output.lines, "hidden")
        self.refresh_bindings()

    @abstractmethod
    def ended(self, result: object) -> None:
        """Show the result."""

    def failed(self, why: str) -> None:
        """Show why there is no result."""
        self.show(why)
        begun = self.query_one("#output").display
        self.say(
            "Esc goes back."
            if begun or "Nothing was changed" in why
            else "Nothing was changed. Esc goes back."
        )

    def interrupted(self) -> None:
        """The admin, another screen, or a signal has ended it."""
        self.say("It has ended here, and nothing more is done. Esc goes back.")

    def action_back(self) -> None:
        """Leave, unless something is being done; what waits for an answer ends."""
        if self.running and not self.waits:
            self.say(self.AT_WORK)
        else:
            self.leave()

    @property
    def waits(self) -> bool:
        """Whether a question of this screen waits, so that leaving it is a no."""
        return self.running and self.desk.asks(self)

    action_cancel = action_back
    """Leave, with a no to the question that waits."""

    def leave(self) -> None:
        """Close the screen."""
        self.dismiss()


def event_line(event: Event, columns: int = 0) -> str:
    """What the output says of an event, in lines of `columns`; empty where it says nothing."""
    match event:
        case Planned(step, plan, again) if plan.outcome is Outcome.PENDING:
            return f"-- {step.id}" + (
                "" if not again else ", the rest of it" if plan.begun else ", planned again"
            )
        case Checked(_, check):
            return check_content(check, columns).plain
        case Failed(step, why, reported=False):
            return f"{step.id} failed: {clean(why)}"
        case Recorded() | Drifted() | RolledBack():
            return event_text(event).strip()
    return ""


class RunSteps(ReviewAndRun["Run | None"]):
    """One run of the engine over the steps that `make` returns, or over those of the howto that are `wanted`. Its result is the
    run, None when nothing was done."""

    FIRST = "Preparing the plan ..."
    HELP_TEXT = """
First you see what will be done: each file with its diff, each command. Nothing is changed before you press y. What is
done is a commit in the history and can be rolled back from there. If it fails, it is undone at once.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Do it", tooltip="Do what is shown"),
        Binding("escape,enter", "cancel", "Cancel"),
        Binding("escape,enter", "back", "Back"),
        *PAGES,
    ]

    def __init__(
        self,
        heading: str,
        command: str,
        make: Callable[[], Sequence[Step]] | None,
        answers: Answers | None = None,
        wanted: Sequence[str] = (),
    ) -> None:
        """`answers` are those of the run where they are not the settings."""
        super().__init__()
        self.HEADING = heading  # type: ignore[misc]
        self._command, self._make, self._answers, self._wanted = command, make, answers, wanted
        self._run: Run | None = None
        self._done: list[str] = []
        """The steps that were applied."""
        self._rest = ""
        """The step whose rest is asked about: a no undoes what is done of it."""

    def on_mount(self) -> None:
        """Begin; the plan comes as a message."""
        self.same(self._command)
        apply = partial(self.backend.apply, wanted=self._wanted, make=self._make, answers=self._answers)

        def begin() -> None:
            self.start(self._command, lambda job: apply(job, partial(self._decide, job)))

        self.wizard.before_it_ends(begin, self.dismiss)

    def _decide(self, job: Job, step: Step, plan: Plan) -> bool:
        from wizard.engine.run import Enough

        if job.agreed(StepWaits(step, plan, self.backend.own_edits(plan))):
            return True
        raise Enough  # whoever cancels wants none of what follows either

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """y only answers a question; what is over cannot be cancelled."""
        match action:
            case "go":
                return self.desk.asks(self) and self.listens
            case "cancel" | "back":
                return self.waits is (action == "cancel")
        return True

    def on_step_waits(self, message: StepWaits) -> None:
        """Show the plan, and ask."""
        parts = [diff_content(plan_text(message.step, message.plan), indent=DIFF_INDENT, columns=width())]
        for edit in message.edits:
            parts.append(Content.styled(f"You have changed {clean(edit.path)} since:", "bold"))
            parts += [Content(clean(line)) for line in edit.text.splitlines()]
        self.show(*parts)
        self._rest = message.step.id if message.plan.begun else ""
        if self._rest:
            self.ask(f"y applies the rest of {self._rest}. Enter and Esc undo all of it.")
            return
        ends = f"end here: {', '.join(self._done)} applied" if self._done else "cancel: nothing is changed"
        self.ask(f"y applies {message.step.id}. Enter and Esc {ends}.")

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
            case Recorded(step):
                self._done.append(step.id)
            case RolledBack(steps):
                self._done = [name for name in self._done if name not in steps]
            case Failed(step, why, undone, not_undone, _):
                self.show_failure(f"{step.id} failed: {why}", undone, not_undone)

    def leave(self) -> None:
        """Leave out what waits; close when it is over."""
        if self.over:
            self.dismiss(self._run)
            return
        if self._rest and self.waits:
            self.go_on(f"Undoing {self._rest}")
        self.answer(Reply.NO)

    def ended(self, result: object) -> None:
        """Say how it ended."""
        from wizard.engine.run import Run

        assert isinstance(result, Run)
        self._run = run = result
        back = rolled_back_text(run.rolled_back)
        if run.failed:
            self.say(f"✗ {run.failed} failed and is undone unless it says NOT undone. {back}Esc goes back.")
        elif run.blocked:
            self.say(f"{back}Stopped: the problem is shown above. Esc goes back.")
        elif run.undecided:
            words = f"Stopped before {run.undecided}: something that works would end."
            self.say(f"{back}{words} Esc goes back.")
        elif run.applied and run.enough:
            done = ", ".join(run.applied)
            self.say(f"{done} applied. Ended before {run.enough}, which is still to do. Esc goes back.")
        elif run.applied:
            self.say("✓ Done. Esc goes back. It can be rolled back in the history (h).")
        elif run.enough and run.enough == self._rest:
            self.say(f"{run.enough} is undone: it was not finished. Esc goes back.")
        elif run.skipped or run.enough:
            self.dismiss(run)
        else:
            self.say("There is nothing to do. Esc goes back.")
