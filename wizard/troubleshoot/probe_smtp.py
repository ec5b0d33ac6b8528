"""One SMTP connection to one listener, as far as it goes, and what was learnt on the way. Loopback is not counted by
sendmail's rate limits (docs/debian.md section sendmail)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from wizard.certificates import Certificate
from wizard.sendmail.cf import Daemon
from wizard.smtp.connection import Deadline
from wizard.smtp.server_trust import Trust
from wizard.smtp.session import Address, SubmissionSession, literal
from wizard.smtp.transcript import Credentials, Failure, Transcript
from wizard.smtp.transcript import Layer as SmtpLayer
from wizard.troubleshoot.model import Layer

TIMEOUT = 30.0
"""Seconds for one answer: greet_pause and name look-ups make a healthy server slow."""
DEADLINE = 60.0
"""Seconds for the whole conversation."""
_LAYERS = {
    SmtpLayer.TCP: Layer.LISTENER,
    SmtpLayer.GREETING: Layer.GREETING,
    SmtpLayer.STARTTLS: Layer.STARTTLS,
    SmtpLayer.AUTH_OFFER: Layer.AUTH_OFFER,
    SmtpLayer.CERTIFICATE: Layer.CERTIFICATE,
}
"""Where a session failed before a login; after that it is the account."""


@dataclass(frozen=True)
class Conversation:
    """What one listener said. `stopped` is the layer at which it ended early, `why` the reason; None where it went
    through to the end."""

    daemon: Daemon
    address: str
    stopped: Layer | None = None
    why: str = ""
    greeting: str = ""
    code: int = 0
    """Of the greeting; 0 where there was none."""
    features: frozenset[str] = frozenset()
    """EHLO's words before TLS, lower case."""
    clear: tuple[str, ...] = ()
    """Mechanisms offered before TLS."""
    offered: tuple[str, ...] = ()
    """Mechanisms offered at the end, under TLS."""
    tls: str = ""
    certificate: Certificate | None = None
    unreadable: str = ""
    """Why the certificate could not be read."""
    mail_before_auth: str = ""
    """`ok`, `failed` or `unknown`; empty where it was not asked."""
    login: bool | None = None
    """Whether the login got 235; None where none was tried."""
    judged: bool = True
    """False where the login was interrupted before the server judged the password."""
    transcript: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def source(self) -> str:
        """For evidence: whom we spoke to."""
        return f"{self.address} port {self.daemon.port}"

    @property
    def last(self) -> str:
        """The last line that the server said."""
        return next((line[2:] for line in reversed(self.transcript) if line.startswith("< ")), "")


@dataclass(frozen=True)
class Tried:
    """A test that has failed already, for whoever looks why: its login is not tried again."""

    credentials: Credentials | None
    port: int
    began: float
    """In seconds since the epoch."""
    layer: SmtpLayer | None = None
    """Where it ended."""
    why: str = ""
    transcript: tuple[str, ...] = ()
    """As that of a conversation."""
    amiss: tuple[str, ...] = ()
    """Ids of the findings that failed beside the login."""

    @property
    def refused(self) -> bool:
        """Whether the server judged the password, and said no."""
        return self.layer is SmtpLayer.CREDENTIALS

    def onto(self, talk: Conversation) -> Conversation:
        """The conversation with the same port, with the login as it ended; what came before that was looked at anew."""
        if talk.daemon.port != self.port or talk.stopped is not None:
            return talk
        if self.layer is SmtpLayer.RELAY:
            return replace(talk, login=True)
        if self.layer not in (SmtpLayer.LOGIN, SmtpLayer.CREDENTIALS):
            return talk
        ended = replace(talk, stopped=Layer.ACCOUNT, why=self.why, login=False, judged=self.refused)
        return replace(ended, transcript=self.transcript)


def converse(
    daemon: Daemon,
    name: str,
    credentials: Credentials | None,
    timeout: float = TIMEOUT,
    trust: Trust | None = None,
) -> Conversation:
    """Talk to a listener; whatever happens ends in a Conversation. With credentials one login is tried, where `trust`
    lets the password go."""
    began = time.monotonic()
    transcript = Transcript(credentials, None)
    session = SubmissionSession(transcript, Deadline(DEADLINE), timeout)
    offered, mail_before_auth = list[str](), ""
    stopped: Layer | None = None
    clause, judged = "", True
    try:
        with session:
            session.connect(_addresses(daemon))
            session.open(daemon.tls_on_connect, lambda: session.encrypt(name))
            offered = session.wire.mechanisms()
            if is_submission(daemon):
                finding = session.mail_before_auth()
                mail_before_auth = finding.state if finding else ""
                mechanism = session.mechanism(("LOGIN", "PLAIN"))
                if credentials is not None:
                    unknown = "it is not this host's own, as far as can be told"
                    session.wire.admit(trust or Trust(), unknown, None)
                    session.authenticate(credentials, mechanism)
    except Failure as stop:
        stopped = _LAYERS[stop.layer] if session.accepted is None else Layer.ACCOUNT
        clause, judged = stop.clause, stop.layer is not SmtpLayer.LOGIN
    certificate, unreadable = _certificate(session, name)
    signs = {"server": "<", "client": ">"}
    return Conversation(
        daemon,
        str(session.address[1][0]) if session.address else daemon.reachable_at,
        stopped,
        clause,
        str(session.greeting) if session.greeting.code else "",
        session.greeting.code,
        session.features,
        tuple(session.clear),
        tuple(offered),
        session.tls,
        certificate,
        unreadable,
        mail_before_auth,
        session.accepted,
        judged,
        tuple(f"{signs.get(line.who, '#')} {line.text}" for line in transcript.lines),
        time.monotonic() - began,
    )


def _addresses(daemon: Daemon) -> list[Address]:
    """Where the daemon is reached: `inet6` alone serves IPv4 as well, unless net.ipv6.bindv6only says otherwise."""
    both = daemon.family == "inet6" and daemon.reachable_at == "127.0.0.1"
    return [literal(host, daemon.port) for host in (daemon.reachable_at, *(["::1"] if both else []))]


def _certificate(session: SubmissionSession, name: str) -> tuple[Certificate | None, str]:
    """What was presented, or why it cannot be read."""
    try:
        return (session.certificate(name) if session.chain else None), ""
    except ValueError as error:
        return None, str(error)


def is_submission(daemon: Daemon) -> bool:
    """Whether mail clients are meant to come here."""
    return daemon.submission
