"""Whether certbot renews the certificate that it keeps for sendmail, and whether the renewals get there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from wizard.certificates import Certificate, certificates, parsed
from wizard.certificates.acme import CERTBOT, HOOK, LINEAGE, lineage_behind, lineage_of
from wizard.errors import HostError, PemError
from wizard.model.plan import Check, Sign
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
    foreign: bool = False
    """Whether that is none that certbot has ever kept in the lineage, and valid: the next renewal takes its place."""
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
    path = TlsFiles.of(cf).certificate
    kept, own = (_first(host, each) for each in (f"{lineage}/fullchain.pem", path))
    certificate = parsed(host.small_file(f"{lineage}/fullchain.pem", MOST)[0]) if kept else None
    arrived = kept is None or own is None or kept == own
    return Renewal(lineage, certificate, arrived, _is_foreign(host, lineage, path), idle(host))


def kept_as(host: Host, path: str) -> str:
    """The folder of the lineage whose newest certificate is the one at `path`: it lies in there, or a hook of ours brings it; empty
    where it is of none."""
    lineage = lineage_behind(path, lineage_of(host.text(HOOK, "utf-8")))
    own = _first(host, path) if lineage else None
    return lineage if own is not None and own == _first(host, f"{lineage}/fullchain.pem") else ""


def is_of(host: Host, lineage: str, path: str) -> bool:
    """Whether the certificate at `path` is one that certbot keeps in the lineage, or has kept before."""
    own, archive = _first(host, path), f"{CERTBOT}/archive/{lineage.rpartition('/')[2]}"
    former = (f"{archive}/{name}" for name in host.names(archive) if name.startswith("fullchain"))
    return own is not None and any(
        _first(host, each) == own for each in (f"{lineage}/fullchain.pem", *former)
    )


def _is_foreign(host: Host, lineage: str, path: str) -> bool:
    try:
        own = parsed(host.small_file(path, MOST)[0])
    except HostError:
        return False
    return own is not None and own.not_after > datetime.now(UTC) and not is_of(host, lineage, path)


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


def renews(host: Host) -> Check:
    """Whether something runs certbot by itself."""
    if why := idle(host):
        return Check(
            "renews",
            Sign.WARNING,
            f"nothing renews the certificate: {why}",
            f"systemctl enable --now {TIMER}",
        )
    return Check(
        "renews",
        Sign.OK,
        f"{runner(host)} runs certbot twice a day; it renews a month before the end",
    )


def _systemd(host: Host) -> bool:
    return host.exists("/run/systemd/system")
