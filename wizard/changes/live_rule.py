"""One live rule: how it is added, where it belongs, how it is found again, and how only it is removed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from wizard.model.firewall_names import MARK
from wizard.packet_filter.iptables import Line, filter_table
from wizard.packet_filter.nftables import Ruleset, ruleset
from wizard.packet_filter.walk import Packet, Verdict, fate

if TYPE_CHECKING:
    from wizard.system.host import Host

Tool = Literal["nft", "iptables", "ip6tables", "firewalld"]


@dataclass(frozen=True)
class LivePlaces:
    """What is live of a rule: its places (handles, positions), and the place before which it belongs (None: the end)."""

    places: tuple[int, ...] = ()
    before: int | None = None
    merged: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Rules into which shorewall has merged it with others: place, and the options without its port."""


@dataclass(frozen=True)
class LiveRule:
    """Accept TCP to `port` in `chain`: a chain of nftables (`inet filter input`) or iptables, or a zone of firewalld."""

    tool: Tool
    chain: str
    port: int
    family: int
    marked: bool = True
    """Whether it carries our mark; ufw and firewalld know their rules by what they say."""
    shared: bool = False
    """Whether the firewall may merge it with others when it starts, as shorewall does."""
    at: int | None = None
    """The handle or position before which it goes, as planned; None: the end. Looked up again when it is added."""

    def record(self) -> dict[str, object]:
        """For the journal and the commit."""
        return asdict(self)

    @classmethod
    def recalled(cls, record: Mapping[str, Any]) -> LiveRule:
        """From `record`. Raises KeyError or TypeError."""
        return cls(**record)

    @property
    def options(self) -> tuple[str, ...]:
        """The rule as iptables takes it."""
        comment = ("-m", "comment", "--comment", MARK) if self.marked else ()
        return ("-p", "tcp", "-m", "tcp", "--dport", str(self.port), *comment, "-j", "ACCEPT")

    def words(self, *, remove: bool = False) -> str:
        """The command, for people."""
        argv = self._removal(0) if remove else self.adding(LivePlaces(before=self.at))
        return shlex.join(argv).replace("handle 0", "handle N").replace("'\"", '"').replace("\"'", '"')

    def adding(self, found: LivePlaces) -> tuple[str, ...]:
        """The command that adds it."""
        if self.tool == "firewalld":
            return ("firewall-cmd", f"--zone={self.chain}", f"--add-port={self.port}/tcp")
        if self.tool == "nft":
            rule = ("tcp", "dport", str(self.port), "accept", "comment", f'"{MARK}"')
            if found.before is None:
                return ("nft", "add", "rule", *self.chain.split(), *rule)
            return ("nft", "insert", "rule", *self.chain.split(), "position", str(found.before), *rule)
        if found.before is None:
            return (self.tool, "-w", "10", "-A", self.chain, *self.options)
        return (self.tool, "-w", "10", "-I", self.chain, str(found.before), *self.options)

    def removing(self, found: LivePlaces) -> tuple[tuple[str, ...], ...]:
        """The commands that take it out, the last place first."""
        replaced = tuple(
            (self.tool, "-w", "10", "-R", self.chain, str(place), *options) for place, options in found.merged
        )
        return (*replaced, *(self._removal(place) for place in sorted(found.places, reverse=True)))

    def shell_removal(self) -> str:
        """A command for sh that takes it out, for a script that knows nothing but this."""
        if self.tool != "nft":
            return shlex.join(self._removal(0))
        rule = f'tcp dport {self.port} accept comment "{MARK}" # handle '
        expression = shlex.quote(f"s/^[[:space:]]*{rule}\\([0-9]*\\)$/\\1/p")
        return (
            f"nft -a -n list chain {self.chain} | sed -n {expression} | "
            f'while read -r handle; do nft delete rule {self.chain} handle "$handle"; done'
        )

    def _removal(self, place: int) -> tuple[str, ...]:
        if self.tool == "firewalld":
            return ("firewall-cmd", f"--zone={self.chain}", f"--remove-port={self.port}/tcp")
        if self.tool == "nft":
            return ("nft", "delete", "rule", *self.chain.split(), "handle", str(place))
        if not place:
            return (self.tool, "-w", "10", "-D", self.chain, *self.options)
        return (self.tool, "-w", "10", "-D", self.chain, str(place))


def look(host: Host, rule: LiveRule, deadline: float) -> LivePlaces | None:
    """What is live of it, None where its chain or its program is not there. Raises HostError, ValueError."""
    from wizard.errors import HostError
    from wizard.gather.firewall import outside

    programs = {"nft": "nft", "firewalld": "firewall-cmd"}
    program = programs.get(rule.tool, rule.tool)
    if not any(host.exists(f"/{folder}/{program}") for folder in ("usr/sbin", "usr/bin", "sbin", "bin")):
        return None
    packet = Packet(rule.family, rule.port, outside(host))
    if rule.tool == "firewalld":
        result = host.run(["firewall-cmd", f"--zone={rule.chain}", "--list-ports"], timeout=deadline)
        if result.code != 0:
            return None
        return LivePlaces((1,) if f"{rule.port}/tcp" in result.stdout.split() else ())
    argv = ["nft", "-j", "list", "ruleset"] if rule.tool == "nft" else [f"{rule.tool}-save", "-t", "filter"]
    result = host.run(argv, timeout=deadline, encoding="latin-1")
    if result.code != 0:
        raise HostError(f"`{result.command}` failed with status {result.code}: {result.tail(3)}")
    if rule.tool == "nft":
        return in_nft(ruleset(result.stdout), rule, packet)
    return in_xtables(result.stdout, rule, packet)


def in_nft(live: Ruleset, rule: LiveRule, packet: Packet) -> LivePlaces | None:
    """As `look`, in the ruleset."""
    chain = live.chains.get(rule.chain)
    if chain is None:
        return None
    ours = (item for item in chain.rules if item.comment == MARK)
    places = tuple(item.place for item in ours if _takes(item.judge(packet)[0], rule, item, packet))
    return LivePlaces(places, _before(fate(live.chains, rule.chain, packet).way))


def _takes(match: str, rule: LiveRule, item: Any, packet: Packet) -> bool:
    """Whether a marked rule is that of this port, and not that of another."""
    other = Packet(packet.family, 1 if rule.port != 1 else 2, packet.outside)
    return match == "always" and item.judge(other)[0] == "never"


def in_xtables(saved: str, rule: LiveRule, packet: Packet) -> LivePlaces | None:
    """As `look`, in what iptables-save printed."""
    table = filter_table(saved)
    if rule.chain not in table.declared:
        return None
    places, merged = [], []
    for place, line in enumerate(table.of(rule.chain), 1):
        if line.options == rule.options:
            places.append(place)
        elif rule.shared and MARK in line.comment and _names(line, rule.port):
            rest = _without(line, rule.port)
            merged.append((place, rest)) if rest else places.append(place)
    found = fate(table.chains(), rule.chain, packet)
    before = _before(found.way) if found.verdict is Verdict.DROP else None
    return LivePlaces(tuple(places), before, tuple(merged))


def _before(way: Sequence[tuple[str, int | None]]) -> int | None:
    return way[0][1] if way else None


def _names(line: Line, port: int) -> bool:
    return line.target == "ACCEPT" and (port, port) in line.ports


def _without(line: Line, port: int) -> tuple[str, ...]:
    """The options of a merged rule without the port; shorewall's own comment on it stays till it starts again."""
    rest = [
        f"{low}" if low == high else f"{low}:{high}"
        for low, high in line.ports
        if (low, high) != (port, port)
    ]
    if not rest:
        return ()
    options = list(line.options)
    at = options.index("--dports")
    options[at + 1] = ",".join(rest)
    if len(rest) == 1:
        options[at - 2 : at + 2] = ["-m", "tcp", "--dport", rest[0]]
    return tuple(options)
