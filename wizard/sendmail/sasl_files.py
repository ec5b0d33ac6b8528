"""Where libsasl2 finds its configuration, its plug-ins and the users of sasldb (tried on Debian 12 and 13)."""

from __future__ import annotations

import posixpath
import re
import stat

from wizard.editors import EditError, sasl_conf
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.sendmail.asked_saslauthd import INSTANCE, found_default, named_socket, places
from wizard.system.host import Host

FOLDERS = ("/etc/sasl2", "/etc/sasl")
"""Looked into before the folders of the plug-ins and /usr/lib/sasl2, where Debian puts its link."""
_MOST_LINKS = 16
_PLUGIN = re.compile(r"(lib\w+)\.so(?:\.2)?\Z")

_listed: tuple[tuple[object, ...], tuple[str, ...] | None] | None = None
"""The last listing of sasldb's users, and what the file was then: each look would run a command for it."""


def plugin_folders(host: Host) -> tuple[str, ...]:
    """The folders of SASL plug-ins: sendmail reads them once, at its start."""
    return tuple(
        f"/usr/lib/{name}/sasl2" for name in host.names("/usr/lib") if name.endswith(("-gnu", "-gnueabihf"))
    )


def plugins(host: Host) -> frozenset[str]:
    """The plug-ins that are installed, by the names of their libraries."""
    names = (name for folder in (*plugin_folders(host), "/usr/lib/sasl2") for name in host.names(folder))
    return frozenset(match.group(1) for name in names if (match := _PLUGIN.match(name)))


def conf_place(host: Host) -> tuple[str, str | None]:
    """Where libsasl2 finds its Sendmail.conf for sendmail, and the file that is there, links followed (None: nowhere).

    The first that is there counts; one that everybody may write is passed over (sendmail's safefile())."""
    for folder in (*FOLDERS, *plugin_folders(host), posixpath.dirname(f.SASL_LINK)):
        place = f"{folder}/{posixpath.basename(f.SASL_LINK)}"
        path = _followed(host, place)
        if path and _safe(host, path):
            return place, path
    return f.SASL_LINK, None


def asked_places(host: Host) -> tuple[str, ...]:
    """Where sendmail asks saslauthd, and where a link in place of that folder leads."""
    conf = conf_place(host)[1]
    socket = named_socket(host.text(conf) if conf else None) or f.MUX
    folder = posixpath.dirname(socket)
    try:
        return places({folder: host.entry(folder)}, socket)
    except (HostError, PermissionError):
        return (socket,)


def asked_default(host: Host) -> str | None:
    """The defaults file of the saslauthd that is asked there. None where no file puts a socket there: Debian's own is meant
    all the same, unless Sendmail.conf has named the place."""
    paths = (f.SASLAUTHD_DEFAULT, *instances(host))
    asked = asked_places(host)
    named = found_default({path: host.text(path) for path in paths}, asked)
    return named or (f.SASLAUTHD_DEFAULT if asked[0] == f.MUX else None)


def instances(host: Host) -> tuple[str, ...]:
    """The defaults files of further saslauthds."""
    names = sorted(host.names(f.DEFAULT_FOLDER))
    return tuple(f"{f.DEFAULT_FOLDER}/{name}" for name in names if INSTANCE.match(name))


def _safe(host: Host, path: str) -> bool:
    """Whether sendmail lets libsasl2 read it: a regular file that not everybody may write, nor its folder."""
    try:
        status, folder = host.path(path).lstat(), host.path(posixpath.dirname(path)).stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and not (status.st_mode | folder.st_mode) & stat.S_IWOTH


def _followed(host: Host, path: str) -> str | None:
    """Where the links at `path` lead, as a path of the host; None where they lead nowhere."""
    for _ in range(_MOST_LINKS):
        try:
            target = str(host.path(path).readlink())
        except OSError:
            return path
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return None


def users(host: Host, conf: str | None) -> tuple[str, ...] | None:
    """The users of sasldb as `name@realm`, never a password; None where it is there and cannot be listed.

    `conf` is the text of Sendmail.conf, which may name another file."""
    global _listed
    try:
        named = sasl_conf.value(conf or "", "sasldb_path")
    except EditError:
        named = None
    path = named if named and named.startswith("/") else f.SASLDB
    try:
        status = host.path(path).stat()
    except OSError:
        return ()
    stamp = (host.root, path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if _listed is not None and _listed[0] == stamp:
        return _listed[1]
    try:
        result = host.run(["sasldblistusers2", "-f", path], timeout=10)
    except HostError:
        return None
    lines = [line.rpartition(": ") for line in result.stdout.splitlines()]
    names = tuple(dict.fromkeys(name for name, _, kind in lines if name and kind == "userPassword"))
    # It always exits 0.
    answer = None if not names and status.st_size and "listusers failed" in result.stderr else names
    _listed = (stamp, answer)
    return answer
