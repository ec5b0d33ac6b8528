"""Who guesses passwords, by what sendmail logged of wrong ones. Pure but for `recent`."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from wizard.maillog.read import Logged, LogLine
from wizard.maillog.recent import logins
from wizard.system.host import Host

_WORDS = r"AUTH failure \("
_FAILED = re.compile(r"\w+: AUTH failure \([^)]*\):.* \(-(?:13|20)\) .*?(?:, user=(?P<user>.*))?, relay=")
"""A password that was wrong, or a user whom nobody knows (sasl_errors(3))."""


@dataclass(frozen=True)
class Ban:
    """A ban that there would have been: of which address, when and until when, and the first login within it."""

    address: str
    begin: float
    end: float
    user: str
    login: float


def wrong_password(line: LogLine) -> str | None:
    """The user whose password was wrong, empty where the line names none; None for a line of something else."""
    match = _FAILED.match(line.text) if line.name == "sm-mta" else None
    return (match["user"] or "") if match else None


def recent(host: Host, cf: str) -> Logged:
    """The logins lately, and the wrong passwords from where somebody logged in. `cf` is the sendmail.cf by which was logged."""
    return logins(host, cf, _WORDS)


def spared(address: str, networks: Iterable[str]) -> bool:
    """Whether it is in one of the networks; what is no network, as a name, is in none."""
    for network in networks:
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False):
                return True
        except ValueError:
            continue
    return False


def bans(logged: Iterable[LogLine], attempts: int, window: int, ban: int) -> Iterator[Ban]:
    """By address the last ban within which somebody logged in from there; lines of no known time do not count."""
    failures, banned = defaultdict[str, list[float]](list), dict[str, tuple[float, float]]()
    last = dict[str, Ban]()
    for line in logged:
        peer = line.peer
        if peer is None or not line.time:
            continue
        begin, end = banned.get(peer, (0.0, 0.0))
        if line.authid is not None and begin < line.time < end:
            if peer not in last or last[peer].begin != begin:
                last[peer] = Ban(peer, begin, end, line.authid, line.time)
        elif wrong_password(line) is not None and line.time >= end:
            failures[peer] = [at for at in failures[peer] if at > line.time - window] + [line.time]
            if len(failures[peer]) >= attempts:
                banned[peer] = line.time, line.time + ban
                failures.pop(peer)
    yield from last.values()


def busiest(logged: Iterable[LogLine], own: Collection[str]) -> dict[str, list[LogLine]]:
    """The wrong passwords by address, but those from this host itself; who tried most comes first."""
    found = defaultdict[str, list[LogLine]](list)
    for line in logged:
        peer = line.peer if wrong_password(line) is not None else None
        if peer and peer not in own and not ipaddress.ip_address(peer).is_loopback:
            found[peer].append(line)
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))
