"""Where this host's own sendmail listens."""

from __future__ import annotations

from wizard.errors import HostError
from wizard.model.answers import host_name
from wizard.model.facts import SENDMAIL_CF
from wizard.sendmail import cf as sendmail_cf
from wizard.system.host import Host
from wizard.system.host_name import qualified_name


def reachable(host: str, port: int) -> tuple[str, str | None]:
    """The address to test, and on this host itself (an empty `host`) the name that clients know it by. Raises ValueError.

    This host is reached where its own sendmail.cf says that it listens: behind a NAT its name leads elsewhere."""
    if host:
        return host_name(host), None
    own = Host()
    try:
        entry = own.entry(SENDMAIL_CF)
    except (PermissionError, HostError):
        entry = None
    found = sendmail_cf.for_clients(entry.content.decode("latin-1"), port) if entry else ()
    name, resolves = qualified_name(own)
    return found[0].reachable_at if found else "127.0.0.1", name if resolves else None
