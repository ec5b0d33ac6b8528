"""AUTH LOGIN as a mail program does it: line by line, with what each line means, ending in 235 or in a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static

from screens import error_text as problems
from screens.ask_certificate import Accepting, asking
from screens.base import Frame, typed
from screens.jobs import Job, Stopped
from screens.messages import CertificateWaits, JobEnded, SmtpLine
from screens.widgets.signs import check_content
from wizard.console import clean
from wizard.errors import Interrupted
from wizard.model.plan import Check, Sign
from wizard.smtp.login_test import Credentials, Result

if TYPE_CHECKING:
    from wizard.maillog.correlate import Seen

FIELDS = (
    (
        "host",
        "Server",
        "",
        "The mail server's name or address. Empty: this host, where its sendmail listens.",
    ),
    ("port", "Port", "587", "587 speaks STARTTLS; 465 has TLS from the first byte."),
    ("user", "User name", "", "A shell user of the server. Empty: everything up to the login is tested."),
    ("password", "Password", "", "It stays in memory for this one test, and is masked in what you see."),
    (
        "send-to",
        "Send a message to",
        "",
        "A mail address: a short test message is really submitted. Empty: none.",
    ),
)
"""Id, label, default and help of each field."""
EMPTY = {"host": "(this host)", "port": "587", "user": "(nobody yet)", "password": "", "send-to": "(nobody)"}


class LoginTest(Frame[None]):
    """Five fields above, the conversation below."""

    HEADING = "Test a login"
    AUTO_FOCUS = "#user"
    HELP_TEXT = """
This talks to the server as a mail program does: STARTTLS, then AUTH LOGIN. ">" is what we say, "<" what the server
says, "#" a remark, "|" what the server writes into its mail log meanwhile. User name and password travel as base64, which is no encryption: TLS around them is. The
password is masked wherever it would be seen. 235 means that the login works.

The password goes to a server alone whose certificate is trusted: on this host it must be the one that sendmail.cf names,
elsewhere one that this system trusts. For any other you are asked, with its fingerprint.

Enter in any field begins the test.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True),
        Binding("f5", "begin", "Test"),
        Binding("f4", "troubleshoot", "Troubleshoot"),
        Binding("escape", "back", "Back"),
        Binding("pagedown", "turn(1)", "Page", show=False),
        Binding("pageup", "turn(-1)", "Page back", show=False),
    ]

    def body(self) -> ComposeResult:
        """Form, conversation, verdict."""
        test = self.wizard.machine.answers.test
        known = {"host": test.host, "user": test.user, "send-to": test.send_to}
        for name, label, default, _ in FIELDS:
            with Horizontal(classes="field"):
                yield Label(label, classes="label", markup=False)
                yield Input(
                    known.get(name) or default, id=name, password=name == "password", placeholder=EMPTY[name]
                )
        with VerticalScroll(id="talk", can_focus=False):
            yield Static("", id="lines", markup=False)
        yield Static("Fill in the user name and press Enter.", id="verdict", markup=False)

    def on_mount(self) -> None:
        """Begin at the user."""
        self._said: list[Content] = []
        self._drawn = 0
        self._draw_timer = self.set_interval(0.1, self._draw)
        self.same("msa-wizard test --user NAME")

    def on_descendant_focus(self) -> None:
        """Say what the field is for, as long as nothing was tested."""
        words = {name: help_ for name, _, _, help_ in FIELDS}
        focused = self.focused
        if not self._said and focused is not None and focused.id in words:
            self._verdict(words[focused.id])

    async def action_enter(self) -> None:
        """To the password first, where there is a user without one.

        Enter is taken by the app, before the keys after it go anywhere: a password that is typed ahead must not land
        in the user name, for all to read."""
        await typed(self)
        if self._value("user") and not self.query_one("#password", Input).value:
            self.set_focus(self.query_one("#password", Input))
        elif self._value("user") or (self.focused is not None and self.focused.id != "user"):
            self.action_begin()
        else:
            self._verdict("A user name first; or F5 for a test without a login.")

    def action_begin(self) -> None:
        """Hold the conversation."""
        if self.wizard.desk.busy and not self.wizard.desk.waiting:
            return
        try:
            port = int(self._value("port"))
            host, user, send_to = self._value("host"), self._value("user"), self._value("send-to")
            credentials = Credentials(user, self.query_one("#password", Input).value) if user else None
        except ValueError as problem:
            self._verdict(clean(str(problem)))
            return
        named = f" --user {user}" if user else ""
        sent = f" --send-to {send_to}" if send_to else ""
        self.same(f"msa-wizard test{f' --host {host}' if host else ''} --port {port}{named}{sent} --watch")
        self._said.clear()
        self._drawn = 0
        self.query_one("#lines", Static).update("")
        self._verdict("Connecting ...")

        machine = self.wizard.machine

        def work(job: Job) -> Result:
            from wizard.maillog.correlate import WITHIN
            from wizard.maillog.watched_login import held, target_of

            target = target_of(machine.host, host, port, ask=asking(job), send_to=send_to or None)
            return held(
                machine.host, target, credentials, WITHIN, True, lambda line: job.post(SmtpLine(line))
            ).result

        self.wizard.desk.start(self, "test", work)

    def on_smtp_line(self, message: SmtpLine) -> None:
        """A line more; drawn with others some ten times a second."""
        self._said.append(_shown(message.line))

    def on_certificate_waits(self, message: CertificateWaits) -> None:
        """Whether the password may go to a server that is not trusted."""
        self._draw()
        self.app.push_screen(Accepting(message.words))

    def on_job_ended(self, message: JobEnded) -> None:
        """The verdict."""
        self._draw()
        if isinstance(message.error, Stopped | Interrupted):
            self._verdict("It was ended.")
            return
        if message.error is not None:
            said = (
                clean(str(message.error))
                if isinstance(message.error, ValueError)
                else problems.words(message.error)
            )
            if said is None:
                raise message.error
            self._verdict(said)
            return
        result = message.result
        if not isinstance(result, Result):
            return
        self._said += [Content("")] + [
            check_content(Check(item.id, Sign(item.state), item.says)) for item in result.findings
        ]
        self._draw()
        bad = any(item.state == "failed" for item in result.findings)
        good = result.ok and not bad
        layer = f" [{result.layer}]" if result.layer else ""
        sign = ("✓ OK", "bold ansi_green") if good else ("✗ FAILED", "bold ansi_red")
        self.query_one("#verdict", Static).update(Content.assemble(sign, f"{layer}: {clean(result.verdict)}"))

    def action_troubleshoot(self) -> None:
        """Which layer fails on this host, with the same login where one was typed."""
        from screens.troubleshoot import Troubleshoot

        user, password = self._value("user"), self.query_one("#password", Input).value
        try:
            credentials = Credentials(user, password) if user and password else None
        except ValueError as problem:
            self._verdict(clean(str(problem)))
            return
        if not self.wizard.desk.changing:
            self.app.push_screen(Troubleshoot(credentials))

    def action_turn(self, pages: int) -> None:
        """Scroll the conversation."""
        talk = self.query_one("#talk")
        talk.scroll_relative(y=pages * max(1, talk.size.height - 1), animate=False)

    def action_back(self) -> None:
        """The password goes with the screen."""
        self.query_one("#password", Input).clear()
        self.dismiss()

    def _draw(self) -> None:
        if len(self._said) > self._drawn:
            self._drawn = len(self._said)
            self.query_one("#lines", Static).update(Content("\n").join(self._said))
            self.query_one("#talk").scroll_end(animate=False)

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _verdict(self, words: str) -> None:
        self.query_one("#verdict", Static).update(words)


def _shown(line: Seen) -> Content:
    signs = {"server": ("<", ""), "client": (">", "bold"), "log": ("|", "ansi_yellow")}
    sign, style = signs.get(line.who, ("#", "ansi_cyan"))
    beside = f"  - {clean(line.explanation)}" if line.explanation else ""
    return Content.assemble((f"{sign} {clean(line.text)}", style), (beside, "ansi_cyan"))
