"""The first line an SMTP server says."""

from __future__ import annotations

import smtplib
import ssl

TIMEOUT = 30.0
"""Seconds: greet_pause and name look-ups make a healthy server slow (DEBIAN.md section sendmail)."""


def greeting(address: str, port: int, *, tls: bool = False, timeout: float = TIMEOUT) -> str:
    """`220 ...` as the server says it, or a sentence on why there is none. Nothing is sent but QUIT."""
    client: smtplib.SMTP = smtplib.SMTP(timeout=timeout)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = smtplib.SMTP_SSL(timeout=timeout, context=context)
    try:
        code, text = client.connect(address, port)
        client.docmd("QUIT")
    except (OSError, smtplib.SMTPException) as error:
        return str(error) or type(error).__name__
    finally:
        client.close()
    return f"{code} {text.decode('latin-1')}"
