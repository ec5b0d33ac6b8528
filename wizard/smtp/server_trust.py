"""Who may be sent a password: this host's own sendmail by the certificate file that sendmail.cf names, any other
server by the system's trust store, its name and dates, or a certificate that the admin accepts by its fingerprint."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from templates import render
from wizard.certificates import Certificate, certificates, fingerprint_lines
from wizard.console import clean
from wizard.errors import HostError, PemError
from wizard.model.facts import SENDMAIL_CF
from wizard.sendmail.cf_needs import MOST, TlsFiles
from wizard.system.host import Host
from wizard.system.sockets import addresses

_FINGERPRINT = re.compile(r"[0-9a-f]{64}|[0-9a-f]{2}(?::[0-9a-f]{2}){31}")


@dataclass(frozen=True)
class Trust:
    """What is trusted: by default only the system's trust store. Fingerprints are SHA-256, as 64 hex digits."""

    own_addresses: frozenset[str] = frozenset()
    """Addresses of this host; loopback counts in any case."""
    file: str = ""
    """The certificate file that sendmail.cf names."""
    pins: frozenset[str] = frozenset()
    """What this host's own sendmail must present."""
    problem: str = ""
    """Why there are no pins."""
    accepted: str = ""
    """The fingerprint that the admin accepts."""
    store_alone: bool = False
    """Whether this host's own certificate, too, must be in the trust store."""
    ask: Callable[[Certificate, str], bool] | None = None
    """Asks the admin about a certificate, with why it is not trusted; None where nobody can be asked."""

    def is_own(self, address: str) -> bool:
        """Whether it is an address of this host."""
        parsed = ipaddress.ip_address(address.split("%")[0])
        plain = (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed
        return plain.is_loopback or str(plain) in self.own_addresses

    def pinned(self, address: str) -> bool:
        """Whether the server there must present this host's own certificate, whatever the trust store says of it."""
        return bool(self.pins) and not self.store_alone and self.is_own(address)

    def objection(self, address: str, fingerprint: str, refusal: str) -> str:
        """Why the server there gets no password, "" where it does. `refusal` is the trust store's, "" for none."""
        if fingerprint and fingerprint == self.accepted:
            return ""
        if self.pinned(address):
            if fingerprint in self.pins:
                return ""
            return (
                f"the server presents another certificate than {self.file}, which sendmail.cf names; where that file was "
                "changed, sendmail has to be restarted: `systemctl restart sendmail`"
            )
        hint = f" ({self.problem})" if refusal and self.problem and self.is_own(address) else ""
        return refusal + hint


def trust_of(
    host: Host,
    accepted: str = "",
    *,
    store_alone: bool = False,
    ask: Callable[[Certificate, str], bool] | None = None,
) -> Trust:
    """What is trusted on this host. `accepted` is a fingerprint, "" for none. Raises ValueError where it is none."""
    file, pins, problem = "", frozenset[str](), ""
    try:
        entry = host.entry(SENDMAIL_CF)
        named = TlsFiles.of(entry.content.decode("latin-1")).certificates if entry else ()
        file = " or ".join(named)
        # The first certificate in a file is the server's own.
        own = [certificates(host.small_file(path, MOST)[0])[0] for path in named]
        pins = frozenset(hashlib.sha256(certificate).hexdigest() for certificate in own)
    except (OSError, HostError, PemError) as error:
        problem = f"the own certificate cannot be compared: {file or SENDMAIL_CF}: {error}"
    accepted = fingerprint(accepted) if accepted else ""
    return Trust(frozenset(addresses(host)), file, pins, problem, accepted, store_alone, ask)


def fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as 64 small hex digits. Raises ValueError for what is none."""
    if not _FINGERPRINT.fullmatch(text.strip().lower()):
        raise ValueError(
            "--accept-certificate takes a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons, as "
            "`openssl x509 -noout -fingerprint -sha256 -in FILE` prints it."
        )
    return text.strip().lower().replace(":", "")


def question(certificate: Certificate, why: str) -> str:
    """What the admin has to know to answer: the certificate, and the objection to it."""
    fingerprint = fingerprint_lines(certificate.fingerprint_sha256)
    text = render(
        "accept_certificate.txt.j2", why=clean(why), certificate=certificate, fingerprint=fingerprint
    )
    return text.rstrip("\n")
