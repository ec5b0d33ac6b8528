"""A sendmail.mc as m4 and cf.m4 understand it: which calls are live, where each is, what each define comes to, where new
lines go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from wizard.editors import EditError, cf_macros, line_start, newline_of
from wizard.editors.m4_builtins import Builtins
from wizard.editors.m4_text import NOWHERE, SPACE, UNKNOWN, Call, Machine, Macro, Text, generated, joined

_MAILERS = ("MAILER", "MAILER_DEFINITIONS")
_COMMENT = re.compile(r"[ \t]*dnl\b(?P<text>[^\n]*)\n?\Z")
_SEPARATOR = re.compile(r"[\s#*=-]*\Z")
_HEADING = re.compile(r"mailer|local|rule", re.I)
_NO_SPACE = "write {}(`...') without a space before the parenthesis; in running text, begin the line with dnl"
_DPO = "_DPO_"
_RAW_DAEMON = re.compile(r"^O[ \t]*DaemonPortOptions[ \t]*=(.*(?:\n[ \t].*)*)", re.M)


@dataclass(frozen=True, slots=True)
class Listener:
    """One live DAEMON_OPTIONS: its call, and the argument as it reaches sendmail.cf."""

    call: Call
    argument: Text


class Document:
    """What one text says. Build it with `read`."""

    def __init__(self, text: str, preloaded: bool) -> None:
        self.text = text
        self.calls: list[Call] = []
        self.included: list[tuple[str, Call]] = []
        self._machine = machine = Machine(text)
        builtins = Builtins(machine, self._on_include)
        self._diverted: list[int] = []
        self._options: list[Call] = []
        if preloaded:
            self._load()
        machine.run()
        machine.recording = False
        self.loaded = machine.loaded
        """Whether cf.m4 was read, by the file itself or before it."""
        self.line_starts = machine.line_starts
        """Line starts outside every construct, and the end of the file."""
        self.settings = builtins.settings
        """Every live define and undefine, in order."""
        self.words = machine.words
        """Words that are no macros, in order."""
        self.listeners = tuple(self._listeners())

    def live_starts(self, most: int) -> list[int]:
        """The line starts up to `most` at which text reaches sendmail.cf."""
        live = (start.offset for start in self.line_starts if start.loaded and start.diversion == 0)
        return [offset for offset in live if offset <= most]

    def named(self, *names: str) -> list[Call]:
        """The live calls of these macros, in order."""
        return [call for call in self.calls if call.name in names]

    def expanded(self, text: Text) -> str:
        """What `text` is when cf.m4 uses it, after the whole file was read."""
        return self._machine.expand(text).chars

    def raw_daemons(self) -> Iterator[tuple[int, str]]:
        """Offset and value of `O DaemonPortOptions=` lines that the file writes into sendmail.cf as raw text."""
        for diversion in sorted({number for number, _ in self._machine.output if number >= 0}):
            whole = joined([text for number, text in self._machine.output if number == diversion])
            for match in _RAW_DAEMON.finditer(whole.chars):
                yield whole.offsets[match.start()], match.group(1)

    def fail(self, call: Call, why: str, remedy: str) -> EditError:
        """The error for the line of `call`."""
        return EditError.at(self.text, call.offset, why, remedy)

    def _load(self) -> None:
        machine = self._machine
        machine.comments = False
        machine.diversion = 0
        if machine.loaded:
            return
        machine.loaded = True
        machine.macros.pop("format", None)
        for name, value in cf_macros.DEFAULTS.items():
            machine.macros.setdefault(name, [Macro(body=generated(value))])
        for name in cf_macros.KNOWN:
            machine.macros[name] = [Macro(code=self._on_call)]
        machine.macros[_DPO] = [Macro(body=generated(""))]
        machine.macros["DAEMON_OPTIONS"] = [Macro(code=self._on_daemon_options)]
        machine.macros["PUSHDIVERT"] = [Macro(code=self._on_push)]
        machine.macros["POPDIVERT"] = [Macro(code=self._on_pop)]
        machine.macros["CONCAT"] = [Macro(code=lambda call: joined([*call.args, generated("")]))]

    def _on_include(self, call: Call) -> None:
        path = call.arg(1).chars.strip(SPACE)
        if self._machine.recording:
            self.included.append((path, call))
        if path.rpartition("/")[2] == "cf.m4":
            self._load()

    def _on_call(self, call: Call) -> None:
        machine = self._machine
        if machine.recording:
            self.calls.append(call)
        if call.name in cf_macros.SECTIONS:
            machine.diversion = cf_macros.SECTIONS[call.name]
        elif call.name == "MAILER_DEFINITIONS":
            machine.diversion = cf_macros.MAILER_DEFINITIONS
        elif call.name in cf_macros.NEED_ARGUMENT and not call.arg(1).chars.strip(SPACE):
            why = f"m4 takes the word {call.name} as a macro here, looks for a file without a name, and exits"
            raise self.fail(call, why, _NO_SPACE.format(call.name))
        elif call.name in cf_macros.EAT_LINE:
            machine.discard_line()

    def _on_push(self, call: Call) -> Text:
        self._diverted.append(self._machine.diversion)
        return generated(f"divert({call.arg(1).chars})")

    def _on_pop(self, call: Call) -> None:
        if self._diverted:
            self._machine.diversion = self._diverted.pop()

    def _on_daemon_options(self, call: Call) -> Text:
        """cfhead.m4's own definition; the O is marked with the number of the call."""
        argument = call.arg(1)
        if not call.args:
            why = "m4 takes the word DAEMON_OPTIONS as a macro here, and makes a listener without options"
            raise self.fail(call, why, _NO_SPACE.format(call.name))
        if UNKNOWN in argument.chars:
            why = "part of these options comes from a command or from another file"
            raise self.fail(call, why, "write the options in full")
        if not _balanced(argument.chars):
            why = "an apostrophe (') is where the backquote (`) belongs; m4 then garbles or loses all DAEMON_OPTIONS"
            remedy = (
                "open with a backquote and close with an apostrophe: DAEMON_OPTIONS(`Port=smtp, Name=MTA')dnl"
            )
            raise self.fail(call, why, remedy)
        mark = Text("O", [NOWHERE - 1 - len(self._options)])
        self._options.append(call)
        self.calls.append(call)
        head, tail = generated(f"define(`{_DPO}', defn(`{_DPO}')\n"), generated("')")
        return joined([head, mark, generated(" DaemonPortOptions=`"), argument, tail])

    def _listeners(self) -> Iterator[Listener]:
        stack = self._machine.macros.get(_DPO, [])
        body = stack[-1].body if stack else None
        if body is None:
            return
        text = self._machine.expand(body)
        marks = [at for at, offset in enumerate(text.offsets) if offset < NOWHERE]
        for at, end in pairwise([*marks, len(text.chars)]):
            call = self._options[NOWHERE - 1 - text.offsets[at]]
            first = at + len("O DaemonPortOptions=")
            line = re.compile(r".*(?:\n[ \t].*)*").match(text.chars, first, end)
            assert line is not None
            if line.end() < end and text.chars[line.end() : end].strip(SPACE):
                why = "these options continue on the next line, which does not begin with a blank"
                raise self.fail(call, why, "write the options on one line")
            yield Listener(call, text[first : line.end()])


def _balanced(chars: str) -> bool:
    depth = 0
    for char in chars:
        depth += (char == "`") - (char == "'")
        if depth < 0:
            return False
    return depth == 0


def read(text: str) -> Document:
    """The document. A file that does not include cf.m4 itself is read as m4 reads it after cf.m4.

    Raises EditError, with the line, where m4 or sendmail could not do with the file or nobody can know what it says.
    """
    outcome = _read(text)
    if isinstance(outcome, EditError):
        raise outcome.with_traceback(None)
    return outcome


@lru_cache(maxsize=64)
def _read(text: str) -> Document | EditError:
    """The error is an outcome like the document, so that a file is refused as quickly the next time."""
    try:
        document = Document(text, preloaded=False)
        if document.loaded:
            return document
    except EditError as error:
        if re.search(r"^[^#\n]*\binclude\(.*cf\.m4", text, re.M):
            return error
    try:
        return Document(text, preloaded=True)
    except EditError as error:
        return error


def insert(text: str, offset: int, block: str) -> str:
    """`block` put in at a line start (or at the end of the text), with the newlines that the file uses."""
    newline = newline_of(text)
    lines = block.replace("\r\n", "\n")
    if lines and not lines.endswith("\n"):
        lines += "\n"
    before = newline if offset == len(text) and text and not text.endswith("\n") else ""
    return text[:offset] + before + lines.replace("\n", newline) + text[offset:]


def macro_part_end(document: Document) -> int:
    """The place for includes and defines: before the MAILER lines, the comment that heads them, and every section of
    raw .cf text; at the end of a file that has none. Raises EditError where all of that is thrown away by divert(-1)."""
    return place_before(document, document.named(*_MAILERS, *cf_macros.SECTIONS))


def place_before(document: Document, calls: Iterable[Call]) -> int:
    """The last line start before all of `calls` where text still reaches sendmail.cf."""
    limit = min((line_start(document.text, call.outer) for call in calls), default=len(document.text))
    usable = document.live_starts(limit)
    if not usable:
        offset, why = max(0, min(limit, len(document.text) - 1)), "divert(-1) above this line is never left"
        remedy = "put divert(0)dnl on a line of its own after the last comment of the head"
        raise EditError.at(document.text, offset, why, remedy)
    return _above_heading(document, usable[-1]) if usable[-1] < len(document.text) else usable[-1]


def after_call(document: Document, call: Call) -> int:
    """The first line start wholly behind `call` and whatever is around it."""
    behind = max(call.end, call.outer + 1)
    return next(start.offset for start in document.line_starts if start.offset >= behind)


def _above_heading(document: Document, offset: int) -> int:
    """Above the `dnl # Default Mailer setup` directly before the line, if there is one."""
    starts = set(document.live_starts(offset))
    top, heading = offset, False
    while top > 0:
        above = line_start(document.text, top - 1)
        comment = _COMMENT.match(document.text[above:top])
        if comment is None or above not in starts or _SEPARATOR.match(comment["text"]):
            break
        heading = heading or bool(_HEADING.search(comment["text"]))
        top = above
    return top if heading else offset
