"""The answers as a form: each field with its help, checked as one types; loaded from and saved to answers.toml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Label, Static

from screens.base import Frame
from screens.widgets.flag import Flag
from wizard.console import clean
from wizard.errors import AnswersError
from wizard.model.answers import (
    FIREWALL_CHOICES,
    MECHANISMS,
    Answers,
    Auth,
    Firewall,
    Listen,
    Test,
    load,
    parse,
)
from wizard.render.answers_file import as_toml
from wizard.system.output_file import save

TEXTS = (
    (
        "listen.submission",
        "Submission addresses",
        "Where port 587 listens (howto 3.3), with commas between. Empty: every IPv4 address. "
        "Wrong: users cannot reach the server.",
    ),
    (
        "listen.smtp",
        "SMTP addresses",
        "Where port 25 listens (howto 3.5). Empty: every IPv4 address. Otherwise it must hold 127.0.0.1, "
        "or mail of local programs stays lying.",
    ),
    (
        "auth.saslauthd_mechanism",
        "Passwords from",
        f"What saslauthd asks (howto 2.3): {', '.join(MECHANISMS)}. pam: the users of this host. Empty: as this host has it.",
    ),
    (
        "firewall.use",
        "Firewall",
        f"The one that 587 and 25 are opened in (howto 3.8): {', '.join(FIREWALL_CHOICES)}. auto: the one that is active.",
    ),
    (
        "firewall.zone",
        "Firewall zone",
        "For Shorewall and firewalld: the zone that leads outside. Empty: it is looked for.",
    ),
    ("test.host", "Test: server", "The server of the login test (howto 5.2). Empty: this host."),
    (
        "test.user",
        "Test: user",
        "The user of the login test. The password is asked for there, and kept nowhere.",
    ),
    ("test.send_to", "Test: send to", "An address to which the login test submits a message. Empty: none."),
)
FLAGS = (
    (
        "listen.ipv6",
        "Listen on IPv6 too",
        "Port 587 and 25 on every IPv6 address as well. Wrong: clients that prefer IPv6 wait, or fail.",
    ),
    (
        "listen.implicit_tls",
        "Port 465 too",
        "TLS from the first byte (RFC 8314), for clients that do not speak STARTTLS. Needs a free port 465.",
    ),
    (
        "watch_restart",
        "Watch the restart",
        "After its restart sendmail's listeners are watched for a minute; one that goes, or does not greet, takes the "
        "restart back (howto 3.7). Not kept in the file.",
    ),
    (
        "replace_mta",
        "Replace another MTA",
        "Postfix or Exim may be removed for sendmail. Its mail service ends then. Not kept in the file.",
    ),
)
WATCHED = 60
"""Seconds that a restart is watched."""
EMPTY = {
    "listen.submission": "(every IPv4 address)",
    "listen.smtp": "(every IPv4 address)",
    "auth.saslauthd_mechanism": "(as this host has it)",
    "firewall.use": "(auto)",
    "firewall.zone": "(found by the default route)",
    "test.host": "(this host)",
    "test.user": "(nobody yet)",
    "test.send_to": "(nobody)",
}
"""What an empty field means."""
NOT_KEPT = ("replace_mta", "watch_restart")
LISTS = ("listen.submission", "listen.smtp")


class Settings(Frame[None]):
    """Enter uses them; Escape leaves all as it was."""

    HEADING = "Settings"
    HELP_TEXT = """
What you choose here goes into the plans of all steps. The howto's own set-up needs none of it: every field may
stay as it is. Tab goes to the next field, space changes a box, Enter uses what is there, Escape forgets it.
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
        answers = self.wizard.machine.answers
        with VerticalScroll(id="form", can_focus=False):
            for name, label, _ in TEXTS:
                with Horizontal(classes="field"):
                    yield Label(label, classes="label", markup=False)
                    yield Input(_text(answers, name), id=_id(name), placeholder=EMPTY[name])
            for name, label, _ in FLAGS:
                yield Flag(label, bool(_value(answers, name)), id=_id(name))
            with Horizontal(classes="field"):
                yield Label("File", classes="label", markup=False)
                yield Input("answers.toml", id="file")
        yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        """Begin at the first field."""
        self.same("msa-wizard plan --answers answers.toml")
        self.query_one(f"#{_id(TEXTS[0][0])}").focus()
        self.run_worker(self._look, thread=True, group="look")

    def _look(self) -> None:
        from wizard.sendmail.password_source import in_words

        self.deliver(self._looked, in_words(self.wizard.machine.facts()))

    def _looked(self, passwords: str) -> None:
        """What an empty field means on this very host."""
        self.query_one(f"#{_id('auth.saslauthd_mechanism')}", Input).placeholder = f"({passwords})"

    def on_descendant_focus(self) -> None:
        """Help on the field."""
        self._check()

    def on_input_changed(self) -> None:
        """Check as one types."""
        self._check()

    def on_checkbox_changed(self) -> None:
        """Boxes belong to the same rules."""
        self._check()

    def on_input_submitted(self) -> None:
        """Enter."""
        self.action_use()

    def action_use(self) -> None:
        """Plan with these from now on."""
        answers = self._check()
        if answers is not None and not self.wizard.desk.changing:
            self.wizard.machine.answers = answers
            self.dismiss()

    def action_save(self) -> None:
        """Write the file, for the admin alone."""
        answers = self._check()
        if answers is not None:
            self._tried(lambda path: save(path, as_toml(answers)))

    def action_load(self) -> None:
        """Fill the form from the file."""
        self._tried(self._load)

    def _load(self, path: Path) -> str:
        answers = load(path)
        for name, _, _ in TEXTS:
            self.query_one(f"#{_id(name)}", Input).value = _text(answers, name)
        for name, _, _ in FLAGS:
            if name not in NOT_KEPT:
                self.query_one(f"#{_id(name)}", Flag).value = bool(_value(answers, name))

        return f"{clean(str(path))} is read."

    def _tried(self, act: Callable[[Path], str]) -> None:
        """Do it with the file that is named, and say what came of it."""
        path = Path(self.query_one("#file", Input).value.strip() or "answers.toml").expanduser()
        try:
            words = act(path)
        except AnswersError as problem:
            self.notify(clean(str(problem)), severity="error", markup=False)
        else:
            self.notify(words, markup=False)

    def _check(self) -> Answers | None:
        """The answers, None when something is wrong; says which, or helps with the field."""
        about = self.query_one("#about", Static)
        try:
            answers = self._answers()
        except AnswersError as problem:
            about.update(f"✗ {clean(str(problem).partition(': ')[2] or str(problem))}")
            return None
        focused = self.focused.id if self.focused is not None else ""
        texts = {_id(name): words for name, _, words in (*TEXTS, *FLAGS)}
        about.update(texts.get(focused or "", "Where F2 saves and F4 loads; relative to where you started."))
        return answers

    def _answers(self) -> Answers:
        text = {name: self.query_one(f"#{_id(name)}", Input).value.strip() for name, _, _ in TEXTS}
        flag = {name: self.query_one(f"#{_id(name)}", Flag).value for name, _, _ in FLAGS}
        lists = {name: tuple(filter(None, text[name].replace(",", " ").split())) for name in LISTS}
        raw = Answers(
            Listen(
                lists["listen.submission"],
                lists["listen.smtp"],
                flag["listen.ipv6"],
                flag["listen.implicit_tls"],
                self.wizard.machine.answers.listen.local_submission,
            ),
            Auth(text["auth.saslauthd_mechanism"], self.wizard.machine.answers.auth.mechanisms),
            Test(text["test.host"], text["test.user"], text["test.send_to"]),
            firewall=Firewall(text["firewall.use"] or "auto", text["firewall.zone"]),
            accept=self.wizard.machine.answers.accept,
        )
        return replace(
            parse(as_toml(raw)),
            replace_mta=flag["replace_mta"],
            watch_restart=WATCHED * flag["watch_restart"],
        )


def _id(name: str) -> str:
    return name.replace(".", "-")


def _value(answers: Answers, name: str) -> object:
    section, _, key = name.rpartition(".")
    return getattr(getattr(answers, section) if section else answers, key)


def _text(answers: Answers, name: str) -> str:
    value = _value(answers, name)
    return ", ".join(value) if isinstance(value, tuple) else str(value)
