"""The last thing before the terminal where it has no UTF-8: every character becomes an ASCII one."""

from __future__ import annotations

from functools import cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SIGNS = {
    "✓": "+", "✗": "x", "○": "o", "►": ">", "≠": "#", "…": ".", "·": "-", "•": "*",
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
