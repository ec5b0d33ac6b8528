"""The built-in macros of GNU m4, as far as their effect can be known without running commands or reading files.

What cannot be known becomes UNKNOWN; a condition on it is refused where the answer would decide about a listener, a
mailer or a section. Source: the GNU M4 manual, chapters 4 to 13.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from wizard.editors.m4_text import SPACE, UNKNOWN, Call, Machine, Macro, Text, generated

_DECIDES = re.compile(
    r"\b(DAEMON_OPTIONS|MAILER|MAILER_DEFINITIONS|LOCAL_(CONFIG|RULE_\d|RULESETS|NET_CONFIG|DNSBL|UUCP)"
    r"|divert|changequote|no_default_msa|nullclient)\b"
)
_COMPARE = re.compile(r"\s*(-?\d+)\s*(==|!=|<=|>=|<|>)\s*(-?\d+)\s*\Z")
_HARMLESS = (
    *("debugfile", "debugmode", "dumpdef", "errprint", "traceoff", "traceon", "m4wrap", "undivert"),
    "syscmd",
)
_UNKNOWABLE = (
    *("esyscmd", "sysval", "maketemp", "mkstemp", "format", "patsubst", "regexp", "__line__", "__file__"),
)
_REFUSED = ("changequote", "changeword", "builtin", "indir", "m4exit")
_BLIND = frozenset(
    [
        "builtin", "decr", "define", "defn", "errprint", "esyscmd", "eval", "format", "ifdef", "ifelse", "include",
        "incr", "index", "indir", "len", "m4wrap", "maketemp", "mkstemp", "patsubst", "popdef", "pushdef", "regexp",
        "sinclude", "substr", "syscmd", "translit", "undefine",
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """A live define (`value`) or undefine (None) of `name`."""

    name: str
    value: Text | None
    call: Call


class Builtins:
    """Installs the built-in macros into a machine and keeps what they did."""

    def __init__(self, machine: Machine, on_include: Callable[[Call], None]) -> None:
        self.machine = machine
        self.settings: list[Setting] = []
        self.undefined: set[str] = set()
        table: dict[str, Callable[[Call], Text | None]] = {
            "define": lambda call: self._define(call, False),
            "pushdef": lambda call: self._define(call, True),
            "undefine": lambda call: self._undefine(call, False),
            "popdef": lambda call: self._undefine(call, True),
            "defn": self._defn,
            "dnl": lambda _: machine.discard_line(),
            "ifdef": self._ifdef,
            "ifelse": self._ifelse,
            "divert": self._divert,
            "divnum": lambda _: generated(str(machine.diversion)),
            "shift": self._shift,
            **dict.fromkeys(("include", "sinclude"), on_include),
            "changecom": self._changecom,
            **dict.fromkeys(("eval", "incr", "decr"), self._eval),
            "len": lambda call: self._text(call, lambda a: str(len(a))),
            "index": lambda call: self._text(call, lambda a: str(a.find(call.arg(2).chars))),
            "substr": self._substr,
            "translit": self._translit,
        }
        table |= dict.fromkeys(_HARMLESS, lambda _: None) | dict.fromkeys(_REFUSED, self._refused)
        table |= dict.fromkeys(_UNKNOWABLE, lambda _: generated(UNKNOWN))
        for name, code in table.items():
            machine.macros[name] = [Macro(code=code, blind=name in _BLIND)]

    def _define(self, call: Call, push: bool) -> None:
        name, macro = call.arg(1).chars, Macro(body=call.arg(2))
        stack = self.machine.macros.setdefault(name, [])
        if not push:
            del stack[-1:]
        stack.append(macro)
        self.undefined.discard(name)
        if self.machine.recording:
            self.settings.append(Setting(name, call.arg(2), call))

    def _undefine(self, call: Call, pop: bool) -> None:
        for arg in call.args:
            stack = self.machine.macros.get(arg.chars, [])
            del stack[-1 if pop else 0 :]
            if not stack:
                self.machine.macros.pop(arg.chars, None)
                self.undefined.add(arg.chars)
            if self.machine.recording:
                self.settings.append(Setting(arg.chars, stack[-1].body if stack else None, call))

    def _defn(self, call: Call) -> Text:
        definition = Text("", ())
        for arg in call.args:
            if stack := self.machine.macros.get(arg.chars):
                body = stack[-1].body or generated(UNKNOWN)
                definition = definition + generated("`") + body + generated("'")
        return definition

    def _ifdef(self, call: Call) -> Text:
        name = call.arg(1).chars
        if name in self.machine.macros:
            return call.arg(2)
        if name not in self.undefined:
            self._undecided(call, 2)
        return call.arg(3)

    def _ifelse(self, call: Call) -> Text:
        at, count = 0, len(call.args)
        while count - at >= 3:
            left, right = call.args[at], call.args[at + 1]
            if left.chars == right.chars and UNKNOWN not in left.chars:
                return call.args[at + 2]
            if UNKNOWN in left.chars + right.chars or call.loose[at] or call.loose[at + 1]:
                self._undecided(call, at + 3)
            if count - at in (4, 5):
                return call.args[at + 3]
            at += 3
        return Text("", ())

    def _undecided(self, call: Call, first: int) -> None:
        """Taken as not so; refused where that would decide about what this program edits."""
        for number in range(first, len(call.args) + 1):
            if match := _DECIDES.search(call.arg(number).chars):
                why = f"whether the {match.group()} in this {call.name} counts depends on what other files define"
                remedy = f"take the {match.group()} out of the {call.name}, or switch it off with dnl"
                raise self.machine.fail(call.offset, why, remedy)

    def _divert(self, call: Call) -> None:
        number = call.arg(1).chars.strip(SPACE) or "0"
        if not re.fullmatch(r"-?\d+", number):
            remedy = "write divert(0)dnl or divert(-1)dnl"
            raise self.machine.fail(call.offset, "divert needs a number", remedy)
        self.machine.diversion = int(number)

    def _shift(self, call: Call) -> Text:
        pieces = generated("")
        for number, arg in enumerate(call.args[1:]):
            pieces = pieces + generated(",`" if number else "`") + arg + generated("'")
        return pieces

    def _changecom(self, call: Call) -> None:
        start = call.arg(1).chars
        if start not in ("", "#") or call.arg(2).chars.strip("\r\n"):
            why = "changecom sets another comment sign here"
            raise self.machine.fail(call.offset, why, "take the changecom out")
        self.machine.comments = start == "#"

    def _refused(self, call: Call) -> None:
        why = f"{call.name} changes how m4 reads the rest of the file"
        remedy = f"do without {call.name}; in running text, begin the line with dnl"
        raise self.machine.fail(call.offset, why, remedy)

    def _text(self, call: Call, compute: Callable[[str], str]) -> Text:
        chars = call.arg(1).chars
        return generated(UNKNOWN if UNKNOWN in chars else compute(chars))

    def _eval(self, call: Call) -> Text:
        chars = call.arg(1).chars.strip(SPACE)
        compare = _COMPARE.match(chars)
        if re.fullmatch(r"-?\d{1,9}", chars):
            return generated(str(int(chars) + {"incr": 1, "decr": -1}.get(call.name, 0)))
        if compare and call.name == "eval":
            a, sign, b = int(compare.group(1)), compare.group(2), int(compare.group(3))
            holds = {"==": a == b, "!=": a != b, "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[sign]
            return generated(str(int(holds)))
        return generated(UNKNOWN)

    def _substr(self, call: Call) -> Text:
        start, count = call.arg(2).chars.strip(SPACE), call.arg(3).chars.strip(SPACE)
        if not re.fullmatch(r"\d{1,9}", start or "0") or not re.fullmatch(r"\d{1,9}|", count):
            return generated(UNKNOWN)
        first = int(start or "0")
        return self._text(call, lambda a: a[first : first + int(count) if count else None])

    def _translit(self, call: Call) -> Text:
        old, new = call.arg(2).chars, call.arg(3).chars
        if "-" in old + new:
            return generated(UNKNOWN)
        table = {ord(char): new[at : at + 1] for at, char in reversed(list(enumerate(old)))}
        return self._text(call, lambda a: a.translate(table))
