"""The AUTH LOGIN conversation one move at a time, as with telnet (howto 5.2.2 and 5.2.4): each is shown before it is made,
the mail log's lines beside it. The password is masked wherever it is seen. AuthOptions can be removed from sendmail.cf
meanwhile, so that the login is tried without TLS (howto 5.2)."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from snapshots.visible import visible
from wizard.changes import FileChange, ServiceChange
from wizard.engine.temporary import ForAWhile
from wizard.errors import HostError
from wizard.maillog.correlate import WITHIN as FOLLOWED
from wizard.maillog.correlate import ConversationLine, Delivery, Watch
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Change
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import plain_login
from wizard.smtp.connection import Deadline, Ends, Move, Stopped, Target
from wizard.smtp.session import SubmissionSession, addresses, greeting, sender_of
from wizard.smtp.transcript import Credentials, Failure, Layer, Line, Transcript
from wizard.system.guard import FOLDER, Revert
from wizard.system.host import Host

LONGEST = 3600.0
"""Seconds for a whole conversation."""
_LOG_WAIT = 0.6
"""Seconds to wait after an answer for the log's lines about it."""
NAME = "debug-plain-login"
PLAINTEXT_WITHIN = 120
"""Seconds that a login without TLS is offered at most by default."""
_PATIENCE = 30.0
_BEFORE, _MEANWHILE = "while-sendmail.cf.before", "while-sendmail.cf"


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
        raise Failure(Layer.CERTIFICATE, visible(error.verify_message)) from None
    except ValueError as error:
        raise Failure(Layer.CERTIFICATE, str(error)) from None
    session.wire.admit(trust, "" if verify else "it was not verified", certificate)


@dataclass(frozen=True)
class PlaintextOffer:
    """What is changed for a while: sendmail.cf, and the daemon that must read it."""

    changes: tuple[Change, ...]
    guard: Revert
    address: str
    """Where the listener answers during that time."""


def plaintext_offer(facts: Facts, port: int, *, loopback: bool) -> PlaintextOffer | None:
    """What to change; None where a login without TLS is already offered. Raises HostError."""
    entry = facts.files.get(f.SENDMAIL_CF)
    if entry is None or not entry.content:
        raise HostError(f"there is no {f.SENDMAIL_CF} on this host: `msa-wizard apply` sets up sendmail")
    text = entry.content.decode("latin-1")
    listeners = [item for item in sendmail_cf.daemons(text) if item.port == port]
    if not listeners:
        raise HostError(f"{f.SENDMAIL_CF} has no listener on port {port}: msa-wizard troubleshoot")
    if listeners[0].tls_on_connect:
        raise HostError(f"port {port} has TLS from the first byte: a login without it is impossible there")
    if facts.process("sendmail-mta") is None:
        raise HostError("sendmail does not run: msa-wizard troubleshoot")
    flags = sendmail_cf.auth_flags(sendmail_cf.option(text, "AuthOptions") or "")
    if "p" not in flags:
        return None
    new = plain_login(text, port, loopback=loopback)
    after = replace(entry, content=new.encode("latin-1"))
    where = [item.reachable_at for item in sendmail_cf.daemons(new) if item.port == port]
    changes: tuple[Change, ...] = (
        FileChange(f.SENDMAIL_CF, entry, after, "AuthOptions temporarily removed from sendmail.cf"),
        ServiceChange("sendmail", facts.init, enable=False, was_running=True),
    )
    kept = ((_BEFORE, entry.content), (_MEANWHILE, after.content))
    return PlaintextOffer(changes, Revert(_commands(facts.init), kept), where[0])


def _commands(init: str) -> tuple[str, ...]:
    """Restore the old file if the temporary one is still there, and restart the daemon."""
    cf, new = f.SENDMAIL_CF, "/etc/mail/.msa-wizard-sendmail.cf"
    before, meanwhile = FOLDER / _BEFORE, FOLDER / _MEANWHILE
    restart = "systemctl restart sendmail" if init == "systemd" else "/etc/init.d/sendmail restart"
    return (
        f"if cmp -s {cf} {meanwhile}; then",
        f"    cp {before} {new} && chown --reference={cf} {new} && chmod --reference={cf} {new} && mv -f {new} {cf}",
        "fi",
        restart,
    )


@contextmanager
def plaintext_offered(work: ForAWhile, offer: PlaintextOffer, port: int, seconds: int) -> Iterator[float]:
    """A login without TLS is offered inside; yields when that ends, on the monotonic clock.

    Raises HostError when sendmail does not come up with it, and what ForAWhile raises."""
    with work.changed(NAME, offer.changes, offer.guard, seconds + int(_PATIENCE)):
        end = time.monotonic() + _PATIENCE
        while not (answer := greeting(offer.address, port, timeout=5)).startswith("220"):
            if time.monotonic() > end:
                raise HostError(f"sendmail does not greet on {offer.address} port {port}: {answer[:200]}")
            time.sleep(0.2)
        yield time.monotonic() + seconds
