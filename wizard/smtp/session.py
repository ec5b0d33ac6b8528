"""One session with a submission server, the same for all who hold one: `test`, `debug login`, troubleshooting, and the
questions that are put to this host's own sendmail, whatever runs there (howto 5.2.2 and 5.2.4)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from snapshots.visible import visible
from templates import render
from wizard.certificates import Certificate, read
from wizard.certificates.handshake import client_context, sent_chain
from wizard.editors.daemon_options import is_loopback
from wizard.errors import HostError
from wizard.model.answer_checks import host_name
from wizard.model.facts import SENDMAIL_CF
from wizard.model.mail_address import mailbox
from wizard.sendmail import cf as sendmail_cf
from wizard.smtp.connection import FAMILIES, Deadline, Ends, Move, Reply, Target, WireError, lookup, why
from wizard.smtp.transcript import (
    FOR_SERVERS,
    MASK,
    NOT_HERE,
    TLS_ON_CONNECT,
    Credentials,
    Failure,
    Finding,
    Layer,
    Transcript,
    default_sender,
    encode,
)
from wizard.system.host import Host
from wizard.system.sockets import qualified_name

TIMEOUT = 30.0
"""Seconds: greet_pause and name look-ups make a healthy server slow (docs/debian.md section sendmail)."""
Address = tuple[int, tuple[Any, ...]]
"""Family and socket address."""
_ADDRESSES = 4  # tried of one name
_NOT_OFFERED = (500, 502, 503, 504, 534)  # RFC 4954 section 6; sendmail says 504 and 503
_WANTS_TLS = (530, 538)
_BEFORE = "before it had the password"
_AFTER = "and did not judge the password"
# With its CRLF (RFC 5321 section 4.5.3.1.4); a longer response waits for the 334 (RFC 4954).
_COMMAND_OCTETS = 512


def addresses(target: Target, deadline: Deadline) -> list[Address]:
    """The addresses of the target's name that are tried. Raises Failure."""
    try:
        within = deadline.within(target.timeout)
        return lookup(target.host, target.port, FAMILIES[target.family], within)[:_ADDRESSES]
    except (OSError, UnicodeError, WireError) as error:
        raise Failure(Layer.NAME, why(error)) from None


def literal(address: str, port: int) -> Address:
    """The socket address of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET, (address, port)


def sender_of(target: Target, credentials: Credentials) -> str:
    """The sender of the test message. Raises ValueError where that is no mailbox."""
    return mailbox(target.sender or default_sender(credentials.user, target.name))


class SubmissionSession:
    """A context manager around one connection: connect, then `open` (or greet, start_tls, encrypt, hello), authenticate,
    deliver; it leaves with QUIT. Any trouble ends in a Failure of the layer that the session has reached.
    `before` gets each move first, and says whether it may be made."""

    def __init__(
        self,
        transcript: Transcript,
        deadline: Deadline,
        patience: float,
        *,
        before: Callable[[Move], bool] = lambda _: True,
        on_connection: Callable[[Ends], None] | None = None,
        for_servers: bool = False,
    ) -> None:
        from wizard.smtp.wire import Wire  # smtplib and email are heavy: only where a connection is made

        self.transcript = transcript
        self.for_servers = for_servers
        """Whether other mail servers deliver there: no login is right then, and mail without one."""
        self.wire = Wire(transcript, deadline, patience, before)
        self._on_connection = on_connection
        self.layer = Layer.TCP
        self.address: Address | None = None
        """Where it is connected to."""
        self.greeting = Reply(0, "")
        self.features: frozenset[str] = frozenset()
        """What the first EHLO offered, lower case."""
        self.clear: list[str] = []
        """The mechanisms that were offered before TLS."""
        self.tls = ""
        self.chain: list[bytes] = []
        """The certificates that the server sent, in DER."""
        self.accepted: bool | None = None
        """Whether the login got its 235; None where none was tried."""
        self.queue_id: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            self.wire.close()
        self.wire.finish(failed=error is not None)
        if isinstance(error, WireError):
            raise Failure(self.layer, str(error)) from None

    def connect(self, addresses: Iterable[Address], source: str = "") -> None:
        """To the first address that answers, from `source` where it is named. Raises Failure."""
        refused, elsewhere = [], False
        for family, address in addresses:
            where = f"{visible(str(address[0]))} port {address[1]}"
            elsewhere |= not is_loopback(str(address[0]))
            try:
                ends = self.wire.dial(family, address, source)
            except OSError as error:
                refused.append(f"{where}: {why(error)}")
                self.transcript.add("note", f"No connection to {refused[-1]}.")
                continue
            self.transcript.add("note", f"Connected to {where}.")
            self.address = family, address
            if self._on_connection:
                self._on_connection(ends)
            return
        raise Failure(Layer.TCP, "; ".join(refused), causes="" if elsewhere else NOT_HERE)

    def open(self, tls_on_connect: bool, handshake: Callable[[], None]) -> None:
        """Everything up to the offer of a login; `handshake` encrypts. Raises Failure, WireError."""
        if tls_on_connect:
            handshake()
            self.greet()
            return
        self.greet()
        self.start_tls()
        handshake()
        self.hello()

    def greet(self) -> None:
        """Wait for the greeting before sending anything (sendmail's greet_pause answers haste with 554), then EHLO."""
        self.layer = Layer.GREETING
        self.wire.getreply()
        self.greeting = self.wire.reply
        if self.greeting.code != 220:
            raise Failure(self.layer, f"it greets with {self.greeting}", self.greeting.code)
        self.hello()
        self.features = frozenset(self.wire.esmtp_features)
        if not self.tls:
            self.clear = self.wire.mechanisms()

    def hello(self) -> None:
        """EHLO. Raises Failure, WireError."""
        self.wire.ehlo()
        if (reply := self.wire.reply).code != 250:
            raise Failure(self.layer, f"EHLO{' under TLS' if self.tls else ''} got {reply}", reply.code)

    def start_tls(self) -> None:
        """Ask for TLS: the handshake comes next. Raises Failure, WireError."""
        self.layer = Layer.STARTTLS
        if "starttls" not in self.wire.esmtp_features:
            raise Failure(self.layer, "STARTTLS is not offered")
        reply = self.wire.ask("STARTTLS", explanation="from here on nobody can listen in")
        if reply.code != 220:
            raise Failure(self.layer, f"STARTTLS got {reply}", reply.code)

    def encrypt(self, name: str, *, verify: bool = False) -> None:
        """The TLS handshake, with the name that the certificate must be for where `verify`. Raises Failure, WireError,
        and ssl.SSLCertVerificationError where the trust store does not vouch for the server."""
        self.layer = Layer.STARTTLS
        try:
            tls = self.wire.encrypt(client_context(verify=verify), name.split("%")[0])
            self.chain = sent_chain(tls)
        except (OSError, ValueError) as error:
            if isinstance(error, ssl.SSLCertVerificationError):
                raise
            clause = f"the TLS handshake failed: {why(error)}"
            if self.greeting.code:
                raise Failure(self.layer, clause) from None
            clause += ", perhaps the port speaks plain SMTP (no M=s)"
            raise Failure(self.layer, clause, causes=TLS_ON_CONNECT) from None
        cipher, _, bits = tls.cipher() or ("?", "", 0)
        self.tls = f"{tls.version()} {cipher} {bits} bits"
        self.transcript.add("note", f"Encrypted: {self.tls}.")

    def certificate(
        self, name: str, refusal: ssl.SSLCertVerificationError | None = None, verified: bool = False
    ) -> Certificate:
        """The server's certificate, judged for `name`. Raises ValueError where it cannot be read."""
        return read(self.chain, name, refusal, verified, self.transcript.shown)

    def mechanism(self, wanted: Iterable[str]) -> str:
        """The first of `wanted` that is offered under TLS. Raises Failure."""
        self.layer, offered = Layer.AUTH_OFFER, self.wire.mechanisms()
        for name in wanted:
            if name in offered:
                return name
        clause = f"under TLS it offers {self.names(offered) or 'no AUTH at all'}"
        raise Failure(self.layer, clause, causes=self._why_no_auth)

    def names(self, mechanisms: Iterable[str]) -> str:
        """Mechanisms as they may be shown."""
        return self.transcript.shown(" ".join(dict.fromkeys(mechanisms)))

    def mail_before_auth(self) -> Finding | None:
        """MAIL before AUTH must get 530 (howto 3.3), but where other mail servers deliver. None: a 530 that asks for STARTTLS
        first proves nothing."""
        servers = "must be taken: other mail servers do not log in"
        expected = servers if self.for_servers else "must be refused before a login"
        try:
            reply = self.wire.ask("MAIL FROM:<>", explanation=expected)
        except WireError as error:
            return Finding("mail-before-auth", "unknown", f"MAIL before a login: {error}.")
        if 200 <= reply.code < 300:
            with suppress(WireError):  # that MAIL was taken is known, whatever RSET gets
                self.wire.ask("RSET", explanation="cancels it")
        if reply.code == 530:
            if "STARTTLS" in reply.text.upper() and not self.tls:
                return None
            says = "MAIL before a login is refused (530)"
            if self.for_servers:
                return Finding(
                    "mail-before-auth", "warning", f"{says}: no other mail server can deliver here."
                )
            return Finding("mail-before-auth", "ok", f"{says}.")
        if reply.code < 300 and self.for_servers:
            says = f"MAIL is taken before a login ({reply.code}), as it must be where other mail servers deliver."
            return Finding("mail-before-auth", "ok", says)
        if reply.code < 300:
            says = f"MAIL is taken before a login ({reply.code}). Add M=a to the DAEMON_OPTIONS of this port (howto 3.3, step submission-port)."
            return Finding("mail-before-auth", "failed", says)
        return Finding("mail-before-auth", "unknown", f"MAIL before a login got {reply}, not 530.")

    def authenticate(self, credentials: Credentials, mechanism: str) -> None:
        """AUTH LOGIN or AUTH PLAIN, nothing else is tried. Raises Failure unless it ends in 235."""
        self.layer, self.accepted = Layer.LOGIN, False
        sent, reply = False, Reply(334, "")
        for text, shown, explanation in self._exchange(credentials, mechanism):
            sent = sent or shown is not None
            try:
                reply = self.wire.ask(text, shown, explanation)
            except WireError as error:
                raise Failure(self.layer, f"{error}, {_AFTER if sent else _BEFORE}") from None
            if reply.code != 334:
                break
        if reply.code == 235 and sent:
            self.accepted = True
            return
        layer, when = Layer.CREDENTIALS, ""
        if reply.code in _NOT_OFFERED:
            layer = Layer.AUTH_OFFER
        elif reply.code in _WANTS_TLS:
            layer = Layer.STARTTLS
        elif reply.code == 334:
            layer, when = Layer.LOGIN, f": it asks for more than {mechanism} has, {_AFTER}"
        elif not sent or 400 <= reply.code < 500:
            layer, when = Layer.LOGIN, f", {_AFTER if sent else _BEFORE}"
        causes = self._why_no_auth if layer is Layer.AUTH_OFFER else ""
        raise Failure(layer, f"AUTH {mechanism} got {reply}{when}", reply.code, causes)

    @property
    def _why_no_auth(self) -> str:
        return FOR_SERVERS if self.for_servers else ""

    def _exchange(self, credentials: Credentials, mechanism: str) -> list[tuple[str, str | None, str]]:
        """What is sent, what is shown of it (None: all), and what it is."""
        if mechanism == "PLAIN":
            token = encode(f"\0{credentials.user}\0{credentials.password}")
            parts = "base64 of NUL, user name, NUL, password; masked"
            if len(f"AUTH PLAIN {token}\r\n") <= _COMMAND_OCTETS:
                return [(f"AUTH PLAIN {token}", f"AUTH PLAIN {MASK}", parts)]
            return [("AUTH PLAIN", None, "log in"), (token, MASK, parts)]
        user = self.transcript.shown(credentials.user)
        return [
            ("AUTH LOGIN", None, "log in: name and password are asked for one by one"),
            (encode(credentials.user), None, f"base64 of the user name {user}"),
            (encode(credentials.password), MASK, "base64 of the password, masked"),
        ]

    def deliver(self, sender: str, recipient: str) -> None:
        """Submit a test message; sendmail's queue id is kept where the server tells one. Raises Failure, WireError."""
        self.layer = Layer.RELAY
        for command, explanation, wanted in (
            (f"MAIL FROM:<{sender}>", "who sends", (250,)),
            (f"RCPT TO:<{recipient}>", "to whom", (250, 251)),
            ("DATA", "the message comes", (354,)),
        ):
            reply = self.wire.ask(command, explanation=explanation)
            if reply.code not in wanted:
                raise Failure(self.layer, f"{command.split(':')[0]} got {reply}", reply.code)
        self.wire.announce("(the test message, and a line with a dot alone)", "the dot ends it")
        lines = message(sender, recipient)
        for line in lines:
            self.transcript.add("client", self.transcript.shown(line))
        self.transcript.add("client", ".", "the end of the message")
        stuffed = [f".{line}" if line.startswith(".") else line for line in lines]  # RFC 5321 section 4.5.2
        self.wire.send("\r\n".join([*stuffed, ".", ""]))
        code, raw = self.wire.getreply()
        if code != 250:
            raise Failure(self.layer, f"the message got {self.wire.reply}", code)
        self.queue_id = self.transcript.queue_id(raw)


def message(sender: str, recipient: str) -> list[str]:
    """The lines of a minimal message (RFC 5322); both addresses must be valid mailboxes."""
    from email.utils import formatdate, make_msgid

    headers = {"date": formatdate(localtime=True), "message_id": make_msgid(domain=sender.rpartition("@")[2])}
    return render("test_message.txt.j2", **headers, sender=sender, recipient=recipient).splitlines()


@dataclass(frozen=True)
class PresentedCertificate:
    """The certificate that a listener presents: its `fingerprint` (SHA-256), or None and a clause that says why."""

    where: str
    fingerprint: str | None
    says: str = ""


def reachable(host: str, port: int, family: str = "any") -> tuple[str, str | None]:
    """The address to test, and on this host itself (an empty `host`) the name that clients know it by. Raises ValueError.

    This host is reached where its own sendmail.cf says that it listens: behind a NAT its name leads elsewhere."""
    if host:
        return host_name(host), None
    own = Host()
    try:
        entry = own.entry(SENDMAIL_CF)
    except (PermissionError, HostError):
        entry = None
    daemons = sendmail_cf.for_clients(entry.content.decode("latin-1"), port) if entry else ()
    name, resolves = qualified_name(own)
    answers = [address for daemon in daemons if (address := daemon.reachable_by(family))]
    address = answers[0] if answers else "::1" if family == "ipv6" else "127.0.0.1"
    return address, name if resolves else None


def greeting(address: str, port: int, *, tls: bool = False, timeout: float = TIMEOUT) -> str:
    """`220 ...` as the server says it, or a clause on why there is none. Nothing is sent but QUIT."""
    try:
        with SubmissionSession(Transcript(None, None), Deadline(timeout), timeout) as session:
            session.connect([literal(address, port)])
            if tls:
                session.encrypt(address)
            code, text = session.wire.getreply()
            return f"{code} {text.decode('latin-1')}"
    except Failure as stop:
        return stop.clause


def presented(cf: str, timeout: float = TIMEOUT) -> PresentedCertificate:
    """Ask the listener that mail clients use: 587, else 465, else another that offers TLS."""
    daemons = [item for item in sendmail_cf.daemons(cf) if item.port and "S" not in item.modifiers]
    if not daemons:
        return PresentedCertificate("sendmail", None, "sendmail.cf has no listener that offers TLS")
    ports = (587, 465)
    best = min(daemons, key=lambda item: (ports.index(item.port) if item.port in ports else 2, item.port))
    where = f"{best.reachable_at} port {best.port}"
    try:
        with SubmissionSession(Transcript(None, None), Deadline(timeout), timeout) as session:
            session.connect([literal(best.reachable_at, best.port)])
            if not best.tls_on_connect:
                session.greet()
                session.start_tls()
            session.encrypt(best.reachable_at)
            return PresentedCertificate(where, session.wire.fingerprint)
    except Failure as stop:
        return PresentedCertificate(where, None, stop.clause)
