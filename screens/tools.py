"""The howto's own tools: a manual login, saslauthd in debug mode, a test from outside (howto 5)."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from screens.backend import ManualLoginRequest
from screens.base import FORM, Field, Frame, about_input, sentence
from screens.dialogs import ask_certificate, asking
from screens.jobs import CertificateWaits, ChangesWait, Job, JobEnded, MoveWaits, Reply, Stopped
from screens.widgets.contents import check_content, line_shown
from screens.widgets.explained_lines import ExplainedLines
from wizard.console import clean, width
from wizard.errors import Interrupted
from wizard.model.plan import Change, Check, Sign
from wizard.model.set_option import as_words
from wizard.render.text import changes_text
from wizard.smtp.transcript import Credentials

if TYPE_CHECKING:
    from wizard.debug import DebugResult
    from wizard.maillog.correlate import ConversationLine
    from wizard.maillog.read import LogLine

FIELDS = (Field("user", "User name"), Field("password", "Password"), Field("send-to", "Send a message to"))
MODES = (
    ("over TLS", "", "As mail programs do: STARTTLS first. Nothing on the server is changed."),
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


class ManualLogin(Tool):
    """Three fields and a mode; then the conversation, one key for each command."""

    HEADING = "A manual login"
    AUTO_FOCUS = "#user"
    HELP_TEXT = """
The conversation of a mail program, one command at a time: the next one is at the bottom, with its purpose, and Enter
sends it. User name and password travel as base64, which anybody can decode: the password is masked here. ">" is what
we say, "<" what the server says, "|" what it logs; behind each line is what it means. The arrow keys scroll. Esc ends
the conversation.

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
        for field in FIELDS:
            yield field.line()
        yield ExplainedLines(MODES[0][2])
        yield Static("", id="says", markup=False)

    _mode = 0
    _waits: MoveWaits | None = None
    _asked = False
    """Whether what would be changed is shown, and waits for an answer."""

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
        if not self.at_work:
            empty = [name for name in ("user", "password") if not self.query_one(f"#{name}", Input).value]
            if empty:
                field = self.query_one(f"#{empty[0]}", Input)
                if self.focused is field:
                    self.say(f"The {'user name' if empty[0] == 'user' else 'password'} is missing.")
                self.set_focus(field)
            else:
                self.action_begin()

    def action_begin(self) -> None:
        """Open the conversation, once there are a user and a password."""
        if self.at_work or self.desk.changing:
            return
        try:
            credentials = Credentials(self.entered("user"), self.query_one("#password", Input).value)
        except ValueError as problem:
            self.say(about_input(problem))
            return
        request = ManualLoginRequest(
            credentials, send_to=self.entered("send-to"), encrypted=self._mode == 0, loopback=self._mode == 1
        )
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
                    job.ask(MoveWaits(move, end), None if end is None else _left(end)) is Reply.YES
                ),
                partial(agree, job),
                asking(job),
            )

        self.desk.start(self, "a manual login", work)
        self.refresh_bindings()

    def action_back(self) -> None:
        """End the conversation first; close once everything is restored."""
        if not self.at_work:
            self.dismiss()
            return
        if self._asked:
            self.action_refuse()
            return
        self._leave = True
        self.say("Ending; what was changed is restored ...")
        self._answer(Reply.NO)

    def on_changes_wait(self, message: ChangesWait) -> None:
        """What would be changed for a while, before anything is."""
        if self._leave:
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
        if self._leave:
            self._answer(Reply.NO)
        self._count()

    def on_certificate_waits(self, message: CertificateWaits) -> None:
        """Whether the password may go to an untrusted server."""
        if self._leave:
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

        self._waits, self._asked = None, False
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
                self.say(f"✗ {clean(result.problem) or 'It ended before the login was accepted.'}")
        if self._leave:
            self.dismiss()

    def _answer(self, reply: Reply) -> None:
        if self._waits is not None:
            self._waits = None
            self.desk.answer(reply, self)

    def _count(self) -> None:
        if self._waits is not None:
            move, end = self._waits.move, self._waits.end
            left = f"  {_left(end):.0f} s left, then all is restored." if end is not None else ""
            self.say(f"Enter sends: {clean(move.shown)}   ({move.why}).{left}")

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


def _left(end: float) -> float:
    return max(0.0, end - time.monotonic())


LISTENING = 600
"""How long it runs at most."""
_ABOUT = (
    "y stops saslauthd's service and runs it in the foreground, with this host's own options and -d. Logins are "
    "answered by it meanwhile: try one with a mail program, or in another session: `msa-wizard test --user NAME`. "
    f"e, Esc, {LISTENING} s or a lost connection end it; the service is restored whatever happens."
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
        if self.at_work or self.desk.changing:
            return
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
            self.say(f"At work, {_left(self._end):.0f} s left. e ends it. Log in now, from a mail program.")


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
            self.say(check_content(message.result, width()))

    def _count(self) -> None:
        if self._end and not self._stop.is_set():
            self.say(f"Waiting for a login from outside, {_left(self._end):.0f} s left.")
