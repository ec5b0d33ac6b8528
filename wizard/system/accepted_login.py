"""The last login that this host's sendmail accepted in a test: who, and when. It is what proves the set-up. And the last one
from another machine, which proves the firewall, too."""

from __future__ import annotations

import ipaddress
import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from wizard.system.host import Host

PATH = "/var/lib/msa-wizard/accepted-login"


@dataclass(frozen=True)
class LoginFromOutside:
    """Who logged in from another machine, from which address, and when (seconds since the epoch)."""

    user: str
    address: str
    at: float


@dataclass(frozen=True)
class AcceptedLogin:
    """Who logged in, when (seconds since the epoch), and whether the set-up has changed since."""

    user: str
    at: float
    outdated: bool = False
    passed: float = 0.0
    """When a whole test has passed last, with all else that it looks at; 0 where none has."""
    outside: LoginFromOutside | None = None
    """The last one from another machine; None where there was none, or the set-up has changed since."""


def accepted_login(host: Host, changed: float) -> AcceptedLogin | None:
    """The last one, judged by when the set-up was last `changed`; None where there was none, or only root may read it."""
    try:
        kept = json.loads(host.path(PATH).read_text("utf-8"))
        at, passed = float(kept["at"]), float(kept.get("passed", 0.0))
        outside = _outside(kept.get("outside"))
        if outside is not None and outside.at < changed:
            outside = None
        return AcceptedLogin(str(kept["user"]), at, at < changed, passed, outside)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _outside(kept: Any) -> LoginFromOutside | None:
    if not kept:
        return None
    address = ipaddress.ip_address(kept["address"])
    return LoginFromOutside(str(kept["user"]), str(address), float(kept["at"]))


def note_login(host: Host, user: str, *, passed: bool = False, address: str = "") -> None:
    """Keep that `user` was accepted just now, whether the whole test has `passed`, and the other machine's `address`. A test by
    somebody who may not write there proves it to him alone."""
    path, now, before = host.path(PATH), time.time(), accepted_login(host, 0.0)
    outside = before.outside if before is not None else None
    if address:
        outside = LoginFromOutside(user, address, now)
    kept = {
        "user": user,
        "at": now,
        "passed": now if passed else before.passed if before is not None else 0.0,
        "outside": asdict(outside) if outside is not None else None,
    }
    new = path.with_name(f"{path.name}.new")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new.write_text(json.dumps(kept), "utf-8")
        new.replace(path)
