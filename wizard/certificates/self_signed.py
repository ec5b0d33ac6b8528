"""A self-signed pair, made as Debian's update_tls makes it. The key is on no disk meanwhile, and in no argument."""

from __future__ import annotations

from collections.abc import Sequence

from templates import render
from wizard.certificates import key_words
from wizard.errors import HostError
from wizard.system.host import Host

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
