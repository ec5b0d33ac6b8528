"""What init knows of services."""

from __future__ import annotations

import re

from wizard.system.host import Host


def rc_enabled(host: Host, name: str) -> bool:
    """Whether an init script starts in runlevel 2 to 5 (update-rc.d(8))."""
    pattern = re.compile(rf"S\d\d{re.escape(name)}\Z")
    return any(pattern.match(link) for level in "2345" for link in host.names(f"/etc/rc{level}.d"))
