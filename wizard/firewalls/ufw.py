"""ufw: `allow PORT/tcp` as ufw itself writes it to user.rules and user6.rules, and the same rule live (ufw(8))."""

from __future__ import annotations

import re

from templates import render
from wizard.changes.rules import LiveRule
from wizard.editors import xtables_file
from wizard.firewalls import opening as o
from wizard.model.facts import Facts
from wizard.model.firewall_names import MARK, TOOLS, UFW, UFW_DEFAULT, UFW_RULES
from wizard.packet_filter.iptables import Table, filter_table
from wizard.packet_filter.walk import Packet, Verdict, fate

_CHAINS = {4: "ufw-user-input", 6: "ufw6-user-input"}
_ANY = {4: "0.0.0.0/0", 6: "::/0"}


class Ufw:
    """Only what the admin's rules do not allow yet; ufw is neither reloaded nor enabled."""

    name = UFW

    def opening(self, facts: Facts, wanted: o.PortRequest) -> o.Opening:
        """For IPv4, and for IPv6 where ufw sees to it. Raises CannotOpenError, also where a rule of the admin denies it."""
        rules: list[LiveRule] = []
        files, notes = [], []
        families = _families(facts)
        if 6 not in families:
            note = "ufw does nothing about IPv6, and neither does this step"
            notes.append(f"IPV6=yes is not in {UFW_DEFAULT}: {note}")
        for family in families:
            path = UFW_RULES[family]
            text = o.text_of(facts, path) or ""
            live, kept = o.live_table(facts, family), filter_table(text)
            packets = list(o.packets(facts, wanted.ports, (family,)))
            rules += [
                LiveRule(TOOLS[family], _CHAINS[family], packet.port, family, marked=False)
                for packet in packets
                if _missing(live, packet, "the live rules") and not _accepted(live, packet)
            ]
            if ports := tuple(packet.port for packet in packets if _missing(kept, packet, path)):
                gate = o.UfwTrial(ports, TOOLS[family], _CHAINS[family])
                files.append(o.edited(facts, path, _with(path, text, family, ports), gate))
        return o.Opening(tuple(rules), tuple(files), tuple(notes))

    def closed(self, facts: Facts, wanted: o.PortRequest) -> list[tuple[int, int]]:
        """Where INPUT drops it."""
        return [
            (packet.family, packet.port)
            for packet in o.packets(facts, wanted.ports, _families(facts))
            if not _accepted(o.live_table(facts, packet.family), packet)
        ]


def _families(facts: Facts) -> tuple[int, ...]:
    text = o.text_of(facts, UFW_DEFAULT) or ""
    ipv6 = re.search(r"^[ \t]*IPV6=[\"']?yes\b", text, re.MULTILINE | re.IGNORECASE)
    live = _CHAINS[6] in o.live_table(facts, 6).declared
    return (4, 6) if ipv6 and live else (4,)


def _missing(table: Table, packet: Packet, where: str) -> bool:
    """Whether the admin's rules say nothing of the port. Raises CannotOpenError where they deny it."""
    outcome = fate(table.chains(), _CHAINS[packet.family], packet)
    if outcome.verdict is Verdict.DROP:
        raise o.CannotOpenError(
            f"a rule of yours in ufw ({where}) denies port {packet.port} to everybody",
            "see it: `ufw status numbered`",
            f"delete it, then run this again: `ufw delete deny {packet.port}/tcp`",
        )
    return outcome.verdict is not Verdict.ACCEPT


def _accepted(table: Table, packet: Packet) -> bool:
    return fate(table.chains(), "INPUT", packet).verdict is Verdict.ACCEPT


def _with(path: str, text: str, family: int, ports: tuple[int, ...]) -> str:
    shared = {"any": _ANY[family], "chain": _CHAINS[family], "comment": MARK.encode().hex()}
    blocks = [render("firewall_ufw.j2", port=port, **shared) for port in ports]
    with o.editing(path):
        return xtables_file.insert_ufw(text, blocks)
