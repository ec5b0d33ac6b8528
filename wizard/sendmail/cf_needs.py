"""What a sendmail.cf needs of this host to serve TLS and to start: the files that it names, and who may write its maps.

Tried on Debian 12 (8.17.1.9): without a regular file at ServerCertFile, ServerKeyFile or CACertFile, or with
one that others may change, with a key that is not the certificate's, or with a path in one of these or CACertPath that is not absolute, sendmail starts, offers no
STARTTLS, and says so in the log at most. A folder at CACertPath, a client certificate and its key, CRLFile and
DHParameters may be missing. The start of Debian's init script makes the maps that are older than their
sources, and makemap refuses (EACCES, and the start ends with status 2) in a folder that belongs neither to root nor to
TrustedUser, or where the folder is missing; Debian's /etc/mail belongs to smmta, and its DOMAIN(`debian-mta') names that.

A key, a certificate or CACertFile is refused ("unsafe", and STARTTLS is gone) when it belongs to somebody else than root or
TrustedUser, when its group or others may write to it or to a folder on the way to it (a sticky one is taken where
DontBlameSendmail has TrustStickyBit, as Debian's, one that its group may write to with GroupWritableDirPathSafe); a key
also when others may read it, or its group where DontBlameSendmail has no GroupReadableKeyFile (op.me, STARTTLS; Debian 12
and 13 agree). Symbolic links are followed to the file; the folders are those of the name in sendmail.cf, not those behind
its links.
ServerCertFile may hold the chain, which is sent."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from snapshots.format.layout import Owners
from snapshots.live.entry import Entry, Kind
from wizard.certificates import among, certificates, self_issued
from wizard.certificates.handshake import fits
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.facts import Facts, TlsRefusal
from wizard.sendmail import cf as sendmail_cf
from wizard.system.host import Host

MAIL_FOLDER = "/etc/mail"
MOST = 128 * 1024
"""Bytes of a certificate, chain or key file: the longest chains have some 20 KiB."""
MOST_AUTHORITIES = 4 << 20
"""Bytes of CACertFile: Debian's ca-certificates.crt has some 220 KiB."""
_FILES = {"ServerCertFile": "confSERVER_CERT", "ServerKeyFile": "confSERVER_KEY", "CACertFile": "confCACERT"}
TLS_PATHS = {**_FILES, "CACertPath": "confCACERT_PATH"}
"""As sendmail.cf calls it, and as sendmail.mc does. Without any one of these sendmail offers no STARTTLS (tried on 8.18)."""
REMEDY = (
    "bring the files there, for root alone to change (and the key to read), or switch the lines that name them off with "
    "dnl: Debian's own certificate is used then"
)
_SEVERAL = ("ServerCertFile", "ServerKeyFile")
_MAP = re.compile(
    r"^K(?:access|authinfo|bitdomain|domaintable|generics|mailertable|uudomain|virtuser)\s+(?:hash|btree|dbm)"
    r"(?:\s+-(?!o\b)\S+)*\s+(/[^\s\0]+)\s*$",
    re.MULTILINE,
)
"""What Debian's Makefile makes for sendmail's start: the source of each map that is not optional (-o), where it is missing."""
_OF_DEBIAN = frozenset({f.SERVER_CERT, f.COMMON_KEY})
"""What update_tls makes where it is missing; sendmailconfig runs it."""


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
    sticky: bool = False
    """Whether a sticky folder that others may write to is taken."""
    group_folders: bool = False
    """Whether one that its group may write to is."""

    @classmethod
    def of(cls, cf: str) -> TlsFiles:
        """What this sendmail.cf says."""

        def value(name: str) -> str:
            return sendmail_cf.option(cf, name) or ""

        certificates, keys = (
            [path.strip() for path in value(name).split(",")] for name in ("ServerCertFile", "ServerKeyFile")
        )
        flags = {word.strip().lower() for word in value("DontBlameSendmail").split(",")}
        return cls(
            certificates[0],
            keys[0],
            value("ClientCertFile"),
            value("ClientKeyFile"),
            value("CACertFile"),
            value("CACertPath"),
            value("DHParameters"),
            value("TrustedUser"),
            "groupreadablekeyfile" in flags,
            tuple(certificates[1:]),
            tuple(keys[1:]),
            "truststickybit" in flags,
            "groupwritabledirpathsafe" in flags,
        )

    @property
    def own_authorities(self) -> bool:
        """Whether CACertFile is another file than the server's certificate, which Debian has there."""
        return self.authorities not in ("", self.certificate)

    @property
    def several(self) -> bool:
        """Whether the server has more than one pair."""
        return bool(self.more_certificates or self.more_keys)

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


def unsent(files: TlsFiles, chain: bytes, authorities: bytes) -> bool:
    """Whether sendmail would leave intermediate certificates of `chain` (PEM) out: it reads the first alone, and OpenSSL adds
    what is in CACertFile, whose content `authorities` is. Tried on 12 to 14. Raises PemError."""
    between = [der for der in certificates(chain)[1:] if not self_issued(der)]
    return files.own_authorities and among(between, authorities) != between


def sent_from(files: TlsFiles) -> tuple[str, str]:
    """Where sendmail looks for intermediate certificates in place of the certificate's own file, and what to do."""
    return (
        f"sendmail reads the first certificate of {files.certificate} alone; the intermediate ones have to be in {files.authorities} (CACertFile)",
        f"let confCACERT in sendmail.mc name {files.certificate}, too (or add them to {files.authorities}), then `msa-wizard apply sendmailconfig restart`",
    )


def unsafe(host: Host, path: str, files: TlsFiles, *, key: bool) -> str | None:
    """Why sendmail will not take the file, None when it will. Raises HostError when it cannot be read."""
    return next((each.why for each in refusals(host, path, files, key=key)), None)


def refused(host: Host, files: TlsFiles) -> tuple[TlsRefusal, ...]:
    """Why sendmail does not take what is there of certificates, keys and authorities; the keys come first."""
    found: list[TlsRefusal] = []
    keys = (files.key, *files.more_keys)
    for path in dict.fromkeys((*keys, *files.certificates, files.authorities)):
        with contextlib.suppress(HostError):  # what is not there is said elsewhere
            found += refusals(host, path, files, key=path in keys) if path.startswith("/") else ()
    return tuple(found)


def refusals(host: Host, path: str, files: TlsFiles, *, key: bool) -> Iterator[TlsRefusal]:
    """All of it: the owner, the mode, each folder. Raises HostError when it cannot be read."""
    _, status = host.small_file(path, MOST if key else MOST_AUTHORITIES)
    file = behind_links(host, path)
    mode, trusted = stat.S_IMODE(status.st_mode), trusted_user(host, files)
    safe = (mode | stat.S_IRUSR) & ~open_to(files, key)
    why = ""
    if mode & 0o022:
        why = f"others than its owner may write to it (mode {mode:04o})"
    elif key and mode & 0o004:
        why = f"everybody may read it (mode {mode:04o})"
    elif key and mode & 0o040 and not files.group_readable:
        why = f"its group may read it (mode {mode:04o}), and DontBlameSendmail has no GroupReadableKeyFile"
    elif not mode & stat.S_IRUSR:
        why = f"not even its owner may read it (mode {mode:04o})"
    if status.st_uid not in (0, trusted):
        why = f"it belongs to the user with number {status.st_uid}, not to root"
        command = f"chown root {file} && chmod {safe:04o} {file}"
        # Whoever keeps a file of his own may have to read it: only Debian's is root's for certain.
        yield TlsRefusal(path, file, why, command, safe if file in _OF_DEBIAN else None)
    elif why:
        yield TlsRefusal(path, file, why, f"chmod {safe:04o} {file}", safe)
    for folder, mode in open_folders(host, path, files):
        why = f"others may write to its folder {folder} (mode {mode:04o})"
        yield TlsRefusal(path, folder, why, f"chmod go-w {folder}")


def open_folders(host: Host, path: str, files: TlsFiles) -> Iterator[tuple[str, int]]:
    """The folders on the way to the path that others may write to, and their modes, as far as that makes it unsafe for
    sendmail (safedirpath() in libsmutil/safefile.c). Raises HostError when one cannot be read."""
    by = 0o002 if files.group_folders else 0o022
    for folder in map(str, reversed(PurePosixPath(path).parents)):
        try:
            mode = stat.S_IMODE(host.path(folder).stat().st_mode)
        except OSError as error:
            raise HostError(f"the folder {folder} cannot be read: {error.strerror}") from error
        if mode & by and not (mode & stat.S_ISVTX and files.sticky):
            yield folder, mode


def takes(entry: Entry, files: TlsFiles, *, key: bool, trusted: int) -> bool:
    """Whether sendmail takes a file with this owner and mode; `trusted` is the number of TrustedUser."""
    mode = entry.mode
    return (
        entry.kind is Kind.FILE
        and entry.uid in (0, trusted)
        and bool(mode & stat.S_IRUSR)
        and not mode & open_to(files, key)
    )


def open_to(files: TlsFiles, key: bool) -> int:
    """The bits of a mode with which sendmail calls a file unsafe."""
    return 0o022 | (0o007 | (0 if files.group_readable else 0o070) if key else 0)


def behind_links(host: Host, path: str) -> str:
    """The file that the path leads to."""
    return f"/{os.path.relpath(os.path.realpath(host.path(path)), os.path.realpath(host.root))}"


def trusted_user(host: Host, files: TlsFiles) -> int:
    """The number of TrustedUser, root's where there is none."""
    if files.trusted.isdigit():
        return int(files.trusted)
    return _number(host, "/etc/passwd", files.trusted) or 0


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


def without_tls(host: Host, cf: str) -> tuple[str, ...]:
    """Why sendmail would offer no STARTTLS with this .cf on this host: each file that it does not take, and why."""
    files = TlsFiles.of(cf)
    named = {option: path for option in TLS_PATHS if (path := (sendmail_cf.option(cf, option) or "").strip())}
    refused = []
    for option, path in named.items():
        for each in path.split(",") if option in _SEVERAL else [path]:
            why = _refused(host, option, each.strip(), files)
            if why:
                refused.append(f"{TLS_PATHS[option]} is {each.strip()} ({why})")
    return tuple(refused) or _unfit(host, cf)


def _unfit(host: Host, cf: str) -> tuple[str, ...]:
    """Certificates that do not go with their key; one that is still to be made goes with any, and `troubleshoot` puts
    Debian's own right."""
    pairs = ((sendmail_cf.option(cf, option) or "").split(",") for option in _SEVERAL)
    misfits = []
    for certificate, key in zip(*pairs, strict=False):
        paths = [path.strip() for path in (certificate, key)]
        if not all(path and host.exists(path) for path in paths) or _OF_DEBIAN.issuperset(paths):
            continue
        chain, secret = (host.small_file(path, MOST)[0] for path in paths)
        if why := fits(chain, secret):
            misfits.append(f"confSERVER_CERT is {paths[0]} and confSERVER_KEY is {paths[1]} ({why})")
    return tuple(misfits)


def tls_sentence(faults: tuple[str, ...]) -> str:
    """What follows from what `without_tls` found."""
    return (
        "sendmail.mc, or a file that it includes, names files for TLS that sendmail does not take, so there would be no "
        f"STARTTLS, and without it no login: {'; '.join(faults)}"
    )


def _refused(host: Host, option: str, path: str, files: TlsFiles) -> str:
    """Why sendmail does not take the file, empty where it does."""
    if not path.startswith("/"):
        return "it takes absolute paths alone"
    if option not in _FILES or path in _OF_DEBIAN:
        return ""
    try:
        there = stat.S_ISREG(host.path(path).stat().st_mode)
    except FileNotFoundError:
        return "there is no such file"
    except ValueError:
        return "no file has such a name"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if not there:
        return "it is not a regular file"
    try:
        return unsafe(host, path, files, key=option == "ServerKeyFile") or ""
    except HostError as error:
        return str(error)


def mail_owner(host: Host) -> str:
    """Who has to be TrustedUser for maps to be made in /etc/mail: its owner, empty where that is root, or it is missing."""
    try:
        owner = host.path(MAIL_FOLDER).stat().st_uid
    except OSError:
        return ""
    return "" if owner == 0 else Owners(host.root).users.get(owner, str(owner))


def without_maps(owner: str, cf: str) -> str:
    """Why sendmail would not start with this .cf, and what to do; empty where it can make its maps.

    `owner` is what `mail_owner` says."""
    trusted = (sendmail_cf.option(cf, "TrustedUser") or "").strip()
    if not owner or trusted == owner:
        return ""
    return (
        f"{MAIL_FOLDER} belongs to {owner}, and sendmail.mc makes {trusted or 'nobody'} the trusted user: makemap would not "
        "write the maps there (Permission denied), and Debian's start of sendmail fails with that. "
        f"Put define(`confTRUSTED_USER', `{owner}')dnl into sendmail.mc"
    )


def without_start(host: Host, cf: str) -> str:
    """Why sendmail would not start with what m4 makes of the live sendmail.mc, where no step of ours puts that right."""
    named = sendmail_cf.option(cf, "TrustedUser")
    return (without_maps(mail_owner(host), cf) if named else "") or without_folders(host, cf)


def without_folders(host: Host, cf: str) -> str:
    """Why sendmail would not start with this .cf on this host, and what to do; empty where its maps have their folders."""
    paths = dict.fromkeys(str(PurePosixPath(path).parent) for path in _MAP.findall(cf))
    missing = [path for path in paths if _is_missing(host, path)]
    if not missing:
        return ""
    return (
        f"sendmail.mc has a map in {' and in '.join(missing)}, and there is no such folder: the Makefile that sendmailconfig "
        "writes would make the map's source there, cannot, and Debian's start of sendmail fails with that. "
        f"Make the folder: `mkdir -p {' '.join(missing)}`"
    )


def _is_missing(host: Host, path: str) -> bool:
    """Whether there is no folder of that name. False where we may not look."""
    try:
        return not stat.S_ISDIR(host.path(path).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
