"""Certificates, private keys and DH parameters in PEM files (RFC 7468): read, made as Debian's update_tls makes them, and
tried by OpenSSL as sendmail and a mail client try them. A key is on no disk meanwhile, and in no argument."""

from __future__ import annotations

import binascii
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from templates import render
from wizard.certificates.peer_certificate import Certificate, client_context, read
from wizard.errors import HostError, PemError
from wizard.system.host import Host

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
            with suppress(ValueError, TypeError, KeyError, AttributeError):
                return int(core.Sequence.load(_der(body))[0].native.bit_length())
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


_REASONS = {
    "KEY_VALUES_MISMATCH": "the key is not the key of this certificate",
    "KEY_TYPE_MISMATCH": "the key is not the key of this certificate",
    "NO_CERTIFICATE_ASSIGNED": "the key is not the key of this certificate",  # RSA beside EC
    "EE_KEY_TOO_SMALL": "its key is too short for today's OpenSSL",
    "CA_MD_TOO_WEAK": "it is signed with an algorithm that is too weak for today's OpenSSL",
    "BAD_DECRYPT": "the key is encrypted with a passphrase, and sendmail cannot ask for it",
}
_ROUNDS = 10
"""Messages that pass in a TLS handshake at most, each way."""


@dataclass(frozen=True)
class ClientVerdict:
    """What a client on this machine thinks of it. `code` is OpenSSL's X509_V_ERR_* number, None when it accepts."""

    certificate: Certificate
    code: int | None
    says: str = ""


def server_context(chain: bytes, key: bytes) -> ssl.SSLContext:
    """A server's TLS with this certificate chain and key (PEM). Raises PemError when they cannot be used together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with Host.in_memory(chain) as chain_path, Host.in_memory(key) as key_path:
        try:
            context.load_cert_chain(chain_path, key_path, password=_asked)
        except ssl.SSLError as error:
            raise PemError(
                _REASONS.get(error.reason or "", "OpenSSL refuses this certificate and key")
            ) from None
    return context


def judged(
    chain: bytes, key: bytes, name: str, shown: Callable[[str], str], root: bytes | None = None
) -> ClientVerdict:
    """What a client that knows the server as `name` thinks of it; with `root` (DER), one that trusts that one too.

    Raises PemError."""
    server_side, context = server_context(chain, key), client_context(verify=True)
    if root is not None:
        context.load_verify_locations(cadata=root)
        # An authority of one's own may be made in ways that the authorities of the web are not.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    refusal: ssl.SSLCertVerificationError | None = None
    try:
        _shake(context, server_side, name)
    except ssl.SSLCertVerificationError as error:
        refusal = error
    except ssl.SSLError as error:
        raise PemError(f"a TLS handshake with it fails ({error.reason or 'broken off'})") from None
    try:
        certificate = read(certificates(chain), name, refusal, refusal is None, shown)
    except ValueError as error:
        raise PemError("cannot be read") from error
    if refusal is None:
        return ClientVerdict(certificate, None)
    return ClientVerdict(certificate, refusal.verify_code, shown(refusal.verify_message))


def _shake(client_side: ssl.SSLContext, server_side: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_ROUNDS):
        waiting = False
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waiting = True
        if not waiting:
            return
    raise ssl.SSLError("the handshake does not end")


def fits(chain: bytes, key: bytes) -> str | None:
    """Why OpenSSL does not use the key with the first of the certificates (PEM), None when it does."""
    try:
        server_context(as_pem(certificates(chain)), key)
    except PemError as error:
        return str(error)
    return None


def _asked() -> str:
    raise PemError("the key is encrypted with a passphrase, and sendmail cannot ask for it")


BITS = 2048
"""Of a new RSA key: as Debian's."""
DAYS = 825
"""The default validity: Apple's clients refuse a certificate that is valid for longer."""
MOST_DAYS = 3650
"""The validity of Debian's own."""


def new_key(host: Host) -> bytes:
    """An RSA private key as PEM. Raises HostError."""
    return _openssl(host, ["genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{BITS}"])


def self_signed(host: Host, key: bytes, names: Sequence[str], days: int, *, client: bool = False) -> bytes:
    """The certificate as PEM, for these names. Raises HostError."""
    config = render(
        "server_certificate.cnf.j2", names=names, client=client, rsa=key_words(key).startswith("RSA")
    )
    with host.in_memory(key) as key_path, host.in_memory(config.encode()) as config_path:
        options = ["-sha256", "-days", str(days), "-key", key_path, "-config", config_path]
        return _openssl(host, ["req", "-x509", "-new", *options])


def link_name(host: Host, certificate: bytes) -> str:
    """Where update_tls links it, so that programs of this host trust it (openssl-rehash(1)). Raises HostError."""
    with host.in_memory(certificate) as path:
        digest = _openssl(host, ["x509", "-noout", "-subject_hash", "-in", path]).decode("ascii", "replace")
    return f"/etc/ssl/certs/{digest.strip()}.0"


def _openssl(host: Host, arguments: Sequence[str]) -> bytes:
    result = host.run(["openssl", *arguments], timeout=60)
    if result.code != 0 or not result.stdout:
        errors = result.stderr.strip().splitlines()  # never its output, which may be a key
        raise HostError(f"openssl {arguments[0]} failed: {errors[-1] if errors else f'status {result.code}'}")
    return result.stdout.encode()
