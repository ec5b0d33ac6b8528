"""Diffs on the screen; a commit's diff with each generated file in one line, since sendmail.cf alone would fill screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest

from rich.cells import chop_cells, set_cell_size
from textual.content import Content

from wizard.console import clean
from wizard.model.generated_files import derived

_STYLES = (("+++", "bold"), ("---", "bold"), ("@@", "ansi_cyan"), ("+", "ansi_green"), ("-", "ansi_red"))
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


_BEGIN = re.compile(r"diff --git a/(.+) b/\1\Z")
_PATCH = re.compile(r"[ +\-@\\]|index |new file |deleted file |old mode |new mode |Binary ")


def folded(diff: str) -> str:
    """The diff of a commit (git's, as `Store.diff` gives it) where each generated file is a count of its lines."""
    lines: list[str] = []
    generated = ""
    added = removed = 0
    for line in [*diff.splitlines(), ""]:
        if generated and _PATCH.match(line):
            added += line.startswith("+") and not line.startswith("+++ ")
            removed += line.startswith("-") and not line.startswith("--- ")
            continue
        if generated:
            count = f"{added} lines added, {removed} removed" if added or removed else "changed"
            lines.append(f"{generated}: {count}; generated, f shows all of it")
        begin = _BEGIN.match(line)
        generated, added, removed = (begin[1] if begin and derived(begin[1]) else ""), 0, 0
        if not generated:
            lines.append(line)
    return "\n".join(lines[:-1])
