"""The engine of `msa-wizard test`: an AUTH LOGIN conversation with a submission server (howto 5.2).

At most three connections, for sendmail's ratecontrol counts them: one for the checks before a login (it also
verifies the certificate), one to port 25 of the same host, one for the login itself, or this alone. Raises ValueError for
wrong input, before anything is sent; whatever the server does ends in a `Result`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from snapshots.visible import visible
from wizard.certificates import Certificate, verdict
from wizard.model.plan import Sign
from wizard.smtp.connection import Deadline, Ends, Move, Target
from wizard.smtp.session import Address, SubmissionSession, addresses, sender_of
from wizard.smtp.transcript import FOR_SERVERS, Credentials, Failure, Finding, Layer, Line, Transcript

__all__ = ["Certificate", "Credentials", "Finding", "Layer", "Line", "Result", "Target", "converse"]


@dataclass(frozen=True)
class Result:
    """The result. `ok` is about the conversation alone, the checks are in `findings`. Holds no secret."""

    ok: bool
    layer: Layer | None
    verdict: str
    code: int | None
    lines: tuple[Line, ...]
    findings: tuple[Finding, ...]
    certificate: Certificate | None
    tls: str | None
    queue_id: str | None

    @property
    def headline(self) -> str:
        """The verdict without the causes that are only probable."""
        return self.verdict.partition(" Probable causes: ")[0]

    def to_json(self) -> dict[str, Any]:
        """Plain values for json.dumps."""
        return {
            **vars(self),
            "lines": [vars(x) for x in self.lines],
            "findings": [vars(f) for f in self.findings],
            "certificate": self.certificate.to_json() if self.certificate else None,
        }


def converse(
    target: Target,
    credentials: Credentials | None,
    on_line: Callable[[Line], None] | None = None,
    on_connection: Callable[[Ends], None] | None = None,
    before: Callable[[Move], bool] = lambda _: True,
) -> Result:
    """Hold the conversation; with credentials None everything up to the AUTH offer.

    `on_line` is called with each transcript line as it happens, `on_connection` before the first one of each
    connection; `before` says whether the next command is sent. Raises Stopped after a no, ValueError when `send_to` is
    asked for without credentials, or when the default sender user@host is no mailbox.
    """
    sender = ""
    if target.send_to:
        if credentials is None:
            raise ValueError("a test message needs a login: give a user and a password.")
        sender = sender_of(target, credentials)
    transcript, deadline = Transcript(credentials, on_line), Deadline(target.deadline)
    return _Conversation(target, credentials, sender, transcript, deadline, on_connection, before).result()


_AMISS = {
    "login-before-starttls": "passwords can travel in clear",
    "mail-before-auth": "mail is taken without a login",
    "smtp-auth": "port 25 offers AUTH",
    "certificate": "clients refuse the certificate",
}
"""What it means where one of these findings failed."""


@dataclass
class _Conversation:
    target: Target
    credentials: Credentials | None
    sender: str
    transcript: Transcript
    deadline: Deadline
    on_connection: Callable[[Ends], None] | None
    before: Callable[[Move], bool]
    addresses: list[Address] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)
    refusal: ssl.SSLCertVerificationError | None = None
    verified: bool = False
    certificate: Certificate | None = None
    code: int | None = None
    tls: str | None = None
    queue_id: str | None = None

    def result(self) -> Result:
        layer, code = None, None
        try:
            if not self.target.login_only:
                self._checks()
                self._smtp_port()
            says = self._login()
            code = self.code
        except Failure as stop:
            layer, says, code = stop.layer, str(stop), stop.code
        amiss = [_AMISS[item.id] for item in self.findings.values() if item.state == "failed"]
        if amiss:
            says += f" Not as it should be: {'; '.join(amiss)}."
        lines, findings = tuple(self.transcript.lines), tuple(self.findings.values())
        return Result(
            layer is None, layer, says, code, lines, findings, self.certificate, self.tls, self.queue_id
        )

    def _checks(self) -> None:
        """The checks before a login, and a handshake that verifies the certificate."""
        self.transcript.add("note", "First connection: the checks before a login.")
        with self._connected() as session:
            if self.target.tls_on_connect:
                says = "TLS comes first: nothing is said in clear."
                self._add(Finding("login-before-starttls", "ok", says))
                self._handshake(session, verify=True)
            if session.wire.sock is not None:
                session.greet()
                if not self.target.tls_on_connect:
                    self._add(_login_before_starttls(session.clear))
                self._md5_mechanisms(session)
                self._add(session.mail_before_auth())
            if not self.target.tls_on_connect and session.wire.sock is not None:
                session.start_tls()
                self._handshake(session, verify=True)

    def _smtp_port(self) -> None:
        """Port 25 of the same host must offer no AUTH (howto 3.5). Whatever prevents the check makes it "unknown"."""
        port = self.target.smtp_port
        if port is None or self.target.for_servers:
            return
        self.transcript.add("note", f"Second connection: port {port} must offer no AUTH.")
        family, address = self.addresses[0]
        try:
            with self._session(min(self.target.timeout, 10.0)) as session:
                session.connect([(family, (address[0], port, *address[2:]))])
                session.greet()
                if "starttls" in session.features and session.wire.ask("STARTTLS").code == 220:
                    session.encrypt(self.target.name)
                    session.hello()
                offered = session.names([*session.clear, *session.wire.mechanisms()])
        except Failure as stop:
            limit = " (its rate limit)" if stop.code == 421 else ""
            says = f"Port {port} could not be checked: {stop.clause}{limit}."
            self._add(Finding("smtp-auth", "unknown", says))
            return
        self._add(_smtp_auth(port, offered))

    def _login(self) -> str:
        """The conversation of howto 5.2.2 and 5.2.4; answers with the verdict."""
        target = self.target
        which = "Only" if target.login_only else "Last"
        what = "the login" if self.credentials else "what is offered"
        self.transcript.add("note", f"{which} connection: {what}.")
        with self._connected() as session:
            session.open(target.tls_on_connect, lambda: self._admitted(session))
            self._md5_mechanisms(session)
            if "mail-before-auth" not in self.findings:
                self._add(session.mail_before_auth())
            if target.for_servers:
                offered = session.names([*session.clear, *session.wire.mechanisms()])
                self._add(_smtp_auth(target.port, offered))
                if self.credentials is None and not offered:
                    self.code = 250
                    return f"No login is offered. {FOR_SERVERS}"
            served = target.served if self.credentials is None else ()
            session.mechanism([target.mechanism, *served])
            self.code = 250
            if self.credentials is None:
                offered = session.names(session.wire.mechanisms())
                return f"All is well up to the offer of AUTH {offered}; no login was tried."
            session.authenticate(self.credentials, target.mechanism)
            self.code = 235
            if not target.send_to:
                return "The login was accepted (235)."
            session.deliver(self.sender, target.send_to)
            self.code, self.queue_id = 250, session.queue_id
            named = f" as {self.queue_id}" if self.queue_id else ""
            return f"The login was accepted (235), and the message accepted for delivery{named}."

    def _session(self, patience: float) -> SubmissionSession:
        return SubmissionSession(
            self.transcript,
            self.deadline,
            patience,
            before=self.before,
            on_connection=self.on_connection,
            for_servers=self.target.for_servers,
        )

    @contextmanager
    def _connected(self) -> Iterator[SubmissionSession]:
        """A session with the address that answered before."""
        self.addresses = self.addresses or addresses(self.target, self.deadline)
        with self._session(self.target.timeout) as session:
            session.connect(self.addresses)
            assert session.address is not None, "it is connected"
            self.addresses = [session.address]
            yield session

    def _admitted(self, session: SubmissionSession) -> None:
        """TLS, and whether the password may go there. Raises Failure, also where the trust store has broken the
        handshake off."""
        trust = self.target.trust
        needed = self.credentials is not None or trust.store_alone
        # Where the trust store does not decide, the certificate is looked at after the handshake.
        by_the_store = self.verified or (self.refusal is None and not trust.accepted)
        verify = needed and by_the_store and not trust.pinned(session.wire.peer)
        verified = self._handshake(session, verify=verify)
        if not needed:
            return
        refusal = "" if verified else self._mistrust()
        if session.wire.sock is None:
            raise Failure(Layer.CERTIFICATE, refusal)
        session.wire.admit(trust, refusal, self.certificate)
        judged = self.findings.get("certificate")
        if refusal and judged and judged.state == "failed" and not trust.pinned(session.wire.peer):
            self._add(replace(judged, state="warning", says=f"{judged.says} You have accepted it."))

    def _handshake(self, session: SubmissionSession, *, verify: bool) -> bool:
        """Whether the trust store vouches for the certificate; with `verify` the handshake fails otherwise."""
        try:
            session.encrypt(self.target.name, verify=verify)
        except ssl.SSLCertVerificationError as error:
            self.refusal, self.verified, self.certificate = error, False, None
            self.transcript.add(
                "note", f"A client that verifies stops here: {visible(error.verify_message.rstrip('.'))}."
            )
            return False
        self.tls, self.verified = session.tls, self.verified or verify
        if self.certificate is None or self.certificate.fingerprint_sha256 != session.wire.fingerprint:
            try:
                self.certificate = session.certificate(self.target.name, self.refusal, self.verified)
                state, says = verdict(
                    self.certificate, self.target.name, required=self.target.trust.store_alone
                )
            except ValueError as error:
                state, says = Sign.UNKNOWN, str(error)
            self._add(Finding("certificate", state, says))
        return verify

    def _mistrust(self) -> str:
        if self.certificate and self.certificate.problem:
            return self.certificate.problem
        return visible(self.refusal.verify_message.rstrip(".")) if self.refusal else "it was not verified"

    def _md5_mechanisms(self, session: SubmissionSession) -> None:
        """A warning where mechanisms are offered that need the password in clear, which saslauthd lacks, and which are
        not known to be served here (by sasldb, say)."""
        offered = [name for name in ("DIGEST-MD5", "CRAM-MD5") if name in session.wire.mechanisms()]
        if md5 := " ".join(name for name in offered if name not in self.target.served):
            says = (
                f"Offered: {md5}, which saslauthd cannot serve. Where saslauthd checks the passwords, a client that prefers "
                "that gets 535: offer LOGIN and PLAIN only."
            )
            self._add(Finding("md5-mechanisms", "warning", says))

    def _add(self, finding: Finding | None) -> None:
        if finding:
            self.findings[finding.id] = finding


def _smtp_auth(port: int, offered: str) -> Finding:
    """No login where other mail servers deliver (howto 3.5)."""
    if offered:
        says = (
            f"Port {port} offers AUTH ({offered}). Add M=A to its DAEMON_OPTIONS (howto 3.5, step smtp-port)."
        )
        return Finding("smtp-auth", "failed", says)
    return Finding("smtp-auth", "ok", f"Port {port} offers no AUTH.")


def _login_before_starttls(clear: Iterable[str]) -> Finding:
    """LOGIN and PLAIN must not be offered in clear (howto 3.4)."""
    if offered := " ".join(name for name in ("LOGIN", "PLAIN") if name in clear):
        says = f"Offered before STARTTLS: {offered}. Passwords can travel in clear. Add `p` to confAUTH_OPTIONS (howto 3.4, step auth-options)."
        return Finding("login-before-starttls", "failed", says)
    return Finding("login-before-starttls", "ok", "Neither LOGIN nor PLAIN is offered before STARTTLS.")
