"""The certificate steps for this host, made from what an admin asks for."""

from __future__ import annotations

from pathlib import Path

from wizard.certificates.self_signed import DAYS
from wizard.console import clean
from wizard.errors import HostError, UsageError
from wizard.gather.certificates import CertificateReport, report
from wizard.model import facts as f
from wizard.model.answers import host_name
from wizard.model.plan import Step
from wizard.steps.certificate_install import Source, chosen
from wizard.steps.certificate_renew import renewed
from wizard.system.host import Host
from wizard.system.sockets import qualified_name


def shown(host: Host) -> CertificateReport:
    """The report on this host's certificates. Raises HostError."""
    cf = host.entry(f.SENDMAIL_CF)
    if cf is None:
        raise HostError(f"there is no {f.SENDMAIL_CF} on this host: `msa-wizard apply` sets up sendmail")
    name, resolves = qualified_name(host)
    return report(host, cf.content.decode("latin-1"), name if resolves else "")


def renewal(host: Host) -> Step:
    """The step `certificate-renew` for this host's own name. Raises HostError."""
    return renewed(host, [own_name(host)], DAYS, replace_authority=False)


def installation(host: Host, cert: str, key: str, chain: str = "", name: str = "") -> Step:
    """The step `certificate-install` for these files, checked. Raises UsageError, HostError."""
    known = checked_name(name) if name else own_name(host)
    cert, key, chain = (str(Path(path).absolute()) if path else "" for path in (cert, key, chain))
    return chosen(host, Source(cert, key, chain, known))


def own_name(host: Host) -> str:
    name, resolves = qualified_name(host)
    if not resolves:
        raise HostError(
            "this host has no qualified name (hostname -f): give the name that mail clients know it by, --name NAME"
        )
    return name


def checked_name(name: str) -> str:
    """A host name for a certificate. Raises UsageError."""
    try:
        checked = host_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if "." not in checked.strip(".") or ":" in checked or checked.replace(".", "").isdigit():
        raise UsageError(f"{clean(name)[:80]!r} is not a qualified host name, such as mail.example.org")
    return checked.rstrip(".").lower()
