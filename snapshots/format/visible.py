"""Text from files, names and environments made harmless for a terminal, a log and a commit message."""

from __future__ import annotations

import re
import unicodedata

_DANGEROUS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """`text` with every control character but newline and tab, every character that turns the direction
    of writing and every byte that is not UTF-8 shown as an escape, such as `\\x1b`."""
    return _DANGEROUS.sub(lambda found: _escape(found[0]), text)


def visible_bytes(content: bytes) -> str:
    """The text of `content`, with what `visible` escapes and what is not UTF-8 shown as escapes."""
    return visible(content.decode("utf-8", "backslashreplace"))


def visible_path(path: str) -> str:
    """A path as text on one line, whatever bytes it has."""
    return visible(path).replace("\n", "\\n").replace("\t", "\\t")


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, without control characters."""
    words = "".join(" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in text)
    return visible(" ".join(words.split()))[:limit]


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, as a file name carries it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
