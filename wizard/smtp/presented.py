"""The certificate that the running sendmail presents: a question to the daemon itself, never to a file."""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass

from wizard.certificates.peer_certificate import client_context, sent_chain
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import Daemon
from wizard.smtp.connection import Deadline, Wire, WireError, why
from wizard.smtp.transcript import Transcript

TIMEOUT = 30.0
"""Seconds: greet_pause and name look-ups make a healthy server slow (docs/debian.md section sendmail)."""


@dataclass(frozen=True)
class Presented:
    """What came of it: `fingerprint` (SHA-256) of the certificate, or None and a clause that says why there is none."""

    where: str
    fingerprint: str | None
    says: str = ""


def presented(cf: str, timeout: float = TIMEOUT) -> Presented:
    """Ask the listener that mail clients use: 587, else 465, else another that offers TLS."""
    found = [item for item in sendmail_cf.daemons(cf) if item.port and "S" not in item.modifiers]
    if not found:
        return Presented("sendmail", None, "sendmail.cf has no listener that offers TLS")
    best = min(
        found, key=lambda item: ((587, 465).index(item.port) if item.port in (587, 465) else 2, item.port)
    )
    where = f"{best.reachable_at} port {best.port}"
    wire = Wire(Transcript(None, None), Deadline(timeout), timeout)
    try:
        own = _own(wire, best)
    except (OSError, ValueError) as error:
        return Presented(where, None, why(error))
    except WireError as error:
        return Presented(where, None, str(error))
    finally:
        wire.finish()
    return Presented(where, hashlib.sha256(own).hexdigest())


def _own(wire: Wire, daemon: Daemon) -> bytes:
    address = daemon.reachable_at
    wire.dial(socket.AF_INET6 if ":" in address else socket.AF_INET, (address, daemon.port))
    if daemon.tls_on_connect:
        return sent_chain(_encrypted(wire, address))[0]
    code, _ = wire.getreply()
    if code != 220:
        raise WireError(f"it greets with {code}")
    wire.hello()
    if "starttls" not in wire.esmtp_features:
        raise WireError("it does not offer STARTTLS: `journalctl -t sm-mta` may say why (key unsafe)")
    if wire.ask("STARTTLS").code != 220:
        raise WireError(f"it answers STARTTLS with {wire.reply}")
    return sent_chain(_encrypted(wire, address))[0]


def _encrypted(wire: Wire, address: str) -> ssl.SSLSocket:
    return wire.encrypt(client_context(verify=False), address)
