"""Whether certbot renews the certificate that it keeps for sendmail, and whether the renewals get there."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from wizard.certificates import Certificate, certificates
from wizard.certificates.acme import HOOK
from wizard.errors import HostError, PemError
from wizard.gather.certificates import parsed
from wizard.sendmail.cf_needs import MOST, TlsFiles
from wizard.system.host import Host

TIMER = "certbot.timer"
_LINEAGE = re.compile(r"^lineage=(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Renewal:
    """What is there of it: the folder of the lineage, and the newest certificate in it, None where there is none."""

    lineage: str
    kept: Certificate | None = None
    arrived: bool = True
    """Whether sendmail's own file is that one."""
    idle: str = ""
    """Why nothing runs certbot by itself; empty where something does."""


def look_at_renewal(host: Host, cf: str) -> Renewal | None:
    """None where no hook of ours brings renewals to sendmail. Raises HostError."""
    found = _LINEAGE.search(host.text(HOOK, "utf-8"))
    try:
        words = shlex.split(found[1]) if found else []
    except ValueError as error:  # somebody has edited it
        raise HostError(f"{HOOK} is not as it was written: {error}") from error
    if not words:
        return None
    kept, own = (_first(host, path) for path in (f"{words[0]}/fullchain.pem", TlsFiles.of(cf).certificate))
    certificate = parsed(host.small_file(f"{words[0]}/fullchain.pem", MOST)[0], "") if kept else None
    return Renewal(words[0], certificate, kept is None or own is None or kept == own, idle(host))


def _first(host: Host, path: str) -> bytes | None:
    try:
        return certificates(host.small_file(path, MOST)[0])[0]
    except (HostError, PemError):
        return None


def idle(host: Host) -> str:
    """Why nothing runs certbot by itself; empty where something does. Raises HostError."""
    if not host.exists("/run/systemd/system"):
        runs = host.exists("/etc/cron.d/certbot") and host.exists("/usr/sbin/cron")
        return "" if runs else "there is no cron that runs certbot"
    shown = host.run(["systemctl", "show", "-p", "ActiveState", TIMER], timeout=30).stdout
    return "" if shown.strip() == "ActiveState=active" else f"{TIMER} is not active"
