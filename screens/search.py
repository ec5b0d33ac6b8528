"""A line to type what to look for."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from screens.ends_once import Dialog


class Search(Dialog[str | None]):
    """The words, None for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def compose(self) -> ComposeResult:
        """One field."""
        with Vertical(classes="dialog tall"):
            yield Label("Find in the output (Enter; / and Enter finds the next):", markup=False)
            yield Input(id="words")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Done."""
        self.dismiss(event.value or None)
