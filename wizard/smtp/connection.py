"""What an SMTP connection is made to and bounded by: target, deadline, reply, look-ups."""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from snapshots.visible import visible
from wizard.errors import WizardError
from wizard.model.mail_address import HOST_NAME, mailbox
from wizard.smtp.server_trust import Trust
from wizard.smtp.transcript import SHOWN_CHARACTERS

_T = TypeVar("_T")
FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


@dataclass(frozen=True)
class Target:
    """What to test. Raises ValueError, with a sentence, for what cannot be tested.

    `implicit_tls` None means: on port 465 only (RFC 8314). `timeout` (seconds) bounds each answer, `deadline` everything.
    `send_to` asks for a real message, from `sender` (default: user@host). `trust` says whom the password may be sent to;
    `smtp_port` None skips that check. `server_name` is the name that clients know the server by, where `host` is only the
    address to reach it at.
    """

    host: str
    port: int = 587
    implicit_tls: bool | None = None
    mechanism: str = "LOGIN"
    family: Literal["any", "ipv4", "ipv6"] = "any"
    timeout: float = 30.0
    send_to: str | None = None
    sender: str | None = None
    trust: Trust = field(default_factory=Trust)
    smtp_port: int | None = 25
    deadline: float = 120.0
    server_name: str | None = None
    served: frozenset[str] = frozenset()
    """Mechanisms besides LOGIN and PLAIN that this server is known to serve (`password_source.served_besides`)."""
    login_only: bool = False
    """One connection, without the checks before a login."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", _host(self.host))
        object.__setattr__(self, "server_name", _host(self.server_name) if self.server_name else None)
        object.__setattr__(self, "mechanism", self.mechanism.upper())
        for label, port in (("port", self.port), ("SMTP port", self.smtp_port)):
            if port is not None and not 1 <= port <= 65535:
                raise ValueError(f"the {label} {port} is not between 1 and 65535.")
        if self.mechanism not in ("LOGIN", "PLAIN"):
            shown = visible(self.mechanism, 40)
            raise ValueError(
                f"The mechanism {shown} cannot be tested: use LOGIN or PLAIN, saslauthd serves no other."
            )
        if self.family not in FAMILIES:
            raise ValueError(f"the address family {visible(self.family, 40)} is not any, ipv4 or ipv6.")
        if self.family != "any" and _family(self.host) not in (None, self.family):
            raise ValueError(f"{self.host} is no {self.family.replace('ip', 'IP')} address.")
        if not 0 < self.timeout <= 600 or not 0 < self.deadline <= 3600:
            raise ValueError("the timeout must be within 0 to 600 seconds, the deadline within 0 to 3600.")
        for address in filter(None, (self.send_to, self.sender)):
            mailbox(address)

    @property
    def name(self) -> str:
        """The name that the certificate must be for, and the domain of the default sender."""
        return self.server_name or self.host

    @property
    def for_servers(self) -> bool:
        """Whether other mail servers deliver there: then no login is right, and mail without one."""
        return self.port == self.smtp_port

    @property
    def tls_on_connect(self) -> bool:
        """Whether TLS comes first, before the greeting."""
        return self.port == 465 if self.implicit_tls is None else self.implicit_tls


def _family(host: str) -> str | None:
    """That of an address; None for a name, which may have both."""
    try:
        return f"ipv{ipaddress.ip_address(host).version}"
    except ValueError:
        return None


def _host(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    with suppress(ValueError):
        ipaddress.ip_address(bare)
        return bare
    try:
        name = bare.rstrip(".") if bare.isascii() else bare.rstrip(".").encode("idna").decode()
    except UnicodeError:
        name = ""
    if len(name) > 253 or not re.fullmatch(HOST_NAME, name):
        raise ValueError(f"{visible(host, 80)!r} is neither a host name nor an IP address.")
    return name


@dataclass(frozen=True)
class Reply:
    """A whole SMTP reply: its code and its text as it may be shown (RFC 5321 section 4.2)."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


@dataclass(frozen=True)
class Move:
    """What is sent next, as it may be shown, and what for."""

    shown: str
    why: str


Ends = tuple[tuple[str, int], tuple[str, int]]
"""Address and port of a connection's two ends, the client's first."""


class Stopped(WizardError):
    """Somebody ended the conversation before its next move."""


class WireError(WizardError):
    """The connection broke, fell silent, or carries no SMTP; the message is a clause: "the server ..."."""


class Deadline:
    """A moment after which nothing waits any longer."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds

    def extend(self, seconds: float) -> None:
        """Add the time spent waiting for anybody but the server."""
        self._end += seconds

    def within(self, seconds: float) -> Deadline:
        """A deadline `seconds` from now, or this one where it is earlier."""
        return Deadline(min(seconds, max(self._end - time.monotonic(), 0.0)))

    def left(self) -> float:
        """Seconds left. Raises WireError when there are none."""
        if (left := self._end - time.monotonic()) <= 0:
            raise WireError(f"the server did not finish its answer in time ({self._seconds:.0f} s)")
        return left


def in_time(ask: Callable[[], _T], deadline: Deadline) -> _T:
    """What the system's resolver says, which itself knows no time-out. Raises what `ask` does, and WireError (no answer)."""
    answers: queue.SimpleQueue[tuple[_T] | Exception] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put((ask(),))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=look, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise WireError("the name servers did not answer in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer[0]


def lookup(host: str, port: int, family: int, deadline: Deadline) -> list[tuple[int, tuple[Any, ...]]]:
    """(family, address) pairs. Raises OSError, UnicodeError (no such name), WireError (no answer)."""
    infos = in_time(lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM), deadline)
    return list(dict.fromkeys((int(f), tuple(a)) for f, _, _, _, a in infos))


def unreachable(host: str, port: str, seconds: float, family: int = 0) -> str:
    """Why no TCP connection to the host's port, a number or a service's name, comes about in so many seconds, a clause;
    empty where one does: nothing is sent on it."""
    deadline, problem = Deadline(seconds), "it has no address"
    try:
        number = int(port) if port.isdecimal() else socket.getservbyname(port, "tcp")
        if number > 65535:  # getaddrinfo takes it for another one
            return f"there is no port {port}"
        addresses = lookup(host, number, family, deadline)[:3]
        for kind, address in addresses:
            with socket.socket(kind, socket.SOCK_STREAM) as connection:
                connection.settimeout(min(deadline.left(), seconds / len(addresses)))
                try:
                    connection.connect(address)
                except OSError as error:
                    problem = (error.strerror or "no answer in time").lower()
                else:
                    return ""
    except (WireError, UnicodeError, OverflowError, OSError) as error:
        return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
    return problem


def why(error: Exception) -> str:
    """An error of the socket or of TLS as a clause."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"no usable TLS was spoken ({visible(error.reason or 'broken off')})"
    return visible((error.strerror if isinstance(error, OSError) else None) or str(error), SHOWN_CHARACTERS)
