"""The set-up, for real, on a throwaway clone of this host; then the report."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from screens.base import PAGES
from screens.jobs import Job
from screens.review_and_run import ReviewAndRun
from screens.saving import save_asking
from screens.widgets.contents import state_content
from screens.widgets.output import Output
from wizard.console import clean

if TYPE_CHECKING:
    from wizard.rehearse.outcome import Rehearsal

PHASES = {
    "fetch": "fetch packages for the clone",
    "boot": "start a clone of this host",
    "apply": "the set-up, in the clone",
    "login": "a made-up user logs in",
    "rollback": "everything is rolled back",
}
REPORT = "msa-rehearsal.md"


class Rehearse(ReviewAndRun[None]):
    """What is going to happen, then how far it is, then the report."""

    HEADING = "Rehearse first"
    FIRST = (
        "A clone of this running host is made in memory and cut off from the network. The whole set-up is done for "
        "real there: packages, edits, sendmailconfig, restarts. A made-up user logs in with AUTH LOGIN. Then everything "
        "is rolled back, and the clone is compared with what it was before and thrown away.\n\n"
        "This host is not changed: no file, no service, no mail. It takes a little longer than the set-up itself.\n\n"
        "y begins."
    )
    HELP_TEXT = """
The rehearsal does the whole set-up for real on a copy-on-write clone of this host, with its own processes, mounts and
network, and no way out. So it shows what would fail here before anything is changed here: each step with its diff, its
checks and its time, every path that was written, the login, and whether everything can be rolled back.

y begins; x stops it at once, and nothing is left of the clone. When it is over, F2 writes the report to a file.
"""
    AT_WORK = "It is at work; x stops it at once and leaves nothing of the clone."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Rehearse", tooltip="Begin the rehearsal"),
        Binding("x", "stop", "Stop", tooltip="Stop the rehearsal"),
        Binding("f2", "save", "Save report", tooltip="Save the report"),
        *PAGES,
        Binding("escape", "back", "Back"),
    ]

    _rehearsal: Rehearsal | None = None
    _phases: list[str]
    _steps: dict[str, str]

    def on_mount(self) -> None:
        """Nothing begins by itself."""
        mta = " --replace-mta" * self.backend.answers.replace_mta
        self.same(f"msa-wizard rehearse{self.backend.settings_options}{mta}")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Each key where it does something."""
        allowed = {
            "go": not self.running and self.listens,
            "stop": self.running,
            "save": self._rehearsal is not None,
        }
        return allowed.get(action, True)

    def action_go(self) -> None:
        """Begin."""
        if not (self.running or self.desk.changing):
            self.wizard.before_it_ends(self._begin)

    def _begin(self) -> None:
        self._rehearsal, self._phases, self._steps = None, [], {}
        self.query_one("#output", Output).clear()
        doing = "At work, in the clone. x stops it at once"
        self.go_on(doing)
        self._show_progress()
        backend = self.backend

        def work(job: Job) -> object:
            def tell(message: dict[str, Any]) -> None:
                if message["event"] in ("text", "error"):
                    job.say(message["line"])
                    if says := message.get("explanation"):
                        job.say(f"     {says}")
                else:
                    job.show(self.tell, message)

            return backend.rehearse(tell, job.interrupt)

        self.start("msa-wizard rehearse", work, doing)

    def tell(self, message: dict[str, Any]) -> None:
        """How far it is, in the words of `wizard.rehearse.worker`."""
        if message["event"] == "phase":
            self._phases.append(message["phase"])
        elif message["event"] == "step":
            self._steps[clean(message["step"])] = {"doing": "working"}.get(message["state"], message["state"])
        self._show_progress()

    def _show_progress(self) -> None:
        current = self._phases[-1] if self._phases else ""
        lines = []
        for name, words in PHASES.items():
            if name == "fetch" and name not in self._phases:
                continue
            state = "working" if name == current else "done" if name in self._phases else "later"
            lines.append(state_content(state, words))
            if name == "apply":
                begun = [(state, step) for step, state in self._steps.items() if state != "done"]
                lines += [Content.assemble("  ", state_content(*row)) for row in begun]
                finished = [step for step, state in self._steps.items() if state == "done"]
                lines += [Content(f"    done: {', '.join(finished)}")] if finished else []
        self.show(*lines)

    def failed(self, why: str) -> None:
        """Show why there is no report."""
        self.show(why)
        self.ask_when_quiet(partial(self.say, "y starts again. Esc goes back."))

    def interrupted(self) -> None:
        """It was stopped."""
        self.failed("It was stopped. Nothing is left of the clone, and this host was not changed.")

    def ended(self, result: object) -> None:
        """Show the report."""
        from wizard.rehearse.outcome import Rehearsal, shown

        assert isinstance(result, Rehearsal)
        self._rehearsal = result
        self.query_one("#output").add_class("hidden")
        sign, style = ("✓", "bold ansi_green") if result.ok else ("✗", "bold ansi_red")
        report = "\n".join(map(clean, shown(result, "screen").splitlines()))
        self.show(Content.styled(f"{sign} {clean(result.verdict)}\n", style), report)
        self.query_one("#preview").scroll_home(animate=False)
        self.say("The clone is gone. F2 writes the whole report to a file; space pages.")

    def action_stop(self) -> None:
        """Throw the clone away now."""
        if self.running:
            self.say("Stopping ...")
            self.desk.tell(signal.SIGINT)

    def action_save(self) -> None:
        """The report as Markdown, in the current directory."""
        from wizard.rehearse.outcome import shown

        if (rehearsal := self._rehearsal) is not None:
            save_asking(self, REPORT, shown(rehearsal, "md"))
