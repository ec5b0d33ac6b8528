"""This host's own sendmail: where it listens, how it greets, which certificate it presents. The daemon itself is asked,
never a file, whatever runs there."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.errors import HostError
from wizard.model.answers import host_name
from wizard.model.facts import SENDMAIL_CF
from wizard.sendmail import cf as sendmail_cf
from wizard.smtp.connection import Deadline
from wizard.smtp.session import SubmissionSession, literal
from wizard.smtp.transcript import Failure, Transcript
from wizard.system.host import Host
from wizard.system.sockets import qualified_name

TIMEOUT = 30.0
"""Seconds: greet_pause and name look-ups make a healthy server slow (docs/debian.md section sendmail)."""


@dataclass(frozen=True)
class PresentedCertificate:
    """The certificate that a listener presents: its `fingerprint` (SHA-256), or None and a clause that says why."""

    where: str
    fingerprint: str | None
    says: str = ""


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
    daemons = sendmail_cf.for_clients(entry.content.decode("latin-1"), port) if entry else ()
    name, resolves = qualified_name(own)
    return daemons[0].reachable_at if daemons else "127.0.0.1", name if resolves else None


def greeting(address: str, port: int, *, tls: bool = False, timeout: float = TIMEOUT) -> str:
    """`220 ...` as the server says it, or a clause on why there is none. Nothing is sent but QUIT."""
    try:
        with SubmissionSession(Transcript(None, None), Deadline(timeout), timeout) as session:
            session.connect([literal(address, port)])
            if tls:
                session.encrypt(address)
            code, text = session.wire.getreply()
            return f"{code} {text.decode('latin-1')}"
    except Failure as stop:
        return stop.clause


def presented(cf: str, timeout: float = TIMEOUT) -> PresentedCertificate:
    """Ask the listener that mail clients use: 587, else 465, else another that offers TLS."""
    daemons = [item for item in sendmail_cf.daemons(cf) if item.port and "S" not in item.modifiers]
    if not daemons:
        return PresentedCertificate("sendmail", None, "sendmail.cf has no listener that offers TLS")
    ports = (587, 465)
    best = min(daemons, key=lambda item: (ports.index(item.port) if item.port in ports else 2, item.port))
    where = f"{best.reachable_at} port {best.port}"
    try:
        with SubmissionSession(Transcript(None, None), Deadline(timeout), timeout) as session:
            session.connect([literal(best.reachable_at, best.port)])
            if not best.tls_on_connect:
                session.greet()
                session.start_tls()
            session.encrypt(best.reachable_at)
            return PresentedCertificate(where, session.wire.fingerprint)
    except Failure as stop:
        return PresentedCertificate(where, None, stop.clause)
