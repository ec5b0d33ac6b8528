"""The howto's own tools: what they share, saslauthd in debug mode, a test from outside (howto 5)."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from screens.base import Frame
from screens.jobs import Job, JobEnded
from screens.sentences import sentence
from screens.widgets.contents import check_content
from screens.widgets.explained_lines import ExplainedLines
from wizard.console import clean, width
from wizard.errors import Interrupted
from wizard.model.plan import Check, Sign

if TYPE_CHECKING:
    from wizard.debug import DebugResult
    from wizard.maillog.read import LogLine


class Tool(Frame[None]):
    """Lines with what they mean, and below them what goes on, said again each second."""

    AUTO_FOCUS = "#said"
    _leave = False
    """Whether it closes as soon as everything is restored."""
    _end = 0.0
    """When its time is over, on the monotonic clock; 0.0 where none runs."""

    def on_mount(self) -> None:
        """Count the time."""
        self.set_interval(1.0, self._count)

    @property
    def lines(self) -> ExplainedLines:
        """The lines and what they mean."""
        return self.query_one(ExplainedLines)

    @property
    def at_work(self) -> bool:
        """Whether what this screen has begun has not ended; what waits on another one ends when something begins here."""
        return self.desk.works_for(self)

    def draw_done(self) -> None:
        """What msa-wizard itself has done until now, before the next line of anybody else."""
        if lines := self.desk.taken(self):
            self.lines.add_output(lines)

    @abstractmethod
    def _count(self) -> None:
        """Say what goes on; each second."""


def seconds_left(end: float) -> float:
    """Until `end` on the monotonic clock."""
    return max(0.0, end - time.monotonic())


LISTENING = 600
"""How long it runs at most."""
_ABOUT = (
    "y stops saslauthd's service and runs it in the foreground, with this host's own options and -d. Logins are "
    "answered by it meanwhile: try one with a mail client, or in another session: `msa-wizard test --user NAME`. "
    f"e or Esc ends that; so do {LISTENING // 60} minutes and a lost connection. The service is restored whatever happens."
)


class SaslauthdDebug(Tool):
    """Begun with y, ended with e."""

    HEADING = "saslauthd in debug mode"
    HELP_TEXT = """
sendmail asks saslauthd whether a user name and a password are right, and saslauthd asks PAM. In debug mode it prints
what it is asked and what it answers. Behind each line is what it means; the arrow keys scroll. "auth success" and
"response: OK" are a yes, "auth failure" a no, with PAM's reason. Nothing
new while somebody logs in means that sendmail does not get as far as saslauthd.

Passwords are masked. The service is stopped meanwhile and restored at the end, also if the connection is lost
or msa-wizard is killed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "begin", "Begin", tooltip="Begin to listen to saslauthd"),
        Binding("e", "end", "End", tooltip="End, and restore the service"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The lines, the line of news."""
        yield ExplainedLines(_ABOUT)
        yield Static("y begins. Nothing is changed until then.", id="says", markup=False)

    def on_mount(self) -> None:
        """Wait for the key."""
        self._stop = threading.Event()
        self.same("msa-wizard debug saslauthd")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One at a time."""
        if action == "begin":
            return not self.at_work and self.listens
        return self.at_work if action == "end" else True

    def action_begin(self) -> None:
        """Stop the service, and listen."""
        if not (self.at_work or self.desk.changing):
            self.wizard.before_it_ends(self._begin)

    def _begin(self) -> None:
        self._stop = stop = threading.Event()
        self._end = time.monotonic() + LISTENING
        self.lines.clear("No output yet.")
        self.say("saslauthd is started in the foreground ...")
        debug = self.backend.debug_saslauthd

        def work(job: Job) -> object:
            return debug(job, LISTENING, lambda line: job.show(self.add, line), stop.is_set)

        self.desk.start(self, "saslauthd in debug mode", work)
        self.refresh_bindings()

    def action_end(self) -> None:
        """Restore the service."""
        if self.at_work:
            self._stop.set()
            self.say("saslauthd's service is being restored ...")

    def action_back(self) -> None:
        """Close, once the service is restored."""
        if self.at_work:
            self._leave = True
            self.action_end()
        else:
            self.dismiss()

    def add(self, printed: str) -> None:
        """A line that saslauthd printed: secrets are not masked yet."""
        from wizard.debug import debug_line

        self.draw_done()
        line = debug_line(printed, clean)
        source = f"saslauthd[{line.pid}]: " if line.pid else ""
        self.lines.add(source + line.text, line.explanation, _style(line.text))

    def on_job_ended(self, message: JobEnded) -> None:
        """The service is restored, or why it is not."""
        self._end = 0.0
        self.lines.draw()
        self.draw_done()
        self.ask_when_quiet()
        if isinstance(message.error, Interrupted):
            self.say("✗ It was stopped.")
        elif message.error is not None:
            self.say(f"✗ {sentence(message.error)}")
        elif message.result is not None:
            self.say(_ended(message.result))  # type: ignore[arg-type]
        if self._leave:
            self.dismiss()

    def _count(self) -> None:
        if self._end and self.at_work and not self._stop.is_set():
            self.say(
                f"At work, {seconds_left(self._end):.0f} s left. e ends it. Log in now, from a mail client."
            )


def _style(text: str) -> str:
    if "auth success" in text or "response: OK" in text:
        return "ansi_green"
    return "ansi_red" if "auth failure" in text or "response: NO" in text else ""


def _ended(ended: DebugResult) -> str:
    words = ""
    if ended.by_itself:
        words = f"✗ saslauthd ended by itself with status {ended.code}: see its last lines. "
    if ended.check is None:
        return f"{words}saslauthd was not running before, nor is it now."
    sign = "✓" if ended.check.sign is Sign.OK else "✗"
    return f"{words}{sign} The service is restored: {clean(ended.check.says)}"


WAITING = 300
"""How long it waits."""


class RemoteLogin(Tool):
    """Begins by itself; it changes nothing."""

    HEADING = "A test from outside"
    HELP_TEXT = """
A test on the server itself passes neither the server's firewall nor the provider's. So log in from another machine, with
one of the commands that are shown or with a mail client. What the server logs of it is shown here; logins from
the server's own addresses do not count. It succeeds when somebody has logged in.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "begin", "Again"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """What to do elsewhere, the lines, the verdict."""
        yield ExplainedLines("")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Wait at once."""
        self._stop = threading.Event()
        self.same("msa-wizard test --from-outside")
        self.action_begin()

    def action_begin(self) -> None:
        """Wait, from now on."""
        if self.at_work:
            return
        self._stop = stop = threading.Event()
        self._end = time.monotonic() + WAITING
        backend, lines, columns = self.backend, self.lines, self.app.size.width - 2
        lines.clear("The commands to run on another machine come in a moment.")
        self._count()

        def work(job: Job) -> object:
            job.show(lines.clear, backend.outside_commands(columns))
            return backend.from_outside(
                WAITING, lambda line: job.show(self.add, line), lambda: stop.is_set() or job.stopped
            )

        self.desk.start_beside(self, "a test from outside", work)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One at a time."""
        return action != "begin" or not self.at_work

    def action_back(self) -> None:
        """Close; nothing was changed."""
        self._stop.set()
        self.dismiss()

    def add(self, line: LogLine) -> None:
        """A line of the log on somebody from outside."""
        from wizard.maillog.correlate import word

        self.lines.add(f"{line.name}[{line.pid}]: {line.text}", word(line.name, line.text))

    def on_job_ended(self, message: JobEnded) -> None:
        """The verdict."""
        self._end = 0.0
        self.refresh_bindings()
        self.lines.draw()
        if message.error is not None:
            self.say(f"✗ {sentence(message.error)}")
        elif isinstance(message.result, Check):
            self.backend.changed()  # an accepted login is what the step auth-test waits for
            self.say(check_content(message.result, width()))

    def _count(self) -> None:
        if self._end and not self._stop.is_set():
            self.say(f"Waiting for a login from outside, {seconds_left(self._end):.0f} s left.")
