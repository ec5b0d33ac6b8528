"""AUTH LOGIN as a mail client does it: line by line, with what each line means, ending in 235 or in a reason."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from screens.base import FORM, Field, Frame
from screens.dialogs import ask_certificate, asking
from screens.jobs import CertificateWaits, Job, JobEnded, Stopped
from screens.sentences import about_input, sentence
from screens.widgets.contents import check_content, line_shown, with_meaning
from wizard.console import clean, clean_block
from wizard.errors import Interrupted
from wizard.model.plan import Check, Sign
from wizard.model.set_option import as_words
from wizard.smtp.login_test import Credentials, Result

if TYPE_CHECKING:
    from wizard.maillog.correlate import ConversationLine

FIELDS = (
    Field(
        "host",
        "Server",
        "The mail server's name or address. Leave empty for this host, where its sendmail listens.",
        "(this host)",
    ),
    Field("port", "Port", "587 speaks STARTTLS; 465 has TLS from the first byte.", "587"),
    Field(
        "user",
        "User name",
        "A user of the server; `adduser NAME` makes one there. Leave empty to test everything up to the login.",
        "(nobody yet)",
    ),
    Field("password", "Password", "It stays in memory for this one test and is masked in what you see."),
    Field(
        "send-to",
        "Send a message to",
        "A mail address: a short test message is really submitted. Leave empty for none.",
        "(nobody)",
    ),
)

NEXT = (
    " What mail clients need next (a login from another machine, a certificate that they accept, their settings) is in "
    "the summary: Ctrl+P, Summary."
)


class LoginTest(Frame[None]):
    """Five fields above, the conversation below."""

    HEADING = "Test a login"
    AUTO_FOCUS = "#user"
    SCROLLED = "#talk"
    SAYS = "#verdict"
    HELP_TEXT = """
This talks to the server as a mail client does: STARTTLS, then AUTH LOGIN. ">" is what we say, "<" what the server
says, "#" a remark, "|" what the server writes to its mail log meanwhile. User name and password travel as base64, which
is no encryption: TLS around them is. The password is masked wherever it would be seen. 235 means that the login works.

The password is only sent to a server whose certificate is trusted: on this host it must be the one that sendmail.cf
names, elsewhere one that this system trusts. For any other you are asked, with its fingerprint.

Enter begins the test; from a user name it goes to the password first. F5 begins it from everywhere.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True, tooltip="Next field, then begin"),
        Binding("f5", "begin", "Test", tooltip="Test the login"),
        Binding("f4", "troubleshoot", "Troubleshoot", tooltip="Find out what fails"),
        *FORM,
        Binding("escape", "dismiss", "Back"),
        Binding("pagedown", "turn(1)", "Page", show=False, tooltip="Turn the page"),
        Binding("pageup", "turn(-1)", "Page back", show=False, tooltip="Turn a page back"),
    ]

    def body(self) -> ComposeResult:
        """Form, conversation, verdict."""
        test = self.backend.answers.test
        known = {"host": test.host, "port": "587", "user": self.backend.user, "send-to": test.send_to}
        for field in FIELDS:
            yield field.line(known.get(field.id, ""))
        with VerticalScroll(id="talk"):
            yield Static("", id="lines", markup=False)
        yield Static("Fill in the user name and press Enter.", id="verdict", markup=False)

    def on_mount(self) -> None:
        """Draw the conversation some ten times a second."""
        self._lines: list[Content] = []
        self._drawn = 0
        self._cause: Check | None = None
        """Why the last test failed, as this host sees it."""
        self.set_interval(0.1, self._draw)
        self._same()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One test at a time."""
        return action != "begin" or not self.desk.works_for(self)

    def on_input_changed(self) -> None:
        """The command with what was typed."""
        self._same()

    def _same(self) -> None:
        saved = self.backend.answers.test
        known = {"host": saved.host, "port": "", "user": saved.user, "send-to": saved.send_to}
        typed = {name: self.entered(name) for name in known}
        if typed["port"] == "587":
            typed["port"] = ""
        # What was emptied stays empty.
        given = [name for name, value in typed.items() if value or known[name]]
        options = [word for name in given for word in (f"--{name}", typed[name])]
        self.same(f"msa-wizard test{as_words([*options, '--watch'])}")

    def on_descendant_focus(self) -> None:
        """Say what the field is for, until something is tested."""
        if not self._lines and (about := self.about_focused()):
            self.say(about)

    async def action_enter(self) -> None:
        """From a user to the password, and to that also where it is missing.

        The app takes Enter before the keys after it go anywhere: a password that is typed ahead must not land
        in the user name, for all to read."""
        await self.caught_up()
        password, at_user = self.query_one("#password", Input), self.focused is self.query_one("#user")
        if self.entered("user") and (at_user or not password.value):
            self.set_focus(password)
        elif not at_user:
            self.action_begin()
        else:
            self.say("Enter a user name first; F5 tests without a login.")

    def action_begin(self) -> None:
        """Hold the conversation."""
        if self.desk.changing or self.desk.works_for(self):
            return
        host, user, send_to = (self.entered(name) for name in ("host", "user", "send-to"))
        try:
            port = _port(self.entered("port"))
            credentials = Credentials(user, self.query_one("#password", Input).value) if user else None
        except ValueError as problem:
            self.say(about_input(problem))
            return
        self.backend.session.tested = user
        self._same()
        self._lines.clear()
        self._drawn = 0
        self.query_one("#lines", Static).update("")
        self.say("Testing ...")

        backend = self.backend

        def work(job: Job) -> Result:
            from wizard.maillog.correlate import WITHIN
            from wizard.maillog.watched_login import hold_conversation, target_of

            target = target_of(
                backend.host,
                host,
                port,
                backend.answers.certificate,
                ask=asking(job),
                send_to=send_to or None,
            )
            began = time.time()
            result = hold_conversation(
                *(backend.host, target, credentials, WITHIN, True),
                lambda line: job.show(self.add, line),
                lambda _: not job.stopped,
            ).result
            self._cause = None
            if not result.ok or any(Sign(each.state) is Sign.FAILED for each in result.findings):
                from wizard.troubleshoot.explain import of_login

                self._cause = of_login(backend.host, backend.answers, target, credentials, result, began)
            return result

        self.desk.start_beside(self, "test", work)
        self.refresh_bindings()

    def add(self, line: ConversationLine) -> None:
        """A line more; drawn with others some ten times a second."""
        text, style = line_shown(line)
        self._lines.append(with_meaning(clean(text), clean(line.explanation), style))

    def on_certificate_waits(self, message: CertificateWaits) -> None:
        """Whether the password may go to an untrusted server."""
        self._draw()
        ask_certificate(self, message)

    def on_job_ended(self, message: JobEnded) -> None:
        """The verdict."""
        self._draw()
        self.refresh_bindings()
        match message:
            case JobEnded(error=Stopped() | Interrupted()):
                self.say("It was stopped.")
            case JobEnded(error=ValueError() as error):
                self.say(about_input(error))
            case JobEnded(error=Exception() as error):
                self.say(sentence(error))
            case JobEnded(result=Result() as result):
                self._show_result(result)

    def _show_result(self, result: Result) -> None:
        self.backend.changed()  # an accepted login is what the step auth-test waits for
        checks = [Check(finding.id, Sign(finding.state), finding.says) for finding in result.findings]
        cause = self._cause
        known = cause is not None and cause.sign is Sign.FAILED
        shown = [*checks, *([cause] if cause is not None and not known else [])]
        width = self.query_one("#talk").scrollable_content_region.width
        self._lines += [Content(""), *(check_content(check, width) for check in shown)]
        self._draw()
        good = result.ok and not any(check.sign is Sign.FAILED for check in checks)
        if good and not self.entered("host") and self.entered("port") in ("", "587"):
            from wizard.steps.restart import AuthTest

            self.backend.session.passed(AuthTest.id)
        sign = ("✓ OK", "bold ansi_green") if good else ("✗ FAILED", "bold ansi_red")
        layer, says = f" [{result.layer}]" if result.layer else "", clean(result.verdict)
        remedy = ""
        if cause is not None and known:  # what this host knows goes before what the answer may mean
            came = result.verdict if result.ok else f"{result.code}:" if result.code else ""
            says = f"{clean(came)} {clean(cause.says)}".lstrip()
            remedy = cause.remedy if "--fix" not in cause.remedy else ""
            says += "" if remedy else " F4 shows how to fix it."
        elif good and result.code == 235 and not self.entered("host"):
            says += NEXT
        self.say(
            Content.assemble(
                sign,
                f"{layer}: {says}",
                f"\nWhat to do: {clean_block(remedy)}" if remedy else "",
            )
        )
        if not good:
            self._type_again()

    def _type_again(self) -> None:
        """What is typed now replaces the password that was not accepted."""
        password = self.query_one("#password", Input)
        if password.value and self.focused is password:
            password.select_all()

    def action_troubleshoot(self) -> None:
        """Which layer fails on this host, with the same login if one was typed."""
        from screens.troubleshoot import Troubleshoot

        user, password = self.entered("user"), self.query_one("#password", Input).value
        try:
            credentials = Credentials(user, password) if user and password else None
        except ValueError as problem:
            self.say(about_input(problem))
            return
        if not self.desk.changing:
            self.app.push_screen(Troubleshoot(credentials))

    def _draw(self) -> None:
        if len(self._lines) > self._drawn:
            self._drawn = len(self._lines)
            self.query_one("#lines", Static).update(Content("\n").join(self._lines))
            self.query_one("#talk").scroll_end(animate=False)


def _port(typed: str) -> int:
    """587 where nothing is typed, as the field shows. Raises ValueError."""
    if typed and not (typed.isascii() and typed.isdigit()):
        raise ValueError(f"{typed!r} is no port: a number such as 587")
    return int(typed or "587")
