"""The answers as a form: each field with its help, checked while typing; loaded from and saved to answers.toml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import DescendantFocus
from textual.widgets import Checkbox, Input, Static

from screens.base import Field, Frame
from wizard.console import clean
from wizard.errors import AnswersError
from wizard.model.answers import (
    FIREWALL_CHOICES,
    MECHANISMS,
    Answers,
    Auth,
    Firewall,
    Install,
    Listen,
    Test,
    load,
    parse,
)
from wizard.render.files import as_toml
from wizard.system.output_file import save

if TYPE_CHECKING:
    from wizard.model.facts import Facts

TEXTS = (  # id: section and key of the answers
    Field(
        "listen-submission",
        "Submission addresses",
        "Where port 587 listens (howto 3.3), separated by commas. Leave empty for every IPv4 "
        "address. If this is wrong, users cannot reach the server.",
        "(every IPv4 address)",
    ),
    Field(
        "listen-smtp",
        "SMTP addresses",
        "Where port 25 listens (howto 3.5). Leave empty for every IPv4 address. Otherwise it must include "
        "127.0.0.1, or mail from local programs is never delivered.",
        "(every IPv4 address)",
    ),
    Field(
        "auth-saslauthd_mechanism",
        "Passwords from",
        f"What saslauthd asks (howto 2.3): {', '.join(MECHANISMS)}. pam: the users of this host. Leave empty to keep what this host has.",
        "(as configured on this host)",
    ),
    Field(
        "firewall-use",
        "Firewall",
        f"The firewall in which to open ports 587 and 25 (howto 3.8): {', '.join(FIREWALL_CHOICES)}. auto: the one that is active.",
        "(auto)",
    ),
    Field(
        "firewall-zone",
        "Firewall zone",
        "For Shorewall and firewalld: the zone that leads outside. Leave empty to detect it.",
        "(found by the default route)",
    ),
    Field(
        "test-host",
        "Test: server",
        "The server of the login test (howto 5.2). Leave empty for this host.",
        "(this host)",
    ),
    Field(
        "test-user",
        "Test: user",
        "The user of the login test. The password is asked for there and stored nowhere.",
        "(nobody yet)",
    ),
    Field(
        "test-send_to",
        "Test: send to",
        "An address to which the login test submits a message. Leave empty for none.",
        "(nobody)",
    ),
)
FLAGS = (
    Field(
        "listen-ipv6",
        "Listen on IPv6 too",
        "Ports 587 and 25 on every IPv6 address as well. If this is wrong, clients that prefer IPv6 wait or fail.",
    ),
    Field(
        "listen-implicit_tls",
        "Port 465 too",
        "TLS from the first byte (RFC 8314), for clients that do not speak STARTTLS. Needs a free port 465.",
    ),
    Field(
        "install-recommends",
        "Recommended packages too",
        "What Debian only recommends with sendmail is installed as well, among it a daemon that listens on "
        "127.0.0.1:8461 and that this set-up does not use.",
    ),
    Field(
        "watch_restart",
        "Watch the restart",
        "Sendmail's listeners are watched for a minute after its restart; if one disappears or does not greet, the "
        "restart is reverted (howto 3.7). Not stored in the file.",
    ),
    Field(
        "replace_mta",
        "Replace another MTA",
        "Postfix or Exim may be removed for sendmail. Its mail service ends then. Not stored in the file.",
    ),
)
FILE = Field("file", "File", "Where F2 saves and F4 loads; relative to the current directory.")
WATCHED = 60
"""Seconds that a restart is watched."""
NOT_STORED = ("replace_mta", "watch_restart")


class Flag(Checkbox):
    """A box that says yes or no by its content, not by its colour: [x] or [ ]."""

    BUTTON_LEFT = "["
    BUTTON_RIGHT = "]"
    BUTTON_INNER = " "

    def watch_value(self) -> None:
        """Another content."""
        self.BUTTON_INNER = "x" if self.value else " "
        super().watch_value()


class Settings(Frame[None]):
    """Enter uses them; Esc leaves all as it was."""

    HEADING = "Settings"
    AUTO_FOCUS = "#listen-submission"
    SAYS = "#about"
    HELP_TEXT = """
What you choose here goes into the plans of all steps. The howto's own set-up needs none of it: every field may
stay as it is. Tab goes to the next field, space changes a box, Enter uses the values, Esc discards them.
F2 saves it to the file named below, F4 reads it from there; `msa-wizard apply --answers FILE` takes the same file.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "use", "Use", show=False),
        Binding("f2", "save", "Save"),
        Binding("f4", "load", "Load"),
        Binding("escape", "dismiss", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The fields, the file, and help on the one that has the focus."""
        answers = self.backend.answers
        with VerticalScroll(id="form", can_focus=False):
            for field in TEXTS:
                yield field.line(_text(answers, field.id))
            for field in FLAGS:
                yield Flag(field.label, bool(_value(answers, field.id)), id=field.id, tooltip=field.about)
            yield FILE.line("answers.toml")
        yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        """Look at the host."""
        self.same("msa-wizard plan --answers answers.toml")
        self.look(self.backend.facts, self._show)

    def _show(self, facts: Facts) -> None:
        """Show what an empty field means on this very host."""
        from wizard.sendmail.password_source import in_words

        self.query_one("#auth-saslauthd_mechanism", Input).placeholder = f"({in_words(facts)})"

    @on(Input.Submitted)
    def action_use(self) -> None:
        """Plan with these from now on."""
        answers = self._check()
        if answers is not None and not self.desk.changing:
            self.backend.answers = answers
            self.dismiss()

    def action_save(self) -> None:
        """Write the file, for the admin alone."""
        answers = self._check()
        if answers is not None:
            self.attempt(lambda: save(self._file(), as_toml(answers)))

    def action_load(self) -> None:
        """Fill the form from the file."""
        self.attempt(self._load)

    def _load(self) -> str:
        answers = load(path := self._file())
        for field in TEXTS:
            self.query_one(f"#{field.id}", Input).value = _text(answers, field.id)
        for field in FLAGS:
            if field.id not in NOT_STORED:
                self.query_one(f"#{field.id}", Flag).value = bool(_value(answers, field.id))
        return f"{clean(str(path))} is loaded."

    def _file(self) -> Path:
        return Path(self.entered("file") or "answers.toml").expanduser()

    @on(DescendantFocus)
    @on(Input.Changed)
    @on(Checkbox.Changed)
    def _check(self) -> Answers | None:
        """The answers, None when something is wrong; says which, or helps with the field."""
        try:
            answers = self._answers()
        except AnswersError as problem:
            self.say(f"✗ {clean(str(problem).partition(': ')[2] or str(problem))}")
            return None
        self.say(self.about_focused())
        return answers

    def _answers(self) -> Answers:
        text = {field.id: self.entered(field.id) for field in TEXTS}
        flag = {field.id: self.query_one(f"#{field.id}", Flag).value for field in FLAGS}
        raw = Answers(
            Listen(
                _list(text["listen-submission"]),
                _list(text["listen-smtp"]),
                flag["listen-ipv6"],
                flag["listen-implicit_tls"],
                self.backend.answers.listen.local_submission,
            ),
            Auth(text["auth-saslauthd_mechanism"], self.backend.answers.auth.mechanisms),
            Test(text["test-host"], text["test-user"], text["test-send_to"]),
            firewall=Firewall(text["firewall-use"] or "auto", text["firewall-zone"]),
            install=Install(flag["install-recommends"]),
            accept=self.backend.answers.accept,
        )
        return replace(
            parse(as_toml(raw)),
            replace_mta=flag["replace_mta"],
            watch_restart=WATCHED * flag["watch_restart"],
        )


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _value(answers: Answers, name: str) -> object:
    section, _, key = name.rpartition("-")
    return getattr(getattr(answers, section) if section else answers, key)


def _text(answers: Answers, name: str) -> str:
    value = _value(answers, name)
    return ", ".join(value) if isinstance(value, tuple) else str(value)
