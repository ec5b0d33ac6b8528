"""Private keys are in a snapshot, so that they come back; no diff and no conflict ever shows them."""

from __future__ import annotations

import re

_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_BLOCK = re.compile(rb"^-----BEGIN [A-Z0-9. ]+-----\s*$", re.MULTILINE)
_ENCODED = re.compile(rb"^[-+ ]*[A-Za-z0-9+/=]{16,}[-\r]*$", re.MULTILINE)

HIDDEN = "(holds a private key: its text is not shown)"
"""What is shown in place of the text."""


def holds_private_key(*contents: bytes | None) -> bool:
    """Whether one of the contents has a private key in it, in the PEM format (RFC 7468) or PGP's."""
    return any(content is not None and _KEY.search(content) for content in contents)


def encoded(content: bytes) -> bool:
    """Whether it holds a certificate, a key or the like in PEM: lines of two of them make no third."""
    return _BLOCK.search(content) is not None


def may_be_of_a_key(patch: bytes) -> bool:
    """Whether a line of the patch could be of a key: a hunk may lie within one, far from the line that says so."""
    return _ENCODED.search(patch) is not None or holds_private_key(patch)
