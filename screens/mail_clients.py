"""What users' mail programs need: the howto's table, files for them, DNS records, and what they would warn of."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.base import Field, Frame
from screens.widgets.signs import check_content
from wizard.client_settings import FORMATS, ClientSettings, certificate_warning, check_dns
from wizard.console import clean
from wizard.errors import AnswersError
from wizard.model.facts import Facts
from wizard.model.plan import Check, Sign
from wizard.system.output_file import save

LABELS = {
    "table": ("Table", ""),
    "text": ("Text for users", "mail-settings.txt"),
    "autoconfig": ("Thunderbird", "config-v1.1.xml"),
    "mobileconfig": ("Apple profile", "mail.mobileconfig"),
    "srv": ("DNS records", "srv-records.txt"),
}


class MailClients(Frame[None]):
    """Forms on the left, the chosen one on the right."""

    HEADING = "Mail client settings"
    AUTO_FOCUS = "#forms"
    HELP_TEXT = """
What to enter in a mail program, and the same as files: Thunderbird's autoconfig is served at
https://autoconfig.DOMAIN/mail/config-v1.1.xml; Apple's profile is mailed or downloaded; the DNS records let
programs find the server by themselves. The two files describe a whole account: they need the IMAP server too.

d queries the DNS for its records, c checks the certificate as a careful client would. F2 writes the form to the file.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "dns", "Ask DNS"),
        Binding("c", "certificate", "Certificate"),
        Binding("f2", "save", "Save"),
        Binding("escape", "dismiss", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._facts: Facts | None = None

    def body(self) -> ComposeResult:
        """List, form, the two fields."""
        with Horizontal():
            yield OptionList(
                *(Option(LABELS[name][0], id=name) for name in FORMATS), id="forms", markup=False
            )
            with VerticalScroll(id="shown", can_focus=False):
                yield Static("Looking at this host ...", id="form-text", markup=False)
        yield Field("imap", "IMAP server", empty="(needed for Thunderbird and Apple)").line()
        yield Field("file", "File", empty="(not saved)").line()
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Look at the host."""
        self.look(self.backend.facts, self._take)

    def _take(self, facts: Facts) -> None:
        self._facts = facts
        self._show()

    @property
    def _form(self) -> str:
        return FORMATS[self.query_one("#forms", OptionList).highlighted or 0]

    def _settings(self) -> ClientSettings:
        assert self._facts is not None
        return ClientSettings.of(self._facts, self.backend.answers, self.entered("imap"))

    def _text(self) -> str | None:
        """The chosen form; None where it is missing something, which is said."""
        if self._facts is None:
            return None
        try:
            return self._settings().rendered(self._form)
        except ValueError as problem:
            words = str(problem).replace(" (--imap HOST)", " below")
            self.query_one("#form-text", Static).update(clean(words[:1].upper() + words[1:] + "."))
            return None

    def _show(self) -> None:
        if (text := self._text()) is not None:
            self.query_one("#form-text", Static).update("\n".join(map(clean, text.splitlines())))
        self.same(f"msa-wizard client-settings --format {self._form}")

    def on_option_list_option_highlighted(self) -> None:
        """Another form."""
        self.query_one("#file", Input).value = LABELS[self._form][1]
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another IMAP server."""
        if event.input.id == "imap":
            self._show()

    def action_save(self) -> None:
        """Write it."""
        name, text = self.entered("file"), self._text()
        if text is None or not name:
            self.say("Name a file first." if text else "There is nothing to write yet.")
            return
        try:
            self.say(f"✓ {save(Path(name).expanduser(), text)}")
        except AnswersError as problem:
            self.say(clean(str(problem)))

    def action_dns(self) -> None:
        """What the DNS says now."""
        if self._facts is not None:
            settings = self._settings()
            self.say("Querying the DNS ...")
            self.look(lambda: check_dns(settings), self._show_checks)

    def action_certificate(self) -> None:
        """What clients will say of the certificate."""
        self.say("Looking at the certificate ...")
        self.look(_certificate, self._show_checks)

    def _show_checks(self, checks: list[Check]) -> None:
        self.say(Content("\n").join(map(check_content, checks)))


def _certificate() -> list[Check]:
    warning = certificate_warning()
    says = warning or "Mail clients will accept the certificate."
    return [Check("certificate", Sign.WARNING if warning else Sign.OK, says)]
