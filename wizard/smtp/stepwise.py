"""The AUTH LOGIN conversation one command at a time, as with telnet (howto 5.2.2 and 5.2.4): each is shown before it is
sent. The password is masked wherever it is seen."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from snapshots.visible import visible
from wizard.certificates.peer_certificate import client_context, read, sent_chain
from wizard.smtp.connection import Deadline, Target, Wire, WireError, lookup, why
from wizard.smtp.login_test import Ends
from wizard.smtp.submission import message
from wizard.smtp.transcript import (
    MASK,
    Credentials,
    Failure,
    Layer,
    Line,
    Transcript,
    default_sender,
    encode,
    failure,
    mailbox,
)

LONGEST = 3600.0
"""Seconds for a whole conversation."""


@dataclass(frozen=True)
class Move:
    """What the next key press sends, as it may be shown, and what for."""

    shown: str
    why: str


class ByHand:
    """One conversation; `next` is what comes next, None at its end. Close it in any case."""

    def __init__(
        self,
        target: Target,
        credentials: Credentials,
        on_line: Callable[[Line], None],
        on_connection: Callable[[Ends], None] | None = None,
        *,
        encrypted: bool = True,
    ) -> None:
        self._target, self._credentials, self._encrypted = target, credentials, encrypted
        self._sender = (
            mailbox(target.sender or default_sender(credentials.user, target.name)) if target.send_to else ""
        )
        self._transcript = Transcript(credentials, on_line)
        self._on_connection = on_connection
        self._wire = Wire(self._transcript, Deadline(LONGEST), target.timeout)
        self._script = self._moves()
        self.accepted = False
        """Whether the login got its 235."""
        self.queue_id: str | None = None
        self.problem = ""
        """Why it did not go on, safe to show."""
        self.next: Move | None = next(self._script)

    def go(self) -> None:
        """Send what is next, read the answer; `next` is what follows it."""
        try:
            self.next = next(self._script, None)
        except (Failure, WireError, OSError, ValueError) as error:
            self.problem, self.next = self._transcript.shown(str(error) or why(error)), None

    def close(self) -> None:
        """End it where it is, without a word."""
        self._wire.close()

    def _moves(self) -> Iterator[Move]:
        target, wire = self._target, self._wire
        yield Move(f"(connect to {target.host} port {target.port})", "and wait for the greeting")
        self._dial()
        if target.tls_on_connect:
            self._encrypt()
        if wire.getreply()[0] != 220:
            yield from self._leave(f"the greeting is {wire.reply}")
            return
        yield Move(f"EHLO {wire.local_hostname}", "who we are; the answer is what is offered")
        wire.hello()
        if self._encrypted and not target.tls_on_connect:
            yield Move("STARTTLS", "from here on nobody can listen in")
            if wire.ask("STARTTLS").code != 220:
                yield from self._leave(f"STARTTLS got {wire.reply}")
                return
            self._encrypt()
            yield Move(f"EHLO {wire.local_hostname}", "once more, for what is offered under TLS")
            wire.hello()
        yield from self._login()
        if self.accepted and target.send_to:
            yield from self._submit(target.send_to)
        yield Move("QUIT", "the end")
        wire.finish()

    def _login(self) -> Iterator[Move]:
        if not self._encrypted:
            self._wire.admit_in_clear(self._target.trust)
        user, password = encode(self._credentials.user), encode(self._credentials.password)
        named = self._transcript.shown(self._credentials.user)
        moves = (
            ("AUTH LOGIN", "AUTH LOGIN", "log in: name and password are asked for one by one", 334),
            (user, self._transcript.shown(user), f"base64 of the user name {named}", 334),
            (password, MASK, "base64 of the password, masked here", 235),
        )
        for said, shown, words, wanted in moves:
            yield Move(shown, words)
            reply = self._wire.ask(said, shown, words)
            if reply.code != wanted:
                self.problem = f"{'the password' if shown == MASK else shown} got {reply}"
                return
        self.accepted = True

    def _submit(self, recipient: str) -> Iterator[Move]:
        wire = self._wire
        for command, words, wanted in (
            (f"MAIL FROM:<{self._sender}>", "who sends", (250,)),
            (f"RCPT TO:<{recipient}>", "to whom", (250, 251)),
            ("DATA", "the message comes", (354,)),
        ):
            yield Move(command, words)
            if wire.ask(command, explanation=words).code not in wanted:
                self.problem = f"{command.split(':')[0]} got {wire.reply}"
                return
        yield Move("(the test message, and a line with a dot alone)", "the dot ends it")
        lines = message(self._sender, recipient)
        for line in lines:
            self._transcript.add("client", self._transcript.shown(line))
        self._transcript.add("client", ".", "the end of the message")
        wire.send("\r\n".join([*(f".{line}" if line.startswith(".") else line for line in lines), ".", ""]))
        code, said = wire.getreply()
        if code != 250:
            self.problem = f"the message got {wire.reply}"
            return
        self.queue_id = self._transcript.queue_id(said)

    def _leave(self, problem: str) -> Iterator[Move]:
        self.problem = problem
        yield Move("QUIT", "nothing more can be done")
        self._wire.finish()

    def _dial(self) -> None:
        target = self._target
        family, address = lookup(target.host, target.port, target.family_number, Deadline(target.timeout))[0]
        try:
            self._wire.dial(family, address)
        except OSError as error:
            raise WireError(f"no connection to {target.host} port {target.port}: {why(error)}") from None
        if self._on_connection and self._wire.sock is not None:
            near, far = self._wire.sock.getsockname(), self._wire.sock.getpeername()
            self._on_connection(((near[0], near[1]), (far[0], far[1])))

    def _encrypt(self) -> None:
        """TLS with a server that may have the password. Raises WireError, Failure."""
        trust, name = self._target.trust, self._target.name
        verify = not (trust.pinned(self._wire.peer) or trust.accepted)
        try:
            tls = self._wire.encrypt(client_context(verify=verify), name.split("%")[0])
        except ssl.SSLCertVerificationError as error:
            raise failure(Layer.CERTIFICATE, visible(error.verify_message)) from None
        except (ssl.SSLError, OSError) as error:
            raise WireError(f"the TLS handshake failed: {why(error)}") from None
        cipher, _, bits = tls.cipher() or ("?", "", 0)
        self._transcript.add("note", f"Encrypted: {tls.version()} {cipher} {bits} bits.")
        seen = read(sent_chain(tls), name, None, verify, self._transcript.shown)
        self._wire.admit(trust, "" if verify else "it was not verified", seen)
