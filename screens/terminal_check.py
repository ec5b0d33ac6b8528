"""What the terminal can do, before anything is drawn on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

SMALLEST = (80, 24)
DUMB = ("", "dumb", "unknown", "emacs")
COMMANDS = "`msa-wizard plan`, `msa-wizard apply` and `msa-wizard status` do the same without it"


def trouble(environ: Mapping[str, str], size: tuple[int, int]) -> str | None:
    """Why the screens cannot be shown here, and what to do; None when they can."""
    term = environ.get("TERM", "")
    if term in DUMB:
        return f"this terminal (TERM={term or 'not set'}) cannot show screens; {COMMANDS}"
    width, height = size
    if width <= 0 or height <= 0:
        return (
            f"the terminal does not tell its size: `stty cols 80 rows 24` does, then start again; {COMMANDS}"
        )
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return (
            f"the window is {width}x{height}, and the screens need {SMALLEST[0]}x{SMALLEST[1]}: make it larger "
            f"and start again; {COMMANDS}"
        )
    return None


def plain(environ: Mapping[str, str]) -> bool:
    """Whether only ASCII may be drawn: no UTF-8 locale, or the kernel's console with its small fonts.

    Python itself turns LC_CTYPE=C into C.UTF-8 before we see it (PEP 538), so LANG is believed then."""
    chosen = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    if chosen == "C.UTF-8" and not environ.get("LC_ALL") and environ.get("LANG", "C") in ("", "C", "POSIX"):
        chosen = "C"
    return "utf8" not in chosen.lower().replace("-", "") or environ.get("TERM") == "linux"


def window() -> tuple[int, int]:
    """Columns and lines, as the terminal itself says."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return (0, 0)
    return (size.columns, size.lines)
