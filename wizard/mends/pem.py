"""Certificates and keys as they lie in /etc/mail/tls: what plans need to know of them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from snapshots.live.entry import Entry


def certificate(entry: Entry | None) -> Any:
    """The first certificate of a PEM file (asn1crypto), None where there is none that can be read."""
    return _loaded(entry, "CERTIFICATE")


def common_name(entry: Entry | None) -> str:
    """Its common name, empty where it has none."""
    found = certificate(entry)
    return str(found.subject.native.get("common_name", "")) if found is not None else ""


def valid_now(entry: Entry | None, now: datetime | None = None) -> bool:
    """Whether it can be read, and its dates hold now."""
    found = certificate(entry)
    now = now or datetime.now(UTC)
    return found is not None and bool(found.not_valid_before <= now <= found.not_valid_after)


def self_signed(entry: Entry | None) -> bool:
    """Whether nobody else vouches for it; also where it cannot be read."""
    found = certificate(entry)
    return found is None or found.self_signed != "no"


def belong(crt: Entry | None, key: Entry | None) -> bool:
    """Whether the key is the certificate's, as far as RSA keys (which Debian makes) tell; other keys count as its own,
    unreadable ones as not."""
    found, private = certificate(crt), _loaded(key, "PRIVATE KEY")
    if found is None or private is None:
        return False
    if found.public_key.algorithm != "rsa" or private.algorithm != "rsa":
        return bool(found.public_key.algorithm == private.algorithm)
    ours = private["private_key"].parsed["modulus"].native
    theirs = found.public_key["public_key"].parsed["modulus"].native
    return bool(ours == theirs)


def readable_key(entry: Entry | None) -> bool:
    """Whether the file holds a private key without a password."""
    return _loaded(entry, "PRIVATE KEY") is not None


def _loaded(entry: Entry | None, wanted: str) -> Any:
    from asn1crypto import keys, pem, x509  # type: ignore[import-untyped]  # slow to import, seldom needed

    if entry is None or entry.kind != "file":
        return None
    try:
        for kind, _, der in pem.unarmor(entry.content, multiple=True):
            if kind == wanted == "CERTIFICATE":
                found = x509.Certificate.load(der)
                _ = found.public_key.algorithm, found.not_valid_after, found.subject.native
                return found
            if wanted == "PRIVATE KEY" and kind == wanted:
                found = keys.PrivateKeyInfo.load(der)
                _ = found["private_key"].parsed.native
                return found
            if wanted == "PRIVATE KEY" and kind == "RSA PRIVATE KEY":
                return keys.PrivateKeyInfo.wrap(keys.RSAPrivateKey.load(der), "rsa")
    except (ValueError, TypeError, KeyError):
        return None
    return None
