"""Shorewall and Shorewall6, as in the howto: ACCEPT from the zone outside to $FW in their rules files; and the same
rules live, in the chain that shorewall made for that (shorewall-rules(5)). shorewall is not reloaded."""

from __future__ import annotations

from templates import render
from wizard.changes.rules import LiveRule
from wizard.editors import shorewall_rules
from wizard.firewalls import opening as o
from wizard.model.facts import Facts
from wizard.model.firewall_names import MARK, SHOREWALL, SHOREWALL_FOLDER, TOOLS
from wizard.packet_filter.walk import Fate, Packet, Verdict, fate


class Shorewall:
    """IPv4 and IPv6 apart: shorewall6 is a firewall of its own, with its own zones."""

    name = SHOREWALL

    def opening(self, facts: Facts, wanted: o.PortRequest) -> o.Opening:
        """For each of the two that is active. Raises CannotOpenError."""
        rules: list[LiveRule] = []
        files, notes = [], []
        for family in o.FAMILIES:
            folder = SHOREWALL_FOLDER[family]
            if family not in _families(facts):
                notes.append(f"{folder.rpartition('/')[2]} is not active: nothing is done about IPv{family}")
                continue
            zone, own = _zones(facts, wanted, folder)
            rules += _live(facts, wanted, family, zone, own)
            path = f"{folder}/rules"
            text = o.text_of(facts, path) or ""
            ports = [port for port in wanted.ports if not shorewall_rules.opens(text, zone, port)]
            if ports:
                block = render("firewall_shorewall.j2", ports=ports, zone=zone, mark=MARK, names=o.PORT_NAMES)
                with o.editing(path):
                    new = shorewall_rules.add(text, block)
                like = facts.files.get(f"{folder}/zones")
                gate = o.FolderTrial(folder, "rules", (folder.rpartition("/")[2], "check", "{}"))
                files.append(o.edited(facts, path, new, gate, like=like))
        return o.Opening(tuple(rules), tuple(files), tuple(notes))

    def closed(self, facts: Facts, wanted: o.PortRequest) -> list[tuple[int, int]]:
        """Where INPUT drops it."""
        return [
            (family, packet.port)
            for family in _families(facts)
            for packet, outcome in _fates(facts, wanted, family)
            if outcome.verdict is not Verdict.ACCEPT
        ]


def _families(facts: Facts) -> list[int]:
    return [family for family in o.FAMILIES if "shorewall" in o.live_table(facts, family).declared]


def _fates(facts: Facts, wanted: o.PortRequest, family: int) -> list[tuple[Packet, Fate]]:
    chains = o.live_table(facts, family).chains()
    return [(packet, fate(chains, "INPUT", packet)) for packet in o.packets(facts, wanted.ports, (family,))]


def _live(facts: Facts, wanted: o.PortRequest, family: int, zone: str, own: str) -> list[LiveRule]:
    rules: list[LiveRule] = []
    for packet, outcome in _fates(facts, wanted, family):
        if outcome.verdict is Verdict.ACCEPT:
            continue
        chain, place = _chain(facts, outcome, zone, own)
        at = None if place is None else place + len(rules)
        rules.append(LiveRule(TOOLS[family], chain, packet.port, family, shared=True, at=at))
    return rules


def _chain(facts: Facts, outcome: Fate, zone: str, own: str) -> tuple[str, int | None]:
    """Of the chains on the way to where it is dropped, the one that is for this zone only."""
    names = {f"{zone}-{own}", f"{zone}2{own}", *(f"{device}_in" for device in facts.outside)}
    for chain, place in outcome.way:
        if chain in names:
            return chain, place
    raise o.CannotOpenError(
        f"shorewall made no live chain from zone {zone} to the firewall itself, so a live rule has no place",
        f"add these to /etc/shorewall/rules below ?SECTION NEW: ACCEPT {zone} $FW tcp 25,587",
        "then, when nobody else's rules are live: shorewall check && shorewall safe-reload",
    )


def _zones(facts: Facts, wanted: o.PortRequest, folder: str) -> tuple[str, str]:
    """The zone outside, and that of the firewall itself. Raises CannotOpenError."""
    known = shorewall_rules.zones(o.text_of(facts, f"{folder}/zones") or "")
    own = next((name for name, kind in known.items() if kind == "firewall"), "fw")
    others = [name for name in known if name != own]
    if wanted.zone:
        if wanted.zone not in others:
            raise o.CannotOpenError(
                f"{folder}/zones has no zone {wanted.zone}",
                f"set [firewall] zone to one of: {', '.join(others) or '(it has none)'}",
            )
        return wanted.zone, own
    devices = shorewall_rules.interfaces(o.text_of(facts, f"{folder}/interfaces") or "")
    leading = {devices[name] for name in facts.outside if name in devices} & set(others)
    for choice in (["net"] if "net" in others else [], sorted(leading), others):
        if len(choice) == 1:
            return choice[0], own
    raise o.CannotOpenError(
        f"it is not clear which zone of {folder}/zones is the outside world: {', '.join(others) or 'there is none'}",
        'set it in your settings: [firewall] zone = "..."',
    )
