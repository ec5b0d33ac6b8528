"""Certificates, private keys and DH parameters: read from PEM files (RFC 7468), judged as a mail client would judge them (howto
5.4; RFC 6125 for the names)."""

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
from wizard.console import clean, count
from wizard.errors import PemError
from wizard.model.answer_checks import MOST_NAMES
from wizard.model.plan import Sign, worst
from wizard.model.step_facts import PairTrial

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
        # Also true where there are some, which this Python may not be able to tell.
        says = "comes without the intermediate certificates that lead to an authority known here: clients refuse it"
        if seen.chain:
            says = (
                "comes with intermediate certificates that lead to no authority known here (one is missing, or they are from a "
                "staging environment): clients refuse it"
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
        says = "has no subjectAltName: today's clients find no name in it"
        yield Property("no-alternative-name", Sign.WARNING, says)
    names = seen.names or common_names(seen.subject)  # older clients look at the common name
    if name and name != seen.covered and not covers(names, name):
        shown = ", ".join(names[:3]) or "no name"
        says = f"is for {shown}, not for {name}: clients that use this name ask the user"
        if names and _is_loopback(name):
            says = f"is for {shown}: clients have to use {'that name' if len(names) == 1 else 'one of these names'}"
        yield Property("name", Sign.WARNING, says)


def _is_loopback(name: str) -> bool:
    """Whether it is an address that is no client's."""
    try:
        return ipaddress.ip_address(name.split("%")[0]).is_loopback
    except ValueError:
        return False


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


def among(ders: Sequence[bytes], content: bytes) -> list[bytes]:
    """Those of the certificates that a PEM file holds, too; the others in it are not read."""
    held = {_der(body) for _, body in _BLOCK.findall(content)}
    return [der for der in ders if der in held]


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
    loaded = _loaded([_der(block[2])])[0]
    of_authority = loaded.ca and not seen.self_signed  # openssl makes self-signed ones of servers so, too
    names = ", ".join(seen.names) or "no name (no subjectAltName)"
    lines = (
        "an authority's certificate" if of_authority else f"certificate for {names}",
        f"  subject    {seen.subject}",
        f"  issued by  {'itself (self-signed)' if seen.self_signed else seen.issuer}",
        f"  valid      {seen.not_before:%F} to {seen.not_after:%F}",
        f"  key        {seen.key}",
        "  SHA-256    {}\n             {}".format(*fingerprint_lines(seen.fingerprint_sha256)),
    )
    return "\n".join(lines).encode()


def fingerprint_lines(digits: str) -> tuple[str, str]:
    """A SHA-256 fingerprint as openssl and mail clients write it, in two lines: 80 columns have no room for one."""
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


def judge_file(
    content: bytes, name: str, trial: PairTrial | None
) -> tuple[Certificate | None, tuple[Property, ...]]:
    """The first certificate in a PEM file, None where there is none, and its judgement; without a `trial` it is said that it was
    not verified."""
    first = parsed(content)
    if first is None:
        return None, ()
    if trial is not None:
        first = replace(
            first,
            trusted=trial.trusted,
            refusal=trial.refusal,
            refusal_says=trial.refusal_says,
            chain=trial.chain,
        )
    return first, judge(first, name)


def _loaded(ders: Sequence[bytes]) -> list[Any]:
    from asn1crypto import x509

    return [x509.Certificate.load(der) for der in ders]


def _der(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        return b""
