"""Files that Debian's sendmail makes out of others: never merged, and written back last."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEPT_UP = frozenset(
    {"etc/ld.so.cache", *(f"etc/init.d/.depend.{when}" for when in ("boot", "start", "stop"))}
)
"""What the system keeps up by itself, ldconfig(8) and insserv(8): where others have changed it since, theirs is the right one."""
DATED = re.compile(rb"^##### (?:on|in|by|built by)[: ].*$", re.MULTILINE)
"""When and where sendmail's scripts wrote a file that they write again each time (sasl.m4, starttls.m4)."""
_DERIVED = (
    re.compile(r"etc/mail/databases\Z"),
    re.compile(
        r"etc/(?:mail/(?:[^/]+\.(?:db|cf|cf\.errors|cf\.old)|Makefile)|aliases\.db|cron\.d/sendmail)\Z"
    ),
)
"""What sendmailconfig writes, with a fresh date each time; what is made first comes first."""

_FILE_ID = slice(52, 72)
"""Where a Berkeley DB has the number by which it is told from all others (db_page.h, DBMETA.uid)."""
_MAGIC = (b"\x61\x15\x06\0", b"\0\x06\x15\x61", b"\x62\x31\x05\0", b"\0\x05\x31\x62")
"""At byte 12 of a hash and of a B-tree, in either order of bytes."""


def derived(path: str) -> bool:
    """Whether the file at `path` (relative to /) is made out of others."""
    return any(pattern.match(path) for pattern in _DERIVED)


def in_order(paths: Iterable[str]) -> list[str]:
    """The paths in the order in which to write them: folders before what is in them, sources before what is made of
    them. Each start of sendmail makes again what is older than its source."""

    def rank(path: str) -> int:
        return next((number for number, pattern in enumerate(_DERIVED, 1) if pattern.match(path)), 0)

    return sorted(paths, key=lambda path: (rank(path), path))


def source_of(path: str) -> str | None:
    """The text that the map at `path` (relative to /) is made of; None for what is no map."""
    if path in ("etc/mail/aliases.db", "etc/aliases.db"):
        return "etc/aliases"
    return path.removesuffix(".db") if path.endswith(".db") and derived(path) else None


def made_of(path: str) -> str:
    """What decides whether the next start of sendmail makes the generated file at `path` (relative to /) again: it does
    where that is newer."""
    mc = "etc/mail/submit.mc" if path == "etc/mail/submit.cf" else "etc/mail/sendmail.mc"
    return source_of(path) or mc


def same_but_dated(one: bytes, other: bytes) -> bool:
    """Whether two generated files differ by nothing but when they were made."""
    return _undated(one) == _undated(other)


def _undated(content: bytes) -> bytes:
    if content[12:16] in _MAGIC:
        number = content[_FILE_ID]
        return content.replace(number, bytes(len(number)))
    return DATED.sub(b"", content)
