"""Whether Sendmail is Debian's package on this host, installed or on offer: the steps rest on its layout, its update_auth and
its sendmailconfig, which Ubuntu, Raspberry Pi OS, Devuan, Mint and others take over as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wizard.errors import HostError
from wizard.system.host import Host

UPDATE_AUTH = "/usr/share/sendmail/update_auth"
"""Debian's own script, in its package sendmail-base, which no other maker of Sendmail packages has."""
NEEDED = ("sendmail-base", "sendmail-bin", "sasl2-bin", "libsasl2-modules")
_LISTS = "/var/lib/apt/lists"


def foreign(host: Host, packages: Mapping[str, str]) -> str:
    """Why Sendmail is not Debian's package here, empty where it is; `packages` are those installed."""
    if not host.exists("/var/lib/dpkg/status"):
        return "it has no dpkg and no apt, and so not Debian's Sendmail, whose layout the steps rest on"
    if "sendmail-bin" in packages:
        missing = f"its package sendmail-bin brings no {UPDATE_AUTH}, as Debian's does"
        return "" if host.exists(UPDATE_AUTH) else missing
    try:
        asked = host.run(["apt-cache", "policy", *NEEDED], timeout=60)
    except HostError as error:
        return f"apt cannot be asked for Debian's Sendmail: {error}"
    lacks = [name for name in NEEDED if name not in offered(asked.stdout)]
    lists = any("_Packages" in name for name in host.names(_LISTS))
    if not lacks or not lists:  # without lists apt can say nothing yet: the install step gets them first
        return ""
    return f"apt offers no {' and no '.join(lacks)} here, of which Debian's Sendmail set-up is made"


def offered(apt_cache_policy: str) -> frozenset[str]:
    """The packages for which `apt-cache policy` names a version that could be installed."""
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (.*)$", apt_cache_policy, re.MULTILINE)
    return frozenset(name for name, candidate in found if candidate != "(none)")
