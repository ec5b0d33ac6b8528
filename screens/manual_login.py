"""A manual AUTH LOGIN, as with telnet: each command is shown and sent on a key (howto 5.2)."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from screens.backend import ManualLoginRequest
from screens.base import Field, Frame
from screens.dialogs import AskCertificate, asking
from screens.error_text import sentence
from screens.jobs import CertificateWaits, Job, JobEnded, MoveWaits, Reply, SmtpLine, Stopped
from screens.widgets.explained_lines import ExplainedLines
from screens.widgets.signs import line_shown
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.smtp.transcript import Credentials

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
        from wizard.debug import ConversationResult

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
