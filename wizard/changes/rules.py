"""Live rules of a firewall: added beside what others have there, recognised by their mark, and removed without touching the rest.

No firewall is reloaded for it: that would flush the rules of fail2ban and docker (docs/debian.md section Firewalls)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from wizard.changes.confirm_or_revert import Confirmation
from wizard.changes.file import FileChange
from wizard.errors import ChangeError, GateError, HostError
from wizard.gather.firewall import outside
from wizard.model.claim import Claim
from wizard.model.firewall_names import MARK
from wizard.model.plan import Description
from wizard.packet_filter.iptables import Line, filter_table
from wizard.packet_filter.nftables import Ruleset, ruleset
from wizard.packet_filter.walk import Packet, Verdict, fate
from wizard.system.host import Host, Say

DEADLINE = 30.0
"""Seconds for one command of a firewall."""
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

    @property
    def options(self) -> tuple[str, ...]:
        """The rule as iptables takes it."""
        comment = ("-m", "comment", "--comment", MARK) if self.marked else ()
        return ("-p", "tcp", "-m", "tcp", "--dport", str(self.port), *comment, "-j", "ACCEPT")

    def words(self, *, remove: bool = False) -> str:
        """The command as a shell takes it; the handle N by which nft removes a rule is known only then."""
        argv = self._removal(0) if remove else self.adding(LivePlaces(before=self.at))
        of_nft = remove and self.tool == "nft"
        return shlex.join(argv[:-1]) + f" N  # of port {self.port}" if of_nft else shlex.join(argv)

    def adding(self, live: LivePlaces) -> tuple[str, ...]:
        """The command that adds it."""
        if self.tool == "firewalld":
            return ("firewall-cmd", f"--zone={self.chain}", f"--add-port={self.port}/tcp")
        if self.tool == "nft":
            rule = ("tcp", "dport", str(self.port), "accept", "comment", f'"{MARK}"')
            if live.before is None:
                return ("nft", "add", "rule", *self.chain.split(), *rule)
            return ("nft", "insert", "rule", *self.chain.split(), "position", str(live.before), *rule)
        if live.before is None:
            return (self.tool, "-w", "10", "-A", self.chain, *self.options)
        return (self.tool, "-w", "10", "-I", self.chain, str(live.before), *self.options)

    def removing(self, live: LivePlaces) -> tuple[tuple[str, ...], ...]:
        """The commands that take it out, the last place first."""
        argv = self.tool, "-w", "10", "-R", self.chain
        replaced = tuple((*argv, str(place), *options) for place, options in live.merged)
        return (*replaced, *(self._removal(place) for place in sorted(live.places, reverse=True)))

    def shell_query(self) -> str:
        """A command for sh that succeeds where it is there, ours or another that says the same."""
        if self.tool == "firewalld":
            return shlex.join(("firewall-cmd", f"--zone={self.chain}", f"--query-port={self.port}/tcp"))
        if self.tool != "nft":
            return shlex.join((self.tool, "-w", "10", "-C", self.chain, *self.options))
        line = shlex.quote(f'^[[:space:]]*tcp dport {self.port} accept comment "{MARK}"$')
        return f"nft -n list chain {self.chain} | grep -q {line}"

    def shell_adding(self) -> str:
        """A command for sh that puts it before all others of its chain, for a script that knows nothing but this."""
        if self.tool == "nft":
            return f'nft insert rule {self.chain} tcp dport {self.port} accept comment \\"{MARK}\\"'
        return shlex.join(self.adding(LivePlaces(before=1)))

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


def look(host: Host, rule: LiveRule) -> LivePlaces | None:
    """What is live of it, None where its chain or its program is not there. Raises HostError, ValueError."""
    program = "firewall-cmd" if rule.tool == "firewalld" else rule.tool
    if not any(host.exists(f"/{folder}/{program}") for folder in ("usr/sbin", "usr/bin", "sbin", "bin")):
        return None
    packet = Packet(rule.family, rule.port, outside(host))
    if rule.tool == "firewalld":
        result = host.run(["firewall-cmd", f"--zone={rule.chain}", "--list-ports"], timeout=DEADLINE)
        if result.code != 0:
            return None
        return LivePlaces((1,) if f"{rule.port}/tcp" in result.stdout.split() else ())
    argv = ["nft", "-j", "list", "ruleset"] if rule.tool == "nft" else [f"{rule.tool}-save", "-t", "filter"]
    result = host.run(argv, timeout=DEADLINE, encoding="latin-1")
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
    other = Packet(packet.family, 1 if rule.port != 1 else 2, packet.outside)
    ours = (each for each in chain.rules if each.comment == MARK and each.judge(packet)[0] == "always")
    # Else it is the rule of another port, or of more than this.
    places = tuple(each.place for each in ours if each.judge(other)[0] == "never")
    way = fate(live.chains, rule.chain, packet).way
    return LivePlaces(places, way[0][1] if way else None)


def in_xtables(saved: str, rule: LiveRule, packet: Packet) -> LivePlaces | None:
    """As `look`, in what iptables-save printed."""
    table = filter_table(saved)
    if rule.chain not in table.declared:
        return None
    places, merged, port = [], [], (rule.port, rule.port)
    for place, line in enumerate(table.of(rule.chain), 1):
        if line.options == rule.options:
            places.append(place)
        elif rule.shared and MARK in line.comment and line.target == "ACCEPT" and port in line.ports:
            rest = _without(line, rule.port)
            merged.append((place, rest)) if rest else places.append(place)
    packets_fate = fate(table.chains(), rule.chain, packet)
    before = packets_fate.way[0][1] if packets_fate.way and packets_fate.verdict is Verdict.DROP else None
    return LivePlaces(tuple(places), before, tuple(merged))


def _without(line: Line, port: int) -> tuple[str, ...]:
    """The options of a merged rule without the port; shorewall's own comment on it stays till it starts again."""
    others = [ports for ports in line.ports if ports != (port, port)]
    rest = [f"{low}" if low == high else f"{low}:{high}" for low, high in others]
    if not rest:
        return ()
    options = list(line.options)
    at = options.index("--dports")
    options[at + 1] = ",".join(rest)
    if len(rest) == 1:
        options[at - 2 : at + 2] = ["-m", "tcp", "--dport", rest[0]]
    return tuple(options)


@dataclass(frozen=True)
class RulesEffect:
    """Live rules that were added, or with `removed`, removed."""

    rules: tuple[LiveRule, ...]
    removed: bool = False
    confirm: int = 0
    """Seconds in which they had to be confirmed, 0 when they had not."""

    def undo(self, host: Host, say: Say) -> None:
        """Take out what was added, also where the machine was booted since and has it from its files; or add again
        what was taken out. Raises ChangeError."""
        for rule in self.rules if self.removed else reversed(self.rules):
            (_add if self.removed else _remove)(host, rule, say)

    def claim(self, host: Host) -> Claim:
        """No file."""
        return Claim()

    def record(self) -> dict[str, object]:
        """The rules."""
        rules = [asdict(rule) for rule in self.rules]
        return {"kind": "rules", "rules": rules, "removed": self.removed, "confirm": self.confirm}


@dataclass(frozen=True)
class RulesChange:
    """Add `rules` to what is live, or with `remove`, remove them."""

    rules: tuple[LiveRule, ...]
    remove: bool = False
    first: tuple[FileChange, ...] = field(default=(), compare=False)
    """Files that are written afterwards: their own tools must accept them before anything is done."""
    guard: Confirmation | None = None
    """What removes them again unless somebody confirms that the connection still works."""

    kind = "rules"
    touches: tuple[str, ...] = ()

    def describe(self) -> Description:
        """The commands; the place of a rule in its chain is part of it."""
        one = len(self.rules) == 1
        rules, they = ("rule", "it is") if one else ("rules", "they are")
        added = f"add {'a ' if one else ''}live {rules}, beside what is there"
        title = f"remove the live {rules}" if self.remove else added
        if self.guard is not None:
            title += f"; {they} removed again unless confirmed within {self.guard.seconds} s"
        return Description(title, commands=tuple(rule.words(remove=self.remove) for rule in self.rules))

    def expect(self, host: Host) -> RulesEffect:
        """The rules."""
        return RulesEffect(self.rules, self.remove, self.guard.seconds if self.guard is not None else 0)

    def apply(self, host: Host, say: Say) -> RulesEffect:
        """Check the files, then do it rule by rule. Raises ChangeError with what was done by then."""
        for change in self.first:
            if change.gate is not None and change.after is not None:
                try:
                    change.gate.check(host, change.after.content, say)
                except GateError as error:
                    raise ChangeError(f"{change.path}: {error}. Nothing was changed") from error
        changed: list[LiveRule] = []
        removals = tuple(rule.shell_removal() for rule in reversed(self.rules))
        guard = self.guard.arm(host, removals, say) if self.guard is not None else None
        try:
            for rule in self.rules:
                (_remove if self.remove else _add)(host, rule, say)
                changed.append(rule)
            if self.guard is not None and guard is not None:
                self.guard.wait(guard, host, say)
        except ChangeError as error:
            error.effect = replace(self.expect(host), rules=tuple(changed))
            raise
        return self.expect(host)


def _add(host: Host, rule: LiveRule, say: Say) -> None:
    place = _look(host, rule)
    if place is None:
        raise ChangeError(f"{rule.tool} has no {rule.chain} any more: the firewall was changed or stopped")
    if not place.places:
        _run(host, rule.adding(place), say)


def _remove(host: Host, rule: LiveRule, say: Say) -> None:
    """What is not there any more, with its chain or its program, need not go."""
    place = _look(host, rule)
    for argv in rule.removing(place) if place is not None else ():
        _run(host, argv, say)


def _look(host: Host, rule: LiveRule) -> LivePlaces | None:
    try:
        return look(host, rule)
    except (HostError, ValueError, KeyError) as error:
        raise ChangeError(f"the live rules could not be read: {error}") from error


def _run(host: Host, argv: Sequence[str], say: Say) -> None:
    say("$ " + shlex.join(argv))
    try:
        result = host.run(argv, timeout=DEADLINE)
    except HostError as error:
        raise ChangeError(str(error)) from error
    if result.code != 0:
        raise ChangeError(f"`{result.command}` failed with status {result.code}: {result.tail(4)}")
