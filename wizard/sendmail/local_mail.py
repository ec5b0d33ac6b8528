"""Where programs of this host hand in their mail: submit.cf's one destination, and whether it would be refused there.

sendmail as a command reads submit.cf (FEATURE(`msp'), cf/feature/msp.m4) and passes all mail to ${MTAHost} by its mailer
`relay`. A listener with modifier a answers it with 530, and the mail ends in dead.letter. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from wizard.editors.daemon_options import LOOPBACK_NAMES, is_loopback, is_wildcard, parse, plain_address
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.sendmail.cf import Daemon

_HOST = re.compile(r"^D\{MTAHost\}[ \t]*(\S+)", re.MULTILINE)
_RELAY = re.compile(r"^Mrelay,.*(?:\n[ \t].*)*", re.MULTILINE)
_PORT = re.compile(r"\bA=(?:TCP|IPC)[ \t]+\$h(?:[ \t]+([A-Za-z0-9_-]+))?")

DESTINATION = ("D{MTAHost}", "\t\tA=TCP $h", "\t\tA=IPC $h")
"""How the lines of a submit.cf begin that hold it."""


@dataclass(frozen=True)
class Destination:
    """A host, as submit.cf has it, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


LOOPBACK = Destination("[127.0.0.1]", 25)
"""Debian's own: no listener for other servers asks for a login."""


def destination(cf: str | None) -> Destination | None:
    """Where a submit.cf sends local mail; None where it is no such file, or says it otherwise."""
    host, relay = _HOST.search(cf or ""), _RELAY.search(cf or "")
    port = _PORT.search(relay.group()) if relay else None
    if host is None or port is None:
        return None
    number = parse(f"Port={port.group(1) or 'smtp'}", 0).port_number
    return Destination(host.group(1), number) if number else None


def refused_by(facts: Facts, to: Destination | None, daemons: Iterable[Daemon]) -> Daemon | None:
    """The listener of this host that would want a login for local mail; None where none does, or it goes elsewhere."""
    return next((daemon for daemon in taking(facts, to, daemons) if "a" in daemon.modifiers), None)


def taking(facts: Facts, to: Destination | None, daemons: Iterable[Daemon]) -> tuple[Daemon, ...]:
    """The listeners of this host at which local mail arrives; none where it goes elsewhere."""
    addresses = _addresses(facts, to.host) if to is not None else set()
    return tuple(each for each in daemons if to and each.port == to.port and _serves(each, addresses))


def served(daemons: Iterable[Daemon]) -> bool:
    """Whether one of them takes mail at LOOPBACK."""
    address = _bare(LOOPBACK.host)
    return any(daemon.port == LOOPBACK.port and _serves(daemon, {address}) for daemon in daemons)


def through_us(facts: Facts) -> bool:
    """Whether local mail goes, or is about to go, to a listener of this host on a loopback address."""
    to = destination(facts.submit_from_mc) or destination(facts.text(f.SUBMIT_CF))
    return (
        to is not None and bool(_addresses(facts, to.host)) and (to.port != 25 or is_loopback(_bare(to.host)))
    )


def _bare(host: str) -> str:
    return (plain_address(host) or "").rstrip(".")


def _addresses(facts: Facts, host: str) -> set[str]:
    """The addresses of this host that `host` means; none where it is another machine, as far as can be known here."""
    bare = _bare({"$j": facts.fqdn, "$w": facts.hostname}.get(host, host))
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return _named(facts, bare)
    return {bare} if is_loopback(bare) or bare in facts.addresses else set()


def _named(facts: Facts, name: str) -> set[str]:
    if name in LOOPBACK_NAMES:
        return {"127.0.0.1", "::1"}
    rows = [line.partition("#")[0].lower().split() for line in (facts.text(f.HOSTS) or "").split("\n")]
    listed = {row[0] for row in rows if name in row[1:]}
    own = {address for address in listed if is_loopback(address) or address in facts.addresses}
    if not own and name in (facts.fqdn.lower(), facts.hostname.lower()):
        return set(facts.addresses)
    return own


def _serves(daemon: Daemon, addresses: set[str]) -> bool:
    if daemon.family not in ("inet", "inet6") or not addresses:
        return False
    if is_wildcard(daemon.address):
        return daemon.family == "inet6" or any(":" not in address for address in addresses)
    at = plain_address(daemon.address)
    return at in addresses or (at in LOOPBACK_NAMES and bool(addresses & {"127.0.0.1", "::1"}))
