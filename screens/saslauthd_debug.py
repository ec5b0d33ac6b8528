"""saslauthd in the foreground, talking: each line explained, its service put back at the end (howto 5.1)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from screens import error_text as problems
from screens.base import Frame
from screens.jobs import Job
from screens.messages import DebugSaid, JobEnded
from screens.widgets.explained_lines import ExplainedLines
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.model.plan import Sign

if TYPE_CHECKING:
    from wizard.debug.saslauthd import Ended

SECONDS = 600
"""How long it runs at most."""
_ABOUT = (
    "y stops saslauthd's service and runs it in the foreground, with this host's own options and -d. Logins are "
    "answered by it meanwhile: try one with a mail program, or in another session: msa-wizard test --user NAME. "
    f"e, Escape, {SECONDS} s or a dropped line end it; the service is put back whatever happens."
)


class SaslauthdDebug(Frame[None]):
    """Begun with y, ended with e."""

    HEADING = "saslauthd in debug mode"
    HELP_TEXT = """
sendmail asks saslauthd whether a user name and a password are right, and saslauthd asks PAM. In debug mode it says what
it is asked and what it answers. Each line stands with a word on what it means; the arrow keys choose one, and the pane
below says it in full. "auth success" and "response: OK" are a yes, "auth failure" a no, with PAM's reason. Nothing new
while somebody logs in means that sendmail does not get as far as saslauthd.

Passwords are masked. The service is stopped for that while, and put back at the end, also when the line drops or
msa-wizard is killed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "begin", "Begin"),
        Binding("e", "end", "End"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The lines, what the chosen one means, where it stands."""
        yield ExplainedLines(_ABOUT)
        yield Static("y begins. Nothing is changed before.", id="says", markup=False)

    def on_mount(self) -> None:
        """Wait for the key."""
        self._stop = threading.Event()
        self._begun = 0.0
        self._leave = False
        self.same("msa-wizard debug saslauthd")
        self.query_one("#said").focus()
        self.set_interval(1.0, self._count)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """It begins once at a time."""
        if action == "begin":
            return not self.wizard.desk.busy
        return bool(self._at_work()) if action == "end" else True

    def _at_work(self) -> bool:
        return self.wizard.desk.changing

    def action_begin(self) -> None:
        """Stop the service, and listen."""
        if self.wizard.desk.busy:
            return
        self._stop = stop = threading.Event()
        self._begun = time.monotonic()
        self.query_one(ExplainedLines).clear("Nothing said yet.")
        self._say("saslauthd is started in the foreground ...")
        machine = self.wizard.machine

        def work(job: Job) -> object:
            def told(line: str) -> None:
                job.post(DebugSaid(line))

            return machine.debug_saslauthd(SECONDS, told, job.say, stop.is_set, job.interrupt)

        self.wizard.desk.start(self, "saslauthd in debug mode", work)
        self.refresh_bindings()

    def action_end(self) -> None:
        """Put the service back."""
        if self._at_work():
            self._stop.set()
            self._say("saslauthd's service is being put back ...")

    def action_back(self) -> None:
        """Away, once the service is back."""
        if self._at_work():
            self._leave = True
            self.action_end()
        else:
            self.dismiss()

    def on_debug_said(self, message: DebugSaid) -> None:
        """A line of saslauthd."""
        from wizard.debug.saslauthd import said

        made = said(message.line, clean)
        where = f"saslauthd[{made.pid}]: " if made.pid else ""
        self.query_one(ExplainedLines).add(where + made.text, made.explanation, _style(made.text))

    def on_job_ended(self, message: JobEnded) -> None:
        """The service is back, or why it is not."""
        self._begun = 0.0
        lines = self.query_one(ExplainedLines)
        for line in self.wizard.desk.taken():
            lines.add(line, "what msa-wizard did", "ansi_cyan")
        lines.draw()
        self.refresh_bindings()
        if message.error is not None:
            said = (
                "It was ended." if isinstance(message.error, Interrupted) else problems.words(message.error)
            )
            if said is None:
                raise message.error
            self._say(f"✗ {said}")
        elif message.result is not None:
            self._say(_ended(message.result))  # type: ignore[arg-type]
        if self._leave:
            self.dismiss()

    def _count(self) -> None:
        if self._begun and self._at_work() and not self._stop.is_set():
            left = SECONDS - (time.monotonic() - self._begun)
            self._say(f"At work, {max(0, left):.0f} s left. e ends it. Log in now, from a mail program.")

    def _say(self, words: str) -> None:
        self.query_one("#says", Static).update(words)


def _style(text: str) -> str:
    if "auth success" in text or "response: OK" in text:
        return "ansi_green"
    return "ansi_red" if "auth failure" in text or "response: NO" in text else ""


def _ended(ended: Ended) -> str:
    words = (
        f"✗ saslauthd ended by itself with status {ended.code}: see its last lines. "
        if ended.by_itself
        else ""
    )
    if ended.check is None:
        return f"{words}saslauthd did not run before, and does not now."
    sign = "✓" if ended.check.sign is Sign.OK else "✗"
    return f"{words}{sign} The service is put back: {clean(ended.check.says)}"
