"""This host's own name."""

from __future__ import annotations

from wizard.errors import HostError
from wizard.system.host import Host


def qualified_name(host: Host) -> tuple[str, bool]:
    """What `hostname -f` says (update_tls asks the same), and whether it is a qualified name that resolves."""
    try:
        result = host.run(["hostname", "-f"], timeout=15)
    except HostError:
        return "", False
    name = result.stdout.strip() if result.code == 0 else ""
    return name, "." in name.strip(".") and result.code == 0
