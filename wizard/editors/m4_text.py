"""m4 as sendmail's .mc files use it, each character remembering where in the file it was.

Not a search for look-alike lines: the file is expanded as GNU m4 expands it (quotes that nest, dnl anywhere, comments
that end with cf.m4's changecom(), arguments expanded while they are collected, results scanned again), so what is live
here is what is live there. Source: the GNU M4 manual, chapters 3 to 8.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wizard.console import count
from wizard.editors import EditError, EndlessError

NOWHERE = -1
UNKNOWN = "\ue000"  # stands for what only a running m4 can know (a command's output); no latin-1 text has it
SPACE = " \t\n\v\f\r"

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[^A-Za-z_`'#(),\n]+\n?|.", re.S)
_NAME_START = frozenset("_" + string.ascii_letters)
_QUOTE = re.compile("[`']")
_DOLLAR = re.compile(r"\$(\d+|[#*@])")
_LARGEST = 512 * 1024
_MOST_COPIED = 20_000_000
_MOST_CALLS = 10_000
"""How many macros one place of the file may expand to: by then one calls itself."""
_DEEPEST = 120


@dataclass(frozen=True, slots=True)
class Text:
    """Characters, and for each its offset in the file (NOWHERE where a macro made it)."""

    chars: str
    offsets: Sequence[int]

    def __getitem__(self, part: slice) -> Text:
        return Text(self.chars[part], self.offsets[part])

    def __add__(self, other: Text) -> Text:
        return Text(self.chars + other.chars, [*self.offsets, *other.offsets])


def generated(chars: str) -> Text:
    """Text that is nowhere in the file."""
    return Text(chars, [NOWHERE] * len(chars))


@dataclass(frozen=True, slots=True)
class Call:
    """One macro call that m4 makes. `start` and `end` are offsets in the file and NOWHERE where the call was put
    together by other macros; `spans` are the raw arguments between the delimiters; `outer` is where the outermost
    construct around it starts."""

    name: str
    args: tuple[Text, ...]
    loose: tuple[bool, ...]
    start: int
    end: int
    spans: tuple[tuple[int, int], ...]
    outer: int

    @property
    def offset(self) -> int:
        """Where to point a reader to."""
        return self.start if self.start >= 0 else self.outer

    def arg(self, number: int) -> Text:
        """Argument `number`, from 1; empty where it was not given."""
        return self.args[number - 1] if number <= len(self.args) else Text("", ())


@dataclass(frozen=True, slots=True)
class Macro:
    """A name m4 knows: with a body (define) or with code. `blind`: a plain word where no parenthesis follows it."""

    body: Text | None = None
    code: Callable[[Call], Text | None] | None = None
    blind: bool = False


@dataclass(frozen=True, slots=True)
class LineStart:
    """A line start outside every quote, argument and comment: text inserted here is read on its own."""

    offset: int
    diversion: int
    loaded: bool


@dataclass(frozen=True, slots=True)
class Word:
    """A word that m4 copies as it is because no macro has its name."""

    name: str
    offset: int
    diversion: int
    called: bool


class Machine:
    """Expands one text. The names it knows are in `macros`; who installs them gives them their meaning."""

    def __init__(self, source: str) -> None:
        self.source = source
        if len(source) > _LARGEST:
            why = f"the file has {count(len(source), 'byte')}, more than any sendmail.mc"
            raise EditError(None, "", why, "look at the file")
        self.macros: dict[str, list[Macro]] = {}
        self.diversion = 0
        self.comments = True
        self.loaded = False
        self.recording = True
        self.line_starts: list[LineStart] = []
        self.output: list[tuple[int, Text]] = []
        self.words: list[Word] = []
        self._buffer = source
        # Of the first `_pushed` characters; the others are those of the file.
        self._offsets: Sequence[int] = ()
        self._shift = 0  # from a place in the buffer to one in the file, behind what was pushed
        self._at = 0
        self._pushed = 0
        self._outer = 0
        self._copied = 0
        self._calls = 0
        self._depth = 0

    def fail(self, offset: int, why: str, remedy: str) -> EditError:
        """The error for the line at `offset`."""
        return EditError.at(self.source, offset, why, remedy)

    def run(self) -> None:
        """Expands the whole text. Raises EditError at what m4 would not survive."""
        while self._at < len(self._buffer):
            if self._at >= self._pushed:
                here = self._offset(self._at)
                self._outer = here
                self._calls = 0
                if here == 0 or self.source[here - 1] == "\n":
                    self.line_starts.append(LineStart(here, self.diversion, self.loaded))
            self._step(lambda text: self.output.append((self.diversion, text)))
        self.line_starts.append(LineStart(len(self.source), self.diversion, self.loaded))

    def expand(self, text: Text) -> Text:
        """What `text` becomes when m4 reads it now."""
        saved = self._buffer, self._offsets, self._shift, self._at, self._pushed
        self._buffer, self._offsets, self._at, self._pushed = text.chars, text.offsets, 0, len(text.chars)
        self._calls = self._copied = 0
        pieces: list[Text] = []
        try:
            while self._at < len(self._buffer):
                self._step(pieces.append)
        finally:
            self._buffer, self._offsets, self._shift, self._at, self._pushed = saved
        return joined(pieces)

    def _step(self, emit: Callable[[Text], None]) -> bool:
        """Reads one token outside of arguments. True where a word was read that is no macro."""
        char = self._buffer[self._at]
        if char == "`":
            emit(self._quoted())
        elif char == "#" and self.comments:
            line = self._rest_of_line()
            if not line.chars.endswith("\n"):
                why = "m4 fails on a comment (#) in a last line without newline"
                raise self.fail(max(line.offsets[0], self._outer), why, "end the line with a newline")
            emit(line)
        else:
            match = _TOKEN.match(self._buffer, self._at)
            assert match is not None
            token = match.group()
            stack = self.macros.get(token) if char in _NAME_START else None
            if stack and not (stack[-1].blind and self._buffer[match.end() : match.end() + 1] != "("):
                self._call(token, stack[-1])
                return False
            start, self._at = self._at, match.end()
            emit(self._text(start, self._at))
            if char in _NAME_START:
                if self.recording:
                    self.words.append(Word(token, self._offset(start), self.diversion, self._next() == "("))
                return True
        return False

    def _next(self) -> str:
        return self._buffer[self._at : self._at + 1]

    def _offset(self, at: int) -> int:
        """Where in the file the character at a place of the buffer is."""
        return self._offsets[at] if at < self._pushed else at + self._shift

    def _text(self, start: int, end: int) -> Text:
        chars, pushed = self._buffer[start:end], self._pushed
        end = start + len(chars)
        if start >= pushed:
            return Text(chars, range(start + self._shift, end + self._shift))
        if end <= pushed:
            return Text(chars, self._offsets[start:end])
        return Text(chars, [*self._offsets[start:], *range(pushed + self._shift, end + self._shift)])

    def _push(self, text: Text) -> None:
        if not text.chars:
            return
        left = self._offsets[self._at : self._pushed]
        self._calls += 1
        self._copied += len(text.chars) + len(left)
        if self._calls > _MOST_CALLS or self._copied > _MOST_COPIED or len(text.chars) > 2 * _LARGEST:
            why = "macros here expand without end"
            raise EndlessError.at(self.source, self._outer, why, "look for a macro that calls itself")
        self._offsets = [*text.offsets, *left]
        self._shift += self._at - len(text.chars)
        self._pushed = len(self._offsets)
        self._buffer = text.chars + self._buffer[self._at :]
        self._at = 0

    def discard_line(self) -> None:
        """What dnl does: drops everything up to and with the next newline."""
        self._rest_of_line()

    def _rest_of_line(self) -> Text:
        start, newline = self._at, self._buffer.find("\n", self._at)
        self._at = newline + 1 if newline >= 0 else len(self._buffer)
        return self._text(start, self._at)

    def _quoted(self) -> Text:
        depth = 0
        start = self._at
        for match in _QUOTE.finditer(self._buffer, start):
            depth += 1 if match.group() == "`" else -1
            if depth == 0:
                self._at = match.end()
                return self._text(start + 1, match.start())
        offset = self._offset(start)
        why, remedy = "this quote (`) is never closed (')", "close it; use no backquote in running text"
        raise self.fail(offset if offset >= 0 else self._outer, why, remedy)

    def _call(self, name: str, macro: Macro) -> None:
        first, last = self._offset(self._at), self._offset(self._at + len(name) - 1)
        whole = first >= 0 and last - first == len(name) - 1
        self._at += len(name)
        args: list[Text] = []
        loose: list[bool] = []
        marks: list[int] = []
        if self._next() == "(":
            self._depth += 1
            if self._depth > _DEEPEST:
                raise self.fail(self._outer, "macro calls are nested too deep here", "take them apart")
            self._collect(name, args, loose, marks)
            self._depth -= 1
        ends = [first + len(name) - 1, *marks]
        whole = whole and all(mark >= 0 for mark in marks) and ends == sorted(set(ends))
        start, end = (first, ends[-1] + 1) if whole else (NOWHERE, NOWHERE)
        spans = tuple((a + 1, b) for a, b in pairwise(marks)) if whole else ()
        call = Call(name, tuple(args), tuple(loose), start, end, spans, self._outer)
        if macro.body is not None:
            self._push(substituted(macro.body, call))
        elif macro.code is not None and (expansion := macro.code(call)) is not None:
            self._push(expansion)

    def _collect(self, name: str, args: list[Text], loose: list[bool], marks: list[int]) -> None:
        opened = self._offset(self._at)
        marks.append(opened)
        self._at += 1
        while True:
            while self._next() and self._next() in SPACE:
                self._at += 1
            pieces: list[Text] = []
            free = False
            depth = 0
            while True:
                char = self._next()
                if not char:
                    why = f"the parenthesis that {name} opens here is never closed"
                    raise self.fail(opened if opened >= 0 else self._outer, why, "close it with )")
                if depth == 0 and char in ",)":
                    break
                depth += (char == "(") - (char == ")")
                free = self._step(pieces.append) or free
            args.append(joined(pieces))
            loose.append(free)
            marks.append(self._offset(self._at))
            self._at += 1
            if char == ")":
                return


def joined(pieces: Sequence[Text]) -> Text:
    """The pieces as one text."""
    if len(pieces) == 1:
        return pieces[0]
    return Text("".join(piece.chars for piece in pieces), [at for piece in pieces for at in piece.offsets])


def substituted(body: Text, call: Call) -> Text:
    """A macro body with $0 to $n, $#, $* and $@ filled in. The body's own characters are nowhere in the file any more: one
    definition serves many calls."""
    pieces: list[Text] = []
    at = 0
    for match in _DOLLAR.finditer(body.chars):
        pieces.append(generated(body.chars[at : match.start()]))
        at = match.end()
        parameter = match.group(1)
        if parameter == "#":
            pieces.append(generated(str(len(call.args))))
        elif parameter in "*@":
            for number, arg in enumerate(call.args):
                pieces.append(generated("," if number else ""))
                pieces.append(arg if parameter == "*" else joined([generated("`"), arg, generated("'")]))
        else:
            pieces.append(generated(call.name) if int(parameter) == 0 else call.arg(int(parameter)))
    pieces.append(generated(body.chars[at:]))
    return joined(pieces)
