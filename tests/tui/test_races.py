"""A key, a timer and a worker that come at the same moment, made to do so: each in one turn of the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from textual.app import App
from textual.events import Key
from textual.message import Message
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.base import WizardScreen
from screens.dialogs import WhatWouldEnd
from screens.jobs import Desk, Job, JobEnded, MoveWaits, Reply, Stopped
from screens.login_test import LoginTest
from screens.review_and_run import RunSteps
from screens.rollback import History, RollbackScreen
from screens.settings import Settings
from screens.settings_form import Unsaved
from screens.steps import Steps
from screens.summary import Summary
from screens.welcome import PLACES, TOOLS, Welcome
from screens.widgets.step_board import StepBoard
from snapshots.store import Commit
from tests.tui.bench import Bench, Writes, at, play, shows, until, use
from wizard.smtp.connection import Move


async def at_b(pilot: Pilot[int], app: WizardApp) -> None:
    """The first step is applied, and the second waits for its answer."""
    await at_steps(pilot, app)
    await pilot.press("y")
    await until(pilot, lambda: shows(app, "y applies b"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(
        monkeypatch,
        bench,
        *(Writes(name, bench.host, f"/etc/{name}", f"new {name}\n") for name in ("a", "b")),
    )
    return bench


async def at_steps(pilot: Pilot[int], app: WizardApp) -> None:
    await at(pilot, app, "set-up", "y applies the step")


def pressed(app: App[int], *keys: str) -> bool:
    """As the terminal hands them over: one behind the other, and nobody waits for them. Nothing has come of it yet."""
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))
    return False


def listen(app: WizardApp) -> None:
    """The moment without a key is over."""
    screen = app.screen
    assert isinstance(screen, WizardScreen)
    screen._listen()


def test_a_key_that_is_held_down_applies_one_step(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.base.QUIET", 3600.0)  # longer than a busy machine takes from key to key

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await until(pilot, lambda: app.desk.waiting or pressed(app, "y"), listens=False)
        for _ in range(20):
            pressed(app, "y")
            await pilot.pause(0.02)
        assert app.desk.waiting
        assert not shows(app, "y applies b"), "it says its keys once it listens"
        steps = app.screen
        assert isinstance(steps, Steps)
        await until(pilot, lambda: steps._asked and app._in_hand is None, listens=False)
        listen(app)
        await until(pilot, lambda: shows(app, "y applies b"))
        assert bench.text("/etc/b") == "old b\n"
        monkeypatch.setattr("screens.base.QUIET", 0.1)
        await pilot.press("y")
        await until(pilot, lambda: not app.desk.busy)

    play(bench, story)
    assert bench.text("/etc/b") == "old b\nnew b\n"


def test_a_key_before_the_question_is_on_the_screen_is_no_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        steps._current = steps.board.chosen
        answers: list[Reply] = []
        with monkeypatch.context() as patched:
            patched.setattr(Desk, "waiting", True)
            patched.setattr(Desk, "busy", True)
            patched.setattr(Desk, "answer", lambda _, reply: answers.append(reply))
            steps.action_apply()
            steps.action_skip()
            patched.setattr(Desk, "asks", lambda *_: True)
            assert not any(steps.check_action(key, ()) for key in ("apply", "apply_all", "skip"))
            steps._asked = True
            assert steps.check_action("apply", ())
        assert not answers
        steps._current = None

    play(bench, story)


def test_what_comes_by_itself_does_not_listen_before_it_is_made() -> None:
    assert not WhatWouldEnd("a", ()).listens
    assert Unsaved().listens, "somebody has called for that one"


def test_a_key_that_is_held_down_applies_one_fix(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.base.QUIET", 3600.0)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.push_screen(RunSteps("Fix all", "msa-wizard something", lambda: bench.steps))
        await until(pilot, lambda: shows(app, "+new a"), listens=False)
        listen(app)
        pressed(app, "y")

        def at_the_next() -> bool:
            """The key is held down until then; how fast the first one goes, and its question, is nobody's to say."""
            return bench.text("/etc/a") != "old a\n" and (app.desk.waiting or pressed(app, "y"))

        await until(pilot, at_the_next, listens=False)
        pressed(app, *"yyyy")
        await until(pilot, lambda: shows(app, "+new b") and app._in_hand is None, listens=False)
        listen(app)
        await until(pilot, lambda: shows(app, "y applies b"))
        assert bench.text("/etc/b") == "old b\n"

    play(bench, story)


def test_a_key_pressed_before_it_listened_is_no_answer_even_if_it_comes_late(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_b(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        monkeypatch.setattr("screens.base.QUIET", 60.0)
        steps.ask_when_quiet()
        late = Key("y", "y")  # typed, and on its way while the moment ends
        steps._listen()
        app.post_message(late)
        await until(pilot, lambda: not steps.listens or not app.desk.waiting, listens=False)
        assert app.desk.waiting
        assert bench.text("/etc/b") == "old b\n"

    play(bench, story)


@pytest.mark.parametrize("name", [*PLACES, *TOOLS])
def test_keys_typed_while_a_screen_is_made_wait_for_it(bench: Bench, name: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.go(name)
        made = app.screen
        pressed(app, "enter", "tab", "escape", "escape", "escape")
        await until(pilot, lambda: app.crash is not None or (made.is_mounted and app._message_queue.empty()))
        assert app.crash is None

    play(bench, story)


def test_a_result_for_a_screen_that_is_going_is_dropped(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step")
        app.go("summary")
        summary = app.screen
        assert not summary.is_mounted
        app.pop_screen()  # before what it holds is made
        await until(pilot, lambda: not summary.is_running and shows(app, "y applies the step"))
        assert app.crash is None

    play(bench, story)


def test_who_waits_for_a_screen_that_goes_is_answered(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.go("summary")
        await until(pilot, lambda: isinstance(app.screen, Summary))
        summary, going, answered = app.screen, asyncio.Event(), asyncio.Event()
        summary.call_later(going.wait)
        summary.call_later(answered.set)  # as the pilot does, before it presses a key or pauses
        app.pop_screen()
        while not summary._pruning:
            await asyncio.sleep(0.01)
        going.set()
        await asyncio.wait_for(answered.wait(), 10)

    play(bench, story)


def test_a_diff_that_comes_while_the_steps_are_left_is_dropped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, going, read = (threading.Event() for _ in range(3))
    load = StepBoard._load

    def slow(_commit: Commit) -> str:
        reads.set()
        assert going.wait(60)
        return "a diff"

    def loaded(board: StepBoard, name: str, commit: Commit) -> None:
        try:
            load(board, name, commit)
        finally:
            read.set()

    async def removed(_board: StepBoard) -> None:
        """What it held is gone, and it is not yet."""
        if reads.is_set():
            going.set()
            while not read.is_set():
                await asyncio.sleep(0.01)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_b(pilot, app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Welcome) and shows(app, "has something to do"))
        app.go("set-up")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
        await pilot.press("p")
        await until(pilot, reads.is_set)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Welcome) and read.is_set())
        assert app.crash is None

    monkeypatch.setattr(bench, "diff", slow)
    monkeypatch.setattr(StepBoard, "_load", loaded)
    monkeypatch.setattr(StepBoard, "on_unmount", removed, raising=False)
    play(bench, story)


class StoppedMeanwhile(Job):
    """The admin stops it between its look whether to stop, and its wait."""

    @property
    def waiting(self) -> bool:
        """As the job's own."""
        return self._waiting

    @waiting.setter
    def waiting(self, value: bool) -> None:
        if value:
            self.answer(Reply.STOP)
        self._waiting = value

    _waiting = False


def test_a_stop_in_the_instant_before_a_question_ends_the_job() -> None:
    job = StoppedMeanwhile("a job", MessagePump())
    with pytest.raises(Stopped):
        job.ask(MoveWaits(Move("QUIT", "the end"), None), within=1)


@contextmanager
def ends_late(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], None]]]:
    """Jobs whose end is on its way to their screens until it is let go."""
    late: list[Callable[[], None]] = []
    post = Job.post

    def held(job: Job, message: Message) -> None:
        if isinstance(message, JobEnded):
            late.append(partial(post, job, message))
        else:
            post(job, message)

    with monkeypatch.context() as patched:
        patched.setattr(Job, "post", held)
        yield late


def test_no_run_begins_before_the_end_of_the_last_one_is_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        with ends_late(monkeypatch) as late:
            await pilot.press("y")
            await until(pilot, lambda: shows(app, "y applies b"))
            await pilot.press("s")
            await until(pilot, lambda: bool(late))
            assert not app.desk.busy
            with monkeypatch.context() as patched:
                patched.setattr(Steps, "would_go", ("a",))
                assert not app._would_go, "nothing ends with what has ended"
            steps.action_apply()
            assert steps.skipped == {"b"}, "it is not wanted after all"
            steps.action_back()
            assert not steps.ending
        late[0]()
        await until(pilot, lambda: isinstance(app.screen, Summary))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is steps and shows(app, "s on a skipped step includes it"))
        await pilot.press("y")
        await until(pilot, lambda: bench.text("/etc/b") == "old b\nnew b\n" and steps.free)

    play(bench, story)


def test_no_login_test_begins_before_the_verdict_of_the_last_one_is_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        test = app.screen
        test.query_one("#host", Input).value = "127.0.0.1"
        test.query_one("#port", Input).value = "1"
        with ends_late(monkeypatch) as late:
            await pilot.press("f5")
            await until(pilot, lambda: bool(late))
            job = app.desk._of(test)
            await pilot.press("f5")
            assert app.desk._of(test) is job
        late[0]()
        await until(pilot, lambda: shows(app, "FAILED [tcp]"))
        await pilot.press("f5")
        assert app.desk._of(test) is not job

    play(bench, story)


def test_who_leaves_a_rollback_just_as_it_ends_sees_its_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_b(pilot, app)
        await pilot.press("p", "r")
        await until(pilot, lambda: isinstance(app.screen, RollbackScreen) and shows(app, "y rolls this back"))
        rollback = app.screen
        with ends_late(monkeypatch) as late:
            await pilot.press("y")
            await until(pilot, lambda: bool(late), listens=False)
            await pilot.press("escape")
            assert app.screen is rollback
        late[0]()
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not rollback)

    play(bench, story)


@pytest.mark.parametrize("way", ["history", "set-up", "palette", "quit"])
def test_no_way_out_of_the_settings_loses_what_is_not_saved(bench: Bench, way: str) -> None:
    """Those that lead to a screen below, and the palette's `Quit`."""

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        below = "history" if way in ("history", "palette") else "set-up"
        await at(pilot, app, below, "msa-wizard")
        under = app.screen
        await until(pilot, lambda: under.is_mounted)
        app.go("settings")
        await until(pilot, lambda: isinstance(app.screen, Settings) and app.screen.is_mounted)
        settings = app.screen
        settings.query_one("#test-user", Input).value = "alice"
        if way == "history":
            await pilot.press("f3")
        elif way == "quit":
            app.action_leave()
        else:
            app.go(below)
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is settings)
        assert settings.query_one("#test-user", Input).value == "alice"
        if way == "quit":
            app.action_leave()
        else:
            app.go(below)
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("d")
        if way != "quit":
            await until(pilot, lambda: app.screen is under)

    play(bench, story)


def test_from_a_question_to_a_screen_below_ends_the_run_that_asked(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_b(pilot, app)
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, History) and shows(app, "applied"))
        assert app.desk.waiting, "the steps are still below, and so is their question"
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RollbackScreen) and shows(app, "y rolls this back"))
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, History))
        await until(pilot, lambda: not app.desk.busy)

    play(bench, story)


def test_back_from_a_test_to_a_screen_below_forgets_the_password(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        app.go("test")
        await until(pilot, lambda: isinstance(app.screen, LoginTest) and app.screen.is_mounted)
        password = app.screen.query_one("#password", Input)
        password.value = "made up"
        app.go("set-up")
        assert password.value == ""
        await until(pilot, lambda: isinstance(app.screen, Steps))

    play(bench, story)
