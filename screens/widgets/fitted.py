"""Text that scrolls, and is made anew for each width."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static


class FittedText(Static):
    """Made for the width that the layout gives it, before the frame is drawn that has this width."""

    def __init__(self, make: Callable[[int], Content], id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._make = make
        self._fitted = 0
        self._place = Size()

    def make(self, make: Callable[[int], Content]) -> None:
        """Show something else."""
        self._make = make
        self.update(make(self._fitted) if self._fitted else "")
        if self._fitted and isinstance(self.parent, VerticalScroll):
            # Else one more frame is drawn, with a scrollbar or without, as it was for what was here before.
            height = super().get_content_height(self._place, self.app.size, self._fitted)
            self.parent.show_vertical_scrollbar = height > self._place.height

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Textual's, of the text for this width."""
        self._place = container
        if width and width != self._fitted:
            self._fitted = width
            self.update(self._make(width), layout=False)
        return super().get_content_height(container, viewport, width)


class Fitted(VerticalScroll):
    """Shows what `make` returns for the cells of a line."""

    def __init__(self, id: str, first: str = "") -> None:
        super().__init__(id=id)
        self._text = FittedText(lambda _: Content(first))

    def compose(self) -> ComposeResult:
        """The text."""
        yield self._text

    def show(self, make: Callable[[int], Content]) -> None:
        """Show something else."""
        self._text.make(make)
