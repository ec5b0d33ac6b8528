"""AUTH LOGIN by hand, as with telnet: each command is shown, and sent on a key (howto 5.2)."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label, Static

from screens import error_text as problems
from screens.ask_certificate import Accepting, asking
from screens.backend import ByHandRequest
from screens.base import Frame, typed
from screens.jobs import Job, Reply, Stopped
from screens.messages import CertificateWaits, JobEnded, MoveWaits, SmtpLine
from screens.widgets.explained_lines import ExplainedLines
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.smtp.transcript import Credentials

FIELDS = (("user", "User name"), ("password", "Password"), ("send-to", "Send a message to"))
MODES = (
    ("over TLS", "", "As mail programs do: STARTTLS first. Nothing on the server is changed."),
    (
        "without TLS, loopback alone",
        " --plaintext --loopback-only",
        "AuthOptions is commented out in sendmail.cf for 120 s, and sendmail restarted, twice. The port answers on "
        "loopback alone meanwhile: mail clients cannot submit. It is put back whatever happens.",
    ),
    (
        "without TLS",
        " --plaintext",
        "AuthOptions is commented out in sendmail.cf for 120 s, as the howto does, and sendmail restarted, twice. A "
        "client without TLS may send its password in clear meanwhile. It is put back whatever happens.",
    ),
)
"""Name, what does it on the command line, what it means."""
SIGNS = {"server": ("<", ""), "client": (">", "bold"), "log": ("|", "ansi_yellow")}


class ByHand(Frame[None]):
    """Three fields and a mode; then the conversation, a key a command."""

    HEADING = "A login by hand"
    AUTO_FOCUS = "#user"
    HELP_TEXT = """
The conversation that a mail program holds, one command at a time: the next one stands at the bottom, with what it is
for, and Enter sends it. User name and password travel as base64, which anybody can read back: the password's is masked
here. ">" is what we say, "<" what the server says, "|" what it logs. The arrow keys choose a line, and the pane says
what it means. Escape ends the conversation.

F6 chooses a login without TLS, as the howto tries it with telnet: for that the line AuthOptions is commented out in
sendmail.cf for a while. The time that is left is counted at the bottom. When it is over, when you leave, when the line
drops or msa-wizard is killed, all is put back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Send", priority=True, key_display="enter"),
        Binding("f5", "begin", "Begin"),
        Binding("f6", "mode", "TLS or not"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """Form, conversation, what comes next."""
        for name, label in FIELDS:
            with Horizontal(classes="field"):
                yield Label(label, classes="label", markup=False)
                yield Input(id=name, password=name == "password")
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
        await typed(self)
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
            credentials = Credentials(self._value("user"), self.query_one("#password", Input).value)
        except ValueError as problem:
            self._say(clean(str(problem)))
            return
        request = ByHandRequest(
            credentials,
            send_to=self._value("send-to"),
            encrypted=self._mode == 0,
            loopback=self._mode == 1,
        )
        self.query_one(ExplainedLines).clear("Connecting ...")
        self._say("Preparing; sendmail is restarted ..." if self._mode else "Preparing ...")
        self.query_one("#said").focus()
        machine = self.wizard.machine

        def work(job: Job) -> object:
            job.holds = not request.encrypted
            return machine.login_by_hand(
                request,
                lambda line: job.post(SmtpLine(line)),
                lambda move, end: (
                    job.ask(MoveWaits(move, end), None if end is None else max(0.0, end - time.monotonic()))
                    is Reply.YES
                ),
                job.say,
                job.interrupt,
                asking(job),
            )

        self.wizard.desk.start(self, "a login by hand", work)

    def action_back(self) -> None:
        """End the conversation first; then away, once all is put back."""
        if not self.wizard.desk.busy:
            self.query_one("#password", Input).clear()
            self.dismiss()
            return
        self._leave = True
        self._say("Ending; what was changed is put back ...")
        self._answer(Reply.NO)

    def on_move_waits(self, message: MoveWaits) -> None:
        """The next command, and how long there is for it."""
        self._waits = message
        if self._leave:
            self._answer(Reply.NO)
        self._count()

    def on_certificate_waits(self, message: CertificateWaits) -> None:
        """Whether the password may go to a server that is not trusted."""
        if self._leave:
            self.wizard.desk.answer(Reply.NO)
        else:
            self.app.push_screen(Accepting(message.words))

    def on_smtp_line(self, message: SmtpLine) -> None:
        """A line of either side."""
        line = message.line
        sign, style = SIGNS.get(line.who, ("#", "ansi_cyan"))
        self.query_one(ExplainedLines).add(f"{sign} {line.text}", line.explanation, style)

    def on_job_ended(self, message: JobEnded) -> None:
        """What came of it; all is put back by now."""
        from wizard.debug.login import Talked

        self._waits = None
        lines = self.query_one(ExplainedLines)
        for line in self.wizard.desk.taken():
            lines.add(line, "what msa-wizard did", "ansi_cyan")
        lines.draw()
        error, made = message.error, message.result
        if isinstance(error, Stopped | Interrupted):
            self._say("It was ended, and all is put back.")
        elif error is not None:
            said = clean(str(error)) if isinstance(error, ValueError) else problems.words(error)
            if said is None:
                raise error
            self._say(f"✗ {said}")
        elif isinstance(made, Talked):
            followed = f" {clean(made.delivery.says)}" if made.delivery else ""
            if made.accepted and not made.problem:
                self._say(f"✓ The login was accepted (235).{followed}")
            else:
                self._say(f"✗ {clean(made.problem) or 'It ended before the login was accepted.'}")
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
            "" if end is None else f"  {max(0.0, end - time.monotonic()):.0f} s left, then all is put back."
        )
        self._say(f"Enter sends: {clean(move.shown)}   ({move.why}).{left}")

    def _about(self) -> None:
        name, options, words = MODES[self._mode]
        self.query_one(ExplainedLines).clear(words)
        self._say(f"A login {name}. F6 chooses another way. Fill in the user name and press Enter.")
        self.same(f"msa-wizard debug login --user NAME{options}")

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _say(self, words: str) -> None:
        self.query_one("#says", Static).update(words)
