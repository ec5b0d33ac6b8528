"""A server's certificate is not trusted: whether the password may go there all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.jobs import Job, Reply
from screens.messages import CertificateWaits

if TYPE_CHECKING:
    from screens.base import Wizard
    from wizard.certificates.peer_certificate import Certificate


def asking(job: Job) -> Callable[[Certificate, str], bool]:
    """What asks the admin about a certificate, from the job's thread."""
    from wizard.smtp.server_trust import question

    return lambda seen, why: job.ask(CertificateWaits(question(seen, why))) is Reply.YES


class Accepting(ModalScreen[None]):
    """Answers the job that waits; everything but y is a no."""

    HEADING = "Certificate"
    HELP_TEXT = """
Whoever holds the key of this certificate gets the password. It is right when its fingerprint is the one that the
server's admin has told you on another way. y sends the password, n or Enter does not.
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
            yield Static(self._words, markup=False)
            keys = (
                *("\n", ("y", "ansi_cyan"), " send the password to this server   "),
                *(("n", "ansi_cyan"), " do not (Enter, too)"),
            )
            yield Static(Content.assemble(*keys), markup=False)

    def action_decide(self, yes: bool) -> None:
        """To the job that waits."""
        cast("Wizard", self.app).desk.answer(Reply.YES if yes else Reply.NO)
        self.dismiss()
