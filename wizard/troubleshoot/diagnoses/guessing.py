"""Passwords that are being guessed: by whom and how often, and whether anything ends it (the step guess-limit)."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from wizard.console import count
from wizard.maillog.guessing import busiest, wrong_password
from wizard.maillog.read import LogLine
from wizard.model.plan import Sign
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
    if picture.banned is not None:
        if past := [peer for peer, lines in strangers.items() if _goes_on(lines, picture.banned.get(peer))]:
            return Finding(
                f"{says}; {past[0]} goes on though fail2ban bans it",
                evidence,
                Mend(text=_COVERS),
                Sign.WARNING,
            )
        return Finding(f"{says}; fail2ban bans who tries too many", evidence, Mend(text=_BANS), Sign.OK)
    return Finding(says, evidence, Mend(text=f"`{CHOOSE}` bans who guesses for a while"), Sign.WARNING)


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
