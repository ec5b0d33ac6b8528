"""What is waited for, with the seconds that pass: one line on standard error, where a person watches. It makes way for all
that is printed."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from wizard import console
from wizard.model.events import Event, Failed, Planned, Progress, Recorded, Report
from wizard.model.plan import Outcome

AFTER = 1.0
"""Seconds without a word before it shows."""
LOOKING = "looking at this host"


class WaitingLine:
    """Drawn by a thread of its own; while inside (`with`) it is away, for something else is on the terminal, and no second
    counts."""

    def __init__(self, stream: TextIO, words: str) -> None:
        self._stream = stream
        self._words = words
        self._since = self._spoke = self._went = time.monotonic()
        self._away = self._drawn = 0
        self._lock = threading.RLock()  # a signal may print while we do
        self._over = threading.Event()

    def __enter__(self) -> None:
        with self._lock:
            if not self._away:
                self._went = time.monotonic()
            self._away += 1
            self._draw("")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._away -= 1
            self._spoke = now = time.monotonic()
            if not self._away:
                self._since += now - max(self._went, self._since)

    def says(self, words: str) -> None:
        """What is waited for from now on."""
        with self._lock:
            if words != self._words:
                self._words, self._since = words, time.monotonic()

    def run(self) -> None:
        """Until it is over."""
        while not self._over.wait(AFTER / 4):
            self.tick()

    def tick(self) -> None:
        """Draw it, if nothing was printed for long enough."""
        with self._lock:
            now = time.monotonic()
            seconds = now - self._since
            if not self._away and seconds >= AFTER and now - self._spoke >= AFTER:
                self._draw(f"... {self._words}, {seconds:.0f} s")

    def end(self) -> None:
        """It goes for good."""
        with self._lock:
            self._over.set()
            self._draw("")

    def _draw(self, text: str) -> None:
        text = text[: (console.terminal_columns(self._stream) or console.WIDTH) - 1]
        if text or self._drawn:
            try:
                self._stream.write(f"\r{text:<{self._drawn}}" + ("" if text else "\r"))
                self._stream.flush()
            except OSError:  # the terminal has gone: what is at work goes on
                self._over.set()
        self._drawn = len(text)


_line: WaitingLine | None = None


@contextmanager
def waiting(words: str, quiet: bool = False) -> Iterator[None]:
    """Say `words` while what is inside takes its time, unless nobody watches, or wants to be told."""
    global _line
    if quiet or console.terminal_columns(sys.stderr) is None:
        yield
        return
    _line = line = WaitingLine(sys.stderr, words)
    threading.Thread(target=line.run, daemon=True).start()
    try:
        with console.making_way(line):
            yield
    finally:
        line.end()
        _line = None


def waits_for(words: str) -> None:
    """What is waited for from now on, where somebody is told."""
    if _line is not None:
        _line.says(words)


def watched(report: Report) -> Report:
    """`report`, with each step at work waited for by its name."""

    def take(event: Event) -> None:
        match event:
            case Planned(step, plan) if plan.outcome is Outcome.PENDING:
                waits_for(f"{step.id} is at work")
            case Progress(step, _, doing):
                waits_for(f"{step.id} is at work: {console.clean(doing)}")
            case Recorded() | Failed():
                waits_for(LOOKING)
        report(event)

    return take
