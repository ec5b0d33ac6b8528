"""The editor of /etc/pam.d/smtp (pam.d(5)), for the two lines that say who may log in.

The lines can only refuse: whoever they let through goes on as if they were not there (`success=ignore`). With `required`
a stack of nothing but `sufficient` modules would take any password, for its one success would be ours.

There is one for `account`, where a service is granted (pam(7)), and one for `auth`: by `account` alone a right password
is refused at once and a wrong one after PAM's delay of two seconds, which tells somebody who guesses that it is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.editors import EditError, line_start

KINDS = ("auth", "account")
"""The phases that saslauthd goes through (auth_pam.c)."""
MODULE = "pam_succeed_if.so"
NOBODY = 65534
"""The uid of nobody in Debian, above those of users (Debian Policy 9.2.2)."""
INCLUDE = "@include"
REMEDY = "`msa-wizard troubleshoot` says what is wrong in PAM, and what fixes it"
_REFUSE = "[success=ignore default=bad]"
_REFUSE_KNOWN = "[success=ignore user_unknown=ignore default=bad]"
_MARK = "# Written by msa-wizard (login-policy): "
_TYPES = (*KINDS, "password", "session")
_CONTROLS = frozenset(["required", "requisite", "sufficient", "optional", "include", "substack"])
_TOKEN = re.compile(r"\[(?:\\.|[^\]\\])*\]|[^ \t]+")
_DOUBTFUL = re.compile(r"#[^\n]*\\$", re.MULTILINE)
_MARKED = re.compile(rf"^{re.escape(_MARK)}[^\n]*\n", re.MULTILINE)
_REFUSING = frozenset([_REFUSE, _REFUSE_KNOWN, "required", "requisite"])
_BRACKET = re.compile(r"\[\s*\w+=\w+(?:\s+\w+=\w+)*\s*\]\Z")
_FLAGS = frozenset(["debug", "quiet", "quiet_fail", "quiet_success", "audit"])
_RESTRICTS = frozenset(
    f"pam_{name}.so" for name in ("succeed_if", "listfile", "access", "securetty", "shells", "time", "wheel")
)
_SIGNS = {"ge": ">=", "gt": ">", "lt": "<", "ne": "!="}
"""Other spellings in pam_succeed_if(8)."""


@dataclass(frozen=True)
class Policy:
    """Who may log in: accounts from `uid_min` on but nobody, or members of one of `groups`."""

    uid_min: int | None = None
    groups: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """As the subject of `may log in`."""
        return f"members of {', '.join(self.groups)}" if self.groups else "all but root and system accounts"

    @property
    def lines(self) -> tuple[str, ...]:
        """The two lines. Whom this host does not know by a uid is no system account: the rest of the stack decides."""
        groups = ":".join(self.groups)
        control, condition = _REFUSE, f"user ingroup {f'[{groups}]' if ' ' in groups else groups}"
        if not self.groups:
            control, condition = _REFUSE_KNOWN, f"uid >= {self.uid_min} uid ne {NOBODY}"
        return tuple(f"{kind} {control} {MODULE} quiet_success {condition}" for kind in KINDS)


@dataclass(frozen=True)
class Line:
    """A line with those that it goes on in (a backslash at the end), without its comment, and its place in the text."""

    number: int
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Rule:
    """What a line says. `kind` is INCLUDE for `@include`, where `module` is the file."""

    line: Line
    kind: str
    control: str
    module: str
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The module without its folder."""
        return self.module.rpartition("/")[2]


def is_ours(line: str) -> bool:
    """Whether a line is one of the two, whatever it asks."""
    words = _TOKEN.findall(line)
    return words[2:3] == [MODULE] and words[1].startswith("[success=ignore ")


def lines(text: str) -> Iterator[Line]:
    """Those that say something."""
    number, at = 1, 0
    while at < len(text):
        start, first, parts, more = at, number, list[str](), True
        while more and at < len(text):
            end = text.find("\n", at) + 1 or len(text)
            raw = text[at:end].removesuffix("\n")
            code, comment, _ = raw.partition("#")
            more = raw.endswith("\\") and not comment
            parts.append(code.removesuffix("\\"))
            at, number = end, number + 1
        if joined := " ".join(parts).strip(" \t"):
            yield Line(first, start, at, joined)


def rule(text: str, line: Line) -> Rule:
    """What `line` of `text` says. Raises EditError where PAM would not understand it."""
    words = _TOKEN.findall(line.text)
    if re.search(r"[\r\0]", line.text):
        raise _wrong(text, line, "PAM takes a carriage return or a null byte for a part of the word")
    if words[0] == INCLUDE and len(words) == 2:
        return Rule(line, INCLUDE, "", words[1])
    kind = words[0].removeprefix("-").lower()
    if kind not in _TYPES or len(words) < 3:
        raise _wrong(text, line, "this is not a line that PAM understands")
    control = words[1]
    if not _BRACKET.match(control) and control.lower() not in _CONTROLS:
        raise _wrong(text, line, f"{control!r} is not a control word that PAM knows")
    return Rule(line, kind, control, words[2], _arguments(words))


def _arguments(words: list[str]) -> tuple[str, ...]:
    """An argument with blanks stands in brackets."""
    return tuple(word[1:-1].replace("\\]", "]") if word.startswith("[") else word for word in words[3:])


def _wrong(text: str, line: Line, why: str) -> EditError:
    return EditError.at(text, line.start, why, "correct it, or make it a comment with #")


def rules(text: str) -> list[Rule]:
    """All lines. Raises EditError."""
    return [rule(text, line) for line in lines(text)]


def own(text: str) -> list[Rule]:
    """Those below the comment that set_policy has written. Raises EditError."""
    starts = {match.end() for match in _MARKED.finditer(text)}
    ours = [each for each in rules(text) if is_ours(each.line.text)]
    first = [each for each in ours if each.line.start in starts][:1]
    return first + [each for each in ours if first and each.line.start == first[0].line.end]


def present(text: str) -> Policy | None:
    """What those ask, None where there are none, or they ask something else by now. Raises EditError."""
    found = [_policy(each.arguments) for each in own(text)]
    return found[0] if len(found) == len(KINDS) and found[0] == found[1] else None


def asked_by(line: str) -> Policy | None:
    """What one of the two lines asks, None for another."""
    return _policy(_arguments(_TOKEN.findall(line))) if is_ours(line) else None


def _policy(arguments: tuple[str, ...]) -> Policy | None:
    match arguments[1:]:
        case ["uid", ">=", number, *_] if number.isdigit():
            return Policy(int(number))
        case ["user", "ingroup", names]:
            return Policy(groups=tuple(names.split(":")))
    return None


def marked(text: str) -> bool:
    """Whether set_policy has written to it, also where PAM does not understand the text any more."""
    return _MARK in text


def others(text: str) -> list[Rule]:
    """The admin's own lines that say who may log in. Raises EditError."""
    ours = own(text)
    return [
        each for each in rules(text) if each.kind in KINDS and each.name in _RESTRICTS and each not in ours
    ]


def in_force(text: str, policy: Policy) -> bool:
    """Whether lines for both phases ask just that, whoever wrote them, where no other lets a user past them. Raises
    EditError."""
    return all(any(_asks(each, policy) for each in _first(text, kind)) for kind in KINDS)


def _first(text: str, kind: str) -> Iterator[Rule]:
    """The lines for it that every login comes to."""
    for each in rules(text):
        if each.kind == INCLUDE:
            return
        if each.kind != kind:
            continue
        refusing = each.control.lower() in _REFUSING
        if refusing and not each.line.text.startswith("-"):
            yield each
        if not refusing and each.control.lower() != "optional":
            return


def _asks(each: Rule, policy: Policy) -> bool:
    words = [word for word in each.arguments if word not in _FLAGS]
    if each.name != MODULE or len(words) % 3:
        return False
    conditions = {
        (words[at], _SIGNS.get(words[at + 1], words[at + 1]), words[at + 2]) for at in range(0, len(words), 3)
    }
    if policy.groups:
        wanted = ("user", "ingroup", ":".join(policy.groups))
        return len(conditions) == 1 and all(
            (what, sign, frozenset(value.split(":"))) == (*wanted[:2], frozenset(policy.groups))
            for what, sign, value in conditions
        )
    lowest = policy.uid_min or 0
    starts = {("uid", ">=", str(lowest)), ("uid", ">", str(lowest - 1))}
    ends = {("uid", "!=", str(NOBODY)), ("user", "!=", "nobody"), ("uid", "<", str(NOBODY))}
    return bool(conditions & starts and conditions & ends) and conditions <= starts | ends


def set_policy(text: str, policy: Policy) -> str:
    """The two lines in front of all others, in place of those that were written before; the text itself where they are in
    force. Raises EditError for a text that PAM does not understand, or may understand in two ways."""
    if doubtful := _DOUBTFUL.search(text):
        why = "versions of PAM differ in whether the next line belongs to this comment"
        raise EditError.at(text, doubtful.start(), why, "take away the backslash at its end")
    if in_force(text, policy):
        return text
    text = without(text)
    there = rules(text)
    if not there:
        raise EditError(None, "", "it has no line, so PAM takes those of the service `other`", REMEDY)
    block = "".join(f"{line}\n" for line in (f"{_MARK}{policy.says} may log in", *policy.lines))
    return text[: there[0].line.start] + block + text[there[0].line.start :]


def without(text: str) -> str:
    """Without what set_policy has written. Raises EditError."""
    ours = own(text)
    if not ours:
        return text
    start = line_start(text, ours[0].line.start - 1)
    return text[:start] + text[ours[-1].line.end :]
