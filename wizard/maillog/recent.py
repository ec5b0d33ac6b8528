"""Who logged in lately, by what sendmail logged of each accepted login."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from wizard.maillog.read import LogLine, lines, matching, where
from wizard.model.facts import WeakLogin
from wizard.system.host import Host

DAYS = 30
"""What counts as lately: somebody who sends rarely sends within a month."""
_PATIENCE = 4.0
"""Seconds for a long journal, of which the newest comes first."""
_ACCEPTED = "^AUTH=server, relay=.*authid="
_ENCRYPTED = "^(?:STARTTLS=server, relay=.*version=|AUTH=server, relay=.*authid=)"
_TLS = re.compile(r"STARTTLS=server, relay=.*, version=([\w.]+), verify=[^,]*, cipher=([\w-]+),")
_SESSION = 3600.0
"""Seconds after its handshake within which a process's login belongs to it; the kernel gives pids again."""


def recent_logins(host: Host) -> dict[str, float]:
    """By name, without a realm, the time of the last login (seconds since the epoch; 0.0: not known). Raises HostError
    where there is a log that cannot be read."""
    logged = _logged(host, _ACCEPTED)
    return {line.authid.partition("@")[0]: line.time for line in logged if line.authid}


def recent_tls(host: Host, refused: Callable[[str, str], bool]) -> tuple[WeakLogin, ...]:
    """The logins whose TLS, a version and a cipher, is `refused`, each user, address and kind once, the last first.

    Only logins count: what came without one came from another server, or a stranger. Raises HostError as above."""
    begun, found = dict[int, tuple[LogLine, str, str]](), dict[tuple[str, str, str, str], float]()
    for line in _logged(host, _ENCRYPTED):
        if match := _TLS.match(line.text):
            begun[line.pid] = line, match[1], match[2]
        elif line.authid and (session := begun.get(line.pid)):
            handshake, version, cipher = session
            if line.time - handshake.time <= _SESSION and refused(version, cipher):
                key = line.authid.partition("@")[0], line.peer or "", version, cipher
                found[key] = line.time
    return tuple(WeakLogin(*key, at) for key, at in sorted(found.items(), key=lambda item: -item[1]))


def _logged(host: Host, words: str) -> tuple[LogLine, ...]:
    """What the MTA logged of it lately, oldest first. Raises HostError."""
    since = time.time() - DAYS * 86400
    if where(host) == "journal":
        return matching(host, since, words, _PATIENCE)
    return lines(host, since, ("sm-mta",)) or ()
