"""Who guesses passwords, by what sendmail logged of wrong ones. Pure but for `recent`."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from wizard.editors.fail2ban import Limit
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


@dataclass
class _Count:
    """What a jail counts of one address: within a ban there is no wrong password."""

    limit: Limit
    spared: bool
    failures: list[float] = field(default_factory=list)
    begin: float = 0.0
    end: float = 0.0
    missed: int = 0
    """Wrong passwords that are too old to end in a ban."""

    def fail(self, at: float) -> None:
        if at < self.end:
            return
        fresh = [each for each in self.failures if each > at - self.limit.window]
        self.missed += len(self.failures) - len(fresh)
        self.failures = [*fresh, at]
        if len(self.failures) >= self.limit.attempts and not self.spared:
            self.begin, self.end, self.failures = at, at + self.limit.ban, []

    def bans(self, at: float) -> bool:
        return self.begin < at < self.end


def bans(logged: Iterable[LogLine], limit: Limit, now: Limit | None = None) -> Iterator[Ban]:
    """By address the last ban within which somebody logged in from there, and would not have been banned by the limit that
    there is `now`; lines of no known time do not count."""
    counts, last = dict[str, list[_Count]](), dict[str, Ban]()
    for line in logged:
        peer = line.peer
        if peer is None or not line.time:
            continue
        if peer not in counts:
            counts[peer] = [_Count(each, spared(peer, each.ignored)) for each in (limit, now) if each]
        new, *old = counts[peer]
        if line.authid is not None:
            lost = new.bans(line.time) and not any(each.bans(line.time) for each in old)
            if lost and (peer not in last or last[peer].begin != new.begin):
                last[peer] = Ban(peer, new.begin, new.end, line.authid, line.time)
        elif wrong_password(line) is not None:
            for each in counts[peer]:
                each.fail(line.time)
    yield from last.values()


def unbanned(peer: str, times: Iterable[float], limit: Limit) -> int:
    """How many of the wrong passwords from an address end in no ban."""
    count = _Count(limit, spared(peer, limit.ignored))
    for at in times:
        count.fail(at)
    return count.missed + len(count.failures)


def busiest(logged: Iterable[LogLine], own: Collection[str]) -> dict[str, list[LogLine]]:
    """The wrong passwords by address, but those from this host itself; who tried most comes first."""
    found = defaultdict[str, list[LogLine]](list)
    for line in logged:
        peer = line.peer if wrong_password(line) is not None else None
        if peer and peer not in own and not ipaddress.ip_address(peer).is_loopback:
            found[peer].append(line)
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))
