"""What the DNS says of the certificate that port 25 has to present (DANE, RFC 7672)."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from wizard.model.step_facts import Tlsa

PATIENCE = 5.0
"""Seconds for each name."""
_DANE = (2, 3)
"""The usages that count for mail between servers: an authority's key, and the server's own (RFC 7672, 3.1)."""


def tlsa_records(names: Iterable[str]) -> tuple[Tlsa, ...]:
    """The TLSA records of these names for port 25 that count; none of a name for which the DNS cannot be asked."""
    asked = [name for name in dict.fromkeys(names) if "." in name and "*" not in name]
    with ThreadPoolExecutor(max_workers=16) as pool:
        return tuple(each for records in pool.map(_records, asked) for each in records)


def _records(name: str) -> tuple[Tlsa, ...]:
    import dns.exception
    import dns.resolver

    try:
        answer = dns.resolver.resolve(f"_25._tcp.{name.rstrip('.')}.", "TLSA", lifetime=PATIENCE)
    except (dns.exception.DNSException, OSError, ValueError):
        return ()
    records = (Tlsa(name, int(item.usage), int(item.selector), int(item.mtype), item.cert) for item in answer)
    return tuple(each for each in records if each.usage in _DANE)
