"""A manual login: the conversation of a mail client, one command at a time (howto 5)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from screens.backend import ManualLoginRequest
from screens.base import FORM, Field
from screens.dialogs import ask_certificate, asking
from screens.jobs import CertificateWaits, ChangesWait, Job, JobEnded, MoveWaits, Reply, Stopped
from screens.sentences import about_input, sentence
from screens.tools import Tool, seconds_left
from screens.widgets.contents import line_shown
from screens.widgets.explained_lines import ExplainedLines
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.model.plan import Change
from wizard.model.set_option import as_words
from wizard.render.text import changes_text
from wizard.smtp.transcript import Credentials

if TYPE_CHECKING:
    from wizard.maillog.correlate import ConversationLine

FIELDS = (Field("user", "User name"), Field("password", "Password"), Field("send-to", "Send a message to"))
MODES = (
    ("over TLS", "", "As mail clients do: STARTTLS first. Nothing on the server is changed."),
    (
        "without TLS, loopback only",
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


class ManualLogin(Tool):
    """Three fields and a mode; then the conversation, one key for each command."""

    HEADING = "A manual login"
    AUTO_FOCUS = "#user"
    HELP_TEXT = """
The conversation of a mail client, one command at a time: the next one is at the bottom, with its purpose, and Enter
sends it. User name and password travel as base64, which anybody can decode: the password is masked here. ">" is what
we say, "<" what the server says, "|" what it logs; behind each line is what it means. The arrow keys scroll. Esc ends
the conversation; its lines stay until Esc is pressed again, or F5 begins another.

F6 chooses a login without TLS, as the howto tries it with telnet: for that the line AuthOptions is commented out in
sendmail.cf for a while. What would be changed is shown first, and only y changes it. The time that is left is counted at the bottom. When it is over, when you leave, when
the connection is lost or msa-wizard is killed, everything is restored.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "agree", "Change it and begin", tooltip="Change it and begin"),
        Binding("enter,n", "refuse", "Cancel", priority=True),
        Binding("enter", "send", "Send", priority=True, tooltip="Send the next command"),
        Binding("enter", "enter", "Next", priority=True, show=False, tooltip="Next field, then begin"),
        Binding("f5", "begin", "Begin", tooltip="Begin the login"),
        Binding("f6", "mode", "TLS or not", tooltip="Choose TLS, no TLS, or no TLS on loopback"),
        *FORM,
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """Form, conversation, what comes next."""
        known = {"user": self.backend.user, "send-to": self.backend.answers.test.send_to}
        for field in FIELDS:
            yield field.line(known.get(field.id, ""))
        yield ExplainedLines(MODES[0][2])
        yield Static("", id="says", markup=False)

    _mode = 0
    _waits: MoveWaits | None = None
    _asked = False
    """Whether what would be changed is shown, and waits for an answer."""
    _ends = False
    """Whether the conversation ends here, once everything is restored."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter and y do what is asked at the time; a form that is in use is not filled in."""
        asked = self._asked and self.desk.asks(self) and self.listens
        sending = self.at_work and not self._asked
        match action:
            case "agree" | "refuse":
                return asked
            case "send":
                return sending
            case "enter":
                return not (asked or sending)
            case "begin" | "mode":
                return not self.at_work
        return True

    def on_mount(self) -> None:
        """Begin at the user."""
        self._about()

    def action_mode(self) -> None:
        """The next way to do it."""
        if not self.at_work:
            self._mode = (self._mode + 1) % len(MODES)
            self._about()

    def action_agree(self) -> None:
        """What is shown may be changed for a while."""
        self._decide(Reply.YES, "Preparing; sendmail is restarted ...")

    def action_refuse(self) -> None:
        """Nothing is changed."""
        self._decide(Reply.NO, "Nothing was changed.")

    def _decide(self, reply: Reply, words: str) -> None:
        if self._asked:
            self._asked = False
            self.lines.clear(MODES[self._mode][2])
            self.say(words)
            self.desk.answer(reply, self)
            self.refresh_bindings()

    def action_send(self) -> None:
        """What is next."""
        if self._waits is not None:
            self._answer(Reply.YES)
            self.say("Waiting for the answer ...")

    async def action_enter(self) -> None:
        """From field to field; then begin."""
        await self.caught_up()
        if self.at_work or not isinstance(self.focused, Input):
            return  # an Enter too many on the lines of a conversation
        user, password = (self.query_one(f"#{name}", Input) for name in ("user", "password"))
        wanted = user if not user.value else password if self.focused is user or not password.value else None
        if wanted is None:
            self.action_begin()
            return
        if self.focused is wanted:
            self.say(f"The {'user name' if wanted is user else 'password'} is missing.")
        self.set_focus(wanted)

    def action_begin(self) -> None:
        """Open the conversation, once there are a user and a password."""
        if self.at_work or self.desk.changing:
            return
        try:
            credentials = Credentials(self.entered("user"), self.query_one("#password", Input).value)
        except ValueError as problem:
            self.say(about_input(problem))
            return
        self.backend.session.tested = self.entered("user")
        request = ManualLoginRequest(
            credentials, send_to=self.entered("send-to"), encrypted=self._mode == 0, loopback=self._mode == 1
        )
        self.wizard.before_it_ends(partial(self._begin, request))

    def _begin(self, request: ManualLoginRequest) -> None:
        self.lines.clear("Nothing was said yet.")
        self.say("Preparing ...")
        self.query_one("#said").focus()
        backend = self.backend

        def agree(job: Job, changes: tuple[Change, ...]) -> bool:
            job.holds = job.ask(ChangesWait(changes)) is Reply.YES
            return job.holds

        def work(job: Job) -> object:
            return backend.manual_login(
                job,
                request,
                lambda line: job.show(self.add, line),
                lambda move, end: (
                    job.ask(MoveWaits(move, end), None if end is None else seconds_left(end)) is Reply.YES
                ),
                partial(agree, job),
                asking(job),
            )

        self.desk.start(self, "a manual login", work)
        self.refresh_bindings()

    def action_back(self) -> None:
        """End the conversation first, which leaves its lines; asked again, close once everything is restored."""
        if not self.at_work:
            self.dismiss()
            return
        if self._asked:
            self.action_refuse()
            return
        self._leave, self._ends = self._ends, True
        self.say("Ending; what was changed is restored ...")
        self._answer(Reply.NO)

    def on_changes_wait(self, message: ChangesWait) -> None:
        """What would be changed for a while, before anything is."""
        if self._ends:
            self.desk.answer(Reply.NO, self)
            return
        self._asked = True
        self.lines.clear()
        self.lines.add(MODES[self._mode][2], "")
        for line in changes_text(message.changes).splitlines():
            sign = line.strip()[:1]
            style = {"+": "ansi_green", "-": "ansi_red"}.get(sign, "")
            self.lines.add(line, "", style)
        self.lines.draw(from_top=True)
        words = "y changes this and begins. Enter and Esc leave everything as it is."
        self.ask_when_quiet(partial(self.say, words))

    def on_move_waits(self, message: MoveWaits) -> None:
        """The next command, and how long there is for it."""
        self._waits = message
        if self._ends:
            self._answer(Reply.NO)
        self._count()

    def on_certificate_waits(self, message: CertificateWaits) -> None:
        """Whether the password may go to an untrusted server."""
        if self._ends:
            self.desk.answer(Reply.NO, self)
        else:
            ask_certificate(self, message)

    def add(self, line: ConversationLine) -> None:
        """A line of either side."""
        self.draw_done()
        text, style = line_shown(line)
        self.lines.add(text, line.explanation, style)

    def on_job_ended(self, message: JobEnded) -> None:
        """The result; everything is restored by now."""
        from wizard.debug import ConversationResult

        end = self._waits.end if self._waits is not None else None
        ended = "It ended before the login was accepted."
        if end is not None and not seconds_left(end):
            ended = "The time was over before the login was accepted; all is restored."
        self._waits, self._asked, self._ends = None, False, False
        self.refresh_bindings()
        self.lines.draw()
        self.draw_done()
        match message:
            case JobEnded(result=None, error=None):
                self.say("Nothing was changed. F6 chooses another way.")
                self.query_one("#user").focus()
            case JobEnded(error=Stopped() | Interrupted()):
                self.say("It was stopped, and everything is restored.")
            case JobEnded(error=ValueError() as error):
                self.say(f"✗ {about_input(error)}")
            case JobEnded(error=Exception() as error):
                self.say(f"✗ {sentence(error)}")
            case JobEnded(result=ConversationResult() as result) if result.accepted and not result.problem:
                delivery = f" {clean(result.delivery.says)}" if result.delivery else ""
                self.say(f"✓ The login was accepted (235).{delivery}")
            case JobEnded(result=ConversationResult() as result):
                self.say(f"✗ {clean(result.problem) or ended}")
        if self._leave:
            self.dismiss()

    def _answer(self, reply: Reply) -> None:
        if self._waits is not None:
            self._waits = None
            self.desk.answer(reply, self)

    def _count(self) -> None:
        if self._waits is not None:
            move, end = self._waits.move, self._waits.end
            left = f"  {seconds_left(end):.0f} s left, then all is restored." if end is not None else ""
            self.say(f"Enter sends: {clean(move.shown)}  - {move.why}.{left}")

    def _about(self) -> None:
        name, _, words = MODES[self._mode]
        self.lines.clear(words)
        self.say(f"A login {name}. F6 chooses another way. Fill in the user name and press Enter.")
        self._same()

    def on_input_changed(self) -> None:
        """The command with what was typed."""
        self._same()

    def _same(self) -> None:
        user, to = self.entered("user"), self.entered("send-to")
        options = as_words(["--user", user or "NAME", *(["--send-to", to] if to else [])])
        self.same(f"msa-wizard debug login{options}{MODES[self._mode][1]}")
