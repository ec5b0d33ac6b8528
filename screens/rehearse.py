"""Rehearse first: everything, for real, on a throwaway clone of this host; then the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Log, Static

from screens import error_text as problems
from screens.base import Frame
from screens.jobs import Job
from screens.messages import JobEnded, RehearsalSaid
from screens.widgets.signs import STATES
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.system.output_file import save

if TYPE_CHECKING:
    from wizard.rehearse.outcome import Rehearsal

PHASES = {
    "fetch": "fetch packages for the clone",
    "boot": "a clone of this host begins to live",
    "apply": "the set-up, in the clone",
    "login": "a made-up user logs in",
    "rollback": "everything is taken back",
}
INTRO = """
A clone of this running host is made in memory, and cut off from the network. All that the set-up does is done for
real there: packages, edits, sendmailconfig, restarts. A made-up user logs in with AUTH LOGIN. Then everything is taken
back, the clone is compared with what it was before, and thrown away.

This host is not changed: no file, no service, no mail. It takes little longer than the set-up itself.

y begins.
"""
SIGINT = 2


class Rehearse(Frame[None]):
    """What is going to happen, then how far it is, then the report."""

    HEADING = "Rehearse first"
    HELP_TEXT = """
The rehearsal does the whole set-up for real on a copy-on-write clone of this host: with its own processes, mounts and
network, and no way out. So it tells what would fail here before anything is changed here: each step with its diff, its
checks and its time, every path that was written, the login, and whether all can be taken back.

y begins; x ends it at once, and nothing is left of the clone. When it is over, F2 writes the report to a file.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Rehearse"),
        Binding("x", "stop", "Stop"),
        Binding("f2", "save", "Save report"),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._made: Rehearsal | None = None
        self._at_work = False
        self._phases: list[str] = []
        self._steps: dict[str, str] = {}

    def body(self) -> ComposeResult:
        """Text above, the clone's output below while it lives, one line of news."""
        with VerticalScroll(id="preview"):
            yield Static(
                " ".join(INTRO.split("\n")).replace("  ", "\n\n").strip(), id="comes-to", markup=False
            )
        yield Log(id="output", highlight=False, max_lines=4000, classes="hidden")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Nothing begins by itself."""
        self.same("msa-wizard rehearse")
        self.query_one("#preview").focus()
        self._timer = self.set_interval(0.3, self._draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Each key where it does something."""
        wanted = {"go": not self._at_work, "stop": self._at_work, "save": self._made is not None}
        return wanted.get(action, True)

    def action_go(self) -> None:
        """Begin."""
        if self._at_work or self.wizard.desk.changing:
            return
        self._at_work, self._made, self._phases, self._steps = True, None, [], {}
        output = self.query_one("#output", Log)
        output.clear()
        output.remove_class("hidden")
        self._say("At work, in the clone. x ends it at once.")
        self._progress()
        self.refresh_bindings()
        machine = self.wizard.machine

        def work(job: Job) -> object:
            def tell(said: dict[str, Any]) -> None:
                if said["event"] in ("text", "error"):
                    job.say(said["line"])
                else:
                    job.post(RehearsalSaid(said))

            return machine.rehearse(tell, job.interrupt)

        self.wizard.desk.start(self, "msa-wizard rehearse", work)

    def on_rehearsal_said(self, message: RehearsalSaid) -> None:
        """How far it is."""
        said = message.said
        if said["event"] == "phase":
            self._phases.append(said["phase"])
        elif said["event"] == "step":
            self._steps[said["step"]] = said["state"]
        self._progress()

    def _progress(self) -> None:
        working = self._phases[-1] if self._phases else ""
        lines = []
        for name, words in PHASES.items():
            if name == "fetch" and name not in self._phases:
                continue
            state = "working" if name == working else "done" if name in self._phases else "later"
            lines.append(_row(state, words))
            if name == "apply":
                lines += [_row(each, step, "  ") for step, each in self._steps.items() if each != "done"]
                done = [step for step, each in self._steps.items() if each == "done"]
                lines += [Content(f"    done: {', '.join(done)}")] if done else []
        self.query_one("#comes-to", Static).update(Content("\n").join(lines))

    def on_job_ended(self, message: JobEnded) -> None:
        """The report, or why there is none."""
        self._draw()
        self._at_work = False
        self.refresh_bindings()
        shown = self.query_one("#comes-to", Static)
        if message.error is not None:
            said = problems.words(message.error)
            if said is None:
                raise message.error
            if isinstance(message.error, Interrupted):
                said = "It was stopped. Nothing is left of the clone, and this host was not changed."
            shown.update(Content(said))
            self._say("y begins anew. Escape goes back.")
            return
        from wizard.rehearse.outcome import Rehearsal

        assert isinstance(message.result, Rehearsal)
        self._ended(message.result)

    def _ended(self, made: Rehearsal) -> None:
        from wizard.rehearse.report import shown

        self._made = made
        self.query_one("#output").add_class("hidden")
        sign, style = ("✓", "bold ansi_green") if made.ok else ("✗", "bold ansi_red")
        verdict = Content.styled(f"{sign} {clean(made.verdict)}", style)
        report = "\n".join(map(clean, shown(made, "screen").splitlines()))
        self.query_one("#comes-to", Static).update(Content("\n\n").join([verdict, Content(report)]))
        self.query_one("#preview").scroll_home(animate=False)
        self._say("The clone is gone. F2 writes the whole report to a file; space turns the page.")
        self.refresh_bindings()

    def action_stop(self) -> None:
        """Throw the clone away now."""
        if self._at_work:
            self._say("Ending it ...")
            self.wizard.desk.tell(SIGINT)

    def action_save(self) -> None:
        """The report as Markdown, beside us."""
        from wizard.rehearse.report import shown

        if self._made is None:
            return
        name = "msa-rehearsal.md"
        try:
            words = save(Path(name).absolute(), shown(self._made, "md"))
        except Exception as error:
            said = problems.words(error)
            if said is None:
                raise
            self.notify(said, severity="error", markup=False)
        else:
            self.notify(words, markup=False)

    def action_turn(self, pages: int) -> None:
        """Scroll the report."""
        preview = self.query_one("#preview")
        preview.scroll_relative(y=pages * max(1, preview.size.height - 2), animate=False)

    def action_back(self) -> None:
        """Leave, unless it is at work."""
        if self._at_work:
            self._say("It is at work; x ends it at once, and leaves nothing of the clone.")
        else:
            self.dismiss(None)

    def _draw(self) -> None:
        if self.wizard.desk.lines and (self._at_work or self._made is None):
            self.query_one("#output", Log).write_lines(self.wizard.desk.taken())

    def _say(self, words: str) -> None:
        self.query_one("#says", Static).update(words)


def _row(state: str, words: str, indent: str = "") -> Content:
    sign, word, style = STATES[{"doing": "working"}.get(state, state)]
    return Content.assemble(indent, (f"{sign} {word:<8}", style), (clean(words), ""))
