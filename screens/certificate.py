"""The server's certificate: what it is, what a mail client will think of it, a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens import error_text as problems
from screens.base import Frame
from screens.widgets.signs import check_content
from wizard.console import clean

if TYPE_CHECKING:
    from wizard.gather.certificates import CertificateReport


class Certificate(Frame[None]):
    """What is there; n makes a new one."""

    HEADING = "Certificate"
    HELP_TEXT = """
Mail clients see this certificate when they start TLS. Debian makes one that signs itself and holds no name in the place
where clients look (subjectAltName), so each client warns. n makes a new one that signs itself, with the name: clients
warn once, then remember it.

A certificate of an authority (Let's Encrypt and others) makes no client warn: i installs one, checked first. Both are
steps that the history can take back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "renew", "New, self-signed"),
        Binding("i", "install", "Install one"),
        Binding("f5", "look", "Look again"),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
        Binding("escape", "dismiss", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The report."""
        with VerticalScroll(id="shown"):
            yield Static("Looking at the certificate ...", id="found", markup=False)

    def on_mount(self) -> None:
        """Look."""
        self.same("msa-wizard certificate show")
        self.query_one("#shown").focus()
        self.action_look()

    def action_look(self) -> None:
        """Read the files, and ask the daemon what it presents."""
        self.run_worker(self._look, thread=True, exclusive=True, group="look")

    def _look(self) -> None:
        try:
            shown = _content(self.wizard.machine.certificates())
        except Exception as error:
            said = problems.words(error)
            if said is None:
                raise
            shown = Content(said)
        self.deliver(self.query_one("#found", Static).update, shown)

    def action_renew(self) -> None:
        """A new self-signed one, once its plan was shown."""
        from screens.run_steps import Doing

        if not self.wizard.desk.changing:
            make = self.wizard.machine.certificate_renewal
            self.app.push_screen(
                Doing("A new certificate", "msa-wizard certificate renew", make), lambda _: self.action_look()
            )

    def action_install(self) -> None:
        """One of an authority."""
        if not self.wizard.desk.changing:
            from screens.install_certificate import InstallCertificate

            self.app.push_screen(InstallCertificate(), lambda _: self.action_look())

    def action_turn(self, pages: int) -> None:
        """Scroll it."""
        shown = self.query_one("#shown")
        shown.scroll_relative(y=pages * max(1, shown.size.height - 2), animate=False)


def _content(made: CertificateReport) -> Content:
    from wizard.gather.certificates import details

    parts = [Content.styled("What a mail client will think of it", "bold")]
    parts += [check_content(check) for check in made.checks]
    for item in made.named:
        parts += [Content(""), Content.styled(f"{item.option}: {clean(item.path)}", "bold")]
        parts += [Content(f"{word:<12} {clean(value)}") for word, value in details(item)]
    return Content("\n").join(parts)
