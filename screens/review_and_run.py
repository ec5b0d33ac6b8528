"""The base of the screens that change something: preview, run, result."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Log, Static

from screens.base import Frame, Result
from screens.error_text import sentence
from screens.jobs import EngineSaid, Job, JobEnded, Reply, Stopped
from screens.widgets.signs import check_content
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.model.events import Checked, Drifted, Event, Failed, Planned, Recorded
from wizard.model.plan import Outcome
from wizard.render.text import event_text

DRAWN = 0.3
"""Seconds between two looks at new output."""


class ReviewAndRun(Frame[Result]):
    """Above what will be done, below it the output once there is some, then a line of news.

    It is at rest until `start`; then its job runs, waiting for an answer wherever it asks; then it is over, until
    another start."""

    AUTO_FOCUS = "#preview"
    SCROLLED = "#preview"
    FIRST: ClassVar[str] = ""
    """What the preview holds at first."""
    AT_WORK: ClassVar[str] = "It is at work and ends in a moment. q quits."
    """Said to whoever wants to leave meanwhile."""
    running = False
    over = False

    def body(self) -> ComposeResult:
        """Preview, output, news."""
        with VerticalScroll(id="preview"):
            yield Static(self.FIRST, id="comes-to", markup=False)
        yield Log(id="output", highlight=False, max_lines=4000, classes="hidden")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Draw output while there is some."""
        self.set_interval(DRAWN, self.draw)

    def start(self, name: str, work: Callable[[Job], object]) -> None:
        """Do `work` in a thread; its messages come here."""
        self.running, self.over = True, False
        self.wizard.desk.start(self, name, work)
        self.refresh_bindings()

    def answer(self, reply: Reply) -> None:
        """Answer the question that waits."""
        self.wizard.desk.answer(reply)
        self.refresh_bindings()

    def go_on(self, words: str = "At work.") -> None:
        """Bring the output to the screen, for now something is done."""
        self.query_one("#output").remove_class("hidden")
        self.say(words)

    def show(self, *parts: Content | str) -> None:
        """Fill the preview, one part below the other."""
        self.query_one("#comes-to", Static).update(Content("\n").join(parts))

    def show_failure(self, words: str, undone: tuple[str, ...], not_undone: tuple[str, ...]) -> None:
        """Show what failed, and what was undone of it."""
        self.show(
            Content.styled(f"✗ {clean(words)}", "bold ansi_red"),
            *(f"undone: {clean(line)}" for line in undone),
            *(Content.styled(f"NOT undone: {clean(line)}", "bold ansi_red") for line in not_undone),
        )

    def draw(self) -> None:
        """Show the output that has come."""
        if self.running and (lines := self.wizard.desk.taken()):
            self.query_one("#output", Log).write_lines(lines)

    def on_engine_said(self, message: EngineSaid) -> None:
        """An event of the run."""
        self.draw()
        if line := event_line(message.event):
            self.query_one("#output", Log).write_line(line)

    def on_job_ended(self, message: JobEnded) -> None:
        """The run is over."""
        self.draw()
        self.running, self.over = False, True
        if message.error is None:
            self.ended(message.result)
        elif isinstance(message.error, Stopped | Interrupted):
            self.interrupted()
        else:
            self.failed(sentence(message.error))
        self.refresh_bindings()

    def ended(self, result: object) -> None:
        """Show the result."""
        raise NotImplementedError

    def failed(self, why: str) -> None:
        """Show why there is no result."""
        self.show(why)
        begun = self.query_one("#output").display
        self.say("Escape goes back." if begun else "Nothing was changed. Escape goes back.")

    def interrupted(self) -> None:
        """The admin, or a signal, has ended it."""

    def action_back(self) -> None:
        """Leave, unless something is being done: a question that waits gets a no."""
        if self.running and self.wizard.desk.changing:
            self.say(self.AT_WORK)
        else:
            self.leave()

    def leave(self) -> None:
        """Close the screen."""
        self.wizard.desk.answer(Reply.NO)
        self.dismiss()


def event_line(event: Event) -> str:
    """What the output says of an event; empty where it says nothing."""
    match event:
        case Planned(step, plan, again) if plan.outcome is Outcome.PENDING:
            return f"-- {step.id}" + (", planned again" if again else "")
        case Checked(_, check):
            return check_content(check).plain
        case Failed(step, why, _, _, _):
            return f"{step.id} failed: {clean(why)}"
        case Recorded() | Drifted():
            return event_text(event).strip()
    return ""
