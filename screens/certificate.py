"""The server's certificate: what it is, what a mail client will think of it, a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base import PAGES, Frame
from screens.widgets.signs import check_content
from wizard.console import clean

if TYPE_CHECKING:
    from wizard.gather.certificates import CertificateReport


class Certificate(Frame[None]):
    """What is there; n makes a new one."""

    HEADING = "Certificate"
    SCROLLED = AUTO_FOCUS = "#shown"
    SAYS = "#found"
    HELP_TEXT = """
Mail clients see this certificate when they start TLS. Debian's is self-signed and has no subjectAltName, the place
where clients look for the name, so each client warns. n makes a new self-signed one with the name: clients
warn once, then remember it.

With a CA-issued certificate (Let's Encrypt and others) no client warns: i installs one after checking it. Both are
steps that can be rolled back in the history.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "renew", "New, self-signed"),
        Binding("i", "install", "Install one"),
        Binding("f5", "look", "Look again"),
        *PAGES,
        Binding("escape", "dismiss", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The report."""
        with VerticalScroll(id="shown"):
            yield Static("Looking at the certificate ...", id="found", markup=False)

    def on_mount(self) -> None:
        """Look."""
        self.same("msa-wizard certificate show")
        self.action_look()

    def action_look(self) -> None:
        """Read the files, and ask the daemon what it presents."""
        self.look(self.wizard.backend.certificates, lambda report: self.say(_content(report)))

    def action_renew(self) -> None:
        """A new self-signed one, once its plan is shown."""
        from screens.run_steps import RunSteps

        if not self.wizard.desk.changing:
            make = self.wizard.backend.certificate_renewal
            run = RunSteps("A new certificate", "msa-wizard certificate renew", make)
            self.app.push_screen(run, lambda _: self.action_look())

    def action_install(self) -> None:
        """A CA-issued one."""
        if not self.wizard.desk.changing:
            from screens.install_certificate import InstallCertificate

            self.app.push_screen(InstallCertificate(), lambda _: self.action_look())


def _content(report: CertificateReport) -> Content:
    from wizard.gather.certificates import details

    parts = [Content.styled("What a mail client will think of it", "bold")]
    parts += [check_content(check) for check in report.checks]
    for named in report.named:
        parts += [Content(""), Content.styled(f"{named.option}: {clean(named.path)}", "bold")]
        parts += [Content(f"{word:<12} {clean(value)}") for word, value in details(named)]
    return Content("\n").join(parts)
