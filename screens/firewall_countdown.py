"""The firewall's new rules are live: a word in time keeps them, else the timer takes them back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.ends_once import Dialog

if TYPE_CHECKING:
    from screens.base import Wizard

HOW = """
Open a second SSH session to this host now. If you get in, press y here, or say there:

    msa-wizard confirm

Without a word in time a timer of the system's own takes the rules back;
so it does when this line drops, or msa-wizard is killed. A boot does, too."""


class Confirming(Dialog[None]):
    """Closes by itself once somebody, or the timer, has decided."""

    HEADING = "Confirm"
    HELP_TEXT = """
A rule for the firewall could cut the line that you sit on. So it is live for a minute only, unless you confirm
it: y, or `msa-wizard confirm` in another session. Its files are written after that. n takes it back at once.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide(True)", "Keep the rules"),
        Binding("n", "decide(False)", "Take them back"),
        Binding("q,f10,ctrl+q,ctrl+c", "app.leave", "Quit", show=False),
    ]

    def __init__(self, left: float) -> None:
        super().__init__()
        self._left = left

    @property
    def _wizard(self) -> Wizard:
        return cast("Wizard", self.app)

    def compose(self) -> ComposeResult:
        """How long is left, what to do, and the two keys. Enter is none of them: it may be held down."""
        with Vertical(classes="dialog tall"):
            yield Static(self._words(), id="left", markup=False)
            yield Static(HOW, markup=False)
            yield Static(
                Content.assemble(
                    "\n", ("y", "ansi_cyan"), " I still get in: keep them   ", ("n", "ansi_cyan"), " take them back now"
                ),
                markup=False,
            )  # fmt: skip

    def on_mount(self) -> None:
        """Count down."""
        self.set_interval(1, self._count)

    def over(self) -> bool:
        """Whether somebody, or the timer, has decided, or the step has ended."""
        return self.ending or self._wizard.machine.confirmation() is None or not self._wizard.desk.changing

    def _words(self) -> Content:
        words = f"! The firewall's new rules are live: {math.ceil(self._left)} s left to confirm them"
        return Content.styled(words, "bold ansi_yellow")

    def _count(self) -> None:
        left = self._wizard.machine.confirmation()
        if left is None or self.over():
            self.dismiss()
            return
        self._left = left
        self.query_one("#left", Static).update(self._words())

    def action_decide(self, yes: bool) -> None:
        """Whoever was first has decided; what came of it is on the screen below."""
        self._wizard.machine.confirm(yes)
        self.dismiss()
