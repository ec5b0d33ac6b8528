"""A test login, and what the mail log says about it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wizard.certificates.peer_certificate import Certificate
from wizard.console import clean
from wizard.editors import EditError, shell_defaults
from wizard.errors import HostError
from wizard.gather.host import look
from wizard.maillog.correlate import ConversationLine, Watch
from wizard.maillog.delivery import Delivery
from wizard.maillog.read import UNPROVED
from wizard.model.facts import SASLAUTHD_DEFAULT
from wizard.sendmail.password_source import served_besides
from wizard.smtp.login_test import Credentials, Finding, Line, Result, Target, converse
from wizard.smtp.own_listener import reachable
from wizard.smtp.server_trust import trust_of
from wizard.smtp.transcript import Transcript
from wizard.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class WatchedLogin:
    """A conversation, what the server logged meanwhile, and what became of its message."""

    result: Result
    seen: tuple[ConversationLine, ...] | None
    """Both sides in the order of time; None where nobody watched."""
    delivery: Delivery | None

    def to_json(self) -> dict[str, object]:
        """What is not in the result, as plain values."""
        return {
            "watched": None if self.seen is None else [vars(item) for item in self.seen],
            "delivery": self.delivery.to_json() if self.delivery else None,
        }


def hold_conversation(
    host: Host,
    target: Target,
    credentials: Credentials | None,
    within: float,
    watched: bool,
    tell: Callable[[ConversationLine], None],
) -> WatchedLogin:
    """Hold the conversation, `watched` with the mail log beside it; a message is followed `within` seconds.

    Raises ValueError for wrong input."""
    if not watched and not target.send_to:
        at = _untimed(tell)
        return WatchedLogin(converse(target, credentials, at), None, None)
    seen: list[ConversationLine] = []
    shown = Transcript(credentials, None).shown

    def take(item: ConversationLine) -> None:
        if watched or item.who != "log" or following:
            seen.append(item)
            tell(item)

    following = False
    with ExitStack() as stack:
        watch = stack.enter_context(Watch(host, credentials.user if credentials else None, take, shown))
        if watched and watch.source not in (None, "journal"):
            watch.line(Line("note", f"The mail log is {watch.source}. Of its lines: {UNPROVED}."))
        result = converse(target, credentials, watch.line, watch.connected)
        silent = _silent(watch, target)
        if silent:
            watch.line(Line("note", silent))
        elif result.queue_id:
            following = True
            watch.line(
                Line("note", f"Following {result.queue_id} in the mail log, for {within:.0f} s at most.")
            )
            delivery = watch.delivery(result.queue_id, within)
            return WatchedLogin(
                _with_delivery(result, delivery), _in_order(seen) if watched else None, delivery
            )
        elif watched:
            watch.settled()
    return WatchedLogin(result, _in_order(seen) if watched else None, None)


def _in_order(seen: Sequence[ConversationLine]) -> tuple[ConversationLine, ...]:
    """By time: a line of the log is read a moment after it was written."""
    return tuple(sorted(seen, key=lambda item: item.time))


def _untimed(tell: Callable[[ConversationLine], None]) -> Callable[[Line], None]:
    return lambda line: tell(ConversationLine(0.0, line.who, line.text, line.explanation))


def _silent(watch: Watch, target: Target) -> str:
    """Why the log says nothing, "" where it can."""
    if watch.elsewhere:
        return f"The mail log of {target.host} is on that machine: it cannot be seen here."
    if watch.source is None:
        return "This host keeps no mail log, or you may not read it: the server's side cannot be shown."
    return ""


def _with_delivery(result: Result, delivery: Delivery) -> Result:
    """The result with a finding on the message. A deferred one is no failure: the queue is tried again. What is only in
    a file is no finding."""
    states = {"delivered": "ok", "deferred": "warning", "failed": "failed"}
    says = (
        delivery.says
        if delivery.state != "unknown"
        else f"What became of the message is not known yet: {delivery.says}"
    )
    state = "unknown" if delivery.file else states.get(delivery.state, "unknown")
    finding = Finding("delivery", state, clean(says))  # type: ignore[arg-type]
    return replace(result, findings=(*result.findings, finding))


def target_of(
    host: Host,
    name: str,
    port: int,
    *,
    accepted: str | None = None,
    store_alone: bool = False,
    ask: Callable[[Certificate, str], bool] | None = None,
    **more: Any,
) -> Target:
    """What to test, with whom the password may go to; an empty `name` is this host. Raises ValueError."""
    address, known = reachable(name, port)
    trust = trust_of(host, accepted or "", store_alone=store_alone, ask=ask)
    served = frozenset() if name else served_here()
    return Target(host=address, server_name=known, port=port, trust=trust, served=served, **more)


def served_here() -> frozenset[str]:
    """The mechanisms besides LOGIN and PLAIN that this host serves; none where only root may see it."""
    try:
        return served_besides(look(Host()))
    except (PermissionError, HostError):
        return frozenset()


def saslauthd_options() -> list[str]:
    """The options of saslauthd in this host's /etc/default/saslauthd; none where they cannot be read."""
    entry = Host().entry(SASLAUTHD_DEFAULT)
    try:
        return (
            (shell_defaults.value(entry.content.decode("latin-1"), "OPTIONS") or "").split() if entry else []
        )
    except EditError:
        return []
