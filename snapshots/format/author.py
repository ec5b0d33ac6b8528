"""Who a change is by: the admin behind sudo or the SSH login."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from snapshots.visible import one_line

_NAME_LIMIT = 64
_EMAIL_LIMIT = 320


@dataclass(frozen=True, slots=True)
class Author:
    """Name and mail address as a commit carries them."""

    name: str
    email: str

    def cleaned(self) -> Author:
        """The same without what git would drop or could take for the end of it."""
        return Author(_clean(self.name), _clean(self.email, _EMAIL_LIMIT).replace(" ", ""))

    def signature(self) -> bytes:
        """`Name <mail>` for a commit."""
        clean = self.cleaned()
        return f"{clean.name} <{clean.email}>".encode()


def author_from_environment(environ: Mapping[str, str], hostname: str | None = None) -> Author:
    """The admin behind sudo (SUDO_USER), else the one who logged in (the terminal's login, LOGNAME),
    else root; the mail address is that name at `hostname` (by default this machine's)."""
    name = environ.get("SUDO_USER") or _terminal_login(environ) or environ.get("LOGNAME") or "root"
    name = _clean(name)
    return Author(name, f"{name.replace(' ', '')}@{_clean(hostname or socket.gethostname() or 'localhost')}")


def _terminal_login(environ: Mapping[str, str]) -> str:
    if "SSH_CONNECTION" not in environ:
        return ""
    try:
        return os.getlogin()
    except OSError:  # no terminal: LOGNAME says it
        return ""


def _clean(text: str, limit: int = _NAME_LIMIT) -> str:
    # Git ends a name at < and drops these from both ends.
    cleaned = re.sub(r"[<>\\]", "", one_line(text, limit)).strip(" .,:;\"'")
    return cleaned or "root"
