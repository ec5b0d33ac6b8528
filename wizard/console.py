"""The terminal: the one place that cleans what comes from outside, and writes it out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

from snapshots.visible import visible

LONGEST = 2000
"""Characters of a line that are shown."""
WIDTH = 80
"""Columns where there is no terminal."""
_NARROWEST = 40
_NOT_STARTED = (126, 127)
"""How a shell ends whose command cannot be run, or is not there."""
_quiet = False
_within: int | None = None
_beside: AbstractContextManager[object] = nullcontext()


@contextmanager
def making_way(beside: AbstractContextManager[object]) -> Iterator[None]:
    """While inside, enter `beside` around all that is printed: what else is on the terminal makes way in it."""
    global _beside
    _beside = beside
    try:
        yield
    finally:
        _beside = nullcontext()


def alone() -> AbstractContextManager[object]:
    """The terminal for a question of one's own."""
    return _beside


def clean(line: str) -> str:
    """`line` as one line that cannot move the cursor, colour the terminal or flood it."""
    return visible(line.rstrip().replace("\n", " "), LONGEST, keep="\t")


def set_quiet(quiet: bool) -> None:
    """Whether from now on only errors are shown, and data that was asked for."""
    global _quiet
    _quiet = quiet


def out(text: str = "", *, whole: bool = False) -> None:
    """Lines for people, at once (a pipe must not hold back progress). On a terminal those that are too long go on below,
    unless the text is to stay `whole`: a diff, or a command to copy."""
    if not _quiet:
        _write(sys.stdout, text if whole else _fitting(sys.stdout, text))


def data(text: str) -> None:
    """What a program or a file is to get: JSON, TOML and the like."""
    _write(sys.stdout, text)


def error(text: str, *, whole: bool = False) -> None:
    """Lines on standard error, as `out` has them."""
    _write(sys.stderr, text if whole else _fitting(sys.stderr, text))


def page(text: str, *, whole: bool = True) -> None:
    """A long text for people: by the pager of $PAGER or less where it does not fit on the terminal. Unless it is to stay
    `whole`, lines that are too long go on below, as in `out`."""
    if _quiet:
        return
    text = text if whole else _fitting(sys.stdout, text)
    columns, command = terminal_columns(sys.stdout), _pager()
    if columns is None or not sys.stdin.isatty() or not command or _rows(text, columns) < _height():
        data(text)
        return
    # As git has it: colours and lines as they are, and what is left stays on the terminal.
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}
    at_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the pager
    try:
        with _beside:
            pager = subprocess.run(
                ["/bin/sh", "-c", command],
                input=text + "\n",
                text=True,
                errors="replace",
                env=environment,
                check=False,
            )
        if pager.returncode in _NOT_STARTED:
            data(text)
    except OSError:
        data(text)
    finally:
        signal.signal(signal.SIGINT, at_interrupt)


def _pager() -> str:
    """The command of the admin's pager; "" for none, which `cat` stands for, too."""
    named = os.environ.get("PAGER")
    if named is None:
        named = next((each for each in ("less", "more") if shutil.which(each)), "")
    return "" if named.strip() == "cat" else named.strip()


def _rows(text: str, columns: int) -> int:
    return sum(max(1, -(-len(line) // columns)) for line in text.splitlines())


def _height() -> int:
    return os.get_terminal_size(sys.stdout.fileno()).lines or 24


def _write(stream: TextIO, text: str) -> None:
    """A reader that has gone (a closed pipe, a dropped line) must not end a run half-way: then nothing is written."""
    try:
        with _beside:
            print(text, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def terminal_columns(stream: TextIO) -> int | None:
    """The columns of the terminal that `stream` is; None where it is none."""
    try:
        return max(os.get_terminal_size(stream.fileno()).columns or WIDTH, _NARROWEST)
    except (OSError, ValueError):
        return None


def set_width(columns: int | None) -> None:
    """The columns into which words are folded from now on; None: those of the terminal."""
    global _within
    _within = columns and max(columns, _NARROWEST)


def width() -> int:
    """The columns into which words are folded: what was set, the terminal that standard output is, or else WIDTH."""
    return _within or terminal_columns(sys.stdout) or WIDTH


def _fitting(stream: TextIO, text: str) -> str:
    columns = terminal_columns(stream)
    if columns is None:
        return text
    lines = text.split("\n")
    if max(map(len, lines)) <= columns:
        return text
    return "\n".join(
        part for line in lines for part in ([line] if len(line) <= columns else _below(line, columns))
    )


_LEAD = re.compile(r" *(?:\[[^]]{1,5}\] +|[-|<>#*] |-> |(?:[a-zA-Z-]{1,12}: ))?")


def _below(line: str, columns: int) -> list[str]:
    """The line in parts: what follows is below the words, after a sign such as `[ok]` or `note:`."""
    if line.lstrip().startswith("$ "):
        return command(line, columns, then=" " * (len(line) - len(line.lstrip()) + 2))
    lead = match[0] if (match := _LEAD.match(line)) else ""
    indent = lead if lead.strip() == "|" else " " * min(len(lead), 15)
    return fold(line[len(lead) :], lead, indent, columns)


def fold(words: str, first: str = "", then: str = "", columns: int | None = None) -> list[str]:
    """The one wrapping of all that is printed: the words in lines of `columns` (the terminal's), broken at blanks, and behind
    the commas of a list that no line has room for; `first` before the first one, `then` before each other. A command in
    backquotes stays on a line, to be copied."""
    import textwrap  # not for the commands that fold nothing

    columns = columns or width()
    words = _QUOTED.sub(lambda quoted: quoted[0].replace(" ", _BLANK), words)
    lines = textwrap.wrap(
        _LIST.sub(lambda word: _breakable(word[0], columns - max(len(first), len(then))), words),
        columns,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = [line.replace(f"{_HERE} ", "").replace(_HERE, "") for line in lines]
    parts = (_shorter(line, then, columns) if _BLANK in line else [line] for line in lines)
    return [part for some in parts for part in some] or [first.rstrip()]


_QUOTED, _BLANK = re.compile("`(?:[^`'\n]|'[^`'\n]*')+`"), "\ue000"
"""A command in a sentence (m4 quotes `otherwise'), and a blank of it that is no place to break the line."""


_LIST, _HERE = re.compile(r"[^\s`,]+(?:,[^\s`,]+)+"), "\ue001"
"""A list without blanks, such as an option of sendmail.cf, and the end of a part of it where the line may be broken."""


def _breakable(word: str, room: int) -> str:
    return word.replace(",", f",{_HERE} ") if len(word) > room else word


def _shorter(line: str, then: str, columns: int) -> list[str]:
    """A line of `fold`; where a command in it is too long for one, as `command` breaks it."""
    whole = line.replace(_BLANK, " ")
    if len(whole) <= columns:
        return [whole]
    lead = len(whole) - len(whole.lstrip())
    return command(whole.strip(), columns, whole[:lead], f"{then}  ")


_WORD = re.compile(r"""\s*(?:#.*|(?:[^\s'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+|\S)""", re.DOTALL)
"""A word of a shell, whatever quotes it has; the rest of the line where that is a comment."""


def command(words: str, columns: int | None = None, first: str = "", then: str = "  ") -> list[str]:
    """A command to copy, in lines of `columns` (the terminal's; whole where there is none): broken between its words, each
    line but the last with the backslash by which a shell takes them as one. `first` is before the first line, `then`
    before each other."""
    columns = columns or terminal_columns(sys.stdout)
    if columns is None or len(first + words) <= columns:
        return [first + words]
    begins, *more = _WORD.findall(words) or [""]
    lines = [first + begins]
    for word in more:
        if len(lines[-1] + word) > columns - 2:
            lines[-1] += " \\"
            lines.append(then + word.lstrip())
        else:
            lines[-1] += word
    return lines


def own_command(words: Iterable[str], first: str, then: str = "  ") -> list[str]:
    """A command of ours to copy, of these words behind its name; as `command`."""
    return command(clean(shlex.join(["msa-wizard", *words])), first=first, then=then)


def is_command(line: str) -> bool:
    """Whether a line of what is to do is one that is typed, whole: it begins with a blank, or with our own name. Commands in
    a sentence are in backquotes."""
    return line.startswith((" ", "msa-wizard "))


def typed(line: str, columns: int | None = None, indent: str = "") -> list[str]:
    """A command of a plan with the sign of a shell before it; what a dialogue would type there begins with a blank."""
    if not line.startswith(" "):
        return command(line, columns, f"{indent}$ ", f"{indent}  ")
    columns = columns or terminal_columns(sys.stdout)
    return fold(line.strip(), f"{indent}  ", f"{indent}    ", columns) if columns else [f"{indent}{line}"]


def count(number: int, noun: str, several: str = "") -> str:
    """`1 package`, `2 packages`: the one place that says how many."""
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def numbered(numbers: Iterable[int], noun: str = "line") -> str:
    """`line 3`, `lines 3 and 7`, `lines 3, 7 and 9`; empty for none."""
    words = list(map(str, numbers))
    if len(words) < 2:
        return "".join(f"{noun} {word}" for word in words)
    return f"{noun}s {', '.join(words[:-1])} and {words[-1]}"


def clean_block(text: str) -> str:
    """Several lines, each cleaned."""
    return "\n  ".join(clean(line) for line in text.splitlines())
