"""The rules of iptables and ip6tables as `iptables-save` prints them, and as iptables-restore reads them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wizard.packet_filter.walk import Chain, Match, Packet, Rule, Verdict, any_of, both, negated, when

_VERDICTS = {
    "ACCEPT": Verdict.ACCEPT,
    "DROP": Verdict.DROP,
    "REJECT": Verdict.DROP,
    "TARPIT": Verdict.DROP,
    "RETURN": Verdict.RETURN,
}
_LOGS = frozenset({"LOG", "NFLOG", "ULOG"})
_PORTS = frozenset({"--dport", "--destination-port", "--dports", "--destination-ports"})
_NAMES = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465, "urd": 465, "ssh": 22}
"""Ports that a rules file may call by their names in /etc/services."""


@dataclass(frozen=True)
class Line:
    """A line `-A CHAIN ...`: its line in the text (0-based), its chain and its options."""

    number: int
    chain: str
    options: tuple[str, ...]

    @property
    def comment(self) -> str:
        """What `--comment` says."""
        return _after(self.options, "--comment")

    @property
    def target(self) -> str:
        """Where it jumps or goes."""
        return _after(self.options, "-j") or _after(self.options, "-g")

    @property
    def ports(self) -> tuple[tuple[int, int], ...]:
        """The destination ports that it names, as ranges."""
        return next((_ranges(value) for name, value, _ in _options(self.options) if name in _PORTS), ())


@dataclass(frozen=True)
class Table:
    """The filter table of a text: lines in their order, the policies of the base chains, and the line of COMMIT."""

    lines: tuple[Line, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    declared: Mapping[str, int] = field(default_factory=dict)
    """Each chain, and the line on which it is declared."""
    commit: int | None = None

    def of(self, chain: str) -> tuple[Line, ...]:
        """The lines of a chain."""
        return tuple(line for line in self.lines if line.chain == chain)

    def chains(self) -> dict[str, Chain]:
        """For a walk: a rule's place is its position in its chain, counted from 1 as iptables does."""
        return {
            name: Chain(
                name,
                tuple(_rule(place, line, self) for place, line in enumerate(self.of(name), 1)),
                _VERDICTS.get(self.policies.get(name, "-")),
            )
            for name in self.declared
        }


def filter_table(text: str) -> Table:
    """The filter table in what iptables-save prints. Lines that are none are passed by."""
    lines: list[Line] = []
    policies: dict[str, str] = {}
    declared: dict[str, int] = {}
    commit, inside = None, False
    for number, raw in enumerate(text.split("\n")):
        line = raw.strip()
        if line.startswith("*"):
            inside = line == "*filter" and commit is None
        elif not inside:
            continue
        elif line == "COMMIT":
            commit, inside = number, False
        elif line.startswith(":") and len(words := line[1:].split()) > 1:
            declared[words[0]] = number
            policies[words[0]] = words[1]
        else:
            try:
                words = shlex.split(line)
            except ValueError:
                continue
            if words and words[0].startswith("["):  # counters, of iptables-save -c
                words = words[1:]
            if len(words) > 1 and words[0] in ("-A", "--append"):
                lines.append(Line(number, words[1], tuple(words[2:])))
                declared.setdefault(words[1], number)
    return Table(tuple(lines), policies, declared, commit)


def _rule(place: int, line: Line, table: Table) -> Rule:
    def judge(packet: Packet) -> tuple[Match, Verdict, str]:
        verdict = _VERDICTS.get(line.target)
        if line.target in table.declared:
            verdict = Verdict.GOTO if "-g" in line.options else Verdict.JUMP
        elif verdict is None:
            return Match.PERHAPS, Verdict.LOG if line.target in _LOGS else Verdict.NONE, ""
        conditions = _conditions(line.options, packet)
        match = both(*(negated(each) if inverse else each for each, inverse in conditions))
        return match, verdict, line.target

    return Rule(place, judge, line.comment)


def _conditions(options: Sequence[str], packet: Packet) -> Iterator[tuple[Match, bool]]:
    for name, value, inverse in _options(options):
        match name:
            case "-p" | "--protocol":
                yield when(value in ("tcp", "6", "all", "0")), inverse
            case "-i" | "--in-interface":
                yield packet.by(value), inverse
            case "-s" | "--source" | "--src":
                yield any_of(packet.comes_from(net) for net in value.split(",")), inverse
            case "--src-range":
                first, _, last = value.partition("-")
                yield packet.comes_from(first, last or first), inverse
            case "--ctstate" | "--state":
                yield when("NEW" in value.split(",")), inverse
            case "--syn":
                yield Match.ALWAYS, inverse
            case "--tcp-flags":
                mask, _, flags = value.partition(" ")
                one = flags in ("SYN", "NONE") and (flags == "SYN") == ("SYN" in mask.split(","))
                yield when(one) if flags in ("SYN", "NONE") else Match.NEVER, inverse
            case "--rt-type":  # an IPv6 header that no mail client sends
                yield Match.NEVER, inverse
            case "--dst-type":
                yield when("LOCAL" in value.split(",")), inverse
            case "--comment" | "-m" | "--match" | "-j" | "--jump" | "-g" | "--goto":
                continue
            case _ if name in _PORTS:
                yield when(any(low <= packet.port <= high for low, high in _ranges(value))), inverse
            case _ if name.startswith(("--reject-with", "--log-", "--nflog-")):
                continue
            case _:
                yield Match.PERHAPS, False


def _options(options: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Each option with its values joined by a blank, and whether a `!` precedes it."""
    index, inverse = 0, False
    while index < len(options):
        word = options[index]
        index += 1
        if word == "!":
            inverse = True
            continue
        values: list[str] = []
        while index < len(options) and word != "--syn":  # which has no value
            value = options[index]
            option = value == "!" or (value.startswith("-") and len(value) > 1 and not value[1:].isdigit())
            if (word == "--comment" and values) or (word != "--comment" and option):
                break
            values.append(value)
            index += 1
        yield word, " ".join(values), inverse
        inverse = False


def _ranges(value: str) -> tuple[tuple[int, int], ...]:
    ranges = []
    for part in value.split(","):
        low, _, high = part.partition(":")
        ranges.append((_port(low, 0), _port(high, 65535 if ":" in part else _port(low, -1))))
    return tuple(ranges)


def _port(text: str, empty: int) -> int:
    if not text:
        return empty
    return int(text) if text.isdigit() else _NAMES.get(text, -1)


def _after(options: Sequence[str], name: str) -> str:
    return options[options.index(name) + 1] if name in options[:-1] else ""
