"""Certificates, private keys and DH parameters: read from PEM files (RFC 7468), judged as a mail client would judge them (howto
5.4; RFC 6125 for the names), made as Debian's update_tls makes them, and tried by OpenSSL as sendmail tries them. A key is
on no disk meanwhile, and in no argument."""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

from templates import render
from wizard.errors import HostError, PemError
from wizard.system.host import Host

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9. ]+)-----\s*?\n(.*?)-----END \1-----", re.DOTALL)
_KEY = b"PRIVATE KEY"
_CHAIN_ERRORS = {  # X509_V_ERR_* numbers of OpenSSL, in a mail client's words
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed, no authority vouches for it",
    19: "its chain ends in an authority that this machine does not know",
    20: "its authority is not known here, or the server does not send the certificates in between",
    21: "its authority is not known here, or the server does not send the certificates in between",
    62: "it is for another name",
    64: "it is for another address",
}
_NOT_VERIFIED = "it was not verified"
# update_tls links the certificate into /etc/ssl/certs, so on the server itself OpenSSL accepts it.
_SELF_SIGNED_HERE = "it is self-signed, so clients that were not given it refuse it"


@dataclass(frozen=True)
class Certificate:
    """A server certificate; every text is safe to show.

    `names` are the DNS names and addresses of its subjectAltName; `chain` the subjects of all that the
    server sent, its own first (empty where it sent one, or this Python can't tell); `trusted` whether a
    client on this machine that verifies accepts it for the host that was asked; `problem` what such a
    client, or one elsewhere, would say, None if nothing.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    self_signed: bool
    key: str
    fingerprint_sha256: str
    trusted: bool
    problem: str | None
    chain: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, dates in ISO 8601."""
        dates = {"not_before": self.not_before.isoformat(), "not_after": self.not_after.isoformat()}
        return {**vars(self), **dates}


def client_context(*, verify: bool) -> ssl.SSLContext:
    """The TLS settings of a client: with `verify` those of a careful one, which trusts no common name."""
    if verify:
        context = ssl.create_default_context()
        context.hostname_checks_common_name = False
    else:  # without the host's trusted authorities, which take 30 ms to read and would not be asked
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def sent_chain(tls: ssl.SSLSocket) -> list[bytes]:
    """DER of the certificates the server sent, its own first; only its own before Python 3.13."""
    own = tls.getpeercert(binary_form=True) or b""
    chain: Callable[[], list[bytes]] | None = getattr(tls, "get_unverified_chain", None)
    return [bytes(der) for der in chain()] if chain else [own]


def read(
    chain: list[bytes],
    host: str,
    refusal: ssl.SSLCertVerificationError | None,
    verified: bool,
    shown: Callable[[str], str],
) -> Certificate:
    """The certificate chain[0], judged for `host`.

    `refusal` is the error of a verifying handshake, `verified` whether one succeeded, `shown` makes a text
    safe. Raises ValueError when it cannot be read.
    """
    try:
        parsed = _parsed(chain)
        leaf = parsed[0]
        alternatives = leaf.subject_alt_name_value or []
        names = tuple(str(n.native) for n in alternatives if n.name in ("dns_name", "ip_address"))
        before, after = leaf.not_valid_before, leaf.not_valid_after
        own = leaf.self_signed != "no"
        if verified:
            problem = _SELF_SIGNED_HERE if own else None
        else:
            problem = _problem(names, before, after, host, refusal, own)
        return Certificate(
            subject=shown(leaf.subject.human_friendly),
            issuer=shown(leaf.issuer.human_friendly),
            names=tuple(map(shown, names[:50])),
            not_before=before,
            not_after=after,
            self_signed=own,
            key=_key(leaf.public_key),
            fingerprint_sha256=hashlib.sha256(chain[0]).hexdigest(),
            trusted=verified,
            problem=problem,
            chain=tuple(shown(c.subject.human_friendly) for c in parsed[:10]) if len(parsed) > 1 else (),
        )
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(f"The server's certificate cannot be read ({type(error).__name__}).") from None


def verdict(
    certificate: Certificate, *, required: bool
) -> tuple[Literal["ok", "warning", "failed", "unknown"], str]:
    """The state and the sentence for a certificate; `required`: it must be trusted."""
    if problem := certificate.problem:
        if certificate.trusted:
            return "warning", f"The certificate is trusted on this machine, but {problem}."
        if problem.startswith(_NOT_VERIFIED):
            return "unknown", f"The certificate could not be judged: {problem}."
        state: Literal["failed", "warning"] = "failed" if required else "warning"
        return state, f"A client that verifies refuses the certificate: {problem}."
    if (days := (certificate.not_after - datetime.now(UTC)).days) < 14:
        return "warning", f"The certificate is trusted but expires in {days} days: renew it."
    return "ok", f"The certificate is trusted, until {certificate.not_after:%Y-%m-%d}."


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether one of the names matches `host` (RFC 6125 section 6.4: a wildcard is one whole label)."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        wanted = host.lower().rstrip(".")
        parent = wanted.partition(".")[2]
        return any(n.lower().rstrip(".") in (wanted, f"*.{parent}" if parent else wanted) for n in names)
    return str(address) in names


def _problem(
    names: tuple[str, ...],
    before: datetime,
    after: datetime,
    host: str,
    refusal: ssl.SSLCertVerificationError | None,
    own: bool,
) -> str:
    problems, now = [_NOT_VERIFIED], datetime.now(UTC)
    if refusal is not None:  # OpenSSL stops at the first thing it dislikes, so the rest is looked up here
        other = f"it is not trusted ({refusal.verify_message.rstrip('.')})"
        problems = [_CHAIN_ERRORS.get(refusal.verify_code, other)]
    if own and (refusal is None or refusal.verify_code != 18):
        problems.append(_SELF_SIGNED_HERE)
    if after < now:
        problems.append(f"it has expired on {after:%Y-%m-%d}")
    if before > now:
        problems.append(f"it is not valid before {before:%Y-%m-%d}")
    if not names:
        problems.append("it has no subjectAltName, so today's clients find no name in it")
    elif not covers(names, host):
        problems.append(f"none of its names is {host}")
    drop = {"it has expired", "it is not valid yet", "it is for another name", "it is for another address"}
    return "; ".join(problems if len(problems) == 1 else [s for s in problems if s not in drop])


def _key(public: Any) -> str:
    algorithm = str(public.algorithm)
    if algorithm == "ec":
        kind, curve = public.curve
        return f"EC {curve}" if kind == "named" else "EC"
    if algorithm in ("ed25519", "ed448"):
        return algorithm.capitalize()
    return f"{algorithm.upper().replace('RSASSA_PSS', 'RSA-PSS')} {public.bit_size}"


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
