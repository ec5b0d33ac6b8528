"""firewalld: the ports in the zone that leads outside, at run time and in its file (firewall-cmd(1), firewalld.zone(5)).

By port, not by service: submission is called smtp-submission on Debian 12 and submission on 13."""

from __future__ import annotations

import re
from dataclasses import dataclass

from templates import render
from wizard.changes.rules import LiveRule
from wizard.editors import firewalld_zone
from wizard.firewalls import opening as o
from wizard.model.facts import Facts
from wizard.model.firewall_names import FIREWALLD, FIREWALLD_CONF, SHIPPED_ZONES, ZONES

_SERVICES = {"smtp": 25, "smtps": 465, "submissions": 465, "smtp-submission": 587, "submission": 587}


@dataclass(frozen=True)
class _Zone:
    """A zone as `firewall-cmd --list-all-zones` shows it."""

    name: str
    target: str
    devices: frozenset[str]
    ports: tuple[tuple[int, int], ...]
    services: frozenset[str]

    def opens(self, port: int) -> bool:
        """To everybody in it."""
        by_service = port in {_SERVICES.get(name) for name in self.services}
        return self.target == "ACCEPT" or by_service or any(low <= port <= high for low, high in self.ports)


class Firewalld:
    """A zone sees IPv4 and IPv6 alike."""

    name = FIREWALLD

    def opening(self, facts: Facts, wanted: o.PortRequest) -> o.Opening:
        """The ports that the zone does not open. Raises CannotOpenError."""
        zone = _zone(facts, wanted)
        rules = tuple(
            LiveRule("firewalld", zone.name, port, 4, marked=False)
            for port in wanted.ports
            if not zone.opens(port)
        )
        path = f"{ZONES}/{zone.name}.xml"
        shipped = facts.files.get(f"{SHIPPED_ZONES}/{zone.name}.xml")
        text = o.text_of(facts, path)
        old = text if text is not None else (shipped.content.decode("latin-1") if shipped else None)
        if old is None:
            raise o.CannotOpenError(
                f"zone {zone.name} has no file in {ZONES}: it was made at run time only",
                "keep it: `firewall-cmd --runtime-to-permanent`",
            )
        ports = [port for port in wanted.ports if not _kept(old).opens(port)]
        if not ports:
            return o.Opening(rules)
        lines = [render("firewall_firewalld.j2", port=port).strip() for port in ports]
        with o.editing(path):
            new = firewalld_zone.add(old, lines)
        argv = ("firewall-offline-cmd", "--system-config={}", "--check-config")
        gate = o.FolderTrial(FIREWALLD_CONF.rpartition("/")[0], f"zones/{zone.name}.xml", argv)
        return o.Opening(rules, (o.edited(facts, path, new, gate, like=shipped),))

    def closed(self, facts: Facts, wanted: o.PortRequest) -> list[tuple[int, int]]:
        """What the zone does not open at run time. Raises CannotOpenError."""
        zone = _zone(facts, wanted)
        return [(family, port) for family in o.FAMILIES for port in wanted.ports if not zone.opens(port)]


def _zone(facts: Facts, wanted: o.PortRequest) -> _Zone:
    zones = {zone.name: zone for zone in _zones((facts.rules or {}).get("firewalld", ""))}
    if wanted.zone:
        if wanted.zone not in zones:
            raise o.CannotOpenError(
                f"firewalld has no zone {wanted.zone}", f"set [firewall] zone to one of: {', '.join(zones)}"
            )
        return zones[wanted.zone]
    default = re.search(r"^DefaultZone=(\S+)", o.text_of(facts, FIREWALLD_CONF) or "", re.MULTILINE)
    usual = default.group(1) if default else "public"
    names = {
        next((zone.name for zone in zones.values() if device in zone.devices), usual)
        for device in facts.outside or {""}
    }
    if len(names) != 1 or not names <= zones.keys():
        raise o.CannotOpenError(
            f"the devices that lead outside are in more than one zone of firewalld: {', '.join(sorted(names))}",
            'set the one that mail comes in through, in your settings: [firewall] zone = "..."',
        )
    return zones[names.pop()]


def _zones(text: str) -> list[_Zone]:
    zones = []
    for block in re.split(r"\n(?=\S)", text.strip("\n")):
        head, *lines = block.split("\n")
        if not head.split():
            continue
        kept = {key.strip(): value.split() for key, _, value in (line.partition(":") for line in lines)}
        target, devices = " ".join(kept.get("target", [])), frozenset(kept.get("interfaces", []))
        words = [word.removesuffix("/tcp") for word in kept.get("ports", []) if word.endswith("/tcp")]
        ranges = [(low, high or low) for low, _, high in (word.partition("-") for word in words)]
        ports = tuple((int(low), int(high)) for low, high in ranges)
        zones.append(_Zone(head.split()[0], target, devices, ports, frozenset(kept.get("services", []))))
    return zones


def _kept(text: str) -> _Zone:
    target = re.search(r"<zone\b[^>]*\btarget=[\"']([^\"']*)", text)
    ports, services = firewalld_zone.ports(text), firewalld_zone.services(text)
    return _Zone("", target[1] if target else "", frozenset(), ports, services)
