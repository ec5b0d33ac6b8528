"""What real clients would meet, seen from this host: its own address and strangers' put to sendmail's rulesets, their names
looked up as sendmail does before it greets, a greeting at an own address, and whom the log says was turned away."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from wizard.errors import HostError
from wizard.maillog.read import LogLine
from wizard.model import facts as f
from wizard.sendmail import rulesets
from wizard.sendmail.access_map import STRANGERS, Address, outer, written
from wizard.sendmail.cf import Daemon
from wizard.sendmail.rulesets import Admission
from wizard.system.host import Host

LOOK_UP = 2.0
"""Seconds for the name of a client: a healthy resolver needs some hundredths."""
GREETING = 1.8
"""Seconds for a greeting at an own address: Debian's greet_pause is 1."""
_NAME = "client.example.net"
"""A name for them all: some sites refuse clients without one."""
_ADDRESS = r"(?:IPv6:)?[0-9A-Fa-f.:]+"
_TURNED_AWAY = re.compile(
    rf"ruleset=check_relay, arg1=\S+, arg2=(?P<a>{_ADDRESS}), relay=.*, (?P<why>reject=.*|discard)$"
    rf"|ruleset=tls_client, arg1=\S+, arg2=\S+, relay=(?:\S+ )?\[(?P<b>{_ADDRESS})\].*, (?P<tls>reject=.*)$"
    rf"|(?:\w+: )?rejecting commands from \S+ \[(?P<c>{_ADDRESS})\] (?P<early>due to pre-greeting traffic)"
    rf"|(?:\w+: )?(?:\S+ )?\[(?P<d>{_ADDRESS})\](?: \(may be forged\))?: (?P<attack>possible SMTP attack: command=\w+)"
)


@dataclass(frozen=True)
class TurnedAway:
    """A client that sendmail turned away, why, how often, and the last line that says so."""

    address: str
    why: str
    times: int
    line: LogLine


@dataclass(frozen=True)
class Outside:
    """What was seen."""

    own: tuple[Admission, ...] = ()
    """This host's addresses, but for loopback, as clients."""
    strangers: tuple[Admission, ...] = ()
    nameless: tuple[str, ...] = ()
    """The strangers whose names were not found in time, nor that there is none."""
    greeting: str = ""
    """What sendmail said first at an own address, empty where it was not asked, or not in time."""
    greeted_at: str = ""
    """That address."""
    waited: float = 0.0
    """Seconds for it."""
    map_is: str = ""
    """`older` than its text, or `missing`: access.db, which sendmail reads; empty where it is neither."""
    turned_away: tuple[TurnedAway, ...] = ()
    """Those of the last day, the most frequent first."""


def look(host: Host, cf: str, daemons: Sequence[Daemon], addresses: Iterable[str]) -> Outside:
    """Ask all of it at once; without `turned_away`."""
    own = _own(addresses)
    strangers = [ipaddress.ip_address(address) for address in STRANGERS]
    with ThreadPoolExecutor() as pool:
        named = [pool.submit(_answers, host, address) for address in STRANGERS]
        try:
            met = (
                rulesets.admissions(host, cf, [(address, _NAME) for address in (*own, *strangers)])
                if cf
                else ()
            )
        except HostError:  # hostname-unresolved and cf-broken say why
            met = ()
        first = met[0] if own and met else None
        at, greeting, began = "", "", time.monotonic()
        if first is not None and first.pause < GREETING and own[0].version == 4:
            at, greeting = str(own[0]), _greeting(str(own[0]), daemons)
        waited = time.monotonic() - began
        nameless = tuple(
            address for address, known in zip(STRANGERS, named, strict=True) if not known.result()
        )
    return Outside(met[: len(own)], met[len(own) :], nameless, greeting, at, waited, _map_is(host, cf))


def turned_away(log: Iterable[LogLine], own: Iterable[str], since: float) -> tuple[TurnedAway, ...]:
    """Who was turned away, but for this host's own addresses, by the lines that the daemon itself wrote after `since`."""
    times: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], LogLine] = {}
    ours = {written(address) for address in _own(own)}
    for line in log:
        new = line.time >= since and not line.file and line.name == "sm-mta"
        match = _TURNED_AWAY.match(line.text) if new else None
        address = next(filter(None, match.group("a", "b", "c", "d"))) if match else ""
        if match and address not in ours and not address.startswith("127."):
            why = next(filter(None, match.group("why", "tls", "early", "attack"))).removeprefix("reject=")
            times[address, why[:100]] += 1
            last[address, why[:100]] = line
    return tuple(TurnedAway(*key, count, last[key]) for key, count in times.most_common())


def _map_is(host: Host, cf: str) -> str:
    date = host.mtime(f"{f.ACCESS}.db")
    if not re.search(r"^Kaccess\s+(?:hash|btree)\s", cf, re.MULTILINE) or host.mtime(f.ACCESS) <= date:
        return ""
    return "older" if date else "missing"


def _own(addresses: Iterable[str]) -> list[Address]:
    known = [address for text in addresses if (address := outer(text))]
    return sorted(known, key=lambda address: address.version)[:4]


def _answers(host: Host, address: str) -> bool:
    for _ in range(2):  # a resolver that has to ask far away for the first may be slow once
        with suppress(HostError):
            host.run(["getent", "hosts", address], timeout=LOOK_UP)
            return True
    return False


def _greeting(address: str, daemons: Sequence[Daemon]) -> str:
    """The first line at the address, on the port where mail clients come."""
    anywhere = [daemon for daemon in daemons if daemon.everywhere and not daemon.tls_on_connect]
    ports = sorted((daemon.port != 587, daemon.port) for daemon in anywhere)
    if not ports:
        return ""
    until = time.monotonic() + GREETING
    try:
        with socket.create_connection((address, ports[0][1]), GREETING) as connection:
            connection.settimeout(max(0.1, until - time.monotonic()))
            line = connection.recv(512).decode("latin-1").partition("\r\n")[0]
            connection.sendall(b"QUIT\r\n")
    except OSError:
        return ""
    return line
