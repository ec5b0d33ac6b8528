"""The howto's own tools: a manual login, saslauthd in debug mode, a test from outside (howto 5)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from screens.backend import ManualLoginRequest
from screens.base import Field, Frame, sentence
from screens.dialogs import AskCertificate, asking
from screens.jobs import (
    About,
    CertificateWaits,
    DebugSaid,
    Job,
    JobEnded,
    LogSaid,
    MoveWaits,
    Reply,
    SmtpLine,
    Stopped,
)
from screens.widgets.explained_lines import ExplainedLines
from screens.widgets.signs import check_content, line_shown
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.model.plan import Check, Sign
from wizard.smtp.transcript import Credentials

if TYPE_CHECKING:
    from wizard.debug.saslauthd import DebugResult
    from wizard.maillog.read import LogLine

FIELDS = (Field("user", "User name"), Field("password", "Password"), Field("send-to", "Send a message to"))
MODES = (
    ("over TLS", "", "As mail programs do: STARTTLS first. Nothing on the server is changed."),
    (
        "without TLS, loopback alone",
        " --plaintext --loopback-only",
        "AuthOptions is commented out in sendmail.cf for 120 s, and sendmail restarted, twice. The port answers on "
        "loopback alone meanwhile: mail clients cannot submit. It is restored whatever happens.",
    ),
    (
        "without TLS",
        " --plaintext",
        "AuthOptions is commented out in sendmail.cf for 120 s, as the howto does, and sendmail restarted, twice. A "
        "client without TLS may send its password in clear meanwhile. It is restored whatever happens.",
    ),
)
"""Name, what does it on the command line, what it means."""


class ManualLogin(Frame[None]):
    """Three fields and a mode; then the conversation, one key for each command."""

    HEADING = "A manual login"
    AUTO_FOCUS = "#user"
    HELP_TEXT = """
The conversation of a mail program, one command at a time: the next one is at the bottom, with its purpose, and Enter
sends it. User name and password travel as base64, which anybody can decode: the password is masked here. ">" is what
we say, "<" what the server says, "|" what it logs. The arrow keys choose a line, and the pane explains it. Escape ends
the conversation.

F6 chooses a login without TLS, as the howto tries it with telnet: for that the line AuthOptions is commented out in
sendmail.cf for a while. The time that is left is counted at the bottom. When it is over, when you leave, when the
connection drops or msa-wizard is killed, everything is restored.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Send", priority=True, key_display="enter"),
        Binding("f5", "begin", "Begin"),
        Binding("f6", "mode", "TLS or not"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """Form, conversation, what comes next."""
        for field in FIELDS:
            yield field.line()
        yield ExplainedLines(MODES[0][2])
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Begin at the user."""
        self._mode = 0
        self._waits: MoveWaits | None = None
        self._leave = False
        self.set_interval(1.0, self._count)
        self._about()

    def action_mode(self) -> None:
        """The next way to do it."""
        if not self.wizard.desk.busy:
            self._mode = (self._mode + 1) % len(MODES)
            self._about()

    async def action_enter(self) -> None:
        """Send what is next; before that, from field to field."""
        await self.caught_up()
        if self._waits is not None:
            self._answer(Reply.YES)
        elif not self.wizard.desk.busy:
            empty = [name for name in ("user", "password") if not self.query_one(f"#{name}", Input).value]
            if empty:
                self.set_focus(self.query_one(f"#{empty[0]}", Input))
            else:
                self.action_begin()

    def action_begin(self) -> None:
        """Open the conversation, once there are a user and a password."""
        if self.wizard.desk.busy:
            return
        try:
            credentials = Credentials(self.entered("user"), self.query_one("#password", Input).value)
        except ValueError as problem:
            self.say(clean(str(problem)))
            return
        request = ManualLoginRequest(
            credentials,
            send_to=self.entered("send-to"),
            encrypted=self._mode == 0,
            loopback=self._mode == 1,
        )
        self.query_one(ExplainedLines).clear("Connecting ...")
        self.say("Preparing; sendmail is restarted ..." if self._mode else "Preparing ...")
        self.query_one("#said").focus()
        backend = self.wizard.backend

        def work(job: Job) -> object:
            job.holds = not request.encrypted
            return backend.manual_login(
                job,
                request,
                lambda line: job.post(SmtpLine(line)),
                lambda move, end: (
                    job.ask(MoveWaits(move, end), None if end is None else max(0.0, end - time.monotonic()))
                    is Reply.YES
                ),
                asking(job),
            )

        self.wizard.desk.start(self, "a manual login", work)

    def action_back(self) -> None:
        """End the conversation first; close once everything is restored."""
        if not self.wizard.desk.busy:
            self.query_one("#password", Input).clear()
            self.dismiss()
            return
        self._leave = True
        self.say("Ending; what was changed is restored ...")
        self._answer(Reply.NO)

    def on_move_waits(self, message: MoveWaits) -> None:
        """The next command, and how long there is for it."""
        self._waits = message
        if self._leave:
            self._answer(Reply.NO)
        self._count()

    def on_certificate_waits(self, message: CertificateWaits) -> None:
        """Whether the password may go to an untrusted server."""
        if self._leave:
            self.wizard.desk.answer(Reply.NO)
        else:
            self.app.push_screen(AskCertificate(message.words))

    def on_smtp_line(self, message: SmtpLine) -> None:
        """A line of either side."""
        text, style = line_shown(message.line)
        self.query_one(ExplainedLines).add(text, message.line.explanation, style)

    def on_job_ended(self, message: JobEnded) -> None:
        """The result; everything is restored by now."""
        from wizard.debug.login import ConversationResult

        self._waits = None
        self.query_one(ExplainedLines).add_output(self.wizard.desk.taken())
        match message:
            case JobEnded(error=Stopped() | Interrupted()):
                self.say("It was stopped, and everything is restored.")
            case JobEnded(error=ValueError() as error):
                self.say(f"✗ {clean(str(error))}")
            case JobEnded(error=Exception() as error):
                self.say(f"✗ {sentence(error)}")
            case JobEnded(result=ConversationResult() as result) if result.accepted and not result.problem:
                delivery = f" {clean(result.delivery.says)}" if result.delivery else ""
                self.say(f"✓ The login was accepted (235).{delivery}")
            case JobEnded(result=ConversationResult() as result):
                self.say(f"✗ {clean(result.problem) or 'It ended before the login was accepted.'}")
        if self._leave:
            self.query_one("#password", Input).clear()
            self.dismiss()

    def _answer(self, reply: Reply) -> None:
        if self._waits is not None:
            self._waits = None
            self.wizard.desk.answer(reply)

    def _count(self) -> None:
        if self._waits is None:
            return
        move, end = self._waits.move, self._waits.end
        left = (
            "" if end is None else f"  {max(0.0, end - time.monotonic()):.0f} s left, then all is restored."
        )
        self.say(f"Enter sends: {clean(move.shown)}   ({move.why}).{left}")

    def _about(self) -> None:
        name, options, words = MODES[self._mode]
        self.query_one(ExplainedLines).clear(words)
        self.say(f"A login {name}. F6 chooses another way. Fill in the user name and press Enter.")
        self.same(f"msa-wizard debug login --user NAME{options}")


LISTENING = 600
"""How long it runs at most."""
_ABOUT = (
    "y stops saslauthd's service and runs it in the foreground, with this host's own options and -d. Logins are "
    "answered by it meanwhile: try one with a mail program, or in another session: msa-wizard test --user NAME. "
    f"e, Escape, {LISTENING} s or a dropped connection end it; the service is restored whatever happens."
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
                job, LISTENING, lambda line: job.post(DebugSaid(line)), stop.is_set
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
        from wizard.debug.saslauthd import debug_line

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
            left = LISTENING - (time.monotonic() - self._begun)
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


WAITING = 300
"""How long it waits."""


class RemoteLogin(Frame[None]):
    """Begins by itself; it changes nothing."""

    HEADING = "A test from outside"
    AUTO_FOCUS = "#said"
    HELP_TEXT = """
A test on the server itself passes neither the server's firewall nor the provider's. So log in from another machine, with
one of the commands that are shown or with a mail program. What the server logs of it is shown here; logins from
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
        self._end = 0.0
        self.same("msa-wizard test --from-outside")
        self.set_interval(1.0, self._count)
        self.action_begin()

    def action_begin(self) -> None:
        """Wait, from now on."""
        if self.wizard.desk.busy:
            return
        self._stop = stop = threading.Event()
        self._end = time.monotonic() + WAITING
        backend = self.wizard.backend
        self.query_one(ExplainedLines).clear()

        def work(job: Job) -> object:
            job.post(About(backend.outside_commands()))
            return backend.from_outside(
                WAITING,
                lambda line: job.post(LogSaid(line)),
                lambda: stop.is_set() or job.stopped,
            )

        self.wizard.desk.start(self, "a test from outside", work)

    def action_back(self) -> None:
        """Close; nothing was changed."""
        self._stop.set()
        self.dismiss()

    def on_about(self, message: About) -> None:
        """What to run on another machine."""
        self.query_one(ExplainedLines).clear(message.words)

    def on_log_said(self, message: LogSaid) -> None:
        """A line of the log on somebody from outside."""
        from wizard.maillog.explain import word

        line: LogLine = message.line
        self.query_one(ExplainedLines).add(
            f"{line.name}[{line.pid}]: {line.text}", word(line.name, line.text)
        )

    def on_job_ended(self, message: JobEnded) -> None:
        """The verdict."""
        self._end = 0.0
        self.query_one(ExplainedLines).draw()
        if message.error is not None:
            self.say(f"✗ {sentence(message.error)}")
        elif isinstance(message.result, Check):
            self.say(check_content(message.result))

    def _count(self) -> None:
        if self._end and not self._stop.is_set():
            left = max(0.0, self._end - time.monotonic())
            self.say(f"Waiting for a login from outside, {left:.0f} s left.")
