"""One SMTP connection on smtplib: every line recorded, every wait and reply bounded, nothing sent unasked."""

from __future__ import annotations

import hashlib
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from snapshots.visible import visible
from wizard.certificates import Certificate
from wizard.smtp.connection import Deadline, Ends, Move, Reply, Stopped, WireError
from wizard.smtp.server_trust import Trust
from wizard.smtp.transcript import MASK, SHOWN_CHARACTERS, Failure, Layer, Transcript

LINE_OCTETS = 8192  # a longer reply line is an attack or not SMTP at all (RFC 5321 section 4.5.3.1.5: 512)
REPLY_LINES = 100  # sendmail's longest reply (EHLO, HELP) stays under 30


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
