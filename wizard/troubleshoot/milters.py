"""The mail filters that sendmail asks, and whether their sockets answer (op.me section 5.11, X: libmilter; milter.c)."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from wizard.editors.daemon_options import last
from wizard.errors import HostError
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf_needs import TlsFiles, open_folders
from wizard.smtp.connection import unreachable
from wizard.system.host import Host

PATIENCE = 2.0
"""Seconds for the look-up of a filter's host, and for a connection to it."""
_MOST = 8
_LINE = re.compile(r"^X([^,\s]+)[ \t]*,(.*(?:\n[ \t].*)*)", re.MULTILINE)
_SERVICES = {
    **{name: name for name in ("opendkim", "opendmarc", "rspamd", "mimedefang", "milter-regex")},
    **{"spamass": "spamass-milter", "clam": "clamav-milter", "greylist": "milter-greylist"},
    **{"dkimpy": "dkimpy-milter", "amavis": "amavisd-milter", "pyspf": "pyspf-milter"},
    **{"8891@": "opendkim", "8893@": "opendmarc", "11332@": "rspamd"},
}
"""A word of the filter's name or socket, or the port that it has by default, and the service of Debian's package."""
_UNITS = ("/etc/systemd/system/{}.service", "/lib/systemd/system/{}.service", "/etc/init.d/{}")


@dataclass(frozen=True)
class Milter:
    """One filter, and how its socket was found."""

    name: str
    socket: str
    """S= as it is written."""
    flag: str
    """What F= makes of a dead filter: T temporary errors, R rejected, 4 closed; empty: mail passes unfiltered."""
    ports: frozenset[int] = frozenset()
    """Where sendmail asks it."""
    problem: str = ""
    """Why its socket cannot be reached, a clause; empty where it can."""
    unsafe: str = ""
    """What makes its path safe for sendmail, a sentence; empty where it is. With an unsafe one it does not start."""
    service: str = ""
    """What should serve it, as far as name, path and port tell."""
    installed: bool = False
    runs: bool = False
    line: str = ""
    """Of sendmail.cf, as it stands there."""


def named(cf: str) -> list[Milter]:
    """The filters that a listener of sendmail.cf asks, in the order in which it does; at most eight."""
    default = sendmail_cf.option(cf, "InputMailFilters") or ""
    ports: dict[str, set[int]] = {}
    for listener in sendmail_cf.listeners(cf):
        own = last(listener.raw, "i")
        for name in re.split(r"[;,\s]+", own.value(listener.raw) if own else default):
            ports.setdefault(name, set()).add(listener.port_number or 25)
    filters = []
    for name, rest in _LINE.findall(cf):
        values = {
            key.strip()[:1]: value.strip() for key, _, value in (x.partition("=") for x in rest.split(","))
        }
        flag = next((letter for letter in values.get("F", "") if letter in "TR4"), "")
        if name in ports:
            line = " ".join(f"X{name},{rest}".split())
            filters.append(Milter(name, values.get("S", ""), flag, frozenset(ports[name]), line=line))
    return sorted(filters, key=lambda milter: list(ports).index(milter.name))[:_MOST]


def look(host: Host, cf: str, milter: Milter) -> Milter:
    """Connect to its socket once, and send nothing. Raises nothing."""
    family, colon, place = milter.socket.partition(":")
    if family in ("inet", "inet6"):
        return _served(host, milter, _over_network(family, place))
    path = place if colon else milter.socket
    folders = {}
    with contextlib.suppress(HostError):  # a missing one is said below
        for folder, mode in open_folders(host, f"/{path.lstrip('/')}", TlsFiles.of(cf)):
            folders[folder] = mode
    if folders:
        names = " and ".join(folders)
        problem = f"others may write to {names}, so sendmail calls its socket unsafe"
        remedy = f"`chmod go-w {' '.join(folders)}`"
        if any(mode & stat.S_ISVTX for mode in folders.values()):  # such as /tmp, which must stay open
            remedy = f"give it a socket outside {names}, in a folder of its own"
        milter = dataclasses.replace(milter, unsafe=remedy)
    elif host.path(path).is_symlink():
        problem = "its socket is a symbolic link, which sendmail calls unsafe"
        real = f"S=local:{host.path(path).resolve()}"
        milter = dataclasses.replace(milter, unsafe=f"write {real} in sendmail.mc, then `sendmailconfig`")
    else:
        problem = _at_path(host, path)
    return _served(host, milter, problem)


def _over_network(family: str, place: str) -> str:
    port, _, name = place.partition("@")
    kind = socket.AF_INET6 if family == "inet6" else socket.AF_INET
    problem = unreachable(name.strip("[]"), port, PATIENCE, kind)
    return f"no connection: {problem}" if problem else ""


def _at_path(host: Host, path: str) -> str:
    real = host.path(path)
    try:
        if not stat.S_ISSOCK(real.stat().st_mode):
            return "no socket but another kind of file is there"
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(real))
    except FileNotFoundError:
        return "there is no such socket"
    except (OSError, ValueError) as error:
        return f"nobody answers: {getattr(error, 'strerror', None) or error}"
    return ""


def _served(host: Host, milter: Milter, problem: str) -> Milter:
    words = f"{milter.name} {milter.socket}@".lower()
    service = next((service for word, service in _SERVICES.items() if word in words), "")
    there = bool(service) and any(host.exists(place.format(service)) for place in _UNITS)
    runs = bool(problem and service) and service[:15] in _programs(host)
    return dataclasses.replace(milter, problem=problem, service=service, installed=there, runs=runs)


def _programs(host: Host) -> Iterable[str]:
    for _, folder in host.processes():
        with contextlib.suppress(OSError):
            yield (folder / "comm").read_text("latin-1").strip()
