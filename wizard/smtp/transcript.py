"""What may be shown of an SMTP conversation: the transcript, with the password masked and the wire cleaned.

Everything a server says is hostile until it went through `Transcript.heard`. Before it had the password it cannot
know it: the password and its base64 forms are masked all the same, control characters and escape sequences made
visible, absurd lines cut. Once the password was sent its own words are not shown at all: see `words`.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from snapshots.visible import visible
from wizard import log
from wizard.errors import WizardError
from wizard.model.plan import Sign

SHOWN_CHARACTERS = 512  # of one line; RFC 5321 section 4.5.3.1.5 allows a reply line no more octets than this
MASK = "********"


@dataclass(frozen=True)
class Credentials:
    """A user name and its password, as typed (both are sent as UTF-8). The password is in no repr, and in no log.

    Raises ValueError for what cannot be a login; the sentence never holds the value itself.
    """

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        for label, value in (("user name", self.user), ("password", self.password)):
            if not value:
                raise ValueError(f"the {label} is empty: give one.")
            if len(value) > 1000:
                raise ValueError(f"the {label} is longer than 1,000 characters: give the real one.")
            if any(unicodedata.category(c) == "Cc" for c in value):
                raise ValueError(
                    f"The {label} holds a control character (NUL, newline, tab, escape): no login "
                    "can; look for a stray line end where it was typed or read from."
                )
            if any(unicodedata.category(c) == "Cs" for c in value):
                raise ValueError(f"the {label} is not valid UTF-8: type it in a UTF-8 terminal.")
        log.hide(self, Mask(self))


@dataclass(frozen=True)
class Line:
    """One line of the transcript, safe to show: who spoke, what, a plain sentence beside it ("" if none)."""

    who: Literal["server", "client", "note"]
    text: str
    explanation: str = ""


def encode(text: str) -> str:
    """Base64 of the UTF-8 of `text`, as AUTH wants it (howto 5.2.1)."""
    return base64.b64encode(text.encode()).decode()


def default_sender(user: str, host: str) -> str:
    """The login as a mail address: as it is where it has a domain, else at the host or address literal."""
    if "@" in user:
        return user
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return f"{user}@{host}"
    return f"{user}@[{'IPv6:' if address.version == 6 else ''}{address}]"


class Mask:
    """Finds the password in what is to be shown: plain, in base64 at any alignment, in a PLAIN response."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._password = credentials.password.encode() if credentials else b""
        forms: set[bytes] = set()
        if credentials:
            user, password = credentials.user.encode(), self._password
            plain = ((password,), (b"", user, password), (user, user, password))
            forms = {password, *(base64.b64encode(b"\0".join(parts)) for parts in plain)}
            for shift in range(3):  # the characters of the base64 that depend on the password alone
                start, bits = -(-shift * 8 // 6), (shift + len(password)) * 8
                core = base64.b64encode(b"\0" * shift + password)[start : bits // 6]
                forms |= {core} if len(core) >= 6 else set()
        self._forms = sorted(forms, key=len, reverse=True)
        flags = re.IGNORECASE if len(self._password) >= 6 else 0  # "ok" as password must not hide every OK
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms)), flags) if forms else None

    def __call__(self, raw: bytes, cut: bool = False) -> bytes:
        """`raw` with the password masked; `cut`: its end is missing, so half a password there goes too."""
        if self._pattern is None:
            return raw
        if cut:
            tails = [n for form in self._forms for n in range(1, len(form)) if raw.endswith(form[:n])]
            raw = raw[: len(raw) - max(tails, default=0)]
        raw = re.sub(rb"[A-Za-z0-9+/]{8,}={0,2}", self._token, raw)
        return self._pattern.sub(MASK.encode(), raw)

    def _token(self, match: re.Match[bytes]) -> bytes:
        bare = match[0].rstrip(b"=")
        decoded = base64.b64decode(bare[: len(bare) - (len(bare) % 4 == 1)] + b"==")
        return MASK.encode() if self._password in decoded else match[0]


class Transcript:
    """Collects lines and hands each to `on_line` as it happens."""

    def __init__(self, credentials: Credentials | None, on_line: Callable[[Line], None] | None) -> None:
        self._mask = Mask(credentials)
        self._password = credentials.password if credentials else ""
        self._on_line = on_line
        self.lines: list[Line] = []
        self.password_sent = False
        """Whether the server has had the password: then none of its own words are shown any more."""

    def shown(self, text: bytes | str, cut: bool = False) -> str:
        """What came from the wire or the caller, masked and cleaned: the only way into any output."""
        raw = text.encode(errors="backslashreplace") if isinstance(text, str) else text
        return visible(self._mask(raw, cut).decode(errors="backslashreplace"), SHOWN_CHARACTERS)

    def heard(self, raw: bytes, verb: str = "", cut: bool = False) -> str:
        """Record a line of the server, answering `verb`; `cut`: its end is missing. What may be shown of it."""
        explanation = ""
        if self.password_sent:
            shown = words(raw, self._password)
            explanation = _CODES.get(int(shown[:3]) if shown[:3].isdigit() else 0, "")
        else:
            shown, match = self.shown(raw, cut), re.match(rb"([2-5][0-9]{2})(?:[ -]|$)", raw)
            explanation = explain(verb, int(match[1]), raw[4:].decode(errors="replace")) if match else ""
        self.add("server", shown, self.shown(explanation))
        return shown

    def queue_id(self, raw: bytes) -> str | None:
        """The queue id in the server's answer to a message, None where there is none that may be shown."""
        return queue_id(raw, self._password)

    def add(self, who: Literal["server", "client", "note"], text: str, explanation: str = "") -> None:
        """Records a line; both texts must be safe already."""
        self.lines.append(Line(who, text, explanation))
        if self._on_line:
            self._on_line(self.lines[-1])


_EHLO = {
    "STARTTLS": "the connection can be encrypted",
    "AUTH": "the ways to log in that are offered now",
    "SIZE": "the largest message taken, in octets",
    "PIPELINING": "commands may be sent in one go",
    "8BITMIME": "8-bit text is taken",
    "DSN": "delivery reports can be asked for",
    "ETRN": "queue runs on request",
    "ENHANCEDSTATUSCODES": "replies carry a second, finer code",
    "DELIVERBY": "a delivery deadline can be set",
    "EXPN": "lists can be expanded",
    "VERB": "verbose delivery",
    "HELP": "help on commands can be asked for",
}
_CODES = {
    220: "ready",
    221: "goodbye",
    235: "logged in",
    250: "done",
    354: "send the message",
    421: "closing: try later",
    454: "a temporary refusal",
    504: "this mechanism is not available here",
    530: "log in first",
    535: "the login is refused",
    550: "refused",
    554: "refused for good",
}


def explain(verb: str, code: int, text: str) -> str:
    """A short plain sentence for one server line, given the command it answers; "" if there is none."""
    if code == 334:
        try:
            asked = base64.b64decode(text, validate=True).decode(errors="backslashreplace")
        except ValueError:
            return "not base64"
        return f"base64 of: {asked}" if asked else "go on"
    if verb == "EHLO" and code == 250:
        return _EHLO.get(re.split(r"[ =]", text.upper())[0], "")
    return "the greeting" if not verb and code == 220 else _CODES.get(code, "")


@dataclass(frozen=True)
class Finding:
    """One check and its outcome: `login-before-starttls`, `mail-before-auth`, `certificate`, `smtp-auth`,
    `md5-mechanisms`; `says` is a sentence."""

    id: str
    state: Sign | Literal["ok", "warning", "failed", "unknown"]
    says: str


class Layer(StrEnum):
    """Where a conversation failed, from the name to the mail, in the order in which they are met."""

    NAME = "name"
    TCP = "tcp"
    GREETING = "greeting"
    STARTTLS = "starttls"
    CERTIFICATE = "certificate"
    AUTH_OFFER = "auth-offer"
    LOGIN = "login"
    CREDENTIALS = "credentials"
    RELAY = "relay"


class Failure(WizardError):
    """A conversation that ends here: the layer, a clause on what happened (safe to show), the SMTP code if there was one. As
    text: a sentence with the probable causes, those of the layer unless others are given, and what to do."""

    def __init__(self, layer: Layer, clause: str, code: int | None = None, causes: str = "") -> None:
        self.layer, self.clause, self.code = layer, clause.rstrip("."), code
        causes = _RATE_LIMIT if code == 421 else causes or _CAUSES[layer]
        super().__init__(f"{_HEADLINES[layer]}: {self.clause}. {causes}")

    def because(self, cause: str) -> str:
        """The sentence with the one `cause` that is known, in place of the probable ones; "" where none is known."""
        return f"{_HEADLINES[self.layer]}: {self.clause}. {cause}" if cause else str(self)


_RATE_LIMIT = (
    "The server rejects connections with 421: too many from this address, at once or within its window. Debian's sendmail "
    "takes 10 in ten minutes, and counts those that it rejects (conncontrol, ratecontrol). Wait that long, then try again."
)
NOT_HERE = (
    "Probable causes: Sendmail is not installed or not running (systemctl may still say active), or it does not serve this "
    "port. Run `ss -ltn`."
)
"""Why there is no connection from a host to itself."""
_CAUSES = {
    Layer.NAME: "Check the spelling, and that the name has an address: `getent ahosts NAME`.",
    Layer.TCP: (
        "Probable causes: sendmail is not running (systemctl may still say active), it listens on 127.0.0.1 "
        "only (`Addr=127.0.0.1` in sendmail.mc), or a firewall blocks the port. On the server run `ss -ltn`."
    ),
    Layer.GREETING: (
        "Probable causes: the port speaks TLS on connect (try port 465 or implicit TLS), it is no mail "
        "server, an access rule rejects this address, or sendmail is overloaded. Look in `journalctl -t "
        "sm-mta`."
    ),
    Layer.STARTTLS: (
        "Probable causes: starttls.m4 is not included in sendmail.mc, no certificate was created because the "
        "host has no FQDN, or the key is readable by others (log: `key unsafe`, `crt unsafe: No such "
        "file`). Look in `journalctl -t sm-mta`, run update_tls, restart sendmail."
    ),
    Layer.CERTIFICATE: (
        "Install a certificate that an authority issued for exactly this name, or test with the name "
        "it has; where you know from elsewhere that this fingerprint is the server's: --accept-certificate FINGERPRINT."
    ),
    Layer.AUTH_OFFER: (
        "Probable causes: libsasl2-modules is not installed (nothing is logged then), sasl.m4 is not "
        "included in sendmail.mc, or the daemon has M=A. Fix it, run update_auth, restart sendmail."
    ),
    Layer.LOGIN: (
        "That says nothing about the user name or the password. Probable causes: saslauthd or the server is overloaded or "
        "just starting, a rule or a milter rejects this client, or the connection is bad. Look in `journalctl -t "
        "sm-mta -t saslauthd`, then try again."
    ),
    Layer.CREDENTIALS: (
        "Probable causes: the user name or password is wrong, or the account is locked or expired (log: "
        "`authentication failure (-13)`); saslauthd is down or its socket is out of reach (`generic failure "
        "(-1)`); Sendmail.conf is missing, so sasldb is asked (`user not found (-20)`). Look in `journalctl "
        "-t sm-mta -t saslauthd`; after a change of password restart saslauthd, which caches logins."
    ),
    Layer.RELAY: (
        "The login was accepted, the message was not. Probable causes: a rule (access, relay domains) "
        "refuses the sender or recipient, or its domain has no address. Look in `journalctl -t sm-mta`."
    ),
}
TLS_ON_CONNECT = (
    "Probable causes: the DAEMON_OPTIONS of this port lacks M=s, or sendmail has no certificate, or its key is readable "
    "by others (log: `key unsafe`, `crt unsafe: No such file`). Look in `journalctl -t sm-mta`."
)
"""The causes of a handshake that fails before anything is said: STARTTLS has no part in it."""
FOR_SERVERS = "That is right for port 25, where other mail servers deliver (howto 3.5): mail clients log in at port 587 or 465."
"""In place of causes: why a login is not offered there."""
_HEADLINES = {
    Layer.NAME: "The name cannot be looked up",
    Layer.TCP: "No connection",
    Layer.GREETING: "The port does not greet as a mail server",
    Layer.STARTTLS: "No encryption",
    Layer.CERTIFICATE: "The certificate is not trusted, and no password was sent",
    Layer.AUTH_OFFER: "The login is not offered",
    Layer.LOGIN: "The login was interrupted",
    Layer.CREDENTIALS: "The login was refused",
    Layer.RELAY: "The message was refused",
}


HIDDEN = "(its words are not shown, since it has had the password)"
NO_SMTP = f"(no SMTP) {HIDDEN}"
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
# The IANA registry "SMTP Enhanced Status Codes", which RFC 5248 set up; sendmail's own are among them.
_ENHANCED = re.compile(
    r"([245])\.(?:0\.0|1\.(?:[0-9]|10)|2\.[0-4]|3\.[0-6]|4\.[0-7]|5\.[0-7]|6\.(?:[0-9]|10)|7\.(?:[0-9]|[12][0-9]))(?= |\Z)"
)
_PHRASES = (
    "OK Authenticated",
    "Authentication successful",
    "Authentication succeeded",
    "Authentication failed",
    "Authentication required",
    "Temporary authentication failure",
    "Incorrect authentication data",
    "Cannot decode AUTH parameter",
    "Already Authenticated",
    "AUTH not available",
    "Must issue a STARTTLS command first",
    "Sender ok",
    "Recipient ok",
    "Domain name required",
    "does not exist",
    "does not resolve",
    "Relaying denied",
    "Relay access denied",
    "Relay not permitted",
    "Sender address rejected",
    "Recipient address rejected",
    "Access denied",
    "User unknown",
    "Host unknown",
    "Unrouteable address",
    'Enter mail, end with "." on a line by itself',
    "Enter message, ending with",
    "End data with",
    "Message accepted for delivery",
    "Queued as",
    "Insufficient disk space",
    "exceeds fixed maximum message size",
    "Connection rate limit exceeded",
    "Too many open connections",
    "Too many recipients",
    "Service unavailable",
    "Command unrecognized",
    "Closing connection",
    "Bye",
    "Accepted",
    "Ok",
)
_KNOWN = [(re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE), phrase) for phrase in _PHRASES]
_SIXTY = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
_QUEUE_ID = re.compile(
    rf"(?<!\w)([{_SIXTY}]{{6}}[0-9A-Za-z]{{2}}[0-9]{{6,10}}) Message accepted for delivery"
)
_PIECE = 4


def words(raw: bytes, password: str) -> str:
    """A reply line as it may be shown once the server has had the password.

    A hostile server can say the password again in more spellings than any mask can know: reversed, in hex, in UTF-16, a
    letter a line. So nothing of its own is shown: the code, an enhanced status code that is registered, and of the text
    one of `_PHRASES`, spelt as it stands there. That is enough to tell what sendmail, Postfix and Exim say of a login and
    a message; for the rest there is the server's log. The one thing of its own is sendmail's queue id, for the message is
    followed by it. What a server said before it had the password is no echo, and is shown."""
    match = _REPLY.fullmatch(raw)
    if not match:
        return NO_SMTP
    code, mark, text = match[1].decode(), (match[2] or b"").decode(), (match[3] or b"").decode("latin-1")
    status = _ENHANCED.match(text)
    named = queue_id(raw, password)
    phrase = next((phrase for pattern, phrase in _KNOWN if pattern.search(text)), HIDDEN if text else "")
    parts = (status[0] if status and status[1] == code[0] else "", named or "", phrase)
    return f"{code}{mark}{' '.join(filter(None, parts))}"


def queue_id(raw: bytes, password: str, now: datetime | None = None) -> str | None:
    """Sendmail's queue id in its answer to a message, None where there is none that may be shown: only one in sendmail's
    form, of today by its date, and without four letters of the password in either direction."""
    match = _QUEUE_ID.search(raw.decode("latin-1"))
    if not match:
        return None
    year, month, day = (_SIXTY.index(letter) for letter in match[1][:3])  # sendmail's queue.c
    today = now or datetime.now(UTC)
    near = [today + timedelta(days=days) for days in (-1, 0, 1)]  # for clocks and zones
    if (year, month + 1, day) not in [((date.year - 1900) % 60, date.month, date.day) for date in near]:
        return None
    size = min(_PIECE, len(password))
    pieces = {password[at : at + size].casefold() for at in range(len(password) - size + 1)}
    both = (match[1].casefold(), match[1][::-1].casefold())
    return None if any(piece in text for piece in pieces for text in both) else match[1]
