"""One DAEMON_OPTIONS argument: what sendmail reads in it, and which listeners get in each other's way.

sendmail looks at the first letter of a key only, takes the last of repeated keys, and ignores what has no `=`
(setsockaddroptions() in sendmail/daemon.c; DaemonPortOptions in the Installation and Operation Guide).
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.editors.m4_text import SPACE

_PORTS = {
    **dict.fromkeys(("", "smtp", "mail"), 25),
    "submission": 587,
    **dict.fromkeys(("submissions", "smtps", "ssmtp", "urd"), 465),
}
_SERVICES = {25: "smtp", 587: "submission", 465: "submissions"}
_FAMILIES = {"2": "inet", "10": "inet6", "1": "unix", "local": "unix"}
_FAMILY_NAMES = frozenset(["inet", "inet6", "unix", "iso", "ns", "x.25"])
_EITHER_CASE = frozenset("afilmnpst")  # A and a are the same key; c, D, d, q, R and r are keys of their own
LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_EXACT_CASE = frozenset("cDdqRrT")


@dataclass(frozen=True, slots=True)
class Pair:
    """One `key=value` of an argument; all numbers are indexes into it. `letter` is the key as sendmail tells keys
    apart, empty where there is no `=`. `start` and `end` leave out the blanks around the pair."""

    letter: str
    start: int
    end: int
    value_start: int

    def value(self, argument: str) -> str:
        """The value without blanks around it."""
        return argument[self.value_start : self.end] if self.letter else ""


@dataclass(frozen=True, slots=True)
class DaemonOption:
    """One live listener of a sendmail.mc. `port` is as written, empty where absent (sendmail takes smtp then);
    `modifiers` are the letters in force; `raw` is the argument as it reaches sendmail.cf."""

    line: int
    family: str
    name: str | None
    port: str
    address: str | None
    modifiers: str
    raw: str

    @property
    def service(self) -> str:
        """`smtp`, `submission` or `submissions` for ports 25, 587 and 465; else the port, as a number where it is one."""
        number = self.port_number
        return self.port if number is None else _SERVICES.get(number, str(number))

    @property
    def port_number(self) -> int | None:
        """The TCP port; None for a service name that only /etc/services knows."""
        digits = re.match(r"\d+", self.port)
        return int(digits.group()[:9]) if digits else _PORTS.get(self.port.lower())

    @property
    def wildcard(self) -> bool:
        """Whether it listens on every address of its family."""
        return is_wildcard(self.address)

    @property
    def loopback(self) -> bool:
        """Whether it listens on a loopback address only."""
        return is_loopback(self.address)

    @property
    def optional(self) -> bool:
        """Modifier O: sendmail goes on without it where its socket cannot be had."""
        return "O" in self.modifiers


def plain_address(address: str | None) -> str | None:
    """An address in its shortest form, for comparing; None for every address of the family."""
    if address is None or not address.strip():
        return None
    bare = address.strip().lower().strip("[]").removeprefix("ipv6:").strip("[]")
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        return bare
    return None if parsed.is_unspecified else str(parsed)


def is_wildcard(address: str | None) -> bool:
    """No address, 0.0.0.0 or ::."""
    return plain_address(address) is None


def is_loopback(address: str | None) -> bool:
    """127.*, ::1, localhost and Debian's ip6-localhost."""
    plain = plain_address(address)
    if plain in LOOPBACK_NAMES:
        return True
    try:
        return plain is not None and ipaddress.ip_address(plain).is_loopback
    except ValueError:
        return False


def pairs(argument: str) -> tuple[Pair, ...]:
    """The parts of an argument, empty ones left out."""
    kept = []
    at = 0
    for part in argument.split(","):
        start = at + len(part) - len(part.lstrip(SPACE))
        end = at + len(part.rstrip(SPACE))
        at += len(part) + 1
        equals = argument.find("=", start, end)
        if start < end and equals < 0:
            kept.append(Pair("", start, end, end))
        elif start < end:
            letter, value = argument[start], end - len(argument[equals + 1 : end].lstrip(SPACE))
            kept.append(Pair(letter.lower() if letter.lower() in _EITHER_CASE else letter, start, end, value))
    return tuple(kept)


def last(argument: str, letter: str) -> Pair | None:
    """The pair of that key that is in force."""
    return next((pair for pair in reversed(pairs(argument)) if pair.letter == letter), None)


def unknown_pair(argument: str) -> str | None:
    """The first `key=value` that ends sendmail with `PortOptions parameter unknown` (or `Unknown address family`)."""
    for pair in pairs(argument):
        strange = pair.letter and pair.letter not in _EITHER_CASE | _EXACT_CASE
        if strange or (pair.letter == "f" and _family(pair.value(argument)) not in _FAMILY_NAMES):
            return argument[pair.start : pair.end]
    return None


def parse(argument: str, line: int) -> DaemonOption:
    """What sendmail takes from the argument."""

    def value(letter: str) -> str:
        pair = last(argument, letter)
        return pair.value(argument) if pair else ""

    return DaemonOption(
        line=line,
        family=_family(value("f") or "inet"),
        name=value("n") or None,
        port=value("p"),
        address=value("a") or None,
        modifiers="".join(value("m").split()),
        raw=argument,
    )


def _family(value: str) -> str:
    return _FAMILIES.get(value.lower(), value.lower())


def with_letters(modifiers: str, require: str, forbid: str) -> str:
    """The modifiers with the forbidden letters out and the missing ones behind; the rest keeps its order."""
    kept = "".join(letter for letter in modifiers if letter not in forbid)
    return kept + "".join(letter for letter in require if letter not in kept)


def collide(first: DaemonOption, second: DaemonOption) -> bool:
    """Whether `second` cannot have its socket once `first`, which is above it, has its own.

    A wildcard of inet6 takes IPv4 as well. Modifier O on the later one makes sendmail go on without it."""
    if first.port_number is None or first.port_number != second.port_number or second.optional:
        return False
    families = {first.family, second.family}
    if not families <= {"inet", "inet6"}:
        return False
    if len(families) == 1:
        same = plain_address(first.address) == plain_address(second.address)
        return first.wildcard or second.wildcard or same
    return (first if first.family == "inet6" else second).wildcard


def collisions(options: Sequence[DaemonOption]) -> tuple[str, ...]:
    """A sentence for each pair of listeners of which sendmail can open only one.

    Some 45 s after such a start the whole MTA ends: `server SMTP socket wedged: exiting`."""
    return tuple(
        f"lines {first.line} and {second.line} both listen on port {first.port_number} "
        f"({_place(first)} and {_place(second)}): sendmail cannot open the second and would exit, "
        "closing every port, 45 s after its start"
        for first, second in itertools.combinations(options, 2)
        if collide(first, second)
    )


def _place(option: DaemonOption) -> str:
    both = option.family == "inet6" and option.address is None
    return f"{option.family} {option.address or 'on every address'}{', which takes IPv4 too' if both else ''}"
