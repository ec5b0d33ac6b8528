"""saslauthd does as its defaults file says, and that is wrong (howto 2.3, 2.4; docs/debian.md)."""

from __future__ import annotations

import re

from wizard.model.plan import Sign
from wizard.sendmail.asked_saslauthd import defaults_file, own_saslauthd
from wizard.troubleshoot.asked_saslauthd import default, is_debians, is_wanted, restarted
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

_INIT = re.compile(
    r"\s*(?:saslauthd\[\d+\] ?)?: ?(?:unknown authentication mechanism: (\S+)|failed to initialize mechanism (\S+))\Z"
)


def option_misread(picture: Picture) -> Finding | None:
    """The init script puts -O before MECH_OPTIONS; the unit of Debian 13 and newer takes it as it is, so an upgrade breaks it."""
    service, words = picture.facts.services.get("saslauthd"), default(picture, "MECH_OPTIONS").split()
    mechanism = default(picture, "MECHANISMS").split()[:1]
    if not is_debians(picture) or service is None or mechanism not in (["rimap"], ["ldap"], ["httpform"]):
        return None
    if not words or (words[0] == "-O") == service.native or (words[0][0] == "-" and service.native):
        return None
    how = "needs -O before it" if service.native else "puts -O before it, so that there are two"
    who = "saslauthd.service" if service.native else "its init script"
    return Finding(
        f"saslauthd is not given what MECH_OPTIONS says: {who} {how}",
        (
            Evidence(f'MECH_OPTIONS="{" ".join(words)}"', defaults_file(picture.facts)),
            *picture.logged(f"{mechanism[0]}_init", limit=1, proved=True),
        ),
        Mend(("mend-saslauthd-option",)),
        Sign.WARNING if picture.login else Sign.FAILED,
    )


def _getpwent(picture: Picture) -> Finding | None:
    """It reads /etc/passwd alone, where Debian has an `x` in the place of each hash."""
    owner = picture.account
    if not is_wanted(picture) or picture.backend.mechanism != "getpwent" or picture.login:
        return None
    if owner is not None and owner.shadow is None:
        return None
    return Finding(
        "saslauthd asks getpwent, which reads /etc/passwd alone, and the passwords are in /etc/shadow",
        (Evidence(f'MECHANISMS="{default(picture, "MECHANISMS")}"', defaults_file(picture.facts)),),
        Mend(
            text='the same users by a mechanism that can read it: MECHANISMS="pam" (or "shadow") in '
            f"{defaults_file(picture.facts)}, then: {restarted(picture)}"
        ),
        Sign.FAILED if owner is not None else Sign.WARNING,
    )


def ends_at_once(picture: Picture) -> Finding | None:
    """What it said last as it started: a mechanism that it has not, or cannot do without an option."""
    if not is_wanted(picture) or own_saslauthd(picture.facts) is not None or not picture.mux_problem:
        return None
    if option_misread(picture):
        return None
    configured, asked = default(picture, "MECHANISMS").split()[:1], picture.backend
    own = [x for x in picture.log or () if x.name == "saslauthd" and not x.file]
    when, last = next(((x.time, match) for x in reversed(own) if (match := _INIT.match(x.text))), (0.0, None))
    if last is None or [last[1] or last[2]] != configured:
        return None
    if last[2] and asked.option and not any(server.problem for server in asked.servers):
        return None  # the server was not to be found then, and is now: a start will do
    path = defaults_file(picture.facts)
    text = f"`saslauthd -v` lists what this release has: set MECHANISMS in {path} to the one that has your passwords"
    if last[2]:
        text = f'name the server in {path} (rimap: MECH_OPTIONS="NAME/PORT", on Debian 13 and newer "-O NAME/PORT"), and see that this name is known: getent hosts NAME'
    return Finding(
        f"saslauthd exits as soon as it starts: {'it has no mechanism' if last[1] else 'it cannot begin with'} {configured[0]}",
        (
            Evidence(last.string.strip().removeprefix(": "), "journal, saslauthd"),
            *picture.logged(f"{configured[0]}_init", since=when - 5, limit=1, proved=True),
            *(
                Evidence(f"{server.name}: {server.problem}", "its name and port")
                for server in asked.servers
                if server.problem
            ),
        ),
        Mend(text=f"{text}; then: {restarted(picture)}"),
    )


def _realm(picture: Picture) -> Finding | None:
    """`-r`: who logs in as alice@mail.example.test is that user for PAM, not alice."""
    owner = picture.account
    if owner is None or not owner.bare or picture.login:
        return None
    if not is_wanted(picture) or not picture.backend.joined:
        return None
    mends = "-r" in default(picture, "OPTIONS").split() and not picture.pam.asks_others
    return Finding(
        f"saslauthd runs with -r and so asks for the user {owner.user}, but here it is {owner.bare}, without the realm",
        (
            Evidence(f"OPTIONS={default(picture, 'OPTIONS')}", defaults_file(picture.facts)),
            Evidence(f"{owner.user}: not found; {owner.bare}: found", "getent passwd"),
        ),
        Mend(("mend-saslauthd-realm",))
        if mends and is_debians(picture)
        else Mend(text=f"log in as {owner.bare}, or start saslauthd without -r"),
    )


_S = Layer.SASLAUTHD
_535 = "535, the password is refused for everybody"

DIAGNOSES = (
    Diagnosis(
        "saslauthd-option",
        _S,
        _535,
        "2.3",
        "MECH_OPTIONS, its unit",
        option_misread,
        cause="MECH_OPTIONS is not written as this release reads it: with -O for the unit of Debian 13 and newer, without it for the init script",
        fix="write it so (--fix: mend-saslauthd-option)",
    ),
    Diagnosis(
        "saslauthd-ends",
        _S,
        _535,
        "2.4",
        "the log of saslauthd",
        ends_at_once,
        cause="saslauthd exits as soon as it starts, because it does not have the mechanism, or not the server that this needs",
        fix="set MECHANISMS and MECH_OPTIONS in its defaults file, /etc/default/saslauthd or saslauthd-NAME there",
    ),
    Diagnosis(
        "saslauthd-getpwent",
        _S,
        _535,
        "2.3",
        "its arguments, /etc/shadow",
        _getpwent,
        cause="saslauthd asks getpwent, which cannot see the passwords in /etc/shadow",
        fix="have it ask pam or shadow: the same users",
    ),
    Diagnosis(
        "saslauthd-realm",
        _S,
        "535 where the user name is a mail address",
        "2.3",
        "its arguments, getent passwd",
        _realm,
        cause="saslauthd runs with -r and asks for user@realm, and here the user has no realm",
        fix="start it without -r (--fix: mend-saslauthd-realm)",
    ),
)
