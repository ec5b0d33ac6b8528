"""Whether certbot renews the certificate that it keeps for sendmail, and whether the renewals get there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.certificates import Certificate, certificates, parsed
from wizard.certificates.acme import HOOK, LINEAGE, lineage_of
from wizard.errors import HostError, PemError
from wizard.sendmail.cf_needs import MOST, TlsFiles
from wizard.system.host import Host

TIMER = "certbot.timer"
_TIMERS = (TIMER, "snap.certbot.renew.timer")
_CRONTABS = ("/etc/crontab", "/var/spool/cron/crontabs/root")
"""Where certbot's own instructions for pip let it be renewed."""
_BY_CRON = re.compile(r"^[ \t]*(?![#\s]).*\bcertbot\b.*\brenew\b", re.MULTILINE)


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
    text = host.text(HOOK, "utf-8")
    lineage = lineage_of(text)
    if not lineage and LINEAGE.search(text):
        raise HostError(f"{HOOK} is not as it was written")
    if not lineage:
        return None
    kept, own = (_first(host, path) for path in (f"{lineage}/fullchain.pem", TlsFiles.of(cf).certificate))
    certificate = parsed(host.small_file(f"{lineage}/fullchain.pem", MOST)[0]) if kept else None
    return Renewal(lineage, certificate, kept is None or own is None or kept == own, idle(host))


def _first(host: Host, path: str) -> bytes | None:
    try:
        return certificates(host.small_file(path, MOST)[0])[0]
    except (HostError, PemError):
        return None


def idle(host: Host) -> str:
    """Why nothing runs certbot by itself; empty where something does. Raises HostError."""
    if runner(host):
        return ""
    return f"{TIMER} is not active" if _systemd(host) else "there is no cron that runs certbot"


def runner(host: Host) -> str:
    """What runs certbot by itself, also one that is not Debian's; empty where nothing does. Raises HostError."""
    if _systemd(host):
        shown = host.run(["systemctl", "show", "-p", "ActiveState", *_TIMERS], timeout=30).stdout
        for timer, state in zip(_TIMERS, shown.split(), strict=False):
            if state == "ActiveState=active":
                return timer
    if not host.exists("/usr/sbin/cron"):
        return ""
    debians = host.exists("/etc/cron.d/certbot") and not _systemd(host)
    return "cron" if debians or any(_BY_CRON.search(host.text(path)) for path in _CRONTABS) else ""


def _systemd(host: Host) -> bool:
    return host.exists("/run/systemd/system")
