"""What saslauthd asks for a password (saslauthd(8), LDAP_SASLAUTHD): the mechanism, its servers, and whether these can be
reached. Only a connection is opened, and closed again: nobody logs in at the server."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

from wizard.editors import EditError, sasl_conf, shell_defaults
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.facts import Process
from wizard.sendmail.asked_saslauthd import argument, serving
from wizard.sendmail.sasl_files import asked_default, asked_places
from wizard.smtp.connection import unreachable
from wizard.system.host import Host

PATIENCE = 3.0
"""Seconds for a server's name and a connection to it."""
_MOST = 8
_LARGEST = 1 << 20
"""Bytes of a mechanism's file."""
_URL = re.compile(r"(ldap[si]?)://([^/?\s,]*)", re.IGNORECASE)
_CONFIGURED = ("ldap", "httpform")
"""Mechanisms that read a file of their own."""


@dataclass(frozen=True)
class Server:
    """One server: as it is written, and why it cannot be reached, empty where it can."""

    name: str
    problem: str = ""


@dataclass(frozen=True)
class Backend:
    """What saslauthd asks: as it runs, else as its file says. `joined` is its -r: it asks for `user@realm`."""

    mechanism: str = "pam"
    """Empty where none runs where sendmail asks, and no file says what one would ask there."""
    joined: bool = False
    option: str = ""
    """Its -O: rimap's server, else the path of a file."""
    servers: tuple[Server, ...] = ()
    wrong: str = ""
    """What is wrong with the file that it reads, without a word of that file."""
    account: str = ""
    """The name that it logs in with at an LDAP server (ldap_bind_dn), never the password."""

    @property
    def conf(self) -> str:
        """The file that the mechanism reads."""
        return self.option or f.SASLAUTHD_CONF


def look(host: Host, processes: Sequence[Process]) -> Backend:
    """What is asked, and how its servers are. Raises nothing: what cannot be read counts as Debian's default."""
    mechanism, joined, option = asked(host, processes)
    path, text, wrong, account = option or f.SASLAUTHD_CONF, "", "", ""
    if mechanism in _CONFIGURED:
        try:
            text = host.small_file(path, _LARGEST)[0].decode("latin-1")
            account = sasl_conf.value(text, "ldap_bind_dn") or ""
        except HostError as error:
            wrong = str(error).removeprefix(f"{path} cannot be read: ").lower()
        except EditError as error:
            wrong = f"line {error.line} is no `key: value` line, so none of it counts"
    urls = [] if wrong else _servers(mechanism, option, text)
    with ThreadPoolExecutor(max_workers=_MOST) as pool:
        servers = tuple(pool.map(_reached, urls[:_MOST]))
    return Backend(mechanism, joined, option, servers, wrong, account)


def asked(host: Host, processes: Sequence[Process]) -> tuple[str, bool, str]:
    """The mechanism (empty: not known), whether -r is given, and the value of -O."""
    serves = serving(processes, asked_places(host))
    if serves:
        return argument(serves[0], "-a") or "pam", "-r" in serves[0].argv, argument(serves[0], "-O")
    path = asked_default(host)
    if path is None:
        return "", False, ""
    text = host.text(path)
    try:
        words = (shell_defaults.value(text, "MECHANISMS") or "pam").split()
        options = (shell_defaults.value(text, "OPTIONS") or "").split()
        option = (shell_defaults.value(text, "MECH_OPTIONS") or "").removeprefix("-O").strip()
    except EditError:
        return "pam", False, ""
    return (words or ["pam"])[0], "-r" in options, option


def _servers(mechanism: str, option: str, text: str) -> list[tuple[str, str, str]]:
    """Of each its name, its host (a path: a local socket) and its port."""
    if mechanism == "rimap" and option:
        host, _, port = option.partition("/")
        return [(option, host, port or "imap")]
    if mechanism == "httpform":
        host, port = (sasl_conf.value(text, f"httpform_{key}") or "" for key in ("host", "port"))
        return [(f"{host} port {port or 80}", host, port or "80")] if host else []
    servers = []
    if mechanism == "ldap":
        for match in _URL.finditer(sasl_conf.value(text, "ldap_servers") or "ldap://localhost/"):
            scheme, where = match[1].lower(), unquote(match[2])
            host, _, port = where.rpartition(":") if re.search(r":\d+\Z", where) else (where, "", "")
            if scheme == "ldapi":
                host, port = where or "/var/run/slapd/ldapi", "0"
            servers.append(
                (match[0], host.strip("[]") or "localhost", port or ("636" if scheme == "ldaps" else "389"))
            )
    return servers


def _reached(server: tuple[str, str, str]) -> Server:
    name, host, port = server
    if not host.startswith("/"):
        return Server(name, unreachable(host, port, PATIENCE))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(host)
    except OSError as error:
        return Server(name, (error.strerror or str(error)).lower())
    return Server(name)
