"""The certificate and key files that a sendmail.cf names, and how sendmail wants them (op.me, STARTTLS).

Looked at on Debian 12 and 13, which agree: a key or a certificate is refused ("unsafe", and STARTTLS is gone) when it
belongs to somebody else than root or TrustedUser, when its group or others may write to it or to its folder; a key also
when others may read it, or its group where DontBlameSendmail has no GroupReadableKeyFile. Symbolic links are followed.
ServerCertFile may hold the chain, which is sent."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import PurePosixPath

from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.sendmail import cf as sendmail_cf
from wizard.system.host import Host

MOST = 128 * 1024
"""Bytes of a certificate, chain or key file: the longest chains have some 20 KiB."""


@dataclass(frozen=True)
class TlsFiles:
    """What sendmail.cf says of certificates; empty where it says nothing."""

    certificate: str = ""
    key: str = ""
    client_certificate: str = ""
    client_key: str = ""
    authorities: str = ""
    authorities_folder: str = ""
    dh: str = ""
    trusted: str = ""
    """TrustedUser: who beside root may own the files."""
    group_readable: bool = False
    more_certificates: tuple[str, ...] = ()
    """A second one, of another kind of key (RSA beside EC), behind a comma in the same option: since sendmail 8.17."""
    more_keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, cf: str) -> TlsFiles:
        """What this sendmail.cf says."""

        def value(name: str) -> str:
            return sendmail_cf.option(cf, name) or ""

        certificates, keys = (
            [path.strip() for path in value(name).split(",")] for name in ("ServerCertFile", "ServerKeyFile")
        )
        return cls(
            certificates[0],
            keys[0],
            value("ClientCertFile"),
            value("ClientKeyFile"),
            value("CACertFile"),
            value("CACertPath"),
            value("DHParameters"),
            value("TrustedUser"),
            "groupreadablekeyfile" in value("DontBlameSendmail").lower(),
            tuple(certificates[1:]),
            tuple(keys[1:]),
        )

    @property
    def certificates(self) -> tuple[str, ...]:
        """The server's."""
        return (self.certificate, *self.more_certificates) if self.certificate else ()

    @property
    def all(self) -> tuple[str, ...]:
        """The files, each once, as absolute paths."""
        pairs = (self.certificate, self.key, self.client_certificate, self.client_key)
        more = (self.authorities, self.dh, *self.more_certificates, *self.more_keys)
        return tuple(dict.fromkeys(name for name in (*pairs, *more) if name.startswith("/")))

    @property
    def shared(self) -> bool:
        """Whether the client certificate goes with the server's key: Debian's does, by sendmail-common.key."""
        own = self.client_certificate not in ("", self.certificate)
        return own and self.client_key == self.key


def certificate(facts: Facts) -> str:
    """The server certificate that sendmail.cf names, the one of Debian's scripts where it names none."""
    return TlsFiles.of(facts.text(f.SENDMAIL_CF) or "").certificate or f.SERVER_CERT


def certificate_is_there(facts: Facts) -> bool:
    """Whether that file is there, as far as we may know."""
    path = certificate(facts)
    if path in facts.files or path in facts.unreadable:
        return path in facts.unreadable or facts.files[path] is not None
    return path not in facts.tls_missing


def unsafe(host: Host, path: str, files: TlsFiles, *, key: bool) -> str | None:
    """Why sendmail will not take the file, None when it will. Raises HostError when it cannot be read."""
    _, status = host.small_file(path, MOST)
    try:
        folder = host.path(str(PurePosixPath(path).parent)).stat()
    except OSError as error:
        raise HostError(f"the folder of {path} cannot be read: {error.strerror}") from error
    mode = stat.S_IMODE(status.st_mode)
    trusted = int(files.trusted) if files.trusted.isdigit() else _number(host, "/etc/passwd", files.trusted)
    if status.st_uid not in (0, trusted):
        return f"it belongs to the user with number {status.st_uid}, not to root"
    if mode & 0o022:
        return f"others than its owner may write to it (mode {mode:04o})"
    if key and mode & 0o004:
        return f"everybody may read it (mode {mode:04o})"
    if key and mode & 0o040 and not files.group_readable:
        return f"its group may read it (mode {mode:04o}), and DontBlameSendmail has no GroupReadableKeyFile"
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        return f"others may write to its folder (mode {stat.S_IMODE(folder.st_mode):04o})"
    return None


def group(host: Host, name: str) -> int:
    """The number of a group of this host, 0 when there is none of that name."""
    return _number(host, "/etc/group", name) or 0


def _number(host: Host, path: str, name: str) -> int | None:
    try:
        text = host.path(path).read_text("latin-1")
    except OSError:
        return None
    match = re.search(rf"^{re.escape(name)}:[^:\n]*:(\d+):", text, re.MULTILINE) if name else None
    return int(match[1]) if match else None
