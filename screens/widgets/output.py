"""What commands print: wrapped to the place there is, and followed until one scrolls up."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from wizard.console import command

MOST = 4000
"""Lines that are kept."""
CONTINUES = "  "
"""Precedes the rest of a line that was wrapped, behind what indents the line."""


def wrapped(line: str, width: int) -> list[str]:
    """`line` in rows of at most `width` cells, broken at spaces where there are some; whole in a place that has no cells yet."""
    if width <= 0 or cell_len(line) <= width:
        return [line]
    words = line.lstrip(" ")
    indent = line[: len(line) - len(words)]
    then = indent + CONTINUES if len(indent) < width // 2 else CONTINUES
    if words.startswith("$ "):
        return [piece for part in command(line, width, then=then) for piece in chop_cells(part, width)]
    rows: list[str] = []
    row = indent
    for word in words.split(" "):
        longer = f"{row} {word}" if row.strip() else row + word
        if cell_len(longer) <= width or not row.strip():
            row = longer
        else:
            rows.append(row)
            row = then + word
        if cell_len(row) > width and cell_len(then) + 2 <= width:  # room for any one character behind it
            while cell_len(row) > width:
                full = chop_cells(row, width)[0]
                rows.append(full)
                row = then + row[len(full) :]
        elif cell_len(row) > width:
            *more, row = chop_cells(row, width)
            rows += more
    return [*rows, row]


class Output(ScrollView, can_focus=True):
    """Lines that come in numbers. The newest is in sight until one scrolls up, and again from the end on."""

    DEFAULT_CSS = (
        "Output { scrollbar-gutter: stable; }"  # rows that are there already still fit when it comes
    )

    def __init__(
        self, *, empty: str = "No output yet.", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._lines: list[str] = []
        self._rows: list[list[str]] = []
        self._flat: list[str] = []
        self._follows = True

    @property
    def lines(self) -> list[str]:
        """What is held, line by line."""
        return list(self._lines)

    def write(self, lines: Iterable[str]) -> None:
        """More lines, cleaned already."""
        new = [line.expandtabs() for line in lines][-MOST:]
        if new:
            self._lines = [*self._lines, *new][-MOST:]
            self._rows = [*self._rows, *(wrapped(line, self._width) for line in new)][-MOST:]
            self._place()

    def show(self, lines: Iterable[str]) -> None:
        """Other lines in place of those that are held, followed from their end."""
        self._lines = [line.expandtabs() for line in lines][-MOST:]
        self._follows = True
        self._wrap()

    def clear(self) -> None:
        """Hold nothing."""
        self.show(())

    def find(self, words: str) -> bool:
        """Scroll to the next row with `words`, from the one below the top; False without any."""
        begin = int(self.scroll_y) + 1
        for number in (*range(begin, len(self._flat)), *range(min(begin, len(self._flat)))):
            if words.lower() in self._flat[number].lower():
                self.scroll_to(y=number, animate=False)
                return True
        return False

    @property
    def _width(self) -> int:
        """Its cells; behind another pane those that it will have, so that nothing is wrapped twice before one's eyes."""
        width = self.scrollable_content_region.width
        if not width:
            around = (each.content_size.width for each in self.ancestors if isinstance(each, Widget))
            width = next(filter(None, around), 80) - self.styles.scrollbar_size_vertical - self.gutter.width
        return max(20, width)

    def _wrap(self) -> None:
        self._rows = [wrapped(line, self._width) for line in self._lines]
        self._place()

    def _place(self) -> None:
        follows = self._follows
        self._flat = list(chain.from_iterable(self._rows))
        self.virtual_size = Size(self._width, len(self._flat))
        if follows:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        self.refresh()

    def on_resize(self, _event: Resize) -> None:
        """Wrap anew: also when the pane comes to the front, where it had no place before."""
        follows = self._follows
        self._wrap()
        if follows:
            self._follows = True
            self.call_after_refresh(self.scroll_end, animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow from the end on, and nowhere else."""
        super().watch_scroll_y(old_value, new_value)
        if self.size.height:
            self._follows = new_value >= self.max_scroll_y

    def render_line(self, y: int) -> Strip:
        """A row, or the word that there is none."""
        region = self.scrollable_content_region
        # The newest at once: when the pane comes to the front, its first frame has the place of before.
        top = max(0, len(self._flat) - region.height) if self._follows else int(self.scroll_y)
        number = y + top
        rows = self._flat or [self._empty]
        text = rows[number] if number < len(rows) else ""
        style = self.rich_style
        return Strip([Segment(text, style)]).adjust_cell_length(region.width, style)
