"""What a firewall does with a connection from outside: a walk through its chains, as the kernel walks (nft(8), iptables(8))."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

DEEPEST = 24
"""Chains that a walk goes down: the kernel allows 16 jumps (nft(8)), and refuses loops."""


class Match(StrEnum):
    """Whether a rule takes the packet; `perhaps` where it asks for what only the packet itself can tell."""

    ALWAYS = "always"
    NEVER = "never"
    PERHAPS = "perhaps"


class Verdict(StrEnum):
    """What becomes of the packet."""

    ACCEPT = "accept"
    DROP = "drop"
    """Also where it is rejected."""
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    LOG = "log"
    NONE = "none"
    """The rule decides nothing."""


@dataclass(frozen=True)
class Packet:
    """The first packet of a TCP connection from anywhere outside: `family` 4 or 6, the port, where it may come in."""

    family: int
    port: int
    outside: frozenset[str] = frozenset()
    """Network devices that lead outside, empty where that is not known."""
    source: str = ""
    """The address that it comes from, empty where that is anybody's."""

    def comes_from(self, first: str, last: str = "") -> Match:
        """Whether its source is in the net `first` (192.0.2.0/24), or from `first` to `last`."""
        if not self.source:
            return Match.PERHAPS
        try:
            source = ipaddress.ip_address(self.source)
            if not last:
                return when(source in ipaddress.ip_network(first, strict=False))
            low, high = int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))
        except ValueError:  # a host name, or a mask of an unknown kind
            return Match.PERHAPS
        return when(low <= int(source) <= high)

    def by(self, device: str) -> Match:
        """Whether it came in by `device`; a trailing `+` or `*` matches any ending."""
        stem = device.rstrip("+*")
        same = (lambda name: name.startswith(stem)) if stem != device else (lambda name: name == device)
        if any(map(same, self.outside)):
            return Match.ALWAYS
        if device == "lo" or self.outside:
            return Match.NEVER
        return Match.PERHAPS


@dataclass(frozen=True)
class Rule:
    """A rule, with its `place` (position or handle) and how it judges: whether it takes the packet, what follows,
    and the chain where it jumps."""

    place: int
    judge: Callable[[Packet], tuple[Match, Verdict, str]]
    comment: str = ""


@dataclass(frozen=True)
class Chain:
    """Rules in their order; `policy` is what becomes of a packet at the end of a base chain."""

    name: str
    rules: tuple[Rule, ...]
    policy: Verdict | None = None


@dataclass(frozen=True)
class Fate:
    """What becomes of a packet, and the rules that lead there: chain and place of each, outermost first; a place of
    None is the end of the chain. Rules that only log, just before, count as part of what they log."""

    verdict: Verdict
    way: tuple[tuple[str, int | None], ...] = ()


def fate(chains: Mapping[str, Chain], start: str, packet: Packet, depth: int = 0) -> Fate:
    """Walk from `start`. A rule that only perhaps takes the packet is skipped: nobody may count on it.

    Where no rule decides, and the chain has no policy, the verdict is RETURN."""
    chain = chains.get(start)
    if chain is None or depth > DEEPEST:
        return Fate(Verdict.RETURN)
    logs: int | None = None
    for rule in chain.rules:
        match, verdict, target = rule.judge(packet)
        if verdict is Verdict.LOG:
            logs = rule.place if logs is None else logs
            continue
        here = (start, rule.place if logs is None else logs)
        logs = None
        if match is not Match.ALWAYS or verdict is Verdict.NONE:
            continue
        if verdict in (Verdict.ACCEPT, Verdict.DROP):
            return Fate(verdict, (here,))
        if verdict is Verdict.RETURN:
            break
        below = fate(chains, target, packet, depth + 1)
        if below.verdict in (Verdict.ACCEPT, Verdict.DROP):
            return Fate(below.verdict, (here, *below.way))
        if verdict is Verdict.GOTO:
            break
    return Fate(chain.policy or Verdict.RETURN, ((start, logs),))


@dataclass(frozen=True)
class Outcomes:
    """All that may become of a packet of which family, port, device and perhaps source are known.

    `refusals` are the rules that refuse it, or may: chain and place of each; a place of None is the end of a chain."""

    verdicts: frozenset[Verdict]
    refusals: tuple[tuple[str, int | None], ...] = ()


def outcomes(chains: Mapping[str, Chain], start: str, packet: Packet, depth: int = 0) -> Outcomes:
    """Walk from `start`, both ways at each rule that takes the packet perhaps. RETURN: no rule decides, nor a policy."""
    chain = chains.get(start, Chain(start, ()))
    verdicts: set[Verdict] = set()
    refusals: list[tuple[str, int | None]] = []
    for rule in chain.rules if depth <= DEEPEST else ():
        match, verdict, target = rule.judge(packet)
        if match is Match.NEVER or verdict in (Verdict.NONE, Verdict.LOG):
            continue
        after: set[Verdict] = {verdict}
        if verdict is Verdict.DROP:
            refusals.append((start, rule.place))
        elif verdict in (Verdict.JUMP, Verdict.GOTO):
            below = outcomes(chains, target, packet, depth + 1)
            refusals += below.refusals
            goes_on = Verdict.NONE if verdict is Verdict.JUMP else Verdict.RETURN
            after = {goes_on if each is Verdict.RETURN else each for each in below.verdicts}
        verdicts |= after - {Verdict.NONE}
        if match is Match.ALWAYS and Verdict.NONE not in after:
            break
    else:
        verdicts.add(Verdict.RETURN)
    if chain.policy is not None and Verdict.RETURN in verdicts:
        verdicts = verdicts - {Verdict.RETURN} | {chain.policy}
        refusals += [(start, None)] if chain.policy is Verdict.DROP else []
    return Outcomes(frozenset(verdicts), tuple(refusals))


def both(*matches: Match) -> Match:
    """Of several conditions of one rule."""
    if Match.NEVER in matches:
        return Match.NEVER
    return Match.PERHAPS if Match.PERHAPS in matches else Match.ALWAYS


def any_of(matches: Iterable[Match]) -> Match:
    """Of several alternatives in one condition."""
    several = set(matches)
    return next((match for match in (Match.ALWAYS, Match.PERHAPS) if match in several), Match.NEVER)


def negated(match: Match) -> Match:
    """The opposite condition."""
    return {Match.ALWAYS: Match.NEVER, Match.NEVER: Match.ALWAYS}.get(match, match)


def when(holds: bool) -> Match:
    """A condition that is known."""
    return Match.ALWAYS if holds else Match.NEVER
