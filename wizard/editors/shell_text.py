"""What a POSIX shell does with the variables of a small file that it sources, found without running anything.

Just enough of the grammar to tell an assignment that always happens from one that may or may not (POSIX.1-2017,
Shell Command Language, 2.2 to 2.10).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from wizard.editors.edit_error import EditError

_DEEPEST = 50
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[^\s\"'\\$`#;&|()<>]+")
_DECLARING = frozenset(["export", "readonly", "declare", "typeset", "local"])
_OPENING = frozenset(["if", "while", "until", "for", "case", "{", "select"])
_CLOSING = {"fi": "if", "done": "loop", "esac": "case", "}": "{"}
_PREFIXES = frozenset(["then", "else", "elif", "do", "!"])
_INDIRECT = frozenset(["eval", "read", "set"])


@dataclass(slots=True)
class Word:
    """One word. `value` is what the shell makes of it, None where that takes an expansion or a continued line."""

    start: int
    end: int = 0
    value: str | None = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that sets or unsets `name`: offsets of the whole word, of its value, and the value (None: unset).

    `certain`: it happens whenever the file is sourced. `readable`: the value is known."""

    name: str
    start: int
    value_start: int
    end: int
    value: str | None
    certain: bool = True
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a line of its own, outside every compound command: from its `#` to the newline."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class Script:
    """The events and comments of a file, in order. Raises EditError on building where the file is not understood."""

    text: str
    events: list[Event] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    _words: list[Word] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _chained: bool = False
    _at: int = 0
    _depth: int = 0

    def __post_init__(self) -> None:
        while self._at < len(self.text):
            self._token()
        self._command(False)
        if self._open:
            raise self._fail(len(self.text) - 1, f"a {self._open[-1]!r} is never closed", "close it")

    def of(self, name: str) -> Iterator[Event]:
        """The events of one variable."""
        return (event for event in self.events if event.name == name)

    def _fail(self, offset: int, why: str, remedy: str) -> EditError:
        return EditError.at(self.text, max(0, offset), why, remedy)

    def _token(self) -> None:
        char = self.text[self._at]
        if self.text.startswith("\\\n", self._at):
            self._at += 2
        elif char in " \t":
            self._at += 1
        elif char == "#":
            self._comment()
        elif char in "<>":
            self._redirection()
        elif char in "\n;&|()":
            self._operator()
        else:
            self._words.append(self._word())

    def _comment(self) -> None:
        end = self.text.find("\n", self._at)
        end = len(self.text) if end < 0 else end
        line = self.text[self.text.rfind("\n", 0, self._at) + 1 : self._at]
        if not line.strip() and not self._open and not self._words:
            self.comments.append(Comment(self._at, end, self.text[self._at : end]))
        self._at = end

    def _redirection(self) -> None:
        if self.text.startswith("<<", self._at):
            raise self._fail(
                self._at, "a here-document is more than this program reads in such a file", "do without it"
            )
        self._at += 1

    def _operator(self) -> None:
        pair = self.text[self._at : self._at + 2]
        operator = pair if pair in ("&&", "||", ";;") else self.text[self._at]
        self._command(operator in ("|", "&"))
        if operator == "(":
            self._open.append("(")
        elif operator == ")" and self._open and self._open[-1] == "(":
            self._open.pop()
        if operator != "\n" or not self._chained:
            self._chained = operator in ("&&", "||", "|")
        self._at += len(operator)

    def _command(self, detached: bool) -> None:
        words, self._words = self._words, []
        if words:
            conditional = self._chained or detached
            self._chained = False
            self._simple(words, conditional)

    def _simple(self, words: list[Word], conditional: bool) -> None:
        while words:
            first = self.text[words[0].start : words[0].end]
            if first in _OPENING:
                self._open.append(first if first in ("if", "case", "{") else "loop")
            elif first in _CLOSING:
                if self._open and self._open[-1] == _CLOSING[first]:
                    self._open.pop()
            elif first not in _PREFIXES:
                break
            words = words[1:]
        certain = not conditional and not self._open
        if not words:
            return
        assigned = 0
        while assigned < len(words) and self._assignment(words[assigned]):
            assigned += 1
        name = words[assigned].value if assigned < len(words) else None
        if assigned == len(words):
            for word in words:
                self._assign(word, certain)
        elif name in _DECLARING:
            for word in words[assigned + 1 :]:
                if self._assignment(word):
                    self._assign(word, certain)
        elif name == "unset":
            for word in words[assigned + 1 :]:
                self.events.append(Event(word.value or "", word.start, word.end, word.end, None, certain))
        for word in words:
            self._indirect(word, name if assigned < len(words) else None)

    def _assignment(self, word: Word) -> bool:
        match = _NAME.match(self.text, word.start)
        return match is not None and match.end() < word.end and self.text[match.end()] == "="

    def _assign(self, word: Word, certain: bool) -> None:
        name = _NAME.match(self.text, word.start)
        assert name is not None
        at = name.end() + 1
        value = None if word.value is None else word.value[at - word.start :]
        self.events.append(
            Event(name.group(), word.start, at, word.end, value or "", certain, value is not None)
        )

    def _indirect(self, word: Word, command: str | None) -> None:
        """`${NAME:=...}` sets NAME as well, and so may the words of eval and read."""
        raw = self.text[word.start : word.end]
        for match in re.finditer(r"\$\{(\w+):?=", raw):
            self.events.append(Event(match.group(1), word.start, word.start, word.end, "", False))
        if command in _INDIRECT:
            for match in _NAME.finditer(raw):
                self.events.append(Event(match.group(), word.start, word.start, word.end, "", False))

    def _word(self) -> Word:
        word = Word(self._at)
        parts: list[str] = []
        known = True
        while self._at < len(self.text):
            char = self.text[self._at]
            if char in " \t\n;&|()<>":
                break
            if char == "'":
                end = self._find("'", self._at + 1)
                parts.append(self.text[self._at + 1 : end])
                self._at = end + 1
            elif char == '"':
                known = self._double(parts) and known
            elif char == "\\":
                following = self.text[self._at + 1 : self._at + 2]
                known = known and following not in ("\n", "")
                parts.append(following)
                self._at += 2
            elif char in "$`":
                self._expansion()
                known = False
            else:
                plain = _PLAIN.match(self.text, self._at)
                piece = plain.group() if plain else char
                known = known and not re.search(r"(\A|[=:])~", piece)
                parts.append(piece)
                self._at += len(piece)
        self._at = min(self._at, len(self.text))
        word.end = self._at
        word.value = "".join(parts) if known else None
        return word

    def _double(self, parts: list[str]) -> bool:
        opened, known = self._at, True
        self._at += 1
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._fail(opened, "quotes are nested too deep here", "take them apart")
        while self._at < len(self.text):
            char = self.text[self._at]
            if char == '"':
                self._at += 1
                self._depth -= 1
                return known
            if char == "\\" and self.text[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\", "\n"):
                known = known and self.text[self._at + 1] != "\n"
                parts.append(self.text[self._at + 1])
                self._at += 2
            elif char in "$`":
                self._expansion()
                known = False
            else:
                parts.append(char)
                self._at += 1
        raise self._fail(opened, 'this double quote (") is never closed', "close it")

    def _expansion(self) -> None:
        """Steps over one expansion; what it comes to is not known here."""
        opened = self._at
        if self.text[self._at] == "`":
            self._at = self._find("`", self._at + 1) + 1
            return
        pair = self.text[self._at + 1 : self._at + 2]
        closing = {"(": ")", "{": "}"}.get(pair)
        self._at += 2
        if closing is None:
            return
        depth = 1
        while depth:
            if self._at >= len(self.text):
                raise self._fail(opened, f"this ${pair} is never closed", "close it")
            char = self.text[self._at]
            depth += (char == pair) - (char == closing)
            if char == '"':
                self._double([])
            elif char == "'" and closing == ")":
                self._at = self._find("'", self._at + 1) + 1
            else:
                self._at += 2 if char == "\\" else 1

    def _find(self, char: str, start: int) -> int:
        end = self.text.find(char, start)
        if end < 0:
            raise self._fail(start - 1, f"this {char} is never closed", "close it")
        return end
