"""Which kinds of TLS a listener of this host takes, by real handshakes, one for each kind (RFC 8996, RFC 9325)."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from wizard.certificates.handshake import client_context
from wizard.errors import HostError
from wizard.sendmail.cf import Daemon
from wizard.smtp.connection import Deadline, WireError
from wizard.smtp.session import SubmissionSession, literal
from wizard.smtp.transcript import Failure, Layer, Transcript
from wizard.system.host import Host

TIMEOUT = 10.0
"""Seconds for one handshake, with the greeting before it."""
_OLDEST = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
_TRIED_HERE = frozenset(["NO_CIPHERS_AVAILABLE", "NO_PROTOCOLS_AVAILABLE"])
"""What our own OpenSSL says of what it does not speak itself."""
_TLS12, _TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@dataclass(frozen=True)
class Kind:
    """One kind of TLS: a version, and the cipher suites that are offered with it."""

    id: str
    says: str
    version: ssl.TLSVersion
    ciphers: str = ""
    weak: bool = True


TLS13 = Kind("tls-1.3", "TLS 1.3", _TLS13, weak=False)
TLS12 = Kind("tls-1.2", "TLS 1.2 with forward secrecy", _TLS12, "kECDHE:kDHE:!aNULL", weak=False)
TLS10 = Kind("tls-1.0", "TLS 1.0", ssl.TLSVersion.TLSv1, _OLDEST)
TLS11 = Kind("tls-1.1", "TLS 1.1", ssl.TLSVersion.TLSv1_1, _OLDEST)
RSA = Kind("rsa", "TLS 1.2 without forward secrecy (RSA key exchange)", _TLS12, "kRSA:!aNULL:@SECLEVEL=0")
SMALL_DH = Kind("small-dh", "Diffie-Hellman below 2048 bits", _TLS12, "kDHE:!aNULL:@SECLEVEL=2")
ANONYMOUS = Kind("anonymous", "TLS without certificate or encryption", _TLS12, "aNULL:eNULL:@SECLEVEL=0")
RENEGOTIATION = Kind("renegotiation", "renegotiation that the client asks for", _TLS12)
KINDS = (TLS13, TLS12, TLS10, TLS11, RSA, SMALL_DH, ANONYMOUS, RENEGOTIATION)
QUICK = tuple(kind for kind in KINDS if kind.weak and kind is not RENEGOTIATION)
"""The weak kinds that take no second to try."""
_SMALL = "DH_KEY_TOO_SMALL"
"""OpenSSL's client at level 2 takes no group below 2048 bits, and says so (SSL_CTX_set_security_level(3))."""
_ASK_AGAIN = "{ sleep $3; echo R; sleep $2; } | exec openssl s_client -connect \"$0\" $1 $4 -tls1_2 -cipher 'ALL:@SECLEVEL=0' 2>&1"
"""A line R makes s_client renegotiate, which Python's ssl cannot; it ends with its input."""
_WAITING = (1, 6)
"""Seconds for the answer. With TLS from the first byte the greeting, which comes once sendmail has looked the client's name
up, must be there before the question: as much again for that."""


@dataclass(frozen=True)
class Handshake:
    """What became of one kind: `taken`, or refused; None and a clause where that could not be tried."""

    kind: Kind
    taken: bool | None
    says: str = ""
    begun: bool = True
    """False where the server did not come as far: it is busy, or limits connections."""


def weak(handshakes: Iterable[Handshake]) -> tuple[Kind, ...]:
    """The weak kinds that are taken."""
    return tuple(each.kind for each in handshakes if each.kind.weak and each.taken)


def handshakes(host: Host, daemon: Daemon, name: str, kinds: Iterable[Kind] = KINDS) -> tuple[Handshake, ...]:
    """One after the other: sendmail counts connections by the second. `name` is this host's."""
    return tuple(
        _renegotiation(host, daemon) if kind is RENEGOTIATION else _tried(daemon, name, kind)
        for kind in kinds
    )


def _tried(daemon: Daemon, name: str, kind: Kind) -> Handshake:
    session = SubmissionSession(Transcript(None, None), Deadline(TIMEOUT), TIMEOUT)
    try:
        context = _context(kind)
    except (ssl.SSLError, ValueError) as error:
        return Handshake(kind, None, f"OpenSSL of this host cannot try it ({error})")
    try:
        with session:
            session.connect([literal(daemon.reachable_at, daemon.port)], _source(daemon))
            if not daemon.tls_on_connect:
                session.greet()
                session.start_tls()
            try:
                session.wire.encrypt(context, name)
            except ssl.SSLError as error:
                return _refused(kind, error)
    except Failure as stop:
        if stop.layer is Layer.STARTTLS:  # it is not offered, or got 454
            return Handshake(kind, False, stop.clause)
        return Handshake(kind, None, stop.clause, begun=False)
    except (WireError, OSError, ValueError) as error:
        return Handshake(kind, None, str(error), begun=False)
    return Handshake(kind, kind is not SMALL_DH)


def _source(daemon: Daemon) -> str:
    """Where we come from: sendmail's rate limits, ten connections in ten minutes in Debian, do not count 127.0.0.1."""
    return "" if ":" in daemon.reachable_at else "127.0.0.1"


def _context(kind: Kind) -> ssl.SSLContext:
    """Raises ssl.SSLError, ValueError where our own OpenSSL has nothing of the kind."""
    context = client_context(verify=False)
    if kind.ciphers:
        context.set_ciphers(kind.ciphers)
    context.minimum_version = context.maximum_version = kind.version
    return context


def _refused(kind: Kind, error: ssl.SSLError) -> Handshake:
    if error.reason in _TRIED_HERE:
        return Handshake(kind, None, f"OpenSSL of this host cannot try it ({error.reason})")
    return Handshake(kind, kind is SMALL_DH and error.reason == _SMALL, error.reason or "broken off")


def _renegotiation(host: Host, daemon: Daemon) -> Handshake:
    where, source = (
        f"{daemon.reachable_at}:{daemon.port}",
        f"-bind={_source(daemon)}:0" if _source(daemon) else "",
    )
    if ":" in daemon.reachable_at:
        where = f"[{daemon.reachable_at}]:{daemon.port}"
    starttls = "" if daemon.tls_on_connect else "-starttls=smtp"
    for seconds in _WAITING:
        try:
            first = seconds if daemon.tls_on_connect else 0
            argv = ["sh", "-c", _ASK_AGAIN, where, starttls, str(seconds), str(first), source]
            said = host.run(argv, timeout=TIMEOUT + 2 * seconds).stdout
        except HostError as error:
            return Handshake(RENEGOTIATION, None, str(error))
        asked, _, then = said.partition("RENEGOTIATING")
        if "no renegotiation" in then:
            return Handshake(RENEGOTIATION, False)
        if "verify return" in then:  # of the certificate that came a second time
            return Handshake(RENEGOTIATION, True)
        if "Cipher is (NONE)" in asked:  # without TLS 1.2 there is none to be asked for
            return Handshake(RENEGOTIATION, False)
    return Handshake(RENEGOTIATION, None, "openssl s_client did not get as far")
