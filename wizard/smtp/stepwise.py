"""The AUTH LOGIN conversation one move at a time, as with telnet (howto 5.2.2 and 5.2.4): each is shown before it is made.
The password is masked wherever it is seen."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from snapshots.visible import visible
from wizard.smtp.connection import Deadline, Ends, Move, Stopped, Target
from wizard.smtp.session import SubmissionSession, addresses, sender_of
from wizard.smtp.transcript import Credentials, Failure, Layer, Line, Transcript, failure

LONGEST = 3600.0
"""Seconds for a whole conversation."""


@dataclass(frozen=True)
class StepwiseResult:
    """What came of it."""

    accepted: bool
    """Whether the login got its 235."""
    problem: str
    """Why it did not go on, safe to show; "" where it did, or somebody ended it."""
    queue_id: str | None


def converse(
    target: Target,
    credentials: Credentials,
    enter: Callable[[Move], bool],
    on_line: Callable[[Line], None],
    on_connection: Callable[[Ends], None] | None = None,
    *,
    encrypted: bool = True,
) -> StepwiseResult:
    """Hold the conversation; `enter` waits until the next move may be made, or says that there is none any more.

    Raises ValueError where the sender is no mailbox."""
    sender = sender_of(target, credentials) if target.send_to else ""
    session = SubmissionSession(
        Transcript(credentials, on_line),
        Deadline(LONGEST),
        target.timeout,
        before=enter,
        on_connection=on_connection,
    )
    problem = ""
    try:
        with suppress(Stopped), session:
            session.wire.announce(
                f"(connect to {target.host} port {target.port})", "and wait for the greeting"
            )
            session.connect(addresses(target, Deadline(target.timeout)))
            if encrypted or target.tls_on_connect:
                session.open(target.tls_on_connect, lambda: _encrypt(session, target))
            else:
                session.greet()
                session.wire.admit_in_clear(target.trust)
            session.authenticate(credentials, target.mechanism)
            if target.send_to:
                session.deliver(sender, target.send_to)
    except Failure as stop:
        problem = str(stop)
    return StepwiseResult(bool(session.accepted), problem, session.queue_id)


def _encrypt(session: SubmissionSession, target: Target) -> None:
    """TLS with a server that may have the password. Raises Failure, WireError."""
    trust = target.trust
    verify = not (trust.pinned(session.wire.peer) or trust.accepted)
    try:
        session.encrypt(target.name, verify=verify)
        certificate = session.certificate(target.name, None, verify)
    except ssl.SSLCertVerificationError as error:
        raise failure(Layer.CERTIFICATE, visible(error.verify_message)) from None
    except ValueError as error:
        raise failure(Layer.CERTIFICATE, str(error)) from None
    session.wire.admit(trust, "" if verify else "it was not verified", certificate)
