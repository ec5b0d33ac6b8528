"""A few steps outside the set-up's order, such as a new certificate: each shown, asked for, done and looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Log, Static

from screens import error_text as problems
from screens.base import Frame
from screens.jobs import Job, Reply, Stopped
from screens.messages import EndingsWait, EngineSaid, JobEnded, StepWaits
from screens.what_would_end import Endings
from screens.widgets.diff_text import diff_content
from screens.widgets.signs import check_content
from wizard.console import clean
from wizard.engine.apply import Run
from wizard.errors import Interrupted
from wizard.model.events import Checked, Failed, Planned, Recorded
from wizard.model.plan import Outcome
from wizard.render.text import DIFF_INDENT, plan_text

if TYPE_CHECKING:
    from wizard.model.plan import Plan, Step


class Doing(Frame[Run | None]):
    """One run of the engine over the steps that `make` works out. Its result is the run, None when nothing was done."""

    HELP_TEXT = """
First you see what will be done: each file with its diff, each command. Nothing is changed before you press y. What is
done is a commit in the history, and can be taken back from there. If it fails it is undone at once.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Do it"),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
        Binding("escape,enter", "back", "Cancel"),
    ]

    def __init__(self, heading: str, command: str, make: Callable[[], Sequence[Step]]) -> None:
        super().__init__()
        self.HEADING = heading  # type: ignore[misc]
        self._command, self._make = command, make
        self._run: Run | None = None
        self._over = False

    def body(self) -> ComposeResult:
        """What will be done, the output below it once there is some, one line of news."""
        with VerticalScroll(id="preview"):
            yield Static("Working out what is to be done ...", id="comes-to", markup=False)
        yield Log(id="output", highlight=False, max_lines=4000, classes="hidden")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Begin; the plan comes as a message."""
        self._timer = self.set_interval(0.3, self._draw)
        self.same(self._command)
        self.query_one("#preview").focus()
        machine, make = self.wizard.machine, self._make

        def decide(job: Job, step: Step, plan: Plan) -> bool:
            edits = machine.own_edits(plan)
            return job.ask(StepWaits(step, plan, edits)) is Reply.YES

        self.wizard.desk.start(
            self,
            self._command,
            lambda job: machine.do(
                make,
                job.report,
                lambda step, plan: decide(job, step, plan),
                lambda step, _plan, ends: job.ask(EndingsWait(step, ends)) is Reply.YES,
                job.interrupt,
            ),
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """y only answers a question."""
        return self.wizard.desk.waiting if action == "go" else True

    def on_step_waits(self, message: StepWaits) -> None:
        """Show the plan, and ask."""
        parts = [diff_content(plan_text(message.step, message.plan), indent=DIFF_INDENT)]
        for edit in message.edits:
            parts.append(Content.styled(f"You have changed {clean(edit.path)} since:", "bold"))
            parts.append(Content("\n".join(clean(line) for line in edit.text.splitlines())))
        self._show(Content("\n").join(parts))
        self._say(f"y does {message.step.id}. Enter and Escape leave it: nothing is changed.")
        self.refresh_bindings()

    def on_endings_wait(self, message: EndingsWait) -> None:
        """Something that works would end: a question of its own."""

        def decided(yes: bool | None) -> None:
            self.wizard.desk.answer(Reply.YES if yes else Reply.NO)

        self.app.push_screen(Endings(message.step.id, message.ends), decided)

    def on_engine_said(self, message: EngineSaid) -> None:
        """What is done, as lines; a plan that needs no answer is shown too."""
        self._draw()
        log = self.query_one("#output", Log)
        match message.event:
            case Planned(step, plan, _) if plan.outcome is not Outcome.PENDING:
                self._show(Content(plan_text(step, plan)))
            case Recorded(step, commit, seconds):
                log.write_line(f"{step.id} done in {seconds:.1f} s, recorded as {commit}")
            case Checked(_, check):
                log.write_line(check_content(check).plain)
            case Failed(step, why, undone, not_undone, _):
                parts = [Content.styled(f"✗ {step.id} failed: {clean(why)}", "bold ansi_red")]
                parts += [Content(f"undone: {clean(line)}") for line in undone]
                parts += [
                    Content.styled(f"NOT undone: {clean(line)}", "bold ansi_red") for line in not_undone
                ]
                self._show(Content("\n").join(parts))

    def action_go(self) -> None:
        """Yes."""
        if self.wizard.desk.waiting:
            self.query_one("#output").remove_class("hidden")
            self._say("At work.")
            self.wizard.desk.answer(Reply.YES)
            self.refresh_bindings()

    def action_turn(self, pages: int) -> None:
        """Scroll what will be done."""
        preview = self.query_one("#preview")
        preview.scroll_relative(y=pages * max(1, preview.size.height - 2), animate=False)

    def action_back(self) -> None:
        """Leave what waits; close when it is over."""
        if self.wizard.desk.changing and not self._over:
            self._say("It is at work; it ends in a moment. q quits.")
            return
        if self._over:
            self.dismiss(self._run)
        else:
            self.wizard.desk.answer(Reply.NO)

    def on_job_ended(self, message: JobEnded) -> None:
        """What came of it."""
        self._draw()
        self._timer.stop()
        self._over = True
        self.refresh_bindings()
        if message.error is not None:
            if isinstance(message.error, Stopped | Interrupted):
                return
            said = problems.words(message.error)
            if said is None:
                raise message.error
            self._show(Content(said))
            self._say("Nothing was changed. Escape goes back.")
            return
        assert isinstance(message.result, Run)
        self._ended(message.result)

    def _ended(self, run: Run) -> None:
        self._run = run
        if run.failed:
            self._say(f"✗ {run.failed} failed, and is undone unless it says NOT undone. Escape goes back.")
        elif run.blocked:
            self._say("Stopped: see above what is in the way. Escape goes back.")
        elif run.undecided:
            self._say(f"Stopped before {run.undecided}: something that works would end. Escape goes back.")
        elif run.applied:
            self._say("✓ Done. Escape goes back. The history (h) can take it back.")
        elif run.skipped:
            self.dismiss(run)
        else:
            self._say("There is nothing to do. Escape goes back.")

    def _draw(self) -> None:
        if lines := self.wizard.desk.taken():
            self.query_one("#output", Log).write_lines(lines)

    def _show(self, content: Content) -> None:
        self.query_one("#comes-to", Static).update(content)

    def _say(self, words: str) -> None:
        self.query_one("#says", Static).update(words)
