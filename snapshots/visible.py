"""The one cleaner of hostile text: whatever comes from files, names, logs, servers and environments passes through here on
its way to a terminal, a log or a commit message. At the very bottom, so that everybody can use it."""

from __future__ import annotations

import re

_SUSPECT = re.compile("[^ -~]")
_NAMED = {"\n": "\\n", "\t": "\\t"}


def visible(text: str, limit: int | None = None, *, keep: str = "") -> str:
    """`text` with every character that is not printable (controls, escape sequences, marks that turn the direction of
    writing, bytes that are not UTF-8) as an escape such as `\\x1b`, except those in `keep`; cut after `limit` characters."""
    shown = _SUSPECT.sub(lambda match: _shown(match[0], keep), text)
    if limit is None or len(shown) <= limit:
        return shown
    return f"{shown[:limit]} [... cut, {len(shown) - limit} characters more]"


def visible_bytes(content: bytes) -> str:
    """The text of `content` in its lines, with what is not UTF-8 as escapes, too."""
    return visible(content.decode("utf-8", "backslashreplace"), keep="\n\t")


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, with blanks for whatever breaks or controls a line."""
    return visible(" ".join(re.sub("[\x00-\x1f\x7f-\x9f]", " ", text).split()))[:limit]


def _shown(character: str, keep: str) -> str:
    code = ord(character)
    if character.isprintable() or character in keep:
        return character
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, as a file name carries it
        code -= 0xDC00
    return _NAMED.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
