"""Whether Sendmail is Debian's package on this host, installed or on offer: the steps rest on its layout, its update_auth and
its sendmailconfig, which Ubuntu, Raspberry Pi OS, Devuan, Mint and others take over as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wizard.errors import CannotHere, HostError
from wizard.model.facts import OLDEST, Facts, Foreign
from wizard.system.host import Host

UPDATE_AUTH = "/usr/share/sendmail/update_auth"
"""Debian's own script, in its package sendmail-base, which no other maker of Sendmail packages has."""
NEEDED = ("sendmail-base", "sendmail-bin", "sasl2-bin", "libsasl2-modules")
_LISTS = "/var/lib/apt/lists"


def foreign(host: Host, packages: Mapping[str, str]) -> Foreign | None:
    """Why Sendmail is not Debian's package here, None where it is; `packages` are those installed."""
    other_system = f"use Debian {OLDEST} or newer"
    if not host.exists("/var/lib/dpkg/status"):
        why = "it has no dpkg and no apt, and so not Debian's Sendmail, whose layout the steps rest on"
        return Foreign(why, other_system)
    if "sendmail-bin" in packages:
        if host.exists(UPDATE_AUTH):
            return None
        why = f"its package sendmail-bin brings no {UPDATE_AUTH}, as Debian's does"
        return Foreign(why, "`apt-cache policy sendmail-bin` says where it is from: install Debian's instead")
    try:
        asked = host.run(["apt-cache", "policy", *NEEDED], timeout=60)
    except HostError as error:
        return Foreign(f"apt cannot be asked for Debian's Sendmail: {error}", "put apt right first")
    lacks = [name for name in NEEDED if name not in offered(asked.stdout)]
    lists = any("_Packages" in name for name in host.names(_LISTS))
    if not lacks or not lists:  # without lists apt can say nothing yet: the install step gets them first
        return None
    return Foreign(
        f"apt offers no {' and no '.join(lacks)} here, of which Debian's Sendmail set-up is made",
        f"`apt-get update`, and see that every part of the archive is on (Ubuntu: universe); else {other_system}",
    )


def must_be_debians(facts: Facts) -> None:
    """For what does not begin with preflight. Raises CannotHere where Sendmail is not Debian's package."""
    if facts.foreign:
        raise CannotHere(
            f"this is {facts.release.name}: {facts.foreign.why}; what to do: {facts.foreign.remedy}"
        )


def offered(apt_cache_policy: str) -> frozenset[str]:
    """The packages for which `apt-cache policy` names a version that could be installed."""
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (.*)$", apt_cache_policy, re.MULTILINE)
    return frozenset(name for name, candidate in found if candidate != "(none)")
