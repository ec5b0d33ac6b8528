"""iptables and ip6tables with their rules kept by netfilter-persistent: /etc/iptables/rules.v4 and rules.v6."""

from __future__ import annotations

from templates import render
from wizard.changes.rules import LiveRule
from wizard.editors import xtables_file
from wizard.firewalls import opening as o
from wizard.model.facts import Facts
from wizard.model.firewall_names import IPTABLES, MARK, RULES_V4, RULES_V6, TOOLS
from wizard.packet_filter.iptables import Table, filter_table
from wizard.packet_filter.walk import Verdict, fate

_CHAIN = "INPUT"


class Iptables:
    """Rules in chain INPUT before the one that blocks; nothing is saved from what is live: fail2ban's rules are there."""

    name = IPTABLES

    def opening(self, facts: Facts, wanted: o.PortRequest) -> o.Opening:
        """For IPv4 and IPv6 apart. Raises CannotOpenError."""
        rules: list[LiveRule] = []
        files, notes = [], []
        for family, path in zip(o.FAMILIES, (RULES_V4, RULES_V6), strict=True):
            missing = _blocked(facts, wanted, o.live_table(facts, family), family)
            rules += missing
            text = o.text_of(facts, path)
            if text is None:
                notes += [f"there is no {path}: what is live for IPv{family} is not kept"] if missing else []
                continue
            new = text
            for rule in _blocked(facts, wanted, filter_table(text), family):
                new = _inserted(facts, path, new, rule)
            if new != text:
                files.append(o.edited(facts, path, new, o.FileTrial((f"{TOOLS[family]}-restore", "--test"))))
        return o.Opening(tuple(rules), tuple(files), tuple(notes))

    def closed(self, facts: Facts, wanted: o.PortRequest) -> list[tuple[int, int]]:
        """Where INPUT drops it."""
        return [
            (family, rule.port)
            for family in o.FAMILIES
            for rule in _blocked(facts, wanted, o.live_table(facts, family), family)
        ]


def _blocked(facts: Facts, wanted: o.PortRequest, table: Table, family: int) -> list[LiveRule]:
    chains = table.chains()
    rules: list[LiveRule] = []
    for packet in o.packets(facts, wanted.ports, (family,)):
        outcome = fate(chains, _CHAIN, packet)
        if outcome.verdict is Verdict.DROP:
            place = outcome.way[0][1]
            at = None if place is None else place + len(rules)
            rules.append(LiveRule(TOOLS[family], _CHAIN, packet.port, family, at=at))
    return rules


def _inserted(facts: Facts, path: str, text: str, rule: LiveRule) -> str:
    packet = next(o.packets(facts, (rule.port,), (rule.family,)))
    place = fate(filter_table(text).chains(), _CHAIN, packet).way[0][1]
    line = render("firewall_iptables.j2", chain=_CHAIN, port=rule.port, mark=MARK).rstrip("\n")
    with o.editing(path):
        return xtables_file.insert(text, _CHAIN, place, [line])
