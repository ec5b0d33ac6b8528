"""A unified diff as coloured text; its signs say the same without colour."""

from __future__ import annotations

from textual.content import Content

from wizard.printing import clean

_STYLES = (
    ("+++", "bold"),
    ("---", "bold"),
    ("@@", "ansi_cyan"),
    ("+", "ansi_green"),
    ("-", "ansi_red"),
)
LONGEST = 2000
"""Lines of one diff that are drawn."""


def diff_content(diff: str) -> Content:
    """The diff, cleaned; whatever is not a line of a diff stays plain."""
    lines = diff.splitlines()
    parts: list[tuple[str, str]] = []
    for line in lines[:LONGEST]:
        style = next((style for sign, style in _STYLES if line.startswith(sign)), "")
        parts.append((f"{clean(line)}\n", style))
    if len(lines) > LONGEST:
        parts.append((f"... {len(lines) - LONGEST} lines more: see `msa-wizard diff`\n", "bold"))
    return Content.assemble(*parts)
