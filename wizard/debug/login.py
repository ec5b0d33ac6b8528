"""A login by hand, a key at a time (howto 5.2)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.maillog.correlate import WITHIN as FOLLOWED
from wizard.maillog.correlate import Seen, Watch
from wizard.maillog.delivery import Delivery
from wizard.smtp.connection import Move, Target
from wizard.smtp.stepwise import converse
from wizard.smtp.transcript import Credentials, Line, Transcript
from wizard.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable


_LOG_WAIT = 0.6
"""Seconds after an answer in which the log's lines on it are waited for."""


@dataclass(frozen=True)
class ConversationResult:
    """What came of a conversation by hand."""

    accepted: bool
    """Whether the login got its 235."""
    problem: str
    """Why it did not go on, "" where it did."""
    delivery: Delivery | None


def talk(
    host: Host,
    target: Target,
    credentials: Credentials,
    told: Callable[[Seen], None],
    enter: Callable[[Move], bool],
    *,
    encrypted: bool,
) -> ConversationResult:
    """Hold the conversation, each move once `enter` lets it; the mail log's lines of it come to `told`, too.

    Raises ValueError for a sender that is none."""
    delivery: Delivery | None = None
    shown = Transcript(credentials, None).shown

    def log_alone(item: Seen) -> None:
        if item.who == "log":
            told(item)

    with Watch(host, credentials.user, log_alone, shown) as watch:

        def line(item: Line) -> None:
            watch.line(item)
            told(Seen(time.time(), item.who, item.text, item.explanation))

        def before(move: Move) -> bool:
            time.sleep(_LOG_WAIT)
            return enter(move)

        result = converse(target, credentials, before, line, watch.connected, encrypted=encrypted)
        if result.queue_id:
            delivery = watch.delivery(result.queue_id, FOLLOWED)
        else:
            time.sleep(_LOG_WAIT)
    return ConversationResult(result.accepted, result.problem, delivery)
