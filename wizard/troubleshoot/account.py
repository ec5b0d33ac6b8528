"""The account of the user who cannot log in, and whether the password is the right one. Asking PAM for that could lock
the account (pam_faillock): /etc/shadow is read instead, and its hash compared by libcrypt."""

from __future__ import annotations

import ctypes
import hmac
import time
from dataclasses import dataclass, field

from wizard.errors import HostError
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host

_DAY = 86400
SHADOW = "/etc/shadow"


@dataclass(frozen=True)
class Shadow:
    """A line of /etc/shadow without its hash (shadow(5)); days since the epoch, None where the field is empty."""

    locked: bool
    empty: bool
    """No password at all is asked for."""
    never: bool
    """No password can match: `*` or `!` alone, or no known hash."""
    changed: int | None
    most: int | None
    inactive: int | None
    expires: int | None

    def expired(self, today: int) -> bool:
        """The account itself."""
        return self.expires is not None and 0 <= self.expires < today

    def password_expired(self, today: int) -> bool:
        """The password must be changed before anything else: pam_unix refuses."""
        if self.changed == 0:
            return True
        if self.changed is None or self.most is None or self.most < 0:
            return False
        return self.changed + self.most < today


@dataclass(frozen=True)
class Account:
    """What this host knows of a login name. `right` says whether the password is the one that shadow holds, None
    where that cannot be told."""

    user: str
    shell: str | None = None
    """None where no such user is known."""
    shadow: Shadow | None = None
    right: bool | None = field(default=None, repr=False)
    today: int = 0
    """Days since the epoch."""

    @property
    def known(self) -> bool:
        """Whether getent knows it."""
        return self.shell is not None

    @property
    def line(self) -> str:
        """What shadow says, without the hash."""
        kept = self.shadow
        if kept is None:
            return f"{self.user}: no line"
        state = "locked" if kept.locked else "no password" if kept.empty else "a password"
        return f"{self.user}: {state}, changed on day {kept.changed}, expires on day {kept.expires}"


def look(host: Host, credentials: Credentials) -> Account:
    """The account of this login. Raises nothing: what cannot be read stays unknown."""
    user, today = credentials.user, int(time.time() // _DAY)
    shell = _shell(host, user)
    if shell is None:
        return Account(user, today=today)
    row = _row(host, user)
    if row is None:
        return Account(user, shell, today=today)
    hashed = row[1]
    kept = Shadow(
        locked=hashed.startswith("!"),
        empty=hashed == "",
        never=hashed.lstrip("!") in ("", "*") and hashed != "",
        changed=_number(row[2]),
        most=_number(row[4]),
        inactive=_number(row[6]),
        expires=_number(row[7]),
    )
    right = None if kept.never or kept.empty else matches(hashed.lstrip("!"), credentials.password)
    return Account(user, shell, kept, right, today)


def _shell(host: Host, user: str) -> str | None:
    try:
        result = host.run(["getent", "passwd", "--", user], timeout=15)
    except HostError:
        return None
    row = result.stdout.strip().split(":")
    return row[6] if result.code == 0 and len(row) == 7 else None


def _row(host: Host, user: str) -> list[str] | None:
    try:
        entry = host.entry(SHADOW)
    except (HostError, PermissionError):
        return None
    for line in entry.content.decode("utf-8", "replace").splitlines() if entry else ():
        row = line.split(":")
        if len(row) == 9 and row[0] == user:
            return row
    return None


def _number(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() else None


def matches(hashed: str, password: str) -> bool | None:
    """Whether crypt(3) of the password gives this hash; None where libcrypt is not here, or does not know the method."""
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError:
        return None
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    computed: bytes | None = library.crypt(password.encode(), hashed.encode())
    if not computed or computed.startswith(b"*"):
        return None
    return hmac.compare_digest(computed, hashed.encode())
