"""What users' mail programs need: the howto's table, files for them, DNS records, and what would make them complain."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from screens.base import Frame
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
    HELP_TEXT = """
What to enter in a mail program, and the same as files: Thunderbird's autoconfig is served at
https://autoconfig.DOMAIN/mail/config-v1.1.xml; Apple's profile is mailed or downloaded; the DNS records let
programs find the server by themselves. The two files describe a whole account: they need the IMAP server too.

d asks the DNS for its records, c looks at the certificate as a careful client would. F2 writes the form to the file.
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
                yield Static("Looking at this host ...", id="made", markup=False)
        with Horizontal(classes="field"):
            yield Label("IMAP server", classes="label", markup=False)
            yield Input("", id="imap", placeholder="(needed for Thunderbird and Apple)")
        with Horizontal(classes="field"):
            yield Label("File", classes="label", markup=False)
            yield Input("", id="file", placeholder="(not saved)")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Look at the host."""
        self.query_one("#forms").focus()
        self.run_worker(self._look, thread=True, group="look")

    def _look(self) -> None:
        facts = self.wizard.machine.facts()
        self.deliver(self._looked, facts)

    def _looked(self, facts: Facts) -> None:
        self._facts = facts
        self._show()

    @property
    def _form(self) -> str:
        return FORMATS[self.query_one("#forms", OptionList).highlighted or 0]

    def _settings(self) -> ClientSettings:
        assert self._facts is not None
        imap = self.query_one("#imap", Input).value.strip()
        return ClientSettings.of(self._facts, self.wizard.machine.answers, imap)

    def _made(self) -> str | None:
        """The chosen form; None where it cannot be made, which is said."""
        if self._facts is None:
            return None
        try:
            return self._settings().rendered(self._form)
        except ValueError as problem:
            words = str(problem).replace(" (--imap HOST)", " below")
            self.query_one("#made", Static).update(clean(words[:1].upper() + words[1:] + "."))
            return None

    def _show(self) -> None:
        if (made := self._made()) is not None:
            self.query_one("#made", Static).update("\n".join(map(clean, made.splitlines())))
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
        name, made = self.query_one("#file", Input).value.strip(), self._made()
        if made is None or not name:
            self._say(Content("Name a file first." if made else "There is nothing to write yet."))
            return
        try:
            words = save(Path(name).expanduser(), made)
        except AnswersError as problem:
            self._say(Content(clean(str(problem))))
        else:
            self._say(Content(f"✓ {words}"))

    def action_dns(self) -> None:
        """What the DNS says now."""
        if self._facts is not None:
            settings = self._settings()
            self._say(Content("Asking the DNS ..."))
            self.run_worker(
                lambda: self._found(check_dns(settings)), thread=True, exclusive=True, group="ask"
            )

    def action_certificate(self) -> None:
        """What clients will say of the certificate."""
        self._say(Content("Looking at the certificate ..."))

        def work() -> None:
            warning = certificate_warning()
            says = warning or "Mail clients will accept the certificate."
            self._found([Check("certificate", Sign.WARNING if warning else Sign.OK, says)])

        self.run_worker(work, thread=True, exclusive=True, group="ask")

    def _found(self, checks: list[Check]) -> None:
        self.deliver(self._say, Content("\n").join([check_content(check) for check in checks]))

    def _say(self, content: Content) -> None:
        self.query_one("#says", Static).update(content)
