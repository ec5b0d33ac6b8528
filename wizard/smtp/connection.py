"""One SMTP connection on smtplib: every line recorded, every wait and reply bounded, nothing sent unasked."""

from __future__ import annotations

import hashlib
import ipaddress
import queue
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from snapshots.visible import visible
from wizard.certificates import Certificate
from wizard.errors import WizardError
from wizard.model.mail_address import HOST_NAME, mailbox
from wizard.smtp.server_trust import Trust
from wizard.smtp.transcript import MASK, SHOWN_CHARACTERS, Failure, Layer, Transcript

_T = TypeVar("_T")
LINE_OCTETS = 8192  # a longer reply line is an attack or not SMTP at all (RFC 5321 section 4.5.3.1.5: 512)
REPLY_LINES = 100  # sendmail's longest reply (EHLO, HELP) stays under 30
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


class Wire(smtplib.SMTP):
    """One connection: every line recorded, every wait bounded, no command sent that was not asked for."""

    ehlo_msg = "EHLO"

    def __init__(
        self,
        transcript: Transcript,
        deadline: Deadline,
        patience: float,
        before: Callable[[Move], bool] = lambda _: True,
    ) -> None:
        super().__init__(local_hostname="localhost", timeout=patience)
        self._transcript, self._deadline, self._patience = transcript, deadline, patience
        self._pending, self._verb = b"", ""
        self._before = before
        self._admitted = self._introduced = False
        self.reply = Reply(0, "")
        self.peer = ""
        """The address of the server, as the kernel knows it."""

    def dial(self, family: int, address: tuple[Any, ...], source: str = "") -> Ends:
        """Open the TCP connection, from an address of this host where one is named. Raises OSError."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._deadline.within(self._patience).left())
            if source:
                sock.bind((source, 0))
            sock.connect(address)
            near, far = sock.getsockname(), sock.getpeername()
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        # An address literal (RFC 5321 section 4.1.3) is always true and costs no look-up.
        own = str(near[0]).split("%")[0]
        self.local_hostname = f"[IPv6:{own}]" if ":" in own else f"[{own}]"
        self.peer = str(far[0])
        return (near[0], near[1]), (far[0], far[1])

    def encrypt(self, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
        """The TLS handshake; what was said in clear is forgotten (RFC 3207). Raises OSError, WireError."""
        if self.sock is None:
            raise WireError("the server closed the connection")
        if self._pending:
            note = "The server sent more after its go-ahead, in clear; it was discarded."
            self._transcript.add("note", note, "anyone in between could have put it there")
        self._pending, self.esmtp_features, self.ehlo_resp = b"", {}, None
        self.sock.settimeout(self._deadline.within(self._patience).left())
        try:
            self.sock = tls = context.wrap_socket(self.sock, server_hostname=host)
        except BaseException:
            self.close()
            raise
        return tls

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate that the server presented on this connection, "" without TLS."""
        own = self.sock.getpeercert(binary_form=True) if isinstance(self.sock, ssl.SSLSocket) else None
        return hashlib.sha256(own).hexdigest() if own else ""

    def admit(self, trust: Trust, refusal: str, certificate: Certificate | None) -> None:
        """Allow the password for this server if it is trusted, or the admin says so. `refusal` is what the trust store
        has against it, "" for nothing. Raises Failure otherwise, and without TLS."""
        if not isinstance(self.sock, ssl.SSLSocket):
            raise Failure(Layer.STARTTLS, "the connection is not encrypted, and no password goes there")
        against = trust.objection(self.peer, self.fingerprint, refusal)
        if against and trust.ask and certificate and certificate.fingerprint_sha256 == self.fingerprint:
            began = time.monotonic()
            against = "" if trust.ask(certificate, against) else against
            self._deadline.extend(time.monotonic() - began)
        if against:
            raise Failure(Layer.CERTIFICATE, f"{against}. Its SHA-256 fingerprint is {self.fingerprint}")
        self._admitted = True

    def admit_in_clear(self, trust: Trust) -> None:
        """Allow the password without TLS, for this host itself only. Raises Failure otherwise."""
        if not trust.is_own(self.peer):
            raise Failure(Layer.STARTTLS, "without TLS a password goes to this host alone")
        self._admitted = True

    def ask(self, text: str, shown: str | None = None, explanation: str = "") -> Reply:
        """Send a command, read its reply; `shown` stands for a secret text, with MASK for the password, which goes to
        a server alone that was admitted. Raises WireError."""
        if re.search(r"[\r\n\0]", text):
            raise ValueError("an SMTP command cannot hold a line end or NUL.")
        secret = shown is not None and MASK in shown
        if secret and not self._admitted:
            raise WireError("the password is withheld: nobody has checked whether the server may have it")
        shown = self._transcript.shown(text) if shown is None else shown
        self.announce(shown, explanation)
        if secret:
            self._transcript.password_sent = True
        self._verb = shown.split(" ")[0].upper()
        self._transcript.add("client", shown, explanation)
        self.send(f"{text}\r\n")
        self.getreply()
        return self.reply

    def announce(self, shown: str, explanation: str) -> None:
        """Announce the next move. Raises Stopped, with the connection closed, where it is refused."""
        if not self._before(Move(shown, explanation)):
            self.close()
            raise Stopped("it was stopped here")

    def mechanisms(self) -> list[str]:
        """What the last EHLO offered for AUTH, upper case."""
        return str(self.esmtp_features.get("auth", "")).upper().split()

    def putcmd(self, cmd: str, args: str = "") -> None:
        """EHLO, which smtplib itself sends: announced and recorded."""
        text, explanation = f"{cmd} {args}".strip(), "who we are; the answer is what is offered"
        if self._introduced:
            explanation = "once more, for what is offered under TLS"
        self._introduced = True
        self.announce(text, explanation)
        self._verb = cmd.upper()
        self._transcript.add("client", text, explanation)
        self.send(f"{text}\r\n")

    def send(self, s: Any) -> None:
        """Send octets; nothing is recorded here, as they may be secret. Raises WireError."""
        if self.sock is None:
            raise WireError("the server closed the connection")
        try:
            self.sock.settimeout(self._deadline.within(self._patience).left())
            self.sock.sendall(s.encode() if isinstance(s, str) else s)
        except OSError:
            self.close()
            raise WireError("the server closed the connection, or accepts no more data") from None

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply, all its lines within one time-out. Raises WireError."""
        until, texts, codes = self._deadline.within(self._patience), list[bytes](), set[int]()
        shown: list[str] = []
        while True:
            raw = self._line(until)
            shown.append(self._transcript.heard(raw, self._verb)[4:].strip())
            match = re.fullmatch(rb"([2-5][0-9]{2})(?:([ -])(.*))?", raw, re.DOTALL)
            if not match:
                raise self._broken("the server said something that is not SMTP")
            codes.add(int(match[1]))
            texts.append((match[3] or b"").strip())
            if len(codes) > 1:
                raise self._broken("the server changed the code in the middle of a reply")
            if match[2] != b"-":
                break
            if len(texts) >= REPLY_LINES:
                raise self._broken(f"the server sent a reply of more than {REPLY_LINES} lines")
        self.reply = Reply(codes.pop(), visible(" / ".join(shown), SHOWN_CHARACTERS))
        return self.reply.code, b"\n".join(texts)

    def finish(self, *, failed: bool = False) -> None:
        """QUIT where the connection is still open, then close it; after a failure QUIT waits for nobody."""
        self._patience = min(self._patience, 5.0)
        if failed:
            self._before = lambda _: True
        try:
            with suppress(Stopped):
                if self.sock is not None and self.reply.code != 421:
                    self.ask("QUIT", explanation="the end")
        except WireError as error:
            self._transcript.add("note", f"No goodbye: {error}.")
        finally:
            self.close()

    def _broken(self, clause: str) -> WireError:
        self.close()
        return WireError(clause)

    def _line(self, until: Deadline) -> bytes:
        while b"\n" not in self._pending[:LINE_OCTETS]:
            if len(self._pending) >= LINE_OCTETS:
                self._transcript.heard(self._pending[:LINE_OCTETS], cut=True)
                raise self._broken(f"the server sent a line of more than {LINE_OCTETS} octets")
            if self.sock is None:
                raise WireError("the server closed the connection")
            try:
                self.sock.settimeout(until.left())
                # A reply in several packets would wait 40 ms for our acknowledgement of the first (tcp(7)).
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                chunk = self.sock.recv(4096)
            except (TimeoutError, WireError):
                raise self._broken("the server fell silent: no whole answer came in time") from None
            except OSError as error:
                clause = f"the server broke the connection ({visible(error.strerror or 'reset')})"
                raise self._broken(clause) from None
            if not chunk:
                if self._pending:
                    self._transcript.heard(self._pending, cut=True)
                raise self._broken("the server closed the connection")
            self._pending += chunk
        raw, _, self._pending = self._pending.partition(b"\n")
        return raw.removesuffix(b"\r")


def why(error: Exception) -> str:
    """An error of the socket or of TLS as a clause."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"no usable TLS was spoken ({visible(error.reason or 'broken off')})"
    return visible((error.strerror if isinstance(error, OSError) else None) or str(error), SHOWN_CHARACTERS)
