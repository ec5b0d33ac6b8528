"""A pair tried by OpenSSL in a TLS handshake, as sendmail and a mail client that verifies would have it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress

from wizard.certificates import Certificate, among, as_pem, certificates, read, self_issued
from wizard.errors import PemError
from wizard.system.host import Host


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
    authorities: bytes | None = None,
    folder: str = "",
) -> Certificate:
    """What a client that knows the server as `name` gets and thinks of it; with `root` (DER), one that trusts that one
    too. Of `chain` (PEM) sendmail reads the first certificate alone, and OpenSSL adds those that lead to its authority
    from CACertFile, `authorities` (PEM; None where it is the file of the chain, as Debian has it), and CACertPath, `folder`.
    Whether a root is sent is all the same to clients: they know it, or do not.

    Raises PemError."""
    ders = certificates(chain)
    roots = as_pem([der for der in ders[1:] if self_issued(der)])
    added = as_pem(ders) if authorities is None else authorities + b"\n" + roots
    server_side, context = server_context(as_pem(ders[:1]), key), client_context(verify=True)
    with suppress(ssl.SSLError, ValueError):  # where it holds none
        server_side.load_verify_locations(cadata=added.decode("ascii", "ignore"))
    if folder:
        server_side.load_verify_locations(capath=folder)
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
        return read([ders[0], *among(ders[1:], added)], name, refusal, refusal is None, shown)
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
