"""Files that Debian's sendmail makes out of others: never merged, and written back last."""

from __future__ import annotations

import re
from collections.abc import Iterable

DATED = re.compile(rb"^##### (?:on|in|by|built by)[: ].*$", re.MULTILINE)
"""When and where sendmail's scripts wrote a file that they write again each time (sasl.m4, starttls.m4)."""
_DERIVED = (
    re.compile(r"etc/mail/databases\Z"),
    re.compile(
        r"etc/mail/(?:[^/]+\.(?:db|cf|cf\.errors|cf\.old)|Makefile)\Z|etc/aliases\.db\Z|etc/cron\.d/sendmail\Z"
    ),
)
"""What sendmailconfig writes, with a fresh date each time; what is made first stands first."""


def derived(path: str) -> bool:
    """Whether the file at `path` (relative to /) is made out of others."""
    return any(pattern.match(path) for pattern in _DERIVED)


def in_order(paths: Iterable[str]) -> list[str]:
    """The paths in the order in which to write them: folders before what is in them, sources before what is made of
    them. Each start of sendmail makes anew what is older than its source."""

    def rank(path: str) -> int:
        return next((number for number, pattern in enumerate(_DERIVED, 1) if pattern.match(path)), 0)

    return sorted(paths, key=lambda path: (rank(path), path))
