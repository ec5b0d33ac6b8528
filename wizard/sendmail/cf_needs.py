"""What a sendmail.cf needs of this host to serve TLS and to start: the files that it names, and who may write its maps.

Tried on Debian 12 (8.17.1.9): without a regular file at ServerCertFile, ServerKeyFile or CACertFile, or with
one that others may change, with a key that is not the certificate's, or with a path in one of these or CACertPath that is not absolute, sendmail starts, offers no
STARTTLS, and says so in the log at most. A folder at CACertPath, a client certificate and its key, CRLFile and
DHParameters may be missing. The start of Debian's init script makes the maps that are older than their
sources, and makemap refuses (EACCES, and the start ends with status 2) in a folder that belongs neither to root nor to
TrustedUser, or where the folder is missing; Debian's /etc/mail belongs to smmta, and its DOMAIN(`debian-mta') names that."""

from __future__ import annotations

import re
import stat
from pathlib import PurePosixPath

from snapshots.format.layout import Owners
from wizard.certificates.key_pair import fits
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.tls_files import MOST, TlsFiles, unsafe
from wizard.system.host import Host

MAIL_FOLDER = "/etc/mail"
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
        "write the maps there (Permission denied), and Debian's start of sendmail ends with that. "
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
        "writes would make the map's source there, cannot, and Debian's start of sendmail ends with that. "
        f"Make the folder: mkdir -p {' '.join(missing)}"
    )


def _is_missing(host: Host, path: str) -> bool:
    """Whether there is no folder of that name. False where we may not look."""
    try:
        return not stat.S_ISDIR(host.path(path).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
