"""The first line an SMTP server says."""

from __future__ import annotations

import socket

from wizard.certificates.peer_certificate import client_context
from wizard.smtp.connection import Deadline, Wire, WireError, why
from wizard.smtp.transcript import Transcript

TIMEOUT = 30.0
"""Seconds: greet_pause and name look-ups make a healthy server slow (docs/debian.md section sendmail)."""


def greeting(address: str, port: int, *, tls: bool = False, timeout: float = TIMEOUT) -> str:
    """`220 ...` as the server says it, or a sentence on why there is none. Nothing is sent but QUIT."""
    wire = Wire(Transcript(None, None), Deadline(timeout), timeout)
    try:
        wire.dial(socket.AF_INET6 if ":" in address else socket.AF_INET, (address, port))
        if tls:
            wire.encrypt(client_context(verify=False), address)
        code, text = wire.getreply()
    except (OSError, WireError) as error:
        return why(error)
    finally:
        wire.finish()
    return f"{code} {text.decode('latin-1')}"
