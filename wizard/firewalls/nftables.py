"""nftables with its rules in /etc/nftables.conf: one rule a port, live and in the file (nft(8))."""

from __future__ import annotations

import re
from collections.abc import Sequence

from templates import render
from wizard.changes.rules import LiveRule
from wizard.editors import nft_conf
from wizard.firewalls import opening as o
from wizard.model.facts import Facts
from wizard.model.firewall_names import MARK, NFT_CONF, NFTABLES
from wizard.packet_filter.nftables import BaseChain, Ruleset, ruleset
from wizard.packet_filter.walk import Fate, Packet, Verdict, fate

_PORT_NAMES = {25: "smtp", 465: "submissions", 587: "submission"}


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
        chain = next((body for body in nft_conf.chain_bodies(text) if body.key == base.words), None)
        named = [body.words for body in chain.statements] if chain else []
        ports = [
            port
            for port in dict.fromkeys(packet.port for packet, _ in ways)
            if (port in blocked or port in asked) and not any(_accepts(words, port) for words in named)
        ]
        if not ports:
            return text
        lines = [render("firewall_nftables.j2", port=port, mark=MARK).strip() for port in ports]
        return nft_conf.insert(text, base.words, lines, _blocking(live, base, ways))


def _accepts(words: str, port: int) -> bool:
    """Whether a statement of the file speaks of accepting the port; a set or a variable may hold it."""
    ports = re.search(r"\bdport (\{[^}]*\}|\S+)", words)
    if not ports or not re.search(r"\b(accept|vmap|jump|goto)\b", words) or "saddr" in words:
        return False
    if "@" in ports[1] or "$" in ports[1]:
        return True
    for part in re.findall(r"[\w-]+", ports[1]):
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
