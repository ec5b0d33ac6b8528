"""The firewall's new rules are active: confirmed in time they stay, else a timer removes them."""

from __future__ import annotations

import math
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.base import Dialog, keys

HOW = """
Open a second SSH session to this host now. If you can log in, press y here, or run there:

    msa-wizard confirm

If nobody confirms in time, a system timer removes the rules, also if this connection drops or msa-wizard is \
killed. A reboot removes them too.
"""


class FirewallCountdown(Dialog[None]):
    """Closes by itself once somebody, or the timer, has decided."""

    HEADING = "Confirm"
    SAYS = "#left"
    HELP_TEXT = """
A firewall rule could cut the connection that you are using. So it is active for a minute only, unless you confirm
it: y, or `msa-wizard confirm` in another session. Its files are written after that. n reverts it at once.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide(True)", "Keep the rules"),
        Binding("n", "decide(False)", "Revert"),
        Binding("q,f10,ctrl+q,ctrl+c", "app.leave", "Quit", show=False),
    ]

    def __init__(self, left: float) -> None:
        super().__init__()
        self._left = left

    def compose(self) -> ComposeResult:
        """How long is left, what to do, and the two keys. Enter is none of them: it may be held down."""
        with Vertical(classes="dialog tall"):
            yield Static(_words(self._left), id="left", markup=False)
            yield Static(HOW, markup=False)
            yield keys(("y", "I can still log in, keep them"), ("n", "revert now"))

    def on_mount(self) -> None:
        """Count down."""
        self.set_interval(1, self._count)

    def over(self) -> bool:
        """Whether somebody, or the timer, has decided, or the step has ended."""
        return self.ending or self.wizard.backend.confirmation() is None or not self.wizard.desk.changing

    def _count(self) -> None:
        left = self.wizard.backend.confirmation()
        if left is None or self.over():
            self.dismiss()
        else:
            self.say(_words(left))

    def action_decide(self, yes: bool) -> None:
        """Whoever was first has decided; the result is on the screen below."""
        self.wizard.backend.confirm(yes)
        self.dismiss()


def _words(left: float) -> Content:
    words = f"! The firewall's new rules are active: {math.ceil(left)} s left to confirm them"
    return Content.styled(words, "bold ansi_yellow")
