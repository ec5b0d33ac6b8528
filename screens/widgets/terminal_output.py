"""The last things before the terminal: only the cells that differ from what it shows already are sent, for over a slow
line each byte is time; and where it has no UTF-8, every character becomes an ASCII one.

ChangedCells uses private classes of Textual, which is why its version is pinned exactly (docs/decisions/changed-cells.md)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from rich.cells import cell_len, get_character_cell_size
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

_Cell = tuple[str, str]
"""A character (empty: the right half of a wide one) and its rendition (SGR parameters)."""
BRIDGE = 6
"""Up to this many cells that are already right are sent again rather than skipped."""
BLANK = 10
"""From this many empty cells on they are erased (ECH), not sent."""


class ChangedCells:
    """Remembers what the terminal shows."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], _Cell] = {}

    def forget(self) -> None:
        """The terminal may show anything now: the next update is sent whole."""
        self._known.clear()

    def of(self, update: CompositorUpdate) -> CompositorUpdate:
        """The same update, which sends less."""
        return _Changed(self, update) if isinstance(update, LayoutUpdate | ChopsUpdate) else update

    def sequences(self, update: CompositorUpdate, console: Console) -> str:
        """What must be written for `update`."""
        system = console._color_system or ColorSystem.TRUECOLOR
        sent: list[str] = []
        rendition: str | None = None
        for x, y, strip in _pieces(update):
            at = -1  # where the terminal's cursor is on this line
            cells = list(_cells(strip, system))
            for index, cell in enumerate(cells):
                column = x + index
                if self._known.get((y, column)) == cell or not cell[0]:
                    self._known[y, column] = cell
                    continue
                gap = [self._known.get((y, number)) for number in range(at, column)] if at >= 0 else []
                if (
                    at >= 0
                    and len(gap) <= BRIDGE
                    and all(each is not None and each[1] == rendition for each in gap)
                ):
                    sent += [each[0] for each in gap if each is not None]
                else:
                    sent.append(f"\x1b[{y + 1};{column + 1}H")
                if cell[1] != rendition:
                    rendition = cell[1]
                    sent.append(f"\x1b[0;{rendition}m" if rendition else "\x1b[m")
                if (empty := _empty_from(cells, index)) >= BLANK:
                    sent.append(f"\x1b[{empty}X")
                    self._known.update({(y, column + number): cell for number in range(empty)})
                    at = -1  # it stays where it was
                    continue
                sent.append(cell[0])
                self._known[y, column] = cell
                at = column + max(1, get_character_cell_size(cell[0][0]))
        if rendition:
            sent.append("\x1b[m")
        return "".join(sent)


class _Changed(CompositorUpdate):
    def __init__(self, cells: ChangedCells, update: CompositorUpdate) -> None:
        self._cells = cells
        self._update = update

    def render_segments(self, console: Console) -> str:
        """As CompositorUpdate's."""
        return self._cells.sequences(self._update, console)


def _pieces(update: CompositorUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Each strip of an update, with the place of its first cell."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield x, y, strip
                x += strip.cell_length
    elif isinstance(update, ChopsUpdate):
        for y, x1, x2 in update.spans:
            for end, (x, piece) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if piece is not None and x <= x2 and end > x1:
                    yield x, y, piece if x2 > x >= x1 and end <= x2 else piece.crop(0, min(end, x2) - x)


def _empty_from(cells: list[_Cell], index: int) -> int:
    """How many cells from there on are empty, in the terminal's own colours."""
    end = index
    while end < len(cells) and cells[end] == (" ", ""):
        end += 1
    return end - index


@cache
def _shortest(sgr: str) -> str:
    """These parameters, which follow a reset, without those that the reset has brought already."""
    parameters = sgr.split(";")
    if {"38", "48"} & {*parameters}:  # the numbers behind these are a colour
        return sgr
    return ";".join(each for each in parameters if each not in ("0", "39", "49"))


def _cells(strip: Strip, system: ColorSystem) -> Iterator[_Cell]:
    held = rendition = ""
    width = 0
    for text, style, control in strip:
        if control:
            continue
        sgr = _shortest(Strip.render_ansi(style, system)) if style else ""
        for character in text:
            cells = get_character_cell_size(character)
            if cells == 0 and held:
                held += character  # an accent on the cell before
                continue
            if held:
                yield held, rendition
                yield from [("", rendition)] * (width - 1)
            held, rendition, width = character, sgr, max(1, cells)
    if held:
        yield held, rendition
        yield from [("", rendition)] * (width - 1)


_SIGNS = {
    "━": "=", "┃": "#", "✓": "+", "✗": "x", "○": "o", "►": ">", "≠": "#", "…": ".", "·": "-", "•": "*",
    "╲": "\\", "▶": ">", "▼": "v", "◀": "<", "▲": "^", "→": ">", "←": "<", "↑": "^", "↓": "v", "⏎": "<",
}  # fmt: skip


@cache
def ascii_of(text: str) -> str:
    """`text` in as many ASCII characters as it had cells."""
    return text if text.isascii() else "".join(map(_one, text))


def _one(character: str) -> str:
    if character.isascii():
        return character
    if character in _SIGNS:
        return _SIGNS[character]
    number = ord(character)
    if 0x2500 <= number < 0x2580:  # box drawing
        return "-" if character in "─━╌╍┄┅┈┉═╴╶╸╺" else "|" if character in "│┃╎╏┆┇┊┋║╵╷╹╻" else "+"
    if 0x2580 <= number < 0x25A0 or 0x1FB00 <= number < 0x1FC00:  # blocks: their background shows
        return " "
    return "?" * cell_len(character)


class AsciiOnly(LineFilter):
    """Textual's filter of each drawn line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same cells in ASCII."""
        return [Segment(ascii_of(text), style, control) for text, style, control in segments]
