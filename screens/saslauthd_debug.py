"""saslauthd in the foreground in debug mode: each line explained, its service restored at the end (howto 5.1)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from screens.base import Frame
from screens.error_text import sentence
from screens.jobs import DebugSaid, JobEnded
from screens.widgets.explained_lines import ExplainedLines
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.model.plan import Sign

if TYPE_CHECKING:
    from wizard.debug import DebugResult

SECONDS = 600
"""How long it runs at most."""
_ABOUT = (
    "y stops saslauthd's service and runs it in the foreground, with this host's own options and -d. Logins are "
    "answered by it meanwhile: try one with a mail program, or in another session: msa-wizard test --user NAME. "
    f"e, Escape, {SECONDS} s or a dropped connection end it; the service is restored whatever happens."
)


class SaslauthdDebug(Frame[None]):
    """Begun with y, ended with e."""

    HEADING = "saslauthd in debug mode"
    AUTO_FOCUS = "#said"
    HELP_TEXT = """
sendmail asks saslauthd whether a user name and a password are right, and saslauthd asks PAM. In debug mode it prints
what it is asked and what it answers. Each line comes with a short explanation; the arrow keys choose one, and the pane
below explains it in full. "auth success" and "response: OK" are a yes, "auth failure" a no, with PAM's reason. Nothing
new while somebody logs in means that sendmail does not get as far as saslauthd.

Passwords are masked. The service is stopped meanwhile and restored at the end, also if the connection drops or
msa-wizard is killed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "begin", "Begin"),
        Binding("e", "end", "End"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The lines, what the chosen one means, the line of news."""
        yield ExplainedLines(_ABOUT)
        yield Static("y begins. Nothing is changed until then.", id="says", markup=False)

    def on_mount(self) -> None:
        """Wait for the key."""
        self._stop = threading.Event()
        self._begun = 0.0
        self._leave = False
        self.same("msa-wizard debug saslauthd")
        self.set_interval(1.0, self._count)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One at a time."""
        if action == "begin":
            return not self.wizard.desk.busy
        return self.wizard.desk.changing if action == "end" else True

    def action_begin(self) -> None:
        """Stop the service, and listen."""
        if self.wizard.desk.busy:
            return
        self._stop = stop = threading.Event()
        self._begun = time.monotonic()
        self.query_one(ExplainedLines).clear("No output yet.")
        self.say("saslauthd is started in the foreground ...")
        backend = self.wizard.backend
        self.wizard.desk.start(
            self,
            "saslauthd in debug mode",
            lambda job: backend.debug_saslauthd(
                job, SECONDS, lambda line: job.post(DebugSaid(line)), stop.is_set
            ),
        )
        self.refresh_bindings()

    def action_end(self) -> None:
        """Restore the service."""
        if self.wizard.desk.changing:
            self._stop.set()
            self.say("saslauthd's service is being restored ...")

    def action_back(self) -> None:
        """Close, once the service is restored."""
        if self.wizard.desk.changing:
            self._leave = True
            self.action_end()
        else:
            self.dismiss()

    def on_debug_said(self, message: DebugSaid) -> None:
        """A line of saslauthd."""
        from wizard.debug import debug_line

        line = debug_line(message.line, clean)
        source = f"saslauthd[{line.pid}]: " if line.pid else ""
        self.query_one(ExplainedLines).add(source + line.text, line.explanation, _style(line.text))

    def on_job_ended(self, message: JobEnded) -> None:
        """The service is restored, or why it is not."""
        self._begun = 0.0
        self.query_one(ExplainedLines).add_output(self.wizard.desk.taken())
        self.refresh_bindings()
        if isinstance(message.error, Interrupted):
            self.say("✗ It was stopped.")
        elif message.error is not None:
            self.say(f"✗ {sentence(message.error)}")
        elif message.result is not None:
            self.say(_ended(message.result))  # type: ignore[arg-type]
        if self._leave:
            self.dismiss()

    def _count(self) -> None:
        if self._begun and self.wizard.desk.changing and not self._stop.is_set():
            left = SECONDS - (time.monotonic() - self._begun)
            self.say(f"At work, {max(0, left):.0f} s left. e ends it. Log in now, from a mail program.")


def _style(text: str) -> str:
    if "auth success" in text or "response: OK" in text:
        return "ansi_green"
    return "ansi_red" if "auth failure" in text or "response: NO" in text else ""


def _ended(ended: DebugResult) -> str:
    words = (
        f"✗ saslauthd ended by itself with status {ended.code}: see its last lines. "
        if ended.by_itself
        else ""
    )
    if ended.check is None:
        return f"{words}saslauthd was not running before, nor is it now."
    sign = "✓" if ended.check.sign is Sign.OK else "✗"
    return f"{words}{sign} The service is restored: {clean(ended.check.says)}"
