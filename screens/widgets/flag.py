"""A box that says yes or no by its content, not by its colour."""

from __future__ import annotations

from textual.widgets import Checkbox


class Flag(Checkbox):
    """[x] or [ ]."""

    BUTTON_LEFT = "["
    BUTTON_RIGHT = "]"
    BUTTON_INNER = " "

    def watch_value(self) -> None:
        """Another content."""
        self.BUTTON_INNER = "x" if self.value else " "
        super().watch_value()
