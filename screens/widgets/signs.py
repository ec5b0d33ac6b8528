"""Signs, each with a word: colour only repeats what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from wizard.console import clean
from wizard.model.plan import Check, Sign

if TYPE_CHECKING:
    from wizard.maillog.correlate import ConversationLine
    from wizard.model.plan import Ending

STATES: dict[str, tuple[str, str, str]] = {
    "applied": ("✓", "applied", "ansi_green"),
    "done": ("✓", "done", "ansi_green"),
    "pending": ("○", "to do", "bold"),
    "drifted": ("≠", "drifted", "bold"),
    "later": ("○", "later", ""),
    "not-applicable": ("-", "n/a", ""),
    "blocked": ("✗", "BLOCKED", "bold ansi_red"),
    "working": ("►", "working", "bold ansi_cyan"),
    "waiting": ("►", "next", "bold ansi_cyan"),
    "failed": ("✗", "FAILED", "bold ansi_red"),
    "skipped": ("-", "skipped", ""),
}
"""Sign, word and style of each state of a step."""

CHECKS: dict[Sign, tuple[str, str, str]] = {
    Sign.OK: ("✓", "ok", "ansi_green"),
    Sign.WARNING: ("!", "warn", "bold"),
    Sign.FAILED: ("✗", "FAIL", "bold ansi_red"),
    Sign.UNKNOWN: ("-", "?", ""),
}
"""Sign, word and style of each outcome of a check."""

SPEAKERS = {"server": ("<", ""), "client": (">", "bold"), "log": ("|", "ansi_yellow")}
"""Sign and style of whoever says a line of a conversation; anything else is a remark."""


def check_content(check: Check) -> Content:
    """A check on a line; what to do is below it unless all is well."""
    sign, word, style = CHECKS[check.sign]
    parts: list[Content | tuple[str, str]] = [(f"{sign} {word:<5}", style), (clean(check.says), "")]
    if check.remedy and check.sign is not Sign.OK:
        parts += [(f"\n        {clean(line)}", "ansi_cyan") for line in check.remedy.splitlines()]
    return Content.assemble(*parts)


def state_content(state: str, name: str) -> Content:
    """A step's row: sign, word, id."""
    sign, word, style = STATES[state]
    return Content.assemble((f"{sign} {word:<8}", style), (name, ""))


def line_shown(line: ConversationLine) -> tuple[str, str]:
    """A line of a conversation or of the log beside it: sign and text, not cleaned, and the style."""
    sign, style = SPEAKERS.get(line.who, ("#", "ansi_cyan"))
    return f"{sign} {line.text}", style


def endings_content(ends: Sequence[Ending]) -> Content:
    """What would end: a sentence each, and its lines."""
    parts: list[str | tuple[str, str]] = []
    for ending in ends:
        parts.append((f"! Would end: {clean(ending.says)} [{ending.id}]\n", "bold ansi_yellow"))
        parts += [f"    {clean(line)}\n" for line in ending.lines]
    return Content.assemble(*parts)
