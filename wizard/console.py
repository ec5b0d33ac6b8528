"""The terminal: the one place that cleans what comes from outside, and writes it out."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from snapshots.visible import visible

LONGEST = 400
"""Characters of a line that are shown."""
WIDTH = 80
"""Columns where there is no terminal."""
_NARROWEST = 40
_quiet = False


def clean(line: str) -> str:
    """`line` as one line that cannot move the cursor, colour the terminal or flood it."""
    return visible(line.rstrip().replace("\n", " "), LONGEST, keep="\t")


def set_quiet(quiet: bool) -> None:
    """Whether from now on only errors are shown, and data that was asked for."""
    global _quiet
    _quiet = quiet


def out(text: str = "") -> None:
    """A line for people, at once (a pipe must not hold back progress)."""
    if not _quiet:
        _write(sys.stdout, text)


def data(text: str) -> None:
    """What a program or a file is to get: JSON, TOML and the like."""
    _write(sys.stdout, text)


def error(text: str) -> None:
    """A line on standard error."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    """A reader that has gone (a closed pipe, a dropped line) must not end a run half-way: then nothing is written."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def width() -> int:
    """The columns of the terminal that standard output is, else WIDTH."""
    try:
        return max(os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH, _NARROWEST)
    except (OSError, ValueError):
        return WIDTH


def clean_block(text: str) -> str:
    """Several lines, each cleaned."""
    return "\n  ".join(clean(line) for line in text.splitlines())
