"""What is drawn alike everywhere: diffs, a commit's diff with each generated file in one line, since sendmail.cf alone would
fill screens; and signs, each with a word: colour only repeats what they say."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells, set_cell_size
from textual.content import Content

from screens.widgets.output import wrapped
from wizard import console
from wizard.console import clean, command, count, fold
from wizard.model.generated_files import derived
from wizard.model.plan import Check, Sign

if TYPE_CHECKING:
    from wizard.maillog.correlate import ConversationLine
    from wizard.model.plan import Ending

_STYLES = (("+++", "bold"), ("---", "bold"), ("@@", "ansi_cyan"), ("+", "ansi_green"), ("-", "ansi_red"))
LONGEST = 2000
"""Lines of one diff that are drawn."""
TWO_COLUMNS = 150
"""From this width on, most lines of a sendmail.mc fit in half of it."""


def diff_content(diff: str, width: int = 0, indent: str = "", columns: int = 0) -> Content:
    """The diff, cleaned; anything that is not a line of a diff stays plain. A line that does not fit into its place (`width`
    cells, else `columns`) goes on below its own beginning; in a wide place old and new are side by side. `indent` precedes
    each line of the diff, and each command, which is to fit into `columns`."""
    lines = diff.splitlines()
    shown = [clean(line) for line in lines[:LONGEST]]
    if columns:
        split = (
            command(line, columns, then=f"{indent}  ") if line.startswith(f"{indent}$ ") else [line]
            for line in shown
        )
        shown = [line for some in split for line in some]
    if width >= TWO_COLUMNS:
        parts = list(_split(shown, width))
    else:
        parts = [_styled(line, indent, width or columns) for line in shown]
    if len(lines) > LONGEST:
        parts.append((f"... {count(len(lines) - LONGEST, 'line')} more: see `msa-wizard diff`\n", "bold"))
    return Content.assemble(*parts)


def _styled(line: str, indent: str = "", width: int = 0) -> tuple[str, str]:
    style = next((style for sign, style in _STYLES if line.startswith(indent + sign)), "")
    if width:
        lead = indent if line.startswith(indent) else ""
        line = "\n".join(f"{lead}{row}" for row in wrapped(line[len(lead) :], width - len(lead)))
    return f"{line}\n", style


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


def folded(diff: str, whole: str = "f shows all of it") -> str:
    """The diff of a commit (git's, as `Store.diff` gives it) where each generated file is a count of its lines; `whole`
    says where all of it is."""
    lines: list[str] = []
    generated = ""
    added = removed = 0
    for line in [*diff.splitlines(), ""]:
        if generated and _PATCH.match(line):
            added += line.startswith("+") and not line.startswith("+++ ")
            removed += line.startswith("-") and not line.startswith("--- ")
            continue
        if generated:
            changed = f"{count(added, 'line')} added, {removed} removed" if added or removed else "changed"
            lines.append(f"/{generated}: {changed}; generated, {whole}")
        begin = _BEGIN.match(line)
        generated, added, removed = (begin[1] if begin and derived(begin[1]) else ""), 0, 0
        if not generated:
            lines.append(line)
    return "\n".join(lines[:-1])


STATES: dict[str, tuple[str, str, str]] = {
    "applied": ("✓", "applied", "ansi_green"),
    "done": ("✓", "done", "ansi_green"),
    "pending": ("○", "to do", "bold"),
    "drifted": ("≠", "drifted", "ansi_yellow"),
    "later": ("○", "later", ""),
    "unknown": ("?", "unknown", ""),
    "untested": ("○", "to test", "bold"),
    "not-applicable": ("-", "n/a", ""),
    "not-now": ("-", "not now", ""),
    "blocked": ("✗", "BLOCKED", "bold ansi_red"),
    "working": ("►", "working", "bold ansi_cyan"),
    "waiting": ("►", "next", "bold ansi_cyan"),
    "failed": ("✗", "FAILED", "bold ansi_red"),
    "skipped": ("-", "skipped", ""),
}
"""Sign, word and style of each state of a step."""

_SETTLED = ("applied", "done")
"""The states of steps that ask for nothing more."""

CHECKS: dict[Sign, tuple[str, str, str]] = {
    Sign.OK: ("✓", "ok", "ansi_green"),
    Sign.WARNING: ("!", "warn", "ansi_yellow"),
    Sign.FAILED: ("✗", "FAIL", "bold ansi_red"),
    Sign.UNKNOWN: ("-", "?", ""),
    Sign.PENDING: ("○", "to do", "bold"),
}
"""Sign, word and style of each outcome of a check."""

SPEAKERS = {"server": ("<", ""), "client": (">", "bold"), "log": ("|", "ansi_yellow")}
"""Sign and style of whoever says a line of a conversation; anything else is a remark."""
FAINT = ("ansi_yellow", "ansi_cyan")
"""Colours that cannot be read on a white terminal: a sign may have them, a sentence may not."""


def emphatic(words: str, style: str = "ansi_yellow") -> Content:
    """Words behind a sign: they are bold, it has the colour, too."""
    sign, blank, rest = words.partition(" ")
    return Content.assemble((sign, f"bold {style}"), (f"{blank}{rest}", "bold"))


def check_content(check: Check, width: int = 0) -> Content:
    """A check on a line; what to do is below it unless all is well. In a place of `width` cells the words stay in
    their column."""
    sign, word, style = CHECKS[check.sign]
    parts: list[Content | tuple[str, str]] = [
        (f"{sign} {word:<6}", style),
        (column(clean(check.says), len(_BEFORE), width), ""),
    ]
    if check.remedy and check.sign is not Sign.OK:
        for line in map(clean, check.remedy.splitlines()):
            shown, style = column(line, len(_BEFORE), width), ""
            if line[:1] == " " and width:
                style = "ansi_cyan"  # what one can type
                shown = f"\n{_BEFORE}".join(command(line.strip(), width - len(_BEFORE), "  ", "    "))
            parts.append((f"\n{_BEFORE}{shown}", style))
    return Content.assemble(*parts)


_BEFORE = " " * 8
"""As wide as sign and word of a check."""


def hanging(line: str, width: int) -> str:
    """A line that goes on below its own beginning, a little further to the right, in a place of `width` cells."""
    return "\n".join(wrapped(line, width))


def column(words: str, before: int, width: int) -> str:
    """Words that begin `before` cells from the left, in a place of `width` cells: their other lines begin there, too."""
    if width < 2 * before or len(words) + before <= width:
        return words
    lines = fold(words, columns=width - before) if "`" in words else _wrapped(words, width - before)
    return f"\n{' ' * before}".join(lines)


def _wrapped(words: str, width: int) -> list[str]:
    """A long word, such as a fingerprint, goes on in the next line."""
    return textwrap.wrap(words, width, break_on_hyphens=False)


def meter(states: Iterable[str], width: int) -> Content:
    """A bar `width` cells long for how many of the steps that apply ask for nothing more; the two halves differ without
    colours, too."""
    settled = [state in _SETTLED for state in states if state != "not-applicable"]
    filled = width * sum(settled) // len(settled) if settled else 0
    return Content.assemble(("━" * filled, "ansi_green"), ("─" * (width - filled), "ansi_bright_black"))


def state_content(state: str, name: str) -> Content:
    """A step's row: sign, word, id."""
    sign, word, style = STATES[state]
    return Content.assemble((f"{sign} {word:<8}", style), (name, ""))


def line_shown(line: ConversationLine) -> tuple[str, str]:
    """A line of a conversation or of the log beside it: sign and text, not cleaned, and the style."""
    sign, style = SPEAKERS.get(line.who, ("#", "ansi_cyan"))
    return f"{sign} {line.text}", style


def with_meaning(text: str, meaning: str, style: str) -> Content:
    """A line and what it means: beside it, or below it where both have no room; both cleaned."""
    room = console.width() - 1  # what scrolls takes a cell
    words = f"  - {meaning}" if meaning else ""
    if meaning and cell_len(text + words) > room:
        words = "".join(f"\n{line}" for line in fold(meaning, "    - ", "      ", room))
    shown = hanging(text, room)
    coloured = 1 if style in FAINT else len(shown)
    before, dash, rest = words.partition("-")
    return Content.assemble(
        (shown[:coloured], style), shown[coloured:], (f"{before}{dash}", "ansi_cyan"), rest
    )


def endings_content(ends: Sequence[Ending], columns: int) -> Content:
    """What would end, in a place of so many cells: a sentence each, and its lines."""
    parts: list[str | Content] = []
    for ending in ends:
        words = hanging(f"! Would end: {clean(ending.sentence)} [{ending.id}]", columns)
        parts.append(emphatic(f"{words}\n"))
        parts += [f"{hanging(f'    {clean(line)}', columns)}\n" for line in ending.lines]
    return Content.assemble(*parts)


def without(name: str) -> str:
    """What it means that a step is left out: a clause."""
    from wizard.engine.summary import follows
    from wizard.rollback.rollback import needing

    return follows(name, needing)


def skipped_words(names: Iterable[str]) -> str:
    """Which steps are skipped, and what that means: a sentence."""
    return f"{'; '.join(f'{name} skipped: {without(name)}' for name in names)}."
