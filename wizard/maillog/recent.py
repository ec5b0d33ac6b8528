"""What was logged lately of logins, and of mail that came in, and how far back that is known."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from wizard.errors import HostError
from wizard.maillog.read import Logged, LogLine, journal_begin, matching, matching_in_file, where
from wizard.model.step_facts import HandedIn, WeakLogin
from wizard.sendmail import cf as sendmail_cf
from wizard.system.host import Host

DAYS = 30
"""What counts as lately: somebody who sends rarely sends within a month."""
_PATIENCE = 4.0
"""Seconds for a long journal, of which the newest comes first."""
_MOST = 20_000
"""Logins, or other lines of those who logged in."""
_KEPT_FOR = 60.0
"""Seconds for which what was read is taken as it was."""
_kept: dict[tuple[int, str], tuple[Host, float, Logged]] = {}
"""By host, which it keeps, and words: when that was read, and what."""
_ADDRESSES = 2000
"""So many are asked for by name; of more, all lines are."""
_LOGS_LOGINS = 9
"""The LogLevel from which on sendmail logs a login, its TLS, and a wrong password (tried on Debian 12, 13 and 14)."""
_LOGS_MAIL = 5
"""The same of mail that comes in."""
_ACCEPTED = "^AUTH=server, relay=.*authid="
_ENCRYPTED = "^STARTTLS=server, "
_SENT = "sent mail without a login"
_TLS = re.compile(r"STARTTLS=server, relay=.*, version=([\w.]+), verify=[^,]*, cipher=([\w-]+),")
_SESSION = 3600.0
"""Seconds after its handshake within which a process's login belongs to it; the kernel gives pids again."""
_MECHANISM = re.compile(r"AUTH=server, .*, mech=([^,]*), bits=")
_CAME_IN = "^[0-9A-Za-z]+: from=.*, nrcpts=[1-9].*, proto=E?SMTPS?{}, daemon="
_MAIL = re.compile(
    r"[0-9A-Za-z]+: from=.*, nrcpts=[1-9].*, proto=E?SMTP(S?)(A?), daemon=([^,]*), relay=[^,]*$"
)
"""Mail that was taken for somebody: S is put there over TLS, A after a login. All but the end is the client's."""


def recent_logins(host: Host, cf: str) -> tuple[dict[str, float], str]:
    """By name, without a realm, the time of the last login (seconds since the epoch; 0.0: not known); and what is not known
    of that, a clause, empty where all is. `cf` is the sendmail.cf by which was logged."""
    logged = logins(host, cf)
    return {line.authid.partition("@")[0]: line.time for line in logged.lines if line.authid}, unknown(logged)


def recent_tls(host: Host, cf: str, refused: Callable[[str, str], bool]) -> tuple[tuple[WeakLogin, ...], str]:
    """The logins whose TLS, a version and a cipher, is `refused`, each user, address and kind once, the last first; and what
    is not known, as above.

    Only logins count: what came without one came from another server, or a stranger."""
    logged = logins(host, cf, _ENCRYPTED)
    begun, found = dict[int, tuple[LogLine, str, str]](), dict[tuple[str, str, str, str], float]()
    for line in logged.lines:
        if match := _TLS.match(line.text):
            begun[line.pid] = line, match[1], match[2]
        elif line.authid and (session := begun.get(line.pid)):
            handshake, version, cipher = session
            if line.time - handshake.time <= _SESSION and refused(version, cipher):
                key = line.authid.partition("@")[0], line.peer or "", version, cipher
                found[key] = line.time
    weak = tuple(WeakLogin(*key, at) for key, at in sorted(found.items(), key=lambda item: -item[1]))
    return weak, unknown(logged)


def mail_after_login(host: Host, cf: str) -> tuple[tuple[HandedIn, ...], str]:
    """The mail that came in after a login, of each user, mechanism, address and listener the last, with TLS and without; and
    what is not known, as above."""
    logged = _unlogged(cf)
    if logged is None:  # of mail without a login there may be so much that no login is among the newest lines
        logged = _logged(host, _since(), f"{_ACCEPTED}|{_CAME_IN.format('A')}", 2 * _MOST)
    sessions, found = dict[int, tuple[str, str, float]](), list[HandedIn]()
    for line in logged.lines:
        if line.authid is not None:
            how = _MECHANISM.match(line.text)
            sessions[line.pid] = line.authid.partition("@")[0], how[1] if how else "", line.time
        elif (match := _MAIL.match(line.text)) and match[2] and (session := sessions.get(line.pid)):
            user, mechanism, last = session
            if line.time - last <= _SESSION:
                sessions[line.pid] = user, mechanism, line.time
                found.append(HandedIn(user, mechanism, line.peer or "", match[3], bool(match[1]), line.time))
    return _last_ones(found), unknown(logged)


def mail_without_login(host: Host, cf: str, listeners: Collection[str]) -> tuple[tuple[HandedIn, ...], str]:
    """The same of mail that came in without a login at the listeners of these names."""
    if low := _logs_less(cf, _LOGS_MAIL):
        return (), unknown(Logged(lacks=f"sendmail logs no mail with LogLevel={low} (sendmail.cf)"), _SENT)
    names = "|".join(map(re.escape, sorted(listeners)))
    logged = _logged(host, _since(), f"{_CAME_IN.format('')}(?:{names}), relay=")
    found = list[HandedIn]()
    for line in logged.lines:
        if (match := _MAIL.match(line.text)) and not match[2] and match[3] in listeners:
            found.append(HandedIn("", "", line.peer or "", match[3], bool(match[1]), line.time))
    return _last_ones(found), unknown(logged, _SENT)


def _last_ones(found: Iterable[HandedIn]) -> tuple[HandedIn, ...]:
    """The last of each, in the order of users and addresses: no new mail of theirs changes that."""
    last = {replace(each, at=0.0): each for each in found}
    return tuple(sorted(last.values(), key=lambda each: (each.user, each.address, each.listener)))


def logins(host: Host, cf: str, also: str = "") -> Logged:
    """The logins of the last DAYS, oldest first; and what `also` matches, an expression for the begin of lines with a relay.
    In the journal such lines of those alone who logged in: of others there may be any number."""
    if (nothing := _unlogged(cf)) is not None:
        return nothing
    since = _since()
    if also and where(host) != "journal":
        return _logged(host, since, f"{_ACCEPTED}|{also}")
    accepted = _logged(host, since, _ACCEPTED)
    peers = {line.peer for line in accepted.lines} - {None}
    if not also or not peers:
        return accepted
    of_them = _logged(host, since, also + _relays(filter(None, peers)))
    lines = sorted((*of_them.lines, *accepted.lines), key=lambda line: line.time)
    lacking = max((accepted, of_them), key=lambda each: each.whole_since if each.lacks else 0.0)
    return Logged(tuple(lines), lacking.lacks, lacking.whole_since)


def _since() -> float:
    return time.time() - DAYS * 86400


def _unlogged(cf: str) -> Logged | None:
    """What is there where no login is logged; else None."""
    if not cf:  # nothing that could let anybody in
        return Logged()
    low = _logs_less(cf, _LOGS_LOGINS)
    return Logged(lacks=f"sendmail logs no login with LogLevel={low} (sendmail.cf)") if low else None


def _logs_less(cf: str, level: int) -> str:
    """sendmail's LogLevel, where it is below that; else empty."""
    now = sendmail_cf.option(cf, "LogLevel") or ""
    return now if now.isdigit() and int(now) < level else ""


def unknown(logged: Logged, did: str = "logged in") -> str:
    """What is not known of who `did` so: a clause, empty where nothing is missing."""
    if not logged.lacks:
        return ""
    if logged.whole_since < math.inf:
        begin = time.strftime("%F %R", time.localtime(logged.whole_since))
        return f"who {did} before {begin} is not known: {logged.lacks}"
    what = "may not be all that there is to see" if logged.lines else "cannot be seen"
    return f"who {did} lately {what}: {logged.lacks}"


def _logged(host: Host, since: float, words: str, most: int = 0) -> Logged:
    """What the MTA logged of it, `most` lines or _MOST; as it was read a minute ago at most: all steps of a plan ask."""
    now = time.monotonic()
    for key in [key for key, (_, at, _) in tuple(_kept.items()) if now - at > _KEPT_FOR]:
        _kept.pop(key, None)  # the screens look in several threads
    if (known := _kept.get((id(host), words))) is not None:
        return known[2]
    logged = _read(host, since, words, most or _MOST)
    _kept[id(host), words] = host, time.monotonic(), logged
    return logged


def _read(host: Host, since: float, words: str, most: int) -> Logged:
    place = where(host)
    if place is None:
        return Logged(lacks="this host keeps no log of mail that can be read")
    try:
        if place != "journal":
            return matching_in_file(host, since, words)
        found = matching(host, since, words, _PATIENCE, most)
        if found.lacks or (begin := journal_begin(host)) <= since:
            return found
        return Logged(found.lines, "the journal goes back no further", begin)
    except HostError as error:
        return Logged(lacks=str(error))


def _relays(peers: Iterable[str]) -> str:
    """An expression for the rest of a line up to the address of one of these, as sendmail writes it."""
    named = sorted(peers)
    if len(named) > _ADDRESSES:
        return ""
    return rf".*relay=.*\[(?:IPv6:)?(?:::ffff:)?(?:{'|'.join(map(re.escape, named))})\]"
