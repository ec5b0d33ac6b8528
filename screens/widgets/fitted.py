"""Text that scrolls, and is made anew for each width."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static


class Fitted(VerticalScroll):
    """Shows what `make` returns for the cells of a line."""

    def __init__(self, id: str, first: str = "") -> None:
        super().__init__(id=id)
        self._make: Callable[[int], Content] = lambda _: Content(first)

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static(markup=False)

    def show(self, make: Callable[[int], Content]) -> None:
        """Show something else."""
        self._make = make
        self._fit()

    def on_resize(self) -> None:
        """The lines have another length."""
        self._fit()

    def _fit(self) -> None:
        self.query_one(Static).update(self._make(self.scrollable_content_region.width))
