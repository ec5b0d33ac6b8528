"""Certificates, private keys and DH parameters: read from PEM files (RFC 7468), judged as a mail client would judge them (howto
5.4; RFC 6125 for the names), made as Debian's update_tls makes them, and tried by OpenSSL as sendmail tries them. A key is
on no disk meanwhile, and in no argument."""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from snapshots.visible import visible
from templates import render
from wizard.console import clean, count
from wizard.errors import HostError, PemError
from wizard.model.answers import MOST_NAMES
from wizard.model.plan import Sign, worst
from wizard.system.host import Host

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9. ]+)-----\s*?\n(.*?)-----END \1-----", re.DOTALL)
_KEY = b"PRIVATE KEY"
_UNTRACED = {2: "chain", 19: "authority", 20: "chain", 21: "chain"}
"""X509_V_ERR_* numbers of OpenSSL where no authority is reached that is known here: 19 where a root was sent."""
_OWN_LOOK = frozenset({9, 10, 18, 62, 64})
"""Those for dates, names and what vouches for itself: OpenSSL stops at the first, so all of them are looked up here."""
_PROOF_OF_LOGGING = "1.3.6.1.4.1.11129.2.4.2"
"""The extension (RFC 6962) that every authority which browsers trust puts into its certificates, and no private one."""
SOON = 14
"""Days before its end from which on a certificate is to be renewed."""
LEAST_BITS = {"RSA": 2048, "RSA-PSS": 2048, "DSA": 2048}
"""Below it OpenSSL, at the security level of Debian and of most clients, breaks the handshake off."""


@dataclass(frozen=True)
class Certificate:
    """A server certificate; every text is safe to show.

    `names` are the DNS names and addresses of its subjectAltName; `chain` the subjects of all that the
    server sent, its own first (empty where it sent one, or this Python can't tell); `trusted` whether a
    client on this machine that verifies accepts it for the host that was asked; `problem` all that `judge` says
    of it, None if nothing; `refusal` OpenSSL's X509_V_ERR_* number where such a client refused it, `refusal_says` its
    words; `public` whether an authority that browsers trust issued it; `covered` the host that was asked, where it is for
    that by the names that it has, which what is shown of them may not tell: the password is masked in them.
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
    refusal: int | None = None
    refusal_says: str = ""
    public: bool = False
    covered: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, dates in ISO 8601."""
        dates = {"not_before": self.not_before.isoformat(), "not_after": self.not_after.isoformat()}
        return {**{name: value for name, value in vars(self).items() if name != "covered"}, **dates}


def client_context(*, verify: bool) -> ssl.SSLContext:
    """The TLS settings of a client: with `verify` those of a careful one, which trusts no common name."""
    if verify:
        context = ssl.create_default_context()
        context.hostname_checks_common_name = False
        # Since Python 3.13 more is asked for than mail clients ask: the same certificate is judged alike everywhere.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
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
        loaded = _loaded(chain)
        leaf = loaded[0]
        alternatives = leaf.subject_alt_name_value or []
        names = tuple(str(n.native) for n in alternatives if n.name in ("dns_name", "ip_address"))
        before, after = leaf.not_valid_before, leaf.not_valid_after
        subject = leaf.subject.human_friendly
        seen = Certificate(
            subject=shown(subject),
            issuer=shown(leaf.issuer.human_friendly),
            names=tuple(map(shown, names[:MOST_NAMES])),
            not_before=before,
            not_after=after,
            self_signed=leaf.self_signed != "no",
            key=_key(leaf.public_key),
            fingerprint_sha256=hashlib.sha256(chain[0]).hexdigest(),
            trusted=verified,
            problem=None,
            chain=tuple(shown(c.subject.human_friendly) for c in loaded[:10]) if len(loaded) > 1 else (),
            refusal=refusal.verify_code if refusal else None,
            refusal_says=shown(refusal.verify_message.rstrip(".")) if refusal else "",
            public=any(
                each["extn_id"].dotted == _PROOF_OF_LOGGING for each in leaf["tbs_certificate"]["extensions"]
            ),
            covered=host if covers(names or common_names(subject), host) else "",
        )
        problems = [f"it {each.says}" for each in judge(seen, host) if each.kind != "expires-soon"]
        return replace(seen, problem="; ".join(problems) or None)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(f"The server's certificate cannot be read ({type(error).__name__}).") from None


@dataclass(frozen=True)
class Property:
    """Something about a certificate that mail clients take amiss. `sign` is failed where they refuse it, warning where
    they ask the user, unknown where it could not be told; `says` a clause of which the certificate is the subject."""

    kind: str
    """Stable: that of the diagnosis, without `certificate-`."""
    sign: Sign
    says: str


def judge(seen: Certificate, name: str, now: datetime | None = None) -> tuple[Property, ...]:
    """All that mail clients which know the server as `name` ("" for nobody knows) take amiss, the worst kinds first.

    The one judgement of a certificate: every command says this, with this sign (docs/manual.md, certificate)."""
    return (
        *_of_dates(seen, now or datetime.now(UTC)),
        *_of_key(seen),
        *_of_trust(seen),
        *_of_names(seen, name),
    )


def _of_dates(seen: Certificate, now: datetime) -> Iterator[Property]:
    days = (seen.not_after - now).days
    if seen.not_before > now:
        says = f"is not valid before {seen.not_before:%F %R} UTC: either it is wrong, or this host's clock"
        yield Property("not-yet-valid", Sign.FAILED, says)
    if seen.not_after <= now:
        yield Property("expired", Sign.FAILED, f"expired on {seen.not_after:%F}: mail clients refuse it")
    elif days < SOON:
        yield Property(
            "expires-soon", Sign.WARNING, f"expires in {count(days, 'day')}, on {seen.not_after:%F}"
        )


def _of_key(seen: Certificate) -> Iterator[Property]:
    kind, _, bits = seen.key.partition(" ")
    if bits.isdigit() and int(bits) < LEAST_BITS.get(kind, 0):
        yield Property("key-small", Sign.FAILED, f"has a key of {bits} bits: today's clients refuse it")


def _of_trust(seen: Certificate) -> Iterator[Property]:
    if seen.self_signed or seen.refusal == 18:
        says = "is self-signed: each mail client asks once whether to trust it"
        yield Property("self-signed", Sign.WARNING, says)
    elif seen.public and _UNTRACED.get(seen.refusal or 0) == "chain":
        # Where this Python cannot tell whether there are others, it is true of these, too.
        says = "comes without the intermediate certificates that lead to an authority which is known here: clients refuse it"
        if seen.chain:
            says = (
                "comes with intermediate certificates that lead to no authority which is known here, as where one is missing, or "
                "those of a staging: clients refuse it"
            )
        yield Property("chain", Sign.FAILED, says)
    elif seen.refusal in _UNTRACED:
        says = "comes from an authority that this host does not know: clients have to know it"
        if _UNTRACED[seen.refusal] == "chain":
            alone = "without the root of its authority" if seen.chain else "alone"
            says = f"comes {alone}, and this host cannot trace it to an authority that it knows: clients have to know that authority"
        yield Property(_UNTRACED[seen.refusal], Sign.WARNING, says)
    elif seen.refusal is not None and seen.refusal not in _OWN_LOOK:
        yield Property("refused", Sign.FAILED, f"is refused by clients that verify it: {seen.refusal_says}")
    elif seen.refusal is None and not seen.trusted:
        yield Property("untried", Sign.UNKNOWN, "was not verified")


def _of_names(seen: Certificate, name: str) -> Iterator[Property]:
    if not seen.names:
        says = "has no subjectAltName: today's clients find no name in it, and ask the user"
        yield Property("no-alternative-name", Sign.WARNING, says)
    names = seen.names or common_names(seen.subject)  # older clients look at the common name
    if name and name != seen.covered and not covers(names, name):
        shown = ", ".join(names[:3]) or "no name"
        says = f"is for {shown}, not for {name}: clients that use this name ask the user"
        yield Property("name", Sign.WARNING, says)


def common_names(subject: str) -> tuple[str, ...]:
    """The common name of a certificate's subject."""
    words = (word.partition(": ") for word in subject.split(", "))
    return tuple(name for kind, _, name in words if kind == "Common Name")


def verdict(seen: Certificate, name: str, *, required: bool) -> tuple[Sign, str]:
    """The sign and the sentence for a certificate. `required`: the admin asked that it be trusted, and a certificate that
    is not has failed."""
    objections = judge(seen, name)
    if not objections:
        return Sign.OK, f"The certificate is trusted, until {seen.not_after:%F}."
    sign = Sign.FAILED if required and not seen.trusted else worst(each.sign for each in objections)
    return sign, f"The certificate {'; it '.join(each.says for each in objections)}."


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether one of the names matches `host` (RFC 6125 section 6.4: a wildcard is one whole label)."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        wanted = host.lower().rstrip(".")
        parent = wanted.partition(".")[2]
        return any(n.lower().rstrip(".") in (wanted, f"*.{parent}" if parent else wanted) for n in names)
    return str(address) in names


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


def in_words(content: bytes) -> bytes:
    """A file where each certificate is said in lines for people: names, issuer, dates, key. What cannot be read stays."""
    return _BLOCK.sub(_described, content) if b"-----BEGIN CERTIFICATE-----" in content else content


def _described(block: re.Match[bytes]) -> bytes:
    if not block[1].endswith(b"CERTIFICATE"):
        return block[0]
    try:
        seen = read([_der(block[2])], "", None, True, visible)
    except ValueError:
        return block[0]
    lines = (
        f"certificate for {', '.join(seen.names) or 'no name (no subjectAltName)'}",
        f"  subject    {seen.subject}",
        f"  issued by  {'itself (self-signed)' if seen.self_signed else seen.issuer}",
        f"  valid      {seen.not_before:%F} to {seen.not_after:%F}",
        f"  key        {seen.key}",
        "  SHA-256    {}\n             {}".format(*fingerprint_lines(seen.fingerprint_sha256)),
    )
    return "\n".join(lines).encode()


def fingerprint_lines(digits: str) -> tuple[str, str]:
    """A SHA-256 fingerprint as openssl and mail programs write it, in two lines: 80 columns have no room for one."""
    shown = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper()
    return shown[:48], shown[48:]


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
        loaded = keys.PrivateKeyInfo.load(der)
        if loaded.algorithm == "ec":
            return f"EC {loaded.curve[1]}"
        if loaded.algorithm in ("rsa", "rsassa_pss", "dsa"):
            return f"{loaded.algorithm.upper()} {loaded.bit_size}"
        return str(loaded.algorithm).capitalize()
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
    loaded = _loaded(ders)
    for number, (one, by) in enumerate(pairwise(loaded), 1):
        if one.issuer != by.subject:
            return (
                f"certificate {number} ({one.subject.human_friendly}) was issued by {one.issuer.human_friendly}, "
                f"but the next in the chain is {by.subject.human_friendly}"
            )
    return None


def common_name(content: bytes) -> str:
    """That of the first certificate, empty where it has none. Raises PemError."""
    (leaf,) = _loaded(certificates(content)[:1])
    return str(leaf.subject.native.get("common_name", ""))


def self_issued(der: bytes) -> bool:
    """Whether it is a root: issued by itself."""
    (one,) = _loaded([der])
    return bool(one.issuer == one.subject)


def parsed(content: bytes, name: str = "") -> Certificate | None:
    """The first certificate in a PEM file, None where there is none; it is not tried out."""
    try:
        return read(certificates(content)[:1], name, None, False, clean)
    except ValueError:
        return None


def _loaded(ders: Sequence[bytes]) -> list[Any]:
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
    chain: bytes,
    key: bytes,
    name: str,
    shown: Callable[[str], str],
    root: bytes | None = None,
    authorities: bytes = b"",
) -> Certificate:
    """What a client that knows the server as `name` gets and thinks of it; with `root` (DER), one that trusts that one
    too. `authorities` are those of CACertFile (PEM): OpenSSL completes the chain with them, as it does for sendmail.

    Raises PemError."""
    server_side, context = server_context(chain, key), client_context(verify=True)
    with suppress(ssl.SSLError, ValueError):  # where it holds none
        server_side.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
    if root is not None:
        context.load_verify_locations(cadata=root)
    refusal: ssl.SSLCertVerificationError | None = None
    try:
        name.encode("idna")
        asked = name
    except UnicodeError:  # mail..example.test in /etc/hosts: no client can ask for it
        asked = "localhost"
    try:
        _shake(context, server_side, asked)
    except ssl.SSLCertVerificationError as error:
        refusal = error
    except ssl.SSLError as error:
        raise PemError(f"a TLS handshake with it fails ({error.reason or 'broken off'})") from None
    try:
        return read(certificates(chain), name, refusal, refusal is None, shown)
    except ValueError as error:
        raise PemError("cannot be read") from error


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
