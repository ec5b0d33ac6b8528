"""Certificates, private keys and DH parameters in PEM files (RFC 7468). Pure; a key's text never leaves here."""

from __future__ import annotations

import binascii
import re
import ssl
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from wizard.errors import PemError

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9. ]+)-----\s*?\n(.*?)-----END \1-----", re.DOTALL)
_KEY = b"PRIVATE KEY"


def certificates(content: bytes) -> list[bytes]:
    """The DER of each certificate, in the order of the file. Raises PemError."""
    from asn1crypto import x509  # type: ignore[import-untyped]  # slow to import, seldom needed

    ders = [_der(body) for kind, body in _BLOCK.findall(content) if kind.endswith(b"CERTIFICATE")]
    if not ders:
        raise PemError("holds no certificate in PEM format (-----BEGIN CERTIFICATE-----)")
    for number, der in enumerate(ders, 1):
        try:
            x509.Certificate.load(der, strict=True)["tbs_certificate"].native  # noqa: B018  # it parses all of it
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise PemError(f"holds a certificate that cannot be read (number {number})") from error
    return ders


def private_key(content: bytes) -> bytes:
    """The one private key of a file, as PEM without anything else. Raises PemError."""
    keys = [match for match in _BLOCK.finditer(content) if match[1].endswith(_KEY)]
    if not keys:
        raise PemError("holds no private key in PEM format (-----BEGIN PRIVATE KEY-----)")
    if len(keys) > 1:
        raise PemError(f"holds {len(keys)} private keys; one is needed")
    if keys[0][1].startswith(b"ENCRYPTED") or b"ENCRYPTED" in keys[0][2][:200]:
        raise PemError("is encrypted with a passphrase, and sendmail cannot ask for it")
    return keys[0].group() + b"\n"


def as_pem(ders: Sequence[bytes]) -> bytes:
    """Certificates as the text of a file."""
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in ders).encode()


def key_words(content: bytes) -> str:
    """Kind and size of a private key, such as `RSA 2048` or `EC secp256r1`; empty when it cannot be read."""
    from asn1crypto import keys

    try:
        kind, body = next((k, b) for k, b in _BLOCK.findall(private_key(content)) if k.endswith(_KEY))
        der = _der(body)
        if kind == b"RSA PRIVATE KEY":
            return f"RSA {keys.RSAPrivateKey.load(der)['modulus'].native.bit_length()}"
        if kind == b"EC PRIVATE KEY":
            return f"EC {keys.ECPrivateKey.load(der)['parameters'].native}"
        parsed = keys.PrivateKeyInfo.load(der)
        if parsed.algorithm == "ec":
            return f"EC {parsed.curve[1]}"
        if parsed.algorithm in ("rsa", "rsassa_pss", "dsa"):
            return f"{parsed.algorithm.upper()} {parsed.bit_size}"
        return str(parsed.algorithm).capitalize()
    except (ValueError, TypeError, KeyError, StopIteration, AttributeError, OverflowError):
        return ""


def dh_bits(content: bytes) -> int | None:
    """The size of the prime of DH parameters in bits; None when there are none."""
    from asn1crypto import core

    for kind, body in _BLOCK.findall(content):
        if kind in (b"DH PARAMETERS", b"X9.42 DH PARAMETERS"):  # Debian's are the latter
            try:
                return int(core.Sequence.load(_der(body))[0].native.bit_length())
            except (ValueError, TypeError, KeyError, AttributeError):
                return None
    return None


def chain_error(ders: Sequence[bytes]) -> str | None:
    """Where the certificates are not in order, each issued by the next; None where they are."""
    parsed = _parsed(ders)
    for number, (one, by) in enumerate(pairwise(parsed), 1):
        if one.issuer != by.subject:
            return (
                f"certificate {number} ({one.subject.human_friendly}) was issued by {one.issuer.human_friendly}, "
                f"but the next in the chain is {by.subject.human_friendly}"
            )
    return None


def common_name(content: bytes) -> str:
    """That of the first certificate, empty where it has none. Raises PemError."""
    (leaf,) = _parsed(certificates(content)[:1])
    return str(leaf.subject.native.get("common_name", ""))


def self_issued(der: bytes) -> bool:
    """Whether it is a root: issued by itself."""
    (one,) = _parsed([der])
    return bool(one.issuer == one.subject)


def _parsed(ders: Sequence[bytes]) -> list[Any]:
    from asn1crypto import x509

    return [x509.Certificate.load(der) for der in ders]


def _der(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        return b""
