"""The certificate and the key that sendmail.cf names, as they lie on disk (howto 5.3 and 5.4)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from snapshots.live.entry import Entry, Kind
from wizard.certificates.peer_certificate import Certificate, read
from wizard.console import clean
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.sendmail.tls_files import TlsFiles
from wizard.system.host import Host


@dataclass(frozen=True)
class CertificateFiles:
    """What sendmail.cf names. `pair` is why OpenSSL does not take the two together, empty where it does."""

    certificate: str = ""
    key: str = ""
    certificate_entry: Entry | None = None
    key_entry: Entry | None = None
    pair: str = ""
    seen: Certificate | None = None
    writable: tuple[str, ...] = ()
    """Folders on the way in which anybody may put another file."""

    @property
    def debian(self) -> bool:
        """Whether these are the files that Debian's update_tls makes."""
        return (self.certificate, self.key) == (f.SERVER_CERT, f.COMMON_KEY)


def look(host: Host, cf: str, name: str) -> CertificateFiles:
    """Read both, symbolic links followed. Raises nothing."""
    named = TlsFiles.of(cf)
    certificate, key = named.certificate, named.key
    made = CertificateFiles(
        certificate, key, _entry(host, certificate), _entry(host, key), writable=_writable(host, key)
    )
    if made.certificate_entry is None:
        return made
    pair = _pair(host, certificate, key) if made.key_entry is not None else ""
    return CertificateFiles(
        certificate,
        key,
        made.certificate_entry,
        made.key_entry,
        pair,
        _parsed(made.certificate_entry.content, name),
        made.writable,
    )


def _entry(host: Host, path: str) -> Entry | None:
    if not path.startswith("/"):
        return None
    try:
        entry = host.entry(path)
        if entry is not None and entry.kind is Kind.SYMLINK:  # certbot's live/ folder is made of them
            real = host.path(path).resolve()
            entry = host.entry(f"/{real.relative_to(host.root.resolve())}")
        return entry if entry is not None and entry.kind is Kind.FILE else None
    except (HostError, OSError, ValueError):
        return None


def _pair(host: Host, certificate: str, key: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key must not ask for its password on the terminal.
        context.load_cert_chain(host.path(certificate), host.path(key), password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        return clean(str(getattr(error, "reason", None) or error))
    return ""


def _parsed(content: bytes, name: str) -> Certificate | None:
    text = content.decode("latin-1")
    begin, end = text.find("-----BEGIN CERTIFICATE-----"), text.find("-----END CERTIFICATE-----")
    if begin < 0 or end < 0:
        return None
    try:
        der = ssl.PEM_cert_to_DER_cert(text[begin : end + len("-----END CERTIFICATE-----")])
        return read([der], name, None, False, clean)
    except ValueError:
        return None


def _writable(host: Host, path: str) -> tuple[str, ...]:
    parts = [item for item in path.split("/")[:-1] if item]
    folders = ["/" + "/".join(parts[: at + 1]) for at in range(len(parts))]
    found = []
    for folder in folders:
        try:
            mode = host.path(folder).stat().st_mode
        except OSError:
            continue
        if mode & 0o002 and not mode & 0o1000:
            found.append(folder)
    return tuple(found)
