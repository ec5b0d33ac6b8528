"""The question before quitting while a step is at work."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from screens.base import Dialog, keys


class ConfirmQuit(Dialog[bool]):
    """True: end now, with the change in hand finished or undone."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Quit"),
        Binding("n,escape,enter", "dismiss(False)", "Stay"),
    ]

    def __init__(self, job: str) -> None:
        super().__init__()
        self._job = job

    def over(self) -> bool:
        """Whether what was at work has ended."""
        return not self.wizard.desk.changing

    def compose(self) -> ComposeResult:
        """The question; staying is the default."""
        with Vertical(classes="dialog tall"):
            yield Static(
                f"{self._job} is at work.\n\n"
                "If you quit now, the change in hand is finished first, then its step is undone, and msa-wizard ends. "
                "A package manager is never stopped half-way: that may take a minute. Steps that are done stay.\n",
                markup=False,
            )
            yield keys(("y", "quit"), ("Enter", "stay here (n and Escape too)"))
