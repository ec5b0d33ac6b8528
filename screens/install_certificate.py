"""A certificate of an authority, from the two files that the admin names: checked, shown, installed on a key."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static

from screens.base import Frame, typed

if TYPE_CHECKING:
    from wizard.engine.apply import Run

FIELDS = (
    ("cert", "Certificate", "The certificate in PEM format, with the ones in between behind it: fullchain.pem of certbot."),
    ("key", "Private key", "Its private key in PEM format, not encrypted: privkey.pem of certbot."),
    ("chain", "Chain", "The certificates in between, where they are in a file of their own. Else leave it empty."),
)  # fmt: skip


class InstallCertificate(Frame[None]):
    """Three paths; Enter at the last one checks the files."""

    HEADING = "Install a certificate"
    AUTO_FOCUS = "#cert"
    HELP_TEXT = """
A certificate of an authority makes no mail client warn. Name the file with the certificate and the one with its private
key. They are checked first: that they belong together, the dates, the name, the chain. You see what will be written
before anything is; sendmail is restarted and asked for it, and if it presents another one, all is undone. Where
certbot made it, a hook brings each renewal to sendmail. The history can take it back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True),
        Binding("f5", "check", "Check and show"),
        Binding("escape", "dismiss", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The fields, and what the chosen one is for."""
        with Vertical(id="form"):
            for name, label, _ in FIELDS:
                with Horizontal(classes="field"):
                    yield Label(label, classes="label", markup=False)
                    yield Input(id=name)
        yield Static("", id="about", markup=False)

    def on_descendant_focus(self) -> None:
        """Say what the field is for."""
        words = {name: about for name, _, about in FIELDS}
        if self.focused is not None and self.focused.id in words:
            self._say(words[self.focused.id])
            self._same()

    async def action_enter(self) -> None:
        """To the next field; at the last one check."""
        await typed(self)
        names = [name for name, _, _ in FIELDS]
        here = self.focused.id if self.focused is not None and self.focused.id in names else names[-1]
        if here == names[-1]:
            self.action_check()
        else:
            self.set_focus(self.query_one(f"#{names[names.index(here or '') + 1]}", Input))

    def action_check(self) -> None:
        """Check the files, and show what would be done."""
        from screens.run_steps import Doing

        cert, key, chain = (self.query_one(f"#{name}", Input).value.strip() for name, _, _ in FIELDS)
        for name, path in (("cert", cert), ("key", key)):
            if not path:
                self.set_focus(self.query_one(f"#{name}", Input))
                return
        if not self.wizard.desk.changing:
            machine = self.wizard.machine
            doing = Doing(
                "Install a certificate",
                self._same(),
                lambda: machine.certificate_installation(cert, key, chain),
            )
            self.app.push_screen(doing, self._done)

    def _done(self, run: Run | None) -> None:
        if run is not None and run.applied:
            self.dismiss()

    def _same(self) -> str:
        cert, key, chain = (self.query_one(f"#{name}", Input).value.strip() for name, _, _ in FIELDS)
        more = ["--chain", chain] if chain else []
        command = shlex.join(["msa-wizard", "certificate", "install", cert or "CERT", key or "KEY", *more])
        self.same(command)
        return command

    def _say(self, words: str) -> None:
        self.query_one("#about", Static).update(words)
