"""Passwords that are being guessed: by whom and how often, and whether anything ends it (the step guess-limit)."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from wizard.console import count
from wizard.gather.fail2ban import Bans
from wizard.maillog.guessing import busiest, spared, unbanned, wrong_password
from wizard.maillog.read import LogLine
from wizard.model.plan import Sign
from wizard.steps import login_policy
from wizard.steps.guess_limit import CHOOSE
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

ONE, ALL = 10, 30
"""Wrong passwords within a day that are no mistake of a user's: from one address, and from all of them."""
_SHOWN = 3
_BANS = "`fail2ban-client banned` says whom"
_COVERS = (
    "a ban covers the ports of its jail alone: `msa-wizard plan smtp-port guess-limit` says what is missing"
)
_LONGER = f"a longer window, or fewer attempts, ban those who are slow: `{CHOOSE} --set guess.window=1d`"
_SPARED = "its network is among those that are never banned: guess.never in the settings, or ignoreip in /etc/fail2ban"
_SCATTERED = (
    f"a ban is of one address. A longer window reaches some (`{CHOOSE} --set guess.window=1d`); against all of them help long "
    f"passwords, and fewer who may log in: `{login_policy.CHOOSE}`"
)
_REACHES = 60.0
"""Seconds after its begin within which a ban is there, and what was under way has come to its end."""


def _guessing(picture: Picture) -> Finding | None:
    """Where all who were tried from an address also logged in from there, it is theirs: a device has an old password."""
    found = busiest(picture.day, picture.facts.addresses)
    entered = _entered(picture) if found else {}
    strangers = {
        peer: lines for peer, lines in found.items() if {*map(_user, lines)} - entered.get(peer, set())
    }
    total = sum(map(len, strangers.values()))
    if total < ALL and max(map(len, strangers.values()), default=0) < ONE:
        return None
    says = (
        f"passwords are being guessed: {count(total, 'wrong one')} from {count(len(strangers), 'address', 'addresses')} in the last "
        f"day, {_users([line for lines in strangers.values() for line in lines])}"
    )
    evidence = tuple(
        Evidence(f"{peer}: {count(len(lines), 'wrong password')}, {_users(lines)}", "journal, sm-mta")
        for peer, lines in list(strangers.items())[:_SHOWN]
    )
    inside = {
        peer: users
        for peer, lines in strangers.items()
        if len(lines) >= ONE and (users := _entered(picture, lines[0].time).get(peer))
    }
    if inside:
        return _got_in(says, evidence, inside)
    if picture.bans is not None:
        clause, mend, sign = _limited(strangers, picture.bans)
        return Finding(f"{says}; {clause}", evidence, Mend(text=mend), sign)
    return Finding(says, evidence, Mend(text=f"`{CHOOSE}` bans those who guess, for a while"), Sign.WARNING)


def _limited(strangers: Mapping[str, Sequence[LogLine]], bans: Bans) -> tuple[str, str, Sign]:
    """What fail2ban does about them, a clause; what is to be done; and how bad it is."""
    if past := [peer for peer, lines in strangers.items() if _goes_on(lines, bans.since.get(peer))]:
        return f"{past[0]} goes on though fail2ban bans it", _COVERS, Sign.WARNING
    free = {
        peer: min(unbanned(peer, [line.time for line in lines], limit) for limit in bans.limits)
        for peer, lines in strangers.items()
        if bans.limits and peer not in bans.since
    }
    most = max(free, key=lambda peer: free[peer], default="")
    if free.get(most, 0) >= ONE:
        exempt = all(spared(most, limit.ignored) for limit in bans.limits)
        clause = f"fail2ban never bans {most}" if exempt else f"{most} goes on below the limit of fail2ban"
        return clause, _SPARED if exempt else _LONGER, Sign.WARNING
    total = sum(free.values())
    if total >= ALL:
        several = count(sum(map(bool, free.values())), "address", "addresses")
        clause = f"fail2ban bans none of the {several} from which {total} of them came, too few from each"
        return clause, _SCATTERED, Sign.WARNING
    return "fail2ban bans those who try too many", _BANS, Sign.OK


def _got_in(says: str, evidence: tuple[Evidence, ...], inside: Mapping[str, set[str]]) -> Finding:
    """Many passwords were wrong, and then one was right: a guess, perhaps."""
    peer, users = next(iter(inside.items()))
    logins = (
        Evidence(f"{each}: logged in as {', '.join(sorted(names))}", "journal, sm-mta")
        for each, names in inside.items()
    )
    return Finding(
        f"{says}; and somebody got in from there: {', '.join(sorted(users))} from {peer}",
        (*evidence, *logins),
        Mend(
            text=f"if that was no user: `passwd {shlex.quote(min(users))}`, and see what was sent: `journalctl -t sm-mta`"
        ),
        Sign.WARNING,
    )


def _goes_on(lines: Sequence[LogLine], banned: float | None) -> bool:
    return banned is not None and lines[-1].time > banned + _REACHES


def _entered(picture: Picture, since: float = 0.0) -> dict[str, set[str]]:
    """By address who logged in from there, since then."""
    entered = defaultdict[str, set[str]](set)
    for line in picture.day:
        if line.peer and line.authid is not None and line.time >= since:
            entered[line.peer].add(line.authid.partition("@")[0])
    return entered


def _user(line: LogLine) -> str:
    return (wrong_password(line) or "(no name)").partition("@")[0]


def _users(lines: Sequence[LogLine]) -> str:
    """Whose they were meant to be, most often first."""
    users = Counter(map(_user, lines))
    named = [user[:40] for user, _ in users.most_common(_SHOWN)]
    more = f" and {count(len(users) - _SHOWN, 'more user')}" if len(users) > _SHOWN else ""
    return f"for {', '.join(named)}{more}"


DIAGNOSES = (
    Diagnosis(
        "password-guessing",
        Layer.LOGS,
        "logins that nobody tried, accounts that are locked, a full log",
        "5.2.3",
        "the log of the last day",
        _guessing,
        cause="passwords are being guessed, and nothing ends it",
        fix=f"`{CHOOSE}`",
    ),
)
