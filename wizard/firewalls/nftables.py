"""nftables with its rules in /etc/nftables.conf: one rule a port, live and in the file (nft(8))."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from templates import render
from wizard.changes.rules import LiveRule
from wizard.editors import nft_conf
from wizard.firewalls import opening as o
from wizard.model.facts import Facts
from wizard.model.firewall_names import MARK, NFT_CONF, NFTABLES
from wizard.packet_filter.nftables import BaseChain, Ruleset, ruleset
from wizard.packet_filter.walk import Fate, Packet, Verdict, fate

_PORT_NAMES = {25: "smtp", 465: "submissions", 587: "submission"}
_DPORT = re.compile(r"\b(?:tcp|th) dport (?P<vmap>vmap )?(?P<ports>\{[^}]*\}|\S+)")
_VERDICT = re.compile(r"\b(?:accept|drop|reject|jump|goto)\b")
_PLAIN = re.compile(
    r"\bct state (?:\{[^}]*\bnew\b[^}]*\}|\S*\bnew\b\S*)|\breject with .*|\bmeta l4proto tcp\b"
    r"|\b(?:counter|packets \d+|bytes \d+|log|prefix|level \w+|flags \w+|group \d+|accept|drop|reject|comment)\b"
)
"""Words of a rule that is for everybody, without strings."""
_NAME, _STRING = re.compile(r"[@$][\w-]+"), re.compile(r'"[^"]*"')
_DEEPEST = 8


class Nftables:
    """Every chain of the file that sees incoming packets and blocks a port gets a rule."""

    name = NFTABLES

    def opening(self, facts: Facts, wanted: o.PortRequest) -> o.Opening:
        """Rules before the one that blocks. Raises CannotOpenError."""
        live, text = _live(facts), o.text_of(facts, NFT_CONF) or ""
        rules: list[LiveRule] = []
        new = text
        for base in live.inputs:
            own = f"{base.family} {base.table}" in nft_conf.tables(text)
            ways = [
                (packet, fate(live.chains, base.words, packet))
                for packet in o.packets(facts, wanted.ports, base.families)
            ]
            first: dict[int, tuple[Packet, Fate]] = {}  # of a port: a chain of inet sees both IPv4 and IPv6
            for packet, outcome in ways:
                if outcome.verdict is Verdict.DROP:
                    first.setdefault(packet.port, (packet, outcome))
            blocked = list(first.values())
            if blocked and not own:
                raise o.CannotOpenError(
                    f"the live chain {base.words} blocks port {blocked[0][0].port}, but {NFT_CONF} does not create "
                    "that chain: something else does",
                    f"find out what created it: `nft list chain {base.words}`",
                    f"open the ports there by hand: {', '.join(map(str, wanted.ports))}",
                )
            rules += [
                LiveRule("nft", base.words, packet.port, packet.family, at=outcome.way[0][1])
                for packet, outcome in blocked
            ]
            if own:
                new = _in_file(new, base, [packet.port for packet, _ in blocked], ways, live)
        files = (o.edited(facts, NFT_CONF, new, o.FileTrial(("nft", "-c", "-f"))),) if new != text else ()
        return o.Opening(tuple(rules), files)

    def closed(self, facts: Facts, wanted: o.PortRequest) -> list[tuple[int, int]]:
        """Where any chain drops it. Raises CannotOpenError."""
        live = _live(facts)
        return [
            (packet.family, packet.port)
            for packet in o.packets(facts, wanted.ports)
            if any(
                fate(live.chains, base.words, packet).verdict is Verdict.DROP
                for base in live.inputs
                if packet.family in base.families
            )
        ]


def _live(facts: Facts) -> Ruleset:
    try:
        return ruleset((facts.rules or {}).get("nft", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise o.CannotOpenError(
            f"what nft printed is not understood: {error}", "open the ports by hand, in " + NFT_CONF
        ) from error


def _in_file(
    text: str, base: BaseChain, blocked: Sequence[int], ways: Sequence[tuple[Packet, Fate]], live: Ruleset
) -> str:
    """The text with what its chain lacks. A port that is open by a live rule, of which the file knows nothing, would be
    closed after the next boot."""
    asked = {packet.port for packet, outcome in ways if outcome.way and outcome.way[0][1] is not None}
    with o.editing(NFT_CONF):
        known, table = nft_conf.contents(text), f"{base.family} {base.table}"
        bodies = [body for body in nft_conf.chain_bodies(text) if body.key.startswith(f"{table} ")]
        statements = [_Named.of(each.words, known, table) for body in bodies for each in body.statements]
        ports = [
            port
            for port in dict.fromkeys(packet.port for packet, _ in ways)
            if (port in blocked and not any(each.always("accept", port) for each in statements))
            or (
                port in asked
                and port not in blocked
                and not any(each.may_accept(port) for each in statements)
            )
        ]
        if not ports:
            return text
        lines = [render("firewall_nftables.j2", port=port, mark=MARK).strip() for port in ports]
        denying = {
            each.words
            for each in statements
            if any(each.always(verdict, port) for verdict in ("drop", "reject") for port in ports)
        }
        return nft_conf.insert(text, base.words, lines, _blocking(live, base, ways), denying)


@dataclass(frozen=True)
class _Named:
    """A statement of the file that names ports, with what its sets and variables hold; `verdicts` are by words of ports.

    A name that the file does not explain, an included one does; what that holds, only the live rules tell."""

    words: str
    bare: str
    """The words without strings."""
    verdicts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, words: str, known: Mapping[str, str], table: str) -> Self:
        """A statement of a chain of `table`; `known` is what the names of the file stand for."""
        bare = _STRING.sub("", words)
        match = _DPORT.search(bare)
        if not match:
            return cls(words, bare)
        several = _explained(match["ports"], known, table).strip("{ }").split(",")
        if not match["vmap"]:
            verdict = _VERDICT.search(bare[match.end() :])
            return cls(words, bare, tuple((each, verdict[0]) for each in several) if verdict else ())
        pairs = (each.partition(":") for each in several)
        return cls(words, bare, tuple((ports, verdict.strip() or ports) for ports, _, verdict in pairs))

    def always(self, verdict: str, port: int) -> bool:
        """Whether that is what it does, whoever comes."""
        plain = not _PLAIN.sub("", _DPORT.sub("", self.bare)).strip()
        return plain and any(says == verdict and _holds(ports, port) for ports, says in self.verdicts)

    def may_accept(self, port: int) -> bool:
        """Whether it does so for some; what jumps may."""
        return "saddr" not in self.bare and any(
            not verdict.startswith(("drop", "reject")) and (_holds(ports, port) or _unexplained(ports))
            for ports, verdict in self.verdicts
        )


def _explained(ports: str, known: Mapping[str, str], table: str, depth: int = 0) -> str:
    def inner(name: re.Match[str]) -> str:
        value = known.get(name[0] if name[0][0] == "$" else f"{table} {name[0]}")
        return name[0] if value is None or depth > _DEEPEST else _explained(value, known, table, depth + 1)

    return _STRING.sub("", _NAME.sub(inner, ports)).replace("{", "").replace("}", "")


def _unexplained(ports: str) -> bool:
    return "@" in ports or "$" in ports


def _holds(ports: str, port: int) -> bool:
    for part in re.findall(r"[\w-]+", ports):
        low, _, high = part.partition("-")
        inside = low.isdigit() and int(low) <= port <= int(high if high.isdigit() else low)
        if inside or part == _PORT_NAMES.get(port):
            return True
    return False


def _blocking(live: Ruleset, base: BaseChain, ways: Sequence[tuple[Packet, Fate]]) -> list[str]:
    """Chains of the same table that let nothing through: a jump to one of them ends the chain."""
    start = f"{base.family} {base.table} "
    return [
        key.removeprefix(start)
        for key in live.chains
        if key.startswith(start)
        and key != base.words
        and all(fate(live.chains, key, packet).verdict is Verdict.DROP for packet, _ in ways)
    ]
