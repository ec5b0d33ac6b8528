"""The server's certificate: what it is, what sendmail and mail clients make of it, a new one, a CA-issued one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from screens.base import FORM, PAGES, Field, Frame
from screens.widgets.contents import check_content, column
from screens.widgets.fitted import Fitted
from wizard.console import clean

if TYPE_CHECKING:
    from wizard.engine.run import Run
    from wizard.gather.certificates import CertificateReport
    from wizard.model.plan import Check


class Certificate(Frame[None]):
    """What is there; n makes a new one."""

    HEADING = "Certificate"
    SCROLLED = AUTO_FOCUS = "#shown"
    SAYS = "#shown"
    HELP_TEXT = """
Mail clients see this certificate when they start TLS. Debian's is self-signed and has no subjectAltName, the place
where clients look for the name, so each client warns. n makes a new self-signed one with the name: clients
warn once, then remember it.

With a CA-issued certificate (Let's Encrypt and others) no client warns: o gets one by certbot, i installs one that you
have after checking it. All are steps that can be rolled back in the history.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "renew", "New", tooltip="Make a new self-signed certificate"),
        Binding("o", "obtain", "Obtain", tooltip="Get a certificate from an authority, by certbot"),
        Binding("i", "install", "Install", tooltip="Install a certificate from an authority"),
        Binding("f5", "look", "Again", tooltip="Look again"),
        *PAGES,
        Binding("escape", "dismiss", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The report."""
        yield Fitted("shown", "Looking at the certificate ...")

    def on_mount(self) -> None:
        """Look."""
        self.same("msa-wizard certificate show")
        self.action_look()

    def look_again(self) -> None:
        """The certificate may be another one, or gone."""
        self.action_look()

    def action_look(self) -> None:
        """Read the files, and ask the daemon what it presents."""
        self.look(
            self.backend.certificates, lambda report: self.query_one(Fitted).show(partial(_content, report))
        )

    def action_renew(self) -> None:
        """A new self-signed one, once its plan is shown."""
        from screens.review_and_run import RunSteps

        if not self.desk.changing:
            make = self.backend.certificate_renewal
            run = RunSteps("A new certificate", "msa-wizard certificate renew", make)
            self.app.push_screen(run)

    def action_obtain(self) -> None:
        """One from an ACME authority."""
        from screens.certificate_obtain import ObtainCertificate

        if not self.desk.changing:
            self.app.push_screen(ObtainCertificate())

    def action_install(self) -> None:
        """A CA-issued one."""
        if not self.desk.changing:
            self.app.push_screen(InstallCertificate())


_KEYS = {
    "`msa-wizard certificate obtain`": "o",
    "`msa-wizard certificate install CERT KEY`": "i",
    "`msa-wizard certificate renew`": "n",
}
"""What does the same as a command, here."""


def _with_keys(check: Check) -> Check:
    """Its remedy by the keys of this screen."""
    remedy = check.remedy
    for command, key in _KEYS.items():
        remedy = remedy.replace(command, key)
    return replace(check, remedy=remedy)


def _content(report: CertificateReport, width: int) -> Content:
    from wizard.gather.certificates import details

    parts = [Content.styled("What sendmail and mail clients make of it", "bold")]
    parts += [check_content(_with_keys(check), width) for check in report.checks]
    for named in report.named:
        parts += [Content(""), Content.styled(f"{named.option}: {clean(named.path)}", "bold")]
        parts += [Content(f"{word:<12} {column(clean(value), 13, width)}") for word, value in details(named)]
    return Content("\n").join(parts)


FIELDS = (
    Field(
        "cert",
        "Certificate",
        "The certificate in PEM format, followed by the intermediate ones: certbot's fullchain.pem.",
        "(/etc/letsencrypt/live/NAME/fullchain.pem, say)",
    ),
    Field(
        "key",
        "Private key",
        "Its private key in PEM format, not encrypted: certbot's privkey.pem.",
        "(/etc/letsencrypt/live/NAME/privkey.pem, say)",
    ),
    Field(
        "chain",
        "Chain",
        "The intermediate certificates, if they are in a separate file. Otherwise leave it empty.",
        "(none)",
    ),
)


class InstallCertificate(Frame[None]):
    """Three paths; Enter at the last one checks the files."""

    HEADING = "Install a certificate"
    AUTO_FOCUS = "#cert"
    SAYS = "#about"
    HELP_TEXT = """
With a CA-issued certificate (one from an authority such as Let's Encrypt) no mail client warns. If you have none, o on
the screen before this one gets one.

Name the file with the certificate and the one with its private key. They are checked first: that they belong together, the dates, the name, the chain. You see what will be written
before anything is; sendmail is restarted and asked for it, and if it presents another one, everything is undone. If
certbot made it, a hook installs each renewal. It can be rolled back in the history.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True, tooltip="Next field, then begin"),
        Binding("f5", "check", "Check and show"),
        *FORM,
        Binding("escape", "dismiss", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The fields, and what the chosen one is for."""
        with Vertical(id="form"):
            for field in FIELDS:
                yield field.line(self.wizard.kept.get(self.HEADING, {}).get(field.id, ""))
        yield Static("", id="about", markup=False)

    _missing = ""
    """What the field that gets the focus lacks."""

    def on_descendant_focus(self) -> None:
        """Say what the field is for, and what it lacks."""
        if about := self.about_focused():
            self.say(f"{self._missing}{about}")
            self._missing = ""
            self._show_command()

    def on_input_changed(self) -> None:
        """The command with what was typed, and no word of what the field lacked."""
        self.say(self.about_focused())
        self._show_command()

    async def action_enter(self) -> None:
        """To the next field; at the last one check."""
        await self.caught_up()
        fields = [self.query_one(f"#{field.id}", Input) for field in FIELDS]
        index = fields.index(self.focused) if isinstance(self.focused, Input) else len(fields)
        if index + 1 < len(fields):
            self.set_focus(fields[index + 1])
        else:
            self.action_check()

    def action_check(self) -> None:
        """Check the files, and show what would be done."""
        from screens.review_and_run import RunSteps

        cert, key, chain = (self.entered(field.id) for field in FIELDS)
        for field, path in zip(FIELDS, (cert, key), strict=False):
            if not path:
                self._want(field)
                return
        if not self.desk.changing:
            make = partial(self.backend.certificate_installation, cert, key, chain)
            self.app.push_screen(RunSteps(self.HEADING, self._show_command(), make), self._after)

    def _want(self, field: Field) -> None:
        """Go to a field that must not be empty, and say so."""
        entry, missing = (
            self.query_one(f"#{field.id}", Input),
            f"✗ {field.label}: enter the path of its file. ",
        )
        if self.focused is entry:
            self.say(f"{missing}{field.about}")
        else:
            self._missing = missing
            self.set_focus(entry)

    def _after(self, run: Run | None) -> None:
        if run is not None and run.applied:
            self.dismiss()

    def _show_command(self) -> str:
        typed = self.wizard.kept[self.HEADING] = {field.id: self.entered(field.id) for field in FIELDS}
        cert, key, chain = typed.values()
        more = ["--chain", chain] if chain else []
        command = shlex.join(["msa-wizard", "certificate", "install", cert or "CERT", key or "KEY", *more])
        self.same(command)
        return command
