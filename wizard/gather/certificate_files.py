"""The certificate and the key that sendmail.cf names, as they lie on disk (howto 5.3 and 5.4)."""

from __future__ import annotations

from dataclasses import dataclass

from snapshots.live.entry import Entry, Kind
from wizard.certificates.key_pair import fits
from wizard.certificates.peer_certificate import Certificate, read
from wizard.certificates.pem import certificates
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
    parsed: Certificate | None = None
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
    crt, private = _entry(host, certificate), _entry(host, key)
    misfit = fits(crt.content, private.content) if crt is not None and private is not None else None
    parsed = _parsed(crt.content, name) if crt is not None else None
    return CertificateFiles(certificate, key, crt, private, misfit or "", parsed, _writable(host, key))


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


def _parsed(content: bytes, name: str) -> Certificate | None:
    try:
        return read(certificates(content)[:1], name, None, False, clean)
    except ValueError:
        return None


def _writable(host: Host, path: str) -> tuple[str, ...]:
    parts = [part for part in path.split("/")[:-1] if part]
    folders = ["/" + "/".join(parts[: at + 1]) for at in range(len(parts))]
    writable = []
    for folder in folders:
        try:
            mode = host.path(folder).stat().st_mode
        except OSError:
            continue
        if mode & 0o002 and not mode & 0o1000:
            writable.append(folder)
    return tuple(writable)
