"""A certificate and its key together, tried as sendmail and a mail client try them: by OpenSSL, in memory."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from wizard.certificates.peer_certificate import Certificate, client_context, read
from wizard.certificates.pem import as_pem, certificates
from wizard.errors import PemError
from wizard.system.host import Host

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
            reason = _REASONS.get(error.reason or "", "OpenSSL refuses this certificate and key")
            raise PemError(reason) from None
    return context


def judged(
    chain: bytes,
    key: bytes,
    name: str,
    shown: Callable[[str], str],
    root: bytes | None = None,
) -> ClientVerdict:
    """What a client that knows the server as `name` thinks of it; with `root` (DER), one that trusts that one too.

    Raises PemError."""
    server_side = server_context(chain, key)
    context = client_context(verify=True)
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
    return ClientVerdict(
        certificate,
        refusal.verify_code if refusal else None,
        shown(refusal.verify_message) if refusal else "",
    )


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
