"""What may be shown of a server's words once it has had the password. Pure.

A hostile server can say the password again in more spellings than any mask can know: reversed, in hex, in UTF-16, a
letter a line. So nothing of its own is shown: the code, an enhanced status code that is registered, and of the text
a phrase of the list below, spelt as it stands here. That is enough to tell what sendmail, Postfix and Exim say of a
login and a message; for the rest there is the server's log. The one thing of its own is sendmail's queue id, for the
message is followed by it: only in sendmail's form, of today by its date, and without four letters of the password in
either direction. What a server said before it had the password is no echo, and is shown.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

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
    """The reply line as it may be shown; see above."""
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
    """Sendmail's queue id in its answer to a message, None where there is none that may be shown."""
    match = _QUEUE_ID.search(raw.decode("latin-1"))
    if not match or not _of_today(match[1], now or datetime.now(UTC)):
        return None
    size = min(_PIECE, len(password))
    pieces = {password[at : at + size].casefold() for at in range(len(password) - size + 1)}
    both = (match[1].casefold(), match[1][::-1].casefold())
    return None if any(piece in text for piece in pieces for text in both) else match[1]


def _of_today(name: str, now: datetime) -> bool:
    """Whether a queue id was given today, give or take one day for clocks and zones (sendmail's queue.c)."""
    year, month, day = (_SIXTY.index(letter) for letter in name[:3])
    near = [now + timedelta(days=days) for days in (-1, 0, 1)]
    return (year, month + 1, day) in [((date.year - 1900) % 60, date.month, date.day) for date in near]
