"""A server's certificate is not trusted: whether to send the password there all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from screens.base import Dialog, keys
from screens.jobs import Job, Reply
from screens.messages import CertificateWaits

if TYPE_CHECKING:
    from wizard.certificates.peer_certificate import Certificate


def asking(job: Job) -> Callable[[Certificate, str], bool]:
    """What asks the admin about a certificate, from the job's thread."""
    from wizard.smtp.server_trust import question

    return lambda certificate, why: job.ask(CertificateWaits(question(certificate, why))) is Reply.YES


class AskCertificate(Dialog[None]):
    """Answers the job that waits; everything but y is a no."""

    HEADING = "Certificate"
    HELP_TEXT = """
Whoever holds this certificate's key gets the password. It is the right one if its fingerprint is the one that the
server's admin has given you by other means. y sends the password, n or Enter does not.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide(True)", "Send it"),
        Binding("n,enter,escape", "decide(False)", "Do not", key_display="n"),
        Binding("q,f10,ctrl+q,ctrl+c", "app.leave", "Quit", show=False),
    ]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """What is known of it, and the two keys."""
        with Vertical(classes="dialog tall"):
            yield Static(f"{self._words}\n", markup=False)
            yield keys(("y", "send the password to this server"), ("n", "do not (Enter, too)"))

    def action_decide(self, yes: bool) -> None:
        """To the job that waits."""
        self.wizard.desk.answer(Reply.YES if yes else Reply.NO)
        self.dismiss()
