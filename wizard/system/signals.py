"""SIGHUP (a dropped line), SIGTERM and SIGINT: the change in hand is finished or undone, then we end."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from wizard.errors import Interrupted

SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class Interrupt:
    """Remembers the first signal; asked between changes."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._at_once = False
        self.at_signal: Callable[[], None] = lambda: None
        """What is done at the first signal, in the thread that tells of it: a change that waits need not wait longer."""

    def __call__(self) -> None:
        """Raises Interrupted when a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While inside nothing is in hand, the admin is asked: a signal raises Interrupted there and then."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def remember(self, number: int) -> None:
        """A signal has come; from any thread."""
        if self.number is None:
            self.number = number
            self.at_signal()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.remember(number)
        if self._at_once:
            raise Interrupted(number)


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While inside, signals are the handler's."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def postponed() -> Iterator[Interrupt]:
    """While inside, signals wait for the next time the Interrupt is called."""
    interrupt = Interrupt()
    with handled(interrupt._handle):
        yield interrupt


def wait_for_input(descriptor: int) -> None:
    """Return when something can be read there, or a signal was handled: one that comes in the instant before read(2)
    would not end that. For the main thread."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        select.select([descriptor, reading], [], [])
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
