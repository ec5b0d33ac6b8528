"""Reading a server's certificate as a mail client would judge it (howto 5.4; RFC 6125 for the names)."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

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
_SELF_SIGNED_HERE = (
    "it is self-signed: a client that accepts it has it in its own store, any other refuses it"
)


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
    from asn1crypto import x509  # type: ignore[import-untyped]  # slow to import, seldom needed

    try:
        parsed = [x509.Certificate.load(der) for der in chain]
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
