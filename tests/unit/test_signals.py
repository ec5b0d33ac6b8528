"""Waiting for the admin's answer: a signal ends it, whenever it comes."""

from __future__ import annotations

import os
import select
import signal
from typing import Any

import pytest

from wizard.system import signals


def test_a_signal_in_the_instant_before_the_wait_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real, ready = select.select, []

    def late(reading: Any, writing: Any, failing: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        ready.append(real(reading, writing, failing, 20)[0])

    monkeypatch.setattr("wizard.system.signals.select.select", late)
    nothing, writing = os.pipe()
    interrupt = signals.Interrupt()
    with signals.handled(interrupt._handle):
        signals.wait_for_input(nothing)
    os.close(nothing)
    os.close(writing)
    assert interrupt.number == signal.SIGINT
    assert ready[0], "it would have waited on"
    assert nothing not in ready[0]


def test_an_answer_ends_it() -> None:
    answered, writing = os.pipe()
    os.write(writing, b"y\n")
    signals.wait_for_input(answered)
    assert os.read(answered, 2) == b"y\n"
    os.close(answered)
    os.close(writing)
