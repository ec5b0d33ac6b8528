"""TLSA records (RFC 6698), and the certificates that fit them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from wizard.certificates import certificates
from wizard.errors import PemError
from wizard.model.step_facts import Tlsa

_SELECTED: dict[int, Callable[[Any], bytes]] = {
    0: lambda each: each.dump(),
    1: lambda each: each.public_key.dump(),
}
"""The whole certificate, or its public key (2.1.2)."""
_MATCHING: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: lambda der: hashlib.sha256(der).digest(),
    2: lambda der: hashlib.sha512(der).digest(),
}
"""2.1.3"""


def fits(record: Tlsa, chain: bytes) -> bool:
    """Whether the record fits the chain (PEM): with usage 3 its own certificate, with 2 one of an authority behind that."""
    from asn1crypto import x509  # type: ignore[import-untyped]  # slow to import, seldom needed

    select, match = _SELECTED.get(record.selector), _MATCHING.get(record.matching)
    if select is None or match is None:
        return False
    try:
        ders = certificates(chain)
        meant = {2: ders[1:], 3: ders[:1]}.get(record.usage, [])
        return any(match(select(x509.Certificate.load(der))) == record.data for der in meant)
    except (PemError, ValueError, TypeError):
        return False
