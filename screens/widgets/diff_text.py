"""A unified diff as coloured text, as it is or in two columns; its signs say the same without colour."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from rich.cells import chop_cells, set_cell_size
from textual.content import Content

from wizard.console import clean

_STYLES = (
    ("+++", "bold"),
    ("---", "bold"),
    ("@@", "ansi_cyan"),
    ("+", "ansi_green"),
    ("-", "ansi_red"),
)
LONGEST = 2000
"""Lines of one diff that are drawn."""
TWO_COLUMNS = 150
"""From this width on, most lines of a sendmail.mc fit in half of it."""


def diff_content(diff: str, width: int = 0, indent: str = "") -> Content:
    """The diff, cleaned; anything that is not a line of a diff stays plain. In a wide place (`width` cells) old and new are
    side by side, and a line that does not fit continues below. `indent` precedes each line of the diff."""
    lines = diff.splitlines()
    shown = [clean(line) for line in lines[:LONGEST]]
    parts = list(_split(shown, width)) if width >= TWO_COLUMNS else [_styled(line, indent) for line in shown]
    if len(lines) > LONGEST:
        parts.append((f"... {len(lines) - LONGEST} lines more: see `msa-wizard diff`\n", "bold"))
    return Content.assemble(*parts)


def _styled(line: str, indent: str = "") -> tuple[str, str]:
    return f"{line}\n", next((style for sign, style in _STYLES if line.startswith(indent + sign)), "")


def _split(lines: list[str], width: int) -> Iterator[tuple[str, str]]:
    old: list[str] = []
    new: list[str] = []
    half = (width - 3) // 2
    for line in [*lines, ""]:
        if line.startswith("-") and not line.startswith("---") and not new:
            old.append(line)
        elif line.startswith("+") and not line.startswith("+++"):
            new.append(line)
        else:
            yield from _beside(old, new, half)
            old, new = ([line], []) if line.startswith("-") and not line.startswith("---") else ([], [])
            if line.startswith(" "):
                yield from _beside([line], [line], half)
            elif line and not old:
                yield _styled(line)


def _beside(old: list[str], new: list[str], half: int) -> Iterator[tuple[str, str]]:
    for left, right in zip_longest(old, new, fillvalue=""):
        for one, other in zip_longest(chop_cells(left, half), chop_cells(right, half), fillvalue=""):
            yield set_cell_size(one, half), _styled(left)[1]
            yield " | ", ""
            yield f"{other}\n", _styled(right)[1]
