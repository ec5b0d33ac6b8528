"""The editor of /etc/default/* and of other files that shell scripts source, such as /etc/mail/sendmail.conf.

What a shell does with the variables of such a file is found without running anything: by just enough of the grammar to
tell an assignment that always happens from one that may or may not (POSIX.1-2017, Shell Command Language, 2.2 to 2.10).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from wizard.editors import EditError, line_start

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,-]+\Z")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DEEPEST = 50
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(rf"({_NAME.pattern})=")
_PLAIN = re.compile(r"[^\s\"'\\$`#;&|()<>]+")
_DECLARING = frozenset(["export", "readonly", "declare", "typeset", "local"])
_OPENING = frozenset(["if", "while", "until", "for", "case", "{", "select"])
_CLOSING = {"fi": "if", "done": "loop", "esac": "case", "}": "{"}
_PREFIXES = frozenset(["then", "else", "elif", "do", "!"])
_INDIRECT = frozenset(["eval", "read", "set"])


def value(text: str, key: str) -> str | None:
    """What `key` is after sh has sourced the file; None where the file does not set it, or unsets it last.

    As sh sees it: in a line that ends with CR LF the CR belongs to the value. Raises EditError where the last word on
    `key` is conditional, an expansion or a continued line, or where the file is no shell text."""
    event = _last(Script(text), key)
    return None if event is None else event.value


def set_value(text: str, key: str, value: str) -> str:
    """`key` set to `value`. The last assignment in force is changed in place, in its own quotes, comment and all;
    without one a line is added: below a commented-out assignment of `key`, else at the end. Raises EditError like
    `value`, and for a value of more than one line."""
    if not _KEY.match(key) or re.search(r"[\x00\r\n]", value):
        why = "this is not an assignment that fits on one line of shell text"
        raise EditError(None, f"{key}={value}", why, "use a plain name, and a value without line breaks")
    script = Script(text)
    event = _last(script, key)
    if event is not None and event.value == value:
        return text
    if event is not None and event.value is not None:
        written = _quoted(value, text[event.value_start : event.end])
        new = text[: event.value_start] + written + text[event.end :]
    else:
        at = min(_comment_end(script, key) + 1, len(text)) if event is None else len(text)
        # LF even in a file of CR LF lines: sh would take the CR for a part of the value.
        before = "\n" if at == len(text) and text and not text.endswith("\n") else ""
        new = f"{text[:at]}{before}{key}={_quoted(value, '')}\n{text[at:]}"
    again = _last(Script(new), key)
    if again is None or again.value != value:
        why = f"the file does not come out with this value of {key}"
        raise EditError(None, f"{key}={value}", why, "set it by hand")
    return new


def _last(script: Script, key: str) -> Event | None:
    event = next((event for event in reversed(script.events) if event.name == key), None)
    if event is not None and not event.certain:
        why = f"whether {key} is set here depends on what happens when the file is read"
        remedy = f"write a plain {key}=... line of its own below it"
        raise EditError.at(script.text, event.start, why, remedy)
    if event is not None and not event.readable:
        why = f"the value of {key} is made by an expansion, or goes over a continued line"
        raise EditError.at(script.text, event.start, why, f'write a plain {key}="..." on one line')
    return event


def _comment_end(script: Script, key: str) -> int:
    """The end of the last comment that is an assignment of `key`, switched off; that of the file without one."""
    pattern = re.compile(rf"#[#\s]*(?:export\s+)?{re.escape(key)}=")
    ends = [end for start, end in script.comments if pattern.match(script.text, start, end)]
    return ends[-1] if ends else len(script.text)


def _quoted(value: str, old: str) -> str:
    """The value in the quotes that the old one had; bare where it was bare, or new, and needs none."""
    if old.startswith("'") and "'" not in value:
        return f"'{value}'"
    if not old.startswith(("'", '"')) and _BARE.match(value):
        return value
    escaped = re.sub(r'([\\"$`])', r"\\\1", value)
    return f'"{escaped}"'


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


@dataclass(slots=True)
class Script:
    """The events and comments of a file, in order. Raises EditError on building where the file is not understood."""

    text: str
    events: list[Event] = field(default_factory=list)
    comments: list[tuple[int, int]] = field(default_factory=list)
    """Those on a line of their own, outside every compound command: from the `#` to the newline."""
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
            why = f"a {self._open[-1]!r} is never closed"
            raise EditError.at(self.text, len(self.text) - 1, why, "close it")

    def _token(self) -> None:
        char = self.text[self._at]
        if self.text.startswith("\\\n", self._at):
            self._at += 2
        elif self.text.startswith("<<", self._at):
            why = "a here-document is more than this program reads in such a file"
            raise EditError.at(self.text, self._at, why, "do without it")
        elif char in " \t<>":
            self._at += 1
        elif char == "#":
            self._comment()
        elif char in "\n;&|()":
            self._operator()
        else:
            self._words.append(self._word())

    def _comment(self) -> None:
        end = self.text.find("\n", self._at)
        end = len(self.text) if end < 0 else end
        if not (self.text[line_start(self.text, self._at) : self._at].strip() or self._open or self._words):
            self.comments.append((self._at, end))
        self._at = end

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
        command = list(itertools.dropwhile(self._assignment, words))
        name = command[0].value if command else None
        if not command or name in _DECLARING:
            for word in command or words:
                if match := self._assignment(word):
                    at = match.end()
                    value = "" if word.value is None else word.value[at - word.start :]
                    known = word.value is not None
                    self.events.append(Event(match[1], word.start, at, word.end, value, certain, known))
        elif name == "unset":
            for word in command[1:]:
                self.events.append(Event(word.value or "", word.start, word.end, word.end, None, certain))
        for word in words:
            self._indirect(word, name)

    def _assignment(self, word: Word) -> re.Match[str] | None:
        """Up to and with its `=`."""
        return _ASSIGNMENT.match(self.text, word.start, word.end)

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
            raise EditError.at(self.text, opened, "quotes are nested too deep here", "take them apart")
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
        raise EditError.at(self.text, opened, 'this double quote (") is never closed', "close it")

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
                raise EditError.at(self.text, opened, f"this ${pair} is never closed", "close it")
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
            raise EditError.at(self.text, start - 1, f"this {char} is never closed", "close it")
        return end
