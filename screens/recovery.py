"""A run was killed: take it back, finish it, or look at what it had done."""

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
from screens.jobs import Job
from screens.messages import EngineSaid, JobEnded
from screens.widgets.signs import check_content
from wizard.console import clean
from wizard.engine.apply import Run
from wizard.model.events import Checked, Failed, Planned, Recorded
from wizard.model.plan import Outcome
from wizard.rollback.apply import RollbackResult

if TYPE_CHECKING:
    from wizard.rollback.recovery import Recovery


Recovering = Callable[["Recovery"], "RollbackResult | Run | str"]


class Interrupted(Frame[None]):
    """Undo is the default; nothing happens before a key is pressed."""

    HEADING = "An interrupted run"
    HELP_TEXT = """
A run ended without an end: the power was cut, or the process killed. What it had begun is in the journal, and what
everything was before is in the snapshot store. u takes the run back: the host is then as it was before. f goes on
with it where it was. Both can be interrupted too, and begun again. Where something cannot be undone, it is named, and a
keeps the host as it is now: that is recorded, and the run closed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u,enter", "undo", "Take it back", key_display="u"),
        Binding("f", "finish", "Finish it"),
        Binding("a", "accept", "Keep as it is"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """What is known, then the output."""
        with VerticalScroll(id="preview", can_focus=False):
            yield Static("", id="comes-to", markup=False)
        yield Log(id="output", highlight=False, max_lines=4000)
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Say what is known of it."""
        self._timer = self.set_interval(0.1, self._draw)
        self._over = self._failed = False
        self.same("msa-wizard recover --show")
        try:
            told = self.wizard.machine.killed()
        except Exception as error:
            said = problems.words(error)
            if said is None:
                raise
            self._show(Content(said))
            self._over = True
            return
        if told is None:
            self._show(Content("No run is interrupted."))
            self._over = True
            return
        parts: list[str | tuple[str, str]] = [
            (f"{clean(told.words())}.\n", "bold"), f"Everything as it was before is commit {told.head[:10]}.\n"
        ]  # fmt: skip
        if told.step:
            parts.append(f"In hand: {clean(told.step)}. It may have written:\n")
            touched = [str(path) for change in told.changes for path in _list(change.get("touches"))]
            parts += [f"  {clean(path)}\n" for path in dict.fromkeys(touched)] or ["  nothing yet\n"]
        self._show(Content.assemble(*parts))
        self._say("u takes it back (the default), f finishes it, Escape leaves it as it is.")

    def action_undo(self) -> None:
        """As before the run."""
        self._begin("recover", lambda recovery: recovery.undo())

    def action_finish(self) -> None:
        """On with it."""
        self._begin("recover --finish", _finish)

    def action_accept(self) -> None:
        """The host stays as it is now."""
        self._begin("recover --accept", lambda recovery: recovery.accept())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """To keep what is half-done is offered once it could not be undone or finished."""
        return self._failed if action == "accept" else True

    def action_back(self) -> None:
        """Leave it, unless it is at work."""
        if not self.wizard.desk.changing:
            self.dismiss()

    def _begin(self, name: str, act: Recovering) -> None:
        if self._over:
            self.dismiss()
            return
        if self.wizard.desk.busy:
            return
        self.same(f"msa-wizard {name}")
        self._say("At work.")
        machine = self.wizard.machine

        def work(job: Job) -> object:
            return machine.recover(act, job.report, job.say, job.interrupt)

        self.wizard.desk.start(self, name, work)

    def on_engine_said(self, message: EngineSaid) -> None:
        """What is done, as lines."""
        self._draw()
        log = self.query_one("#output", Log)
        match message.event:
            case Planned(step, plan, _) if plan.outcome is Outcome.PENDING:
                log.write_line(f"-- {step.id}")
            case Recorded(step, commit, seconds):
                log.write_line(f"{step.id} done in {seconds:.1f} s, recorded as {commit}")
            case Checked(_, check):
                log.write_line(check_content(check).plain)
            case Failed(step, why, _, _, _):
                log.write_line(f"{step.id} failed: {clean(why)}")

    def on_job_ended(self, message: JobEnded) -> None:
        """What came of it."""
        self._draw()
        result, bad = message.result, ""
        if message.error is not None:
            said = problems.words(message.error)
            if said is None:
                raise message.error
            bad = said
        elif isinstance(result, RollbackResult):
            bad = "; ".join(map(clean, (*result.not_undone, *((result.failed,) if result.failed else ()))))
        elif isinstance(result, Run) and result.undecided:
            bad = f"Stopped before {result.undecided}: something that works would end (the steps, with Enter, ask)."
        elif isinstance(result, Run) and result.stopped:
            bad = f"Stopped at {result.stopped}."
        self._over, self._failed = not bad, bool(bad)
        self.refresh_bindings()
        self._say(self._end_words(bad, result))

    def _end_words(self, bad: str, result: object) -> str:
        if bad:
            return f"✗ {bad.rstrip('.')}. Then press u or f again, or a to keep the host as it is."
        if isinstance(result, str):
            return f"✓ Accepted as it is, recorded as {result}. Enter goes on."
        return "✓ The host is whole. Enter goes on."

    def _draw(self) -> None:
        if lines := self.wizard.desk.taken():
            self.query_one("#output", Log).write_lines(lines)

    def _show(self, content: Content) -> None:
        self.query_one("#comes-to", Static).update(content)

    def _say(self, words: str) -> None:
        self.query_one("#says", Static).update(words)


def _finish(recovery: Recovery) -> RollbackResult | Run:
    return recovery.finish()


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
