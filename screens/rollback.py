"""Taking something back: what it comes to, conflicts, then the work and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Log, Static

from screens import error_text as problems
from screens.base import Frame
from screens.external_programs import edit
from screens.jobs import Job, Reply, Stopped
from screens.messages import JobEnded, RollbackWaits
from screens.widgets.diff_text import diff_content
from screens.widgets.signs import check_content
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.render.text import DIFF_INDENT, conflict_text, rollback_text
from wizard.rollback.apply import RollbackResult
from wizard.rollback.plan import Rollback

if TYPE_CHECKING:
    from pathlib import Path

    from snapshots.merge.three_way import Choice
    from wizard.engine.in_force import Target
    from wizard.rollback.rollback import RollbackRun


class RollBack(Frame[None]):
    """One rollback. Cancelling is the default everywhere."""

    HEADING = "Take back"
    HELP_TEXT = """
First you see what taking it back comes to: the steps that go with it because they need it, each file as it will
be, what is made anew, what is restarted. Nothing is changed before you press y.

Your own later work in the same files stays. Where you and the step changed the very same lines, the three
versions are shown: yours, as the step left it, as it was before. k keeps yours there, r brings back what was
before, e opens your file in your editor and then works it out anew, Escape leaves everything as it is. A rollback
is a commit too, and can itself be taken back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Take it back"),
        Binding("k", "choose('keep')", "Keep mine"),
        Binding("r", "choose('restore')", "Restore"),
        Binding("e", "edit", "Edit"),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
        Binding("escape,enter", "back", "Cancel"),
    ]

    def __init__(self, ref: str, *, to: bool = False) -> None:
        super().__init__()
        self._ref = ref
        self._to = to
        self._made: Rollback | None = None
        self._done = False
        self._edited: Path | None = None
        """What the admin wants to edit first."""

    def body(self) -> ComposeResult:
        """The preview, the output below it once there is some, one line of news."""
        with VerticalScroll(id="preview"):
            yield Static("Working out what it comes to ...", id="comes-to", markup=False)
        yield Log(id="output", highlight=False, max_lines=4000, classes="hidden")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Begin; the preview comes as a message."""
        self._timer = self.set_interval(0.1, self._draw)
        if not self._to:
            self.same(f"msa-wizard rollback {self._ref}")
        self.query_one("#preview").focus()
        self._begin()

    def _begin(self) -> None:
        name: Callable[[RollbackRun], Target] = lambda work: (  # noqa: E731
            work.back_to(self._ref) if self._to else work.target(self._ref)
        )

        def decide(job: Job, made: Rollback) -> Choice | bool:
            from snapshots.merge.three_way import Choice

            reply = job.ask(RollbackWaits(made))
            return Choice(str(reply)) if reply in (Reply.KEEP, Reply.RESTORE) else reply is Reply.YES

        machine = self.wizard.machine
        self.wizard.desk.start(
            self,
            "rollback",
            lambda job: machine.take_back(
                name, lambda made: decide(job, made), job.report, job.say, job.interrupt
            ),
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the keys that answer what is asked."""
        conflicts = self._made is not None and bool(self._made.reversal.conflicts)
        if action == "go":
            return self._made is not None and not conflicts and not self._done
        if action in ("choose", "edit"):
            return conflicts and not self._done
        return True

    def on_rollback_waits(self, message: RollbackWaits) -> None:
        """Show what it comes to, and ask."""
        self._made = made = message.made
        conflicts = made.reversal.conflicts
        parts = [diff_content(conflict_text(item)) for item in conflicts]
        if parts:
            parts.insert(0, Content.styled("You and the step changed the same:\n", "bold ansi_red"))
        parts.append(diff_content(rollback_text(made), indent=DIFF_INDENT))
        self.query_one("#comes-to", Static).update(Content("\n").join(parts))
        self.title_says(f"  {made.target.words}")
        if conflicts:
            self._say(
                "k keeps yours there, r restores what was before, e edits; Escape cancels (the default)."
            )
        else:
            self._say("y takes this back. Enter and Escape cancel: nothing is changed.")
        self.refresh_bindings()

    def action_go(self) -> None:
        """Yes."""
        if self.wizard.desk.waiting:
            self._made = None
            self.query_one("#output").remove_class("hidden")
            self._say("At work.")
            self.wizard.desk.answer(Reply.YES)
            self.refresh_bindings()

    def action_choose(self, side: str) -> None:
        """Decide the conflicts; the preview comes anew."""
        self._made = None
        self.wizard.desk.answer(Reply(side))
        self.refresh_bindings()

    def action_edit(self) -> None:
        """Put the first of the files right by hand; once this job has ended."""
        if self._made is not None and self.wizard.desk.waiting:
            self._edited = self.wizard.machine.host.path(f"/{self._made.reversal.conflicts[0].path}")
            self._made = None
            self.wizard.desk.answer(Reply.NO)

    def action_turn(self, pages: int) -> None:
        """Scroll the preview."""
        preview = self.query_one("#preview")
        preview.scroll_relative(y=pages * max(1, preview.size.height - 2), animate=False)

    def action_back(self) -> None:
        """Cancel, or close when done."""
        if self.wizard.desk.changing and not self._done:
            self._say("It is at work; it ends in a moment. q quits.")
            return
        self.wizard.desk.answer(Reply.NO)
        self.dismiss()

    def on_job_ended(self, message: JobEnded) -> None:
        """What came of it."""
        if self._edited is not None:
            path, self._edited = self._edited, None
            edit(self.app, path)
            self._begin()
            return
        self._draw()
        self._timer.stop()
        self._done, self._made = True, None
        self.refresh_bindings()
        if message.error is not None:
            self._ended_badly(message.error)
        elif isinstance(message.result, RollbackResult):
            self._result(message.result)

    def _ended_badly(self, error: Exception) -> None:
        if isinstance(error, Stopped | Interrupted):
            return
        said = problems.words(error)
        if said is None:
            raise error
        self.query_one("#comes-to", Static).update(said)
        self._say("Escape goes back.")

    def _result(self, done: RollbackResult) -> None:
        parts: list[Content] = []
        if done.failed:
            parts.append(
                Content.styled(f"✗ It failed, and was itself undone: {clean(done.failed)}", "bold ansi_red")
            )
            parts += [Content(f"undone: {clean(line)}") for line in done.undone]
            parts += [
                Content.styled(f"NOT undone: {clean(line)}", "bold ansi_red") for line in done.not_undone
            ]
            self._say("The host is as before, but for what is named NOT undone. Escape goes back.")
        else:
            parts.append(Content.styled(f"✓ Taken back, recorded as {done.commit}.", "bold ansi_green"))
            parts += [check_content(check) for check in done.checks]
            parts += [Content(f"Left: {clean(line)}") for line in done.left]
            self._say("Done. Escape goes back. In the history this rollback can itself be taken back.")
        self.query_one("#comes-to", Static).update(Content("\n").join(parts))

    def _draw(self) -> None:
        if lines := self.wizard.desk.taken():
            self.query_one("#output", Log).write_lines(lines)

    def _say(self, words: str) -> None:
        self.query_one("#says", Static).update(words)
