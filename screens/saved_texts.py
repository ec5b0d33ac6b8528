"""Texts for others, saved on request: what users' mail clients need and would warn of, and the report."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Markdown, OptionList, Static
from textual.widgets.option_list import Option

from screens.base import FORM, Field, Frame
from screens.saving import FOR_USERS, named, save_asking
from screens.widgets.contents import check_content
from wizard.client_settings import FORMATS, ClientSettings, certificate_warning, check_dns, not_ready
from wizard.console import clean, width
from wizard.engine.overview import Overview
from wizard.model.facts import Facts
from wizard.model.plan import Check, Sign
from wizard.model.set_option import as_words
from wizard.render.files import report

LABELS = {
    "table": ("What to enter", ""),
    "text": ("Text for users", "mail-settings.txt"),
    "autoconfig": ("Thunderbird file", "config-v1.1.xml"),
    "mobileconfig": ("Apple profile", "mail.mobileconfig"),
    "srv": ("DNS records", "srv-records.txt"),
}
_CHECKS = "checks"
"""The look at what the DNS or a client would say."""


class MailClients(Frame[None]):
    """Forms on the left, the chosen one on the right."""

    HEADING = "Mail client settings"
    AUTO_FOCUS = "#forms"
    HELP_TEXT = """
What to enter in a mail client, and the same as files: Thunderbird's autoconfig is served at
https://autoconfig.DOMAIN/mail/config-v1.1.xml; Apple's profile is mailed or downloaded; the DNS records let
clients find the server by themselves. The two files describe a whole account: they need the IMAP server too.

d queries the DNS for its records, c checks the certificate as a careful client would. F2 writes the form to the file,
where a line that goes on below itself here is one line; anybody may read that file, and one that is there already is
replaced only after a question.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "dns", "Ask DNS", tooltip="Ask the DNS for these records"),
        Binding("c", "certificate", "Certificate", tooltip="Check the certificate as a client does"),
        Binding("f2", "save", "Save", tooltip="Save to the file below"),
        Binding("enter", "app.focus_next", "Next field", show=False, priority=True),
        *FORM,
        Binding("escape", "dismiss", "Back"),
    ]

    _facts: Facts | None = None
    _asked_dns = False

    def body(self) -> ComposeResult:
        """List, form, the two fields."""
        with Horizontal():
            yield OptionList(
                *(Option(LABELS[name][0], id=name) for name in FORMATS), id="forms", markup=False
            )
            with VerticalScroll(id="shown"):
                yield Static("Looking at this host ...", id="form-text", markup=False)
        yield Field("imap", "IMAP server", empty="(needed for Thunderbird and Apple)").line()
        yield Field("file", "File", empty="(not saved)").line()
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Look at the host."""
        self.look_again()

    def look_again(self) -> None:
        """What clients must know may be something else."""
        self.look(self.backend.facts, self._take)

    def _take(self, facts: Facts) -> None:
        self._facts = facts
        self._say_whether_ready()
        self._show()

    @property
    def _form(self) -> str:
        return FORMATS[self.query_one("#forms", OptionList).highlighted or 0]

    def _settings(self) -> ClientSettings | None:
        """None where something is missing, which is said."""
        if self._facts is None:
            return None
        try:
            return ClientSettings.of(self._facts, self.backend.answers, self.entered("imap"))
        except ValueError as problem:
            self._missing(problem)
            return None

    def _say_whether_ready(self) -> None:
        settings = self._settings()
        words = not_ready(self._facts, settings.host) if settings is not None and self._facts else ""
        self.say(f"! {clean(words)}" if words else "")

    def _text(self) -> str | None:
        """The chosen form; None where it is missing something, which is said."""
        settings = self._settings()
        try:
            return settings.rendered(self._form) if settings is not None else None
        except ValueError as problem:
            self._missing(problem)
            return None

    def _missing(self, problem: ValueError) -> None:
        words = f"{clean(str(problem).replace(' (--imap HOST)', ' below'))}."
        if self._form != FORMATS[0]:
            words += f" What to enter by hand is in the first row, {LABELS[FORMATS[0]][0]}."
        self.query_one("#form-text", Static).update(words)

    def _show(self) -> None:
        if (text := self._text()) is not None:
            self.query_one("#form-text", Static).update("\n".join(map(clean, text.splitlines())))
        self._same()

    def _same(self) -> None:
        imap, file = self.entered("imap"), self.entered("file")
        options = [
            *(["--imap", imap] if imap else []),
            *(["--check-dns"] if self._asked_dns else []),
            *(["--output", named(file)] if file else []),
        ]
        words = as_words(options) + self.backend.settings_options
        self.same(f"msa-wizard client-settings --format {self._form}{words}")

    def on_option_list_option_highlighted(self) -> None:
        """Another form; what the DNS said, or is still to say, was about the one before."""
        self.drop_look(_CHECKS)
        self._asked_dns = False
        self._say_whether_ready()
        self.query_one("#file", Input).value = LABELS[self._form][1]
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another IMAP server, or another file."""
        if event.input.id == "imap":
            self._show()
        else:
            self._same()

    def action_save(self) -> None:
        """Write it."""
        name, text = self.entered("file"), self._text()
        if text is None or not name:
            self.say("Name a file first." if text else "There is nothing to write yet.")
            return
        save_asking(self, name, text, FOR_USERS)

    def action_dns(self) -> None:
        """What the DNS says now."""
        if (settings := self._settings()) is not None:
            self._asked_dns = True
            self._same()
            self.say("Querying the DNS ...")
            self.look(lambda: check_dns(settings), self._show_checks, of=_CHECKS)

    def action_certificate(self) -> None:
        """What clients will say of the certificate."""

        def show(warning: str | None) -> None:
            says = warning or "Mail clients will accept the certificate."
            self._show_checks([Check("certificate", Sign.WARNING if warning else Sign.OK, says)])

        if (settings := self._settings()) is not None:
            self.say("Looking at the certificate ...")
            self.look(lambda: certificate_warning(settings.host), show, of=_CHECKS)

    def _show_checks(self, checks: list[Check]) -> None:
        self.say(Content("\n").join([check_content(check, width()) for check in checks]))


class Report(Frame[None]):
    """The report as it will be written."""

    HEADING = "Report"
    AUTO_FOCUS = "#file"
    SCROLLED = "#shown"
    HELP_TEXT = """
What was done on this host, for your documentation: each step with its state, what was found, each change with its
diff, and how to roll it back. Files that not everybody on the host may read are named, never shown: it contains no
secret. The end of the file's name decides: .html is HTML, anything else Markdown.

No command writes it; what it is made of is shown by `msa-wizard status`, `msa-wizard history` and `msa-wizard diff`.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "save", "Save", tooltip="Save to the file below"),
        Binding("pagedown", "turn(1)", "Page", priority=True, tooltip="Turn the page"),
        Binding("pageup", "turn(-1)", "Page back", show=False, priority=True, tooltip="Turn a page back"),
        Binding("down", "line(1)", "Line", show=False, tooltip="Scroll by a line"),
        Binding("up", "line(-1)", "Line back", show=False, tooltip="Scroll back by a line"),
        Binding("escape", "dismiss", "Back"),
    ]

    _overview: Overview | None = None

    def body(self) -> ComposeResult:
        """The text, the file."""
        with VerticalScroll(id="shown", can_focus=False):
            yield Markdown("Looking at this host ...", id="report", open_links=False)
        yield Field("file", "File").line("msa-report.md")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Prepare it."""
        self.look_again()

    def look_again(self) -> None:
        """The report may have more to say."""
        self.look(self._report, self._show)

    def _report(self) -> tuple[Overview, str]:
        backend = self.backend
        overview = backend.seen_with_apt()
        return overview, report("md", overview, backend.store())

    def _show(self, taken: tuple[Overview, str]) -> None:
        self._overview, text = taken
        self.query_one("#report", Markdown).update("\n".join(map(clean, text.splitlines())))

    def action_line(self, lines: int) -> None:
        """The field has the focus, so that a name can be typed; the text scrolls all the same."""
        self.query_one("#shown").scroll_relative(y=lines, animate=False)

    def action_save(self) -> None:
        """Write the file."""
        name, overview = self.entered("file"), self._overview
        if overview is None or not name:
            self.say("There is nothing to write yet." if overview is None else "Name a file first.")
            return
        form = "html" if name.lower().endswith((".html", ".htm")) else "md"
        store = self.backend.store()
        save_asking(self, name, report(form, overview, store))
