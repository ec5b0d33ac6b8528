"""The editor of /etc/mail/sasl/Sendmail.conf (/usr/lib/sasl2/Sendmail.conf): Cyrus SASL's `key: value` lines.

libsasl2 takes the first of repeated keys, does not mind the case of a key, and drops the whole file at the first line
that is neither empty, comment nor `key: value` (sasl_config_init() in lib/config.c).
"""

from __future__ import annotations

import re

from wizard.editors import EditError, newline_of

_ENTRY = re.compile(
    r"[ \t\v\f\r]*(?P<key>[A-Za-z0-9_-]+):[ \t\v\f\r]*(?P<value>[^ \t\v\f\r\n][^\n]*?)[ \t\v\f\r]*(?=\n|\Z)"
)
_LONGEST = 4095
_SPACE = " \t\v\f\r"
_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


def value(text: str, key: str) -> str | None:
    """The value that libsasl2 takes for `key`, None where there is none. Raises EditError where it takes nothing."""
    return next((entry["value"] for entry in _entries(text) if entry["key"].lower() == key.lower()), None)


def set_value(text: str, key: str, value: str) -> str:
    """The line of `key` that is in force with a new value, else a line of its own at the end. Raises EditError for a
    file that libsasl2 would not take, and for a value that does not fit on one line."""
    if not _KEY.match(key) or not value.strip() or value != value.strip() or re.search(r"[\x00\n\r]", value):
        why = "this is not a `key: value` line that Cyrus SASL understands"
        raise EditError(None, f"{key}: {value}", why, "use one line, not empty")
    for entry in _entries(text):
        if entry["key"].lower() == key.lower():
            return text[: entry.start("value")] + value + text[entry.end("value") :]
    newline = newline_of(text)
    before = newline if text and not text.endswith("\n") else ""
    return f"{text}{before}{key}: {value}{newline}"


def _entries(text: str) -> list[re.Match[str]]:
    """All entries; the whole file is looked at first, since one bad line makes libsasl2 drop it all."""
    entries = []
    at = 0
    for line in text.split("\n"):
        if line.strip(_SPACE) and not line.lstrip(_SPACE).startswith("#"):
            entry = _ENTRY.match(text, at)
            if entry is None or len(line) > _LONGEST:
                why = "Cyrus SASL does not understand this line, and so ignores the whole file"
                raise EditError.at(text, at, why, "write `key: value`, or make it a comment with #")
            entries.append(entry)
        at += len(line) + 1
    return entries
