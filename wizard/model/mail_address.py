"""What a mail address is here: of the test message, on the command line and in the settings."""

from __future__ import annotations

import re

from snapshots.visible import visible

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MAILBOX = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{HOST_NAME}|\[[0-9A-Za-z.:]+\])")


def mailbox(address: str) -> str:
    """The address unchanged. Raises ValueError unless it is a plain user@domain (RFC 5321 section 4.1.2)."""
    if len(address) > 254 or not _MAILBOX.fullmatch(address):
        hint = (
            "" if address.isascii() else " Non-ASCII addresses need SMTPUTF8, which sendmail on Debian lacks."
        )
        raise ValueError(f"'{visible(address, 80)}' is not a mail address: write user@domain.{hint}")
    return address
