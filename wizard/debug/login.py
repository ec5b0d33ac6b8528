"""A login by hand, a key at a time (howto 5.2)."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.maillog.correlate import WITHIN as FOLLOWED
from wizard.maillog.correlate import Seen, Watch
from wizard.maillog.delivery import Delivery
from wizard.smtp.login_test import Credentials, Line, Target
from wizard.smtp.stepwise import ByHand, Move
from wizard.smtp.transcript import Transcript
from wizard.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable


_LOG_WAIT = 0.6
"""Seconds after an answer in which the log's lines on it are waited for."""


@dataclass(frozen=True)
class Talked:
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
) -> Talked:
    """Hold the conversation, each move once `enter` lets it; the mail log's lines of it come to `told`, too.

    Raises ValueError for a sender that is none."""
    made: Delivery | None = None
    shown = Transcript(credentials, None).shown
    with ExitStack() as stack:
        watch = stack.enter_context(
            Watch(host, credentials.user, lambda item: told(item) if item.who == "log" else None, shown)
        )

        def line(item: Line) -> None:
            watch.line(item)
            told(Seen(time.time(), item.who, item.text, item.explanation))

        hand = ByHand(target, credentials, line, watch.connected, encrypted=encrypted)
        stack.callback(hand.close)
        while hand.next is not None and enter(hand.next):
            hand.go()
            time.sleep(_LOG_WAIT)
        if hand.queue_id:
            made = watch.delivery(hand.queue_id, FOLLOWED)
    return Talked(hand.accepted, hand.problem, made)
