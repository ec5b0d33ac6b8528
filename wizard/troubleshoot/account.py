"""The account of the user who cannot log in, and whether the password is the right one. Asking PAM for that could lock
the account (pam_faillock): /etc/shadow is read instead, and its hash compared by libcrypt."""

from __future__ import annotations

import ctypes
import hmac
import re
import struct
import time
from dataclasses import dataclass, field, replace
from datetime import date

from wizard.console import count
from wizard.errors import HostError
from wizard.gather.pam import Pam
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86400
SHADOW = "/etc/shadow"
_FOREIGN = 2.0
"""Seconds for getent where passwords are elsewhere: it may ask the very server that is down."""
_OLDEST = re.compile(r"[./0-9A-Za-z]{13}")


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
    malformed: bool = False
    """What is there is no hash of this host's libcrypt (clear text, say), or the line has not its 9 fields."""

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
    own: bool = True
    """Whether passwords come from this host's own files, so that what they say of the user counts."""
    bare: str = ""
    """The known user of which it is `user@realm`, where saslauthd asks for that (-r)."""
    uid: int = 0
    barred: str = ""
    """Where failures are counted (pam_faillock, pam_tally2), and why they lock the user out now."""

    @property
    def known(self) -> bool:
        """Whether getent knows it."""
        return self.shell is not None

    @property
    def line(self) -> str:
        """What shadow says, without the hash; without a colon, for what is behind one is masked."""
        kept = self.shadow
        if kept is None:
            return f"{self.user} has no line"
        state = "locked" if kept.locked else "no password" if kept.empty else "a password"
        if kept.malformed:
            return f"the line of {self.user} holds no hash (crypt(5)); it is not shown"
        changed = "to be changed" if kept.changed == 0 else f"changed on {_date(kept.changed)}"
        return f"{self.user}, {state}, {changed}; the account expires on {_date(kept.expires)}"


def _date(day: int | None) -> str:
    """A day of shadow(5); one that no calendar has by its number."""
    if day is None or day < 0:
        return "no day"
    return f"{date.fromordinal(_EPOCH + day):%F}" if day <= date.max.toordinal() - _EPOCH else f"day {day}"


def look(host: Host, credentials: Credentials, joined: bool = False, own: bool = True) -> Account:
    """The account of this login, as saslauthd asks for it: with its realm only where that is `joined`. Where passwords are
    not this host's `own`, only whether the name is known. Raises nothing: what cannot be read stays unknown."""
    bare, _, realm = credentials.user.partition("@")
    user, today = credentials.user if joined or not own else bare, int(time.time() // _DAY)
    known = _passwd(host, user, 15 if own else _FOREIGN)
    if known is None or not own:
        joins = own and realm and known is None and _passwd(host, bare, 15) is not None
        return Account(user, known[6] if known else None, today=today, own=own, bare=bare if joins else "")
    row, account = _row(host, user), Account(user, known[6], today=today, uid=_number(known[2]) or 0)
    if row is None:
        return account
    if len(row) != 9:
        return replace(account, shadow=Shadow(False, False, False, None, None, None, None, malformed=True))
    hashed = row[1]
    bare_hash = hashed.lstrip("!")
    never = bare_hash[:1] in ("", "*")
    right = None if never or not hashed else matches(bare_hash, credentials.password)
    kept = Shadow(
        locked=hashed.startswith("!"),
        empty=hashed == "",
        never=never and hashed != "",
        changed=_number(row[2]),
        most=_number(row[4]),
        inactive=_number(row[6]),
        expires=_number(row[7]),
        malformed=not never and right is None and malformed(bare_hash),
    )
    return replace(account, shadow=kept, right=right)


def barred(host: Host, pam: Pam, account: Account, now: float) -> str:
    """Why a module that counts failures refuses this user now, empty where none does (pam_faillock(8), faillock.conf(5);
    pam_tally2(8), up to Debian 10). A record is 64 bytes: flags or a count in the halfword at 54, the time behind it."""
    line = pam.has("pam_faillock.so") or pam.has("pam_tally2.so")
    if line is None or not account.known or "/" in account.user or account.user == "root":
        return ""
    old = "pam_tally2" in line.module
    conf = "" if old else host.text("/etc/security/faillock.conf")
    options = dict(re.findall(r"^[ \t]*(\w+)[ \t]*=[ \t]*(\S+)", conf, re.MULTILINE))
    options |= dict(re.findall(r"(\w+)=(\S+)", line.text))

    def number(key: str, default: int) -> int:
        return _number(options.get(key, str(default))) or 0  # `never`, too, is 0

    deny, wait = number("deny", 3), number("unlock_time", 0 if old else 600)
    path = f"{options.get('dir', '/run/faillock')}/{account.user}"
    if old:
        path = options.get("file", "/var/log/tallylog")
    try:
        content = host.small_file(path, 1 << 22)[0]
    except HostError:
        return ""
    if old:
        content = content[account.uid * 64 :][:64]
    records = list(struct.iter_unpack("<54xHQ", content[: len(content) // 64 * 64]))
    last = max((when for _, when in records), default=0)
    within = number("fail_interval", 900)
    failures = sum(count if old else count & 1 for count, when in records if old or when + within > last)
    if not 0 < deny <= failures or (wait and last + wait < now):
        return ""
    return f"{account.user}: {count(failures, 'failure')} in {path}, and from {deny} on PAM refuses"


def _passwd(host: Host, user: str, seconds: float) -> list[str] | None:
    try:
        result = host.run(["getent", "passwd", "--", user], timeout=seconds)
    except HostError:
        return None
    row = result.stdout.strip().split(":")
    return row if result.code == 0 and len(row) == 7 else None


def _row(host: Host, user: str) -> list[str] | None:
    try:
        entry = host.entry(SHADOW)
    except (HostError, PermissionError):
        return None
    for line in entry.content.decode("utf-8", "replace").splitlines() if entry else ():
        row = line.split(":")
        if len(row) > 1 and row[0] == user:
            return row
    return None


def _number(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() else None


def matches(hashed: str, password: str) -> bool | None:
    """Whether crypt(3) of the password gives this hash; None where libcrypt is not here, or does not know the method."""
    computed = _crypt(hashed, password)
    if computed is None or len(computed) != len(hashed.encode()):
        return None
    return hmac.compare_digest(computed, hashed.encode())


def malformed(hashed: str) -> bool:
    """Whether this can be no hash: in crypt(5) each begins with `$` or `_`, but for the 13 characters of the oldest."""
    if not hashed.startswith(("$", "_")):
        return _OLDEST.fullmatch(hashed) is None
    computed = _crypt(hashed, "")
    return computed is not None and len(computed) != len(hashed.encode())


def _crypt(hashed: str, password: str) -> bytes | None:
    """None where libcrypt is not here; `*0` where it takes that for no hash."""
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError:
        return None
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    computed: bytes | None = library.crypt(password.encode(), hashed.encode())
    return computed or b""
