"""Who logged in lately, by what sendmail logged of each accepted login."""

from __future__ import annotations

import time

from wizard.maillog.read import lines, matching, where
from wizard.system.host import Host

DAYS = 30
"""What counts as lately: somebody who sends rarely sends within a month."""
_PATIENCE = 4.0
"""Seconds for a long journal, of which the newest comes first."""
_ACCEPTED = "^AUTH=server, relay=.*authid="


def recent_logins(host: Host) -> dict[str, float]:
    """By name, without a realm, the time of the last login (seconds since the epoch; 0.0: not known). Raises HostError
    where there is a log that cannot be read."""
    since = time.time() - DAYS * 86400
    if where(host) == "journal":
        logged = matching(host, since, _ACCEPTED, _PATIENCE)
    else:
        logged = lines(host, since, ("sm-mta",)) or ()
    return {line.authid.partition("@")[0]: line.time for line in logged if line.authid}
