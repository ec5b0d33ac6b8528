"""The AUTH LOGIN conversation one move at a time, as with telnet (howto 5.2.2 and 5.2.4): each is shown before it is made,
the mail log's lines beside it. The password is masked wherever it is seen."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshots.visible import visible
from wizard.maillog.correlate import WITHIN as FOLLOWED
from wizard.maillog.correlate import ConversationLine, Watch
from wizard.maillog.delivery import Delivery
from wizard.smtp.connection import Deadline, Ends, Move, Stopped, Target
from wizard.smtp.session import SubmissionSession, addresses, sender_of
from wizard.smtp.transcript import Credentials, Failure, Layer, Line, Transcript, failure
from wizard.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 3600.0
"""Seconds for a whole conversation."""
_LOG_WAIT = 0.6
"""Seconds to wait after an answer for the log's lines about it."""


@dataclass(frozen=True)
class ConversationResult:
    """The result of a manual login."""

    accepted: bool
    """Whether the login got its 235."""
    problem: str
    """Why it did not go on, safe to show; "" where it did, or somebody ended it."""
    delivery: Delivery | None = None


def talk(
    host: Host,
    target: Target,
    credentials: Credentials,
    tell: Callable[[ConversationLine], None],
    enter: Callable[[Move], bool],
    *,
    encrypted: bool,
) -> ConversationResult:
    """Hold the conversation, each move once `enter` lets it; `tell` gets the mail log's lines of it, too.

    Raises ValueError where the sender is no mailbox."""
    delivery: Delivery | None = None

    def tell_log(item: ConversationLine) -> None:
        if item.who == "log":
            tell(item)

    with Watch(host, credentials.user, tell_log, Transcript(credentials, None).shown) as watch:

        def line(item: Line) -> None:
            watch.line(item)
            tell(ConversationLine(time.time(), item.who, item.text, item.explanation))

        def before(move: Move) -> bool:
            time.sleep(_LOG_WAIT)
            return enter(move)

        session, problem = converse(target, credentials, before, line, watch.connected, encrypted=encrypted)
        if session.queue_id:
            delivery = watch.delivery(session.queue_id, FOLLOWED)
        else:
            time.sleep(_LOG_WAIT)
    return ConversationResult(bool(session.accepted), problem, delivery)


def converse(
    target: Target,
    credentials: Credentials,
    enter: Callable[[Move], bool],
    tell: Callable[[Line], None],
    on_connection: Callable[[Ends], None] | None = None,
    *,
    encrypted: bool = True,
) -> tuple[SubmissionSession, str]:
    """Hold the conversation; `enter` waits before each move until it may be made, or says that there is none any more.
    The session, and why it did not go on ("" where it did, or somebody ended it). Raises ValueError where the sender is no
    mailbox."""
    sender = sender_of(target, credentials) if target.send_to else ""
    session = SubmissionSession(
        Transcript(credentials, tell),
        Deadline(LONGEST),
        target.timeout,
        before=enter,
        on_connection=on_connection,
    )
    try:
        with suppress(Stopped), session:
            where = f"(connect to {target.host} port {target.port})"
            session.wire.announce(where, "and wait for the greeting")
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
        return session, str(stop)
    return session, ""


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
