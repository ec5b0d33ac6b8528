"""The engine of `msa-wizard test`: an AUTH LOGIN conversation with a submission server (howto 5.2).

At most three connections, for sendmail's ratecontrol counts them: one for the checks before a login (it also
verifies the certificate), one to port 25 of the same host, one for the login itself. Raises ValueError for
wrong input, before anything is sent; whatever the server does ends in a `Result`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from snapshots.visible import visible
from wizard.certificates.peer_certificate import Certificate, client_context, read, sent_chain, verdict
from wizard.smtp import submission
from wizard.smtp.connection import Deadline, Target, Wire, WireError, lookup, why
from wizard.smtp.transcript import (
    Credentials,
    Failure,
    Finding,
    Layer,
    Line,
    Transcript,
    default_sender,
    failure,
    mailbox,
)

__all__ = ["Certificate", "Credentials", "Finding", "Layer", "Line", "Result", "Target", "converse"]

_ADDRESSES = 4  # tried of one name


@dataclass(frozen=True)
class Result:
    """What came of it. `ok` is the conversation alone, the checks are in `findings`. Holds no secret."""

    ok: bool
    layer: Layer | None
    verdict: str
    code: int | None
    lines: tuple[Line, ...]
    findings: tuple[Finding, ...]
    certificate: Certificate | None
    tls: str | None
    queue_id: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain values for json.dumps."""
        return {
            **vars(self),
            "lines": [vars(x) for x in self.lines],
            "findings": [vars(f) for f in self.findings],
            "certificate": self.certificate.to_json() if self.certificate else None,
        }


Ends = tuple[tuple[str, int], tuple[str, int]]
"""Address and port of a connection's two ends, the client's first."""


def converse(
    target: Target,
    credentials: Credentials | None,
    on_line: Callable[[Line], None] | None = None,
    on_connection: Callable[[Ends], None] | None = None,
) -> Result:
    """Holds the conversation; with credentials None everything up to the AUTH offer.

    `on_line` is called with each transcript line as it happens, `on_connection` before the first one of each
    connection. Raises ValueError when `send_to` is asked for
    without credentials, or when the default sender user@host is no mailbox.
    """
    sender = ""
    if target.send_to:
        if credentials is None:
            raise ValueError("A test message needs a login: give a user and a password.")
        sender = mailbox(target.sender or default_sender(credentials.user, target.name))
    return _Conversation(target, credentials, sender, on_line, on_connection).result()


class _Conversation:
    def __init__(
        self,
        target: Target,
        credentials: Credentials | None,
        sender: str,
        on_line: Callable[[Line], None] | None,
        on_connection: Callable[[Ends], None] | None,
    ) -> None:
        self.on_connection = on_connection
        self.target, self.credentials, self.sender = target, credentials, sender
        self.transcript = Transcript(credentials, on_line)
        self.deadline = Deadline(target.deadline)
        self.layer = Layer.NAME
        self.addresses: list[tuple[int, tuple[Any, ...]]] = []
        self.findings: dict[str, Finding] = {}
        self.refusal: ssl.SSLCertVerificationError | None = None
        self.verified = False
        self.certificate: Certificate | None = None
        self.code: int | None = None
        self.tls: str | None = None
        self.queue_id: str | None = None

    def result(self) -> Result:
        layer, code = None, None
        try:
            self._checks()
            self._smtp_port()
            says = self._login()
            code = self.code
        except WireError as error:
            layer, says = self.layer, str(failure(self.layer, str(error)))
        except Failure as stop:
            layer, says, code = stop.layer, str(stop), stop.code
        failed = [f.id for f in self.findings.values() if f.state == "failed"]
        if failed:
            says += f" Not as it should be: {', '.join(failed)}."
        return Result(
            layer is None,
            layer,
            says,
            code,
            tuple(self.transcript.lines),
            tuple(self.findings.values()),
            self.certificate,
            self.tls,
            self.queue_id,
        )

    def _checks(self) -> None:
        """What must hold before a login, and a handshake that verifies the certificate."""
        self._note("First connection: the checks before a login.")
        with self._connected() as wire:
            if self.target.tls_on_connect:
                self._found(
                    Finding("login-before-starttls", "ok", "TLS comes first: nothing is said in clear.")
                )
                self._handshake(wire, verify=True)
            if wire.sock is not None:
                self._greeted(wire)
                if not self.target.tls_on_connect:
                    self._found(submission.login_before_starttls(wire.mechanisms()))
                self._found(submission.md5_mechanisms(wire.mechanisms(), self.target.served))
                self._found(submission.mail_before_auth(wire))
            if not self.target.tls_on_connect and wire.sock is not None:
                self._go_ahead(wire)
                self._handshake(wire, verify=True)

    def _smtp_port(self) -> None:
        """Port 25 of the same host must offer no AUTH (howto 3.5). Whatever hinders the look is "unknown"."""
        port = self.target.smtp_port
        if port is None or port == self.target.port:
            return
        self._note(f"Second connection: port {port} must offer no AUTH.")
        family, address = self.addresses[0]
        wire = Wire(self.transcript, self.deadline, min(self.target.timeout, 10.0))
        try:
            wire.dial(family, (address[0], port, *address[2:]))
            self._opened(wire)
            if wire.getreply()[0] != 220 or wire.hello().code != 250:
                limit = "its rate limit answered" if wire.reply.code == 421 else "it answered"
                raise WireError(f"{limit} {wire.reply}".rstrip("."))
            offered = wire.mechanisms()
            if "starttls" in wire.esmtp_features and wire.ask("STARTTLS").code == 220:
                wire.encrypt(client_context(verify=False), self.target.name.split("%")[0])
                wire.hello()
                offered += wire.mechanisms()
            self._found(submission.smtp_auth(port, self._names(offered)))
        except (OSError, ValueError, WireError) as error:
            self._found(Finding("smtp-auth", "unknown", f"Port {port} could not be looked at: {why(error)}."))
        finally:
            wire.finish()

    def _login(self) -> str:
        """The conversation of howto 5.2.2 and 5.2.4; answers with the verdict."""
        target = self.target
        self._note("Last connection: the login." if self.credentials else "Last connection: what is offered.")
        with self._connected() as wire:
            if not target.tls_on_connect:
                self._greeted(wire)
                self._go_ahead(wire)
            needed = self.credentials is not None or target.trust.store_alone
            verified = self._handshake(wire, verify=needed and self._by_the_store(wire))
            if needed:
                self._admitted(wire, verified)
            if target.tls_on_connect:
                self._greeted(wire)
            elif wire.hello().code != 250:
                raise failure(Layer.STARTTLS, f"EHLO under TLS got {wire.reply}", wire.reply.code)
            self._found(submission.md5_mechanisms(wire.mechanisms(), self.target.served))
            if "mail-before-auth" not in self.findings:
                self._found(submission.mail_before_auth(wire, encrypted=True))
            self.layer, offered = Layer.AUTH_OFFER, wire.mechanisms()
            besides = self.credentials is None and bool(target.served & set(offered))
            if target.mechanism not in offered and not besides:
                raise failure(
                    Layer.AUTH_OFFER, f"under TLS it offers {self._names(offered) or 'no AUTH at all'}"
                )
            self.code = 250
            if self.credentials is None:
                return f"All is well up to the offer of AUTH {self._names(offered)}; no login was tried."
            self.layer = Layer.LOGIN
            submission.authenticate(
                wire, self.credentials, target.mechanism, self.transcript.shown(self.credentials.user)
            )
            self.code = 235
            if not target.send_to:
                return "The login was accepted (235)."
            self.layer = Layer.RELAY
            self.queue_id = submission.deliver(wire, self.transcript, self.sender, target.send_to)
            self.code = 250
            named = f" as {self.queue_id}" if self.queue_id else ""
            return f"The login was accepted (235), and the message taken for delivery{named}."

    @contextmanager
    def _connected(self) -> Iterator[Wire]:
        wire = self._dial()
        try:
            yield wire
        except (KeyboardInterrupt, SystemExit):
            wire.close()
            raise
        finally:
            wire.finish()

    def _dial(self) -> Wire:
        target, refused = self.target, []
        if not self.addresses:
            try:
                found = lookup(
                    target.host, target.port, target.family_number, self.deadline.within(target.timeout)
                )
            except (OSError, UnicodeError) as error:
                raise failure(Layer.NAME, why(error)) from None
            self.addresses = found[:_ADDRESSES]
        self.layer = Layer.TCP
        for family, address in self.addresses:
            where = f"{visible(str(address[0]))} port {address[1]}"
            wire = Wire(self.transcript, self.deadline, target.timeout)
            try:
                wire.dial(family, address)
            except OSError as error:
                refused.append(f"{where}: {why(error)}")
                self._note(f"No connection to {refused[-1]}.")
            else:
                self._note(f"Connected to {where}.")
                self.addresses, self.layer = [(family, address)], Layer.GREETING
                self._opened(wire)
                return wire
        raise failure(Layer.TCP, "; ".join(refused))

    def _opened(self, wire: Wire) -> None:
        if self.on_connection and wire.sock is not None:
            near, far = wire.sock.getsockname(), wire.sock.getpeername()
            self.on_connection(((near[0], near[1]), (far[0], far[1])))

    def _greeted(self, wire: Wire) -> None:
        """Waits for the banner before it says a word: sendmail's greet_pause answers haste with 554."""
        self.layer = Layer.GREETING
        if wire.getreply()[0] != 220 or wire.hello().code != 250:
            raise failure(Layer.GREETING, f"it answered {wire.reply}", wire.reply.code)

    def _go_ahead(self, wire: Wire) -> None:
        self.layer = Layer.STARTTLS
        if "starttls" not in wire.esmtp_features:
            raise failure(Layer.STARTTLS, "it is not offered")
        if wire.ask("STARTTLS").code != 220:
            raise failure(Layer.STARTTLS, f"it answered {wire.reply}", wire.reply.code)

    def _admitted(self, wire: Wire, verified: bool) -> None:
        """Whether the password may go there. Raises Failure, also where the trust store has broken the handshake off."""
        self.layer = Layer.CERTIFICATE
        refusal = "" if verified else self._mistrust()
        if wire.sock is None:
            raise failure(Layer.CERTIFICATE, refusal)
        wire.admit(self.target.trust, refusal, self.certificate)
        self.layer = Layer.STARTTLS

    def _by_the_store(self, wire: Wire) -> bool:
        """Whether the trust store decides on this connection; else the certificate is looked at after the handshake."""
        trust = self.target.trust
        return not trust.pinned(wire.peer) and (
            self.verified or (self.refusal is None and not trust.accepted)
        )

    def _handshake(self, wire: Wire, *, verify: bool) -> bool:
        """Whether it was made with a certificate that the trust store vouches for; `verify`: else it is broken off."""
        self.layer = Layer.STARTTLS
        try:
            tls = wire.encrypt(client_context(verify=verify), self.target.name.split("%")[0])
        except ssl.SSLCertVerificationError as error:
            self.refusal, self.verified, self.certificate = error, False, None
            self._note(f"A client that verifies stops here: {visible(error.verify_message.rstrip('.'))}.")
            return False
        except (OSError, ValueError) as error:
            plain = ", perhaps the port speaks plain SMTP (no M=s)" if self.target.tls_on_connect else ""
            raise failure(Layer.STARTTLS, f"the TLS handshake failed: {why(error)}{plain}") from None
        self.verified = self.verified or verify
        name, _, bits = tls.cipher() or ("?", "", 0)
        self.tls = f"{tls.version()} {name} {bits} bits"
        self._note(f"Encrypted: {self.tls}.")
        if self.certificate is None or self.certificate.fingerprint_sha256 != wire.fingerprint:
            try:
                self.certificate = read(
                    sent_chain(tls), self.target.name, self.refusal, self.verified, self.transcript.shown
                )
                state, says = verdict(self.certificate, required=self.target.trust.store_alone)
            except ValueError as error:
                state, says = "unknown", str(error)
            self._found(Finding("certificate", state, says))
        return verify

    def _mistrust(self) -> str:
        if self.certificate and self.certificate.problem:
            return self.certificate.problem
        return visible(self.refusal.verify_message.rstrip(".")) if self.refusal else "it was not verified"

    def _names(self, mechanisms: list[str]) -> str:
        return self.transcript.shown(" ".join(dict.fromkeys(mechanisms)))

    def _found(self, finding: Finding | None) -> None:
        if finding:
            self.findings[finding.id] = finding

    def _note(self, text: str) -> None:
        self.transcript.add("note", text)
