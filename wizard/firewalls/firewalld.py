"""firewalld: the ports in the zone that leads outside, at run time and in its file (firewall-cmd(1), firewalld.zone(5)).

By port, not by service: submission is called smtp-submission on Debian 12 and submission on 13."""

from __future__ import annotations

import re
from dataclasses import dataclass

from templates import render
from wizard.changes.live_rule import LiveRule
from wizard.editors import firewalld_zone
from wizard.firewalls import gates
from wizard.firewalls.opening import (
    FAMILIES,
    CannotOpenError,
    Opening,
    PortRequest,
    edited,
    editing,
    text_of,
)
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

    def opening(self, facts: Facts, wanted: PortRequest) -> Opening:
        """The ports that the zone does not open. Raises CannotOpenError."""
        zone = _zone(facts, wanted)
        rules = tuple(
            LiveRule("firewalld", zone.name, port, 4, marked=False)
            for port in wanted.ports
            if not zone.opens(port)
        )
        path = f"{ZONES}/{zone.name}.xml"
        shipped = facts.files.get(f"{SHIPPED_ZONES}/{zone.name}.xml")
        text = text_of(facts, path)
        old = text if text is not None else (shipped.content.decode("latin-1") if shipped else None)
        if old is None:
            raise CannotOpenError(
                f"zone {zone.name} has no file in {ZONES}: it was made at run time only",
                "keep it: firewall-cmd --runtime-to-permanent",
            )
        kept = _Zone("", _target(old), frozenset(), firewalld_zone.ports(old), _services(old))
        ports = [port for port in wanted.ports if not kept.opens(port)]
        if not ports:
            return Opening(rules)
        with editing(path):
            new = firewalld_zone.add(
                old, [render("firewall_firewalld.j2", port=port).strip() for port in ports]
            )
        return Opening(rules, (edited(facts, path, new, gates.firewalld(zone.name), like=shipped),))

    def closed(self, facts: Facts, wanted: PortRequest) -> list[tuple[int, int]]:
        """What the zone does not open at run time. Raises CannotOpenError."""
        zone = _zone(facts, wanted)
        return [(family, port) for family in FAMILIES for port in wanted.ports if not zone.opens(port)]


def _zone(facts: Facts, wanted: PortRequest) -> _Zone:
    zones = {zone.name: zone for zone in _zones((facts.rules or {}).get("firewalld", ""))}
    if wanted.zone:
        if wanted.zone not in zones:
            raise CannotOpenError(
                f"firewalld has no zone {wanted.zone}", f"set [firewall] zone to one of: {', '.join(zones)}"
            )
        return zones[wanted.zone]
    default = re.search(r"^DefaultZone=(\S+)", text_of(facts, FIREWALLD_CONF) or "", re.MULTILINE)
    usual = default.group(1) if default else "public"
    names = {
        next((zone.name for zone in zones.values() if device in zone.devices), usual)
        for device in facts.outside or {""}
    }
    if len(names) != 1 or not names <= zones.keys():
        raise CannotOpenError(
            f"the devices that lead outside are in more than one zone of firewalld: {', '.join(sorted(names))}",
            'set the one that mail comes in through, in the answers file: [firewall] zone = "..."',
        )
    return zones[names.pop()]


def _zones(text: str) -> list[_Zone]:
    zones = []
    for block in re.split(r"\n(?=\S)", text.strip("\n")):
        head, *lines = block.split("\n")
        kept = {key.strip(): value.split() for key, _, value in (line.partition(":") for line in lines)}
        if head.split():
            zones.append(
                _Zone(
                    head.split()[0],
                    " ".join(kept.get("target", [])),
                    frozenset(kept.get("interfaces", [])),
                    tuple(_range(word) for word in kept.get("ports", []) if word.endswith("/tcp")),
                    frozenset(kept.get("services", [])),
                )
            )
    return zones


def _range(word: str) -> tuple[int, int]:
    low, _, high = word.removesuffix("/tcp").partition("-")
    return int(low), int(high or low)


def _target(text: str) -> str:
    target = re.search(r"<zone\b[^>]*\btarget=[\"']([^\"']*)", text)
    return target.group(1) if target else ""


def _services(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"<service\b[^>]*\bname=[\"']([^\"']+)[\"']", text))
