"""The line that says what a command waits for."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import sys
import termios
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TextIO

import pytest

from wizard import console
from wizard.cli import logins, options
from wizard.model.events import Planned, Progress, Recorded
from wizard.model.plan import Plan, Step
from wizard.render import waiting
from wizard.render.waiting import WaitingLine
from wizard.steps.order import step


class Clock:
    """Stands still until it is told."""

    now = 100.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def drawn(stream: io.StringIO) -> str:
    """What was drawn since."""
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def test_it_shows_after_a_second_and_makes_way(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    line = WaitingLine(stream := io.StringIO(), "looking")
    clock.now += 0.9
    line.tick()
    assert drawn(stream) == ""
    clock.now += 0.2
    line.tick()
    assert drawn(stream) == "\r... looking, 1 s"
    with console.making_way(line):
        console.out("found")
    assert drawn(stream) == f"\r{'':<16}\r", "gone before anything else is printed"
    assert capsys.readouterr().out == "found\n"
    clock.now += 0.9
    line.tick()
    assert drawn(stream) == "", "not at once after a line"
    clock.now += 0.2
    line.tick()
    assert drawn(stream) == "\r... looking, 2 s"
    line.end()
    assert drawn(stream).strip() == ""


def test_it_is_away_while_somebody_is_asked(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    line = WaitingLine(stream := io.StringIO(), "looking")
    monkeypatch.setattr(options, "wait_for_input", lambda _: None)

    def reply() -> str:
        clock.now += 60
        line.tick()
        return "Y"

    monkeypatch.setattr("builtins.input", reply)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: 0))
    with console.making_way(line):
        assert options.ask("apply? ") == "y"
    assert drawn(stream) == ""
    clock.now += 1.1
    line.tick()
    assert drawn(stream) == "\r... looking, 1 s", "the minute of the question is none of waiting"


def test_it_names_the_step_at_work(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    line = WaitingLine(stream := io.StringIO(), waiting.LOOKING)
    monkeypatch.setattr(waiting, "_line", line)
    install: Step = step("install")
    report = waiting.watched(lambda _: None)
    for event, words in (
        (Planned(install, Plan.pending("install", "missing")), "... install is at work, 5 s"),
        (Progress(install, 10.0, "Unpacking m4"), "... install is at work: Unpacking m4, 5 s"),
        (Recorded(install, "abc", 1.0), "... looking at this host, 5 s"),
    ):
        report(event)
        clock.now += 5
        line.tick()
        assert drawn(stream).strip() == words


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TextIO]]:
    """Standard error as a terminal of 60 columns, and the end where it can be read."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    with os.fdopen(slave, "w") as stream:
        monkeypatch.setattr(waiting, "sys", SimpleNamespace(stderr=stream))
        yield master, stream
    os.close(master)


def test_on_a_terminal_it_runs_by_itself_and_fits(terminal: tuple[int, TextIO]) -> None:
    master, _ = terminal
    with waiting.waiting("looking " + "x" * 80):
        text = os.read(master, 4096).decode()
        assert text.startswith("\r... looking xxx")
        assert len(text.strip()) == 59
    assert os.read(master, 4096).decode().strip() == "", "it leaves nothing"


def test_who_wants_quiet_or_does_not_watch_gets_none(
    terminal: tuple[int, TextIO], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with waiting.waiting("looking", quiet=True):
        assert waiting._line is None
    monkeypatch.undo()
    with waiting.waiting("looking"):
        assert waiting._line is None
    assert capsys.readouterr().err == ""


def test_it_makes_way_for_the_keys_of_a_manual_login(monkeypatch: pytest.MonkeyPatch) -> None:
    away: list[int] = []
    line = WaitingLine(io.StringIO(), "talking to the server")

    def typed(_: logins._Terminal) -> str:
        away.append(line._away)
        return "\n"

    monkeypatch.setattr(logins._Terminal, "_typed", typed)
    arguments = SimpleNamespace(yes=False, json=False)
    terminal = logins._Terminal(arguments, None, None)  # type: ignore[arg-type]
    with console.making_way(line):
        assert terminal._enter(SimpleNamespace(shown="EHLO", why="say hello"))  # type: ignore[arg-type]
    assert away == [1]


@pytest.mark.parametrize(
    ("typed", "agreed"), [(["?\n", "\n"], True), (["n\n", "q\n"], False), ([""], False), (["\n"], True)]
)
def test_only_enter_sends_a_line_of_a_manual_login(
    monkeypatch: pytest.MonkeyPatch, typed: list[str], agreed: bool
) -> None:
    replies = iter(typed)
    monkeypatch.setattr(logins._Terminal, "_typed", lambda _: next(replies))
    terminal = logins._Terminal(SimpleNamespace(yes=False, json=False), None, None)  # type: ignore[arg-type]
    assert terminal._enter(SimpleNamespace(shown="EHLO", why="say hello")) is agreed  # type: ignore[arg-type]
    assert next(replies, None) is None
