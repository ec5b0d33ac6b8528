"""The steps while one is at work: what is shown of it, and how one quits then."""

from __future__ import annotations

import asyncio
import signal
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import ProgressBar

from screens.app import WizardApp
from screens.leaving import ConfirmQuit
from screens.steps import Steps
from screens.summary import Summary
from tests.tui.bench import (
    Bench,
    Writes,
    at_steps,
    counts,
    play,
    press_apply,
    shows,
    three_steps,
    until,
    until_there,
    use,
)
from wizard.system.lock import held


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return three_steps(tmp_path, monkeypatch)


def test_the_bar_of_a_command_is_drawn_from_its_first_percent_on(bench: Bench) -> None:
    """At 0 it would be drawn as if it were full."""

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        bar = steps.query_one("#progress", ProgressBar)
        for percent, drawn in (
            (None, False),
            (0.0, False),
            (0.6, False),
            (1.0, True),
            (60.0, True),
            (None, False),
        ):
            steps.panes.progress(percent)
            await pilot.pause()
            assert bar.display is drawn, percent

    play(bench, story)


def test_keys_are_answered_while_a_command_floods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(root=tmp_path)
    enough = tmp_path / "enough"
    use(
        monkeypatch,
        bench,
        Writes(
            *("one", bench.host, "/etc/a", "new a\n"),
            command=f"until test -e {enough}; do seq 1 2000; sleep 0.05; done",
        ),
        Writes("two", bench.host, "/etc/b", "new b\n"),
    )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: counts(app, "one is at work, "))
        steps = app.screen
        assert isinstance(steps, Steps)
        for key, name in (("down", "two"), ("up", "one")) * 5:
            app.simulate_key(key)
            while steps.board.chosen != name:
                await asyncio.sleep(0.005)
        enough.touch()
        await until(pilot, lambda: app.desk.waiting)

    play(bench, story)


def test_another_one_at_work_is_named(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        with held(bench.root / "state/lock", "carol"):
            await pilot.press("y")
            await until(pilot, lambda: shows(app, "carol has been running msa-wizard"))

    play(bench, story)
    assert bench.text("/etc/a") == "old a\n"


def test_a_signal_between_steps_ends_the_run_and_the_program(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: app.desk.waiting)
        app._signalled(signal.SIGHUP)
        await until(pilot, lambda: not app.desk.busy)

    app = play(bench, story)
    assert app.return_code == 128 + signal.SIGHUP
    assert bench.operations() == ["apply", "baseline"]
    assert bench.killed() is None


def test_quitting_while_a_step_is_at_work_asks_and_then_undoes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    enough = tmp_path / "enough"
    waits = f"for i in $(seq 600); do test -e {enough} && break; sleep 0.1; done"
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n", command=waits))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: app.desk.changing)
        await pilot.press("q")
        await until(pilot, lambda: shows(app, "If you quit now"))
        await pilot.press("n")
        assert app.desk.changing
        await pilot.press("q")
        await until(pilot, lambda: shows(app, "If you quit now"))
        await pilot.press("y")
        enough.touch()
        await until(pilot, lambda: not app.desk.busy)

    app = play(bench, story)
    assert app.return_code == 130
    assert bench.text("/etc/a") == "old a\n"
    assert bench.killed() is None
    assert bench.operations() == ["baseline"]


def test_whoever_says_so_once_the_step_is_done_quits_without_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.dialog.WATCHED", 3600.0)  # the dialog has not seen yet that it is over
    bench, enough = Bench(root=tmp_path), tmp_path / "enough"
    waits = f"for i in $(seq 600); do test -e {enough} && break; sleep 0.1; done"
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n", command=waits))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: app.desk.changing)
        await pilot.press("q")
        await until(pilot, lambda: shows(app, "If you quit now"))
        enough.touch()
        await until(pilot, lambda: not app.desk.busy, listens=False)
        if isinstance(app.screen, ConfirmQuit):
            await pilot.press("y")
        else:
            app.action_leave()
        await until(pilot, lambda: app._exit, listens=False)

    app = play(bench, story)
    assert app.return_code == 0
    assert bench.operations() == ["apply", "baseline"]


def test_what_a_run_says_is_drawn_with_its_output_and_not_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.step_run.DRAWN", 3600.0)
    bench, seen = Bench(root=tmp_path), threading.Event()
    one = Writes("one", bench.host, "/etc/a", "new a\n", good=lambda: seen.wait(60))
    use(monkeypatch, bench, one, Writes("two", bench.host, "/etc/b", "new b\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        await pilot.press("y")
        await until(pilot, lambda: bench.text("/etc/a") != "old a\n" and steps._current == "one")
        await pilot.press("4")
        await until(pilot, lambda: shows(app, "No output yet."))
        seen.set()
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("p", "4")
        await until(pilot, lambda: shows(app, "-- one") and shows(app, "one done in"))

    play(bench, story)


def test_output_is_kept_for_each_step_and_follows_and_wraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    flood = "for i in $(seq 60); do echo number $i; done; echo a long line with words and words and words and its end"
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n", command=flood),
        Writes("two", bench.host, "/etc/b", "new b\n"),
    )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("4")
        await until(pilot, lambda: shows(app, "No output yet."))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "applies two"))
        await pilot.press("4")
        await until(pilot, lambda: shows(app, "-- two") and not shows(app, "number"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "has something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "Step 2 of 2, 1 to do"))
        await pilot.press("p", "4")
        await until(pilot, lambda: shows(app, "its end") and shows(app, "number 60"))

    play(bench, story)


def test_at_work_the_step_is_named_and_no_key_leads_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    enough = tmp_path / "enough"
    waits = f"for i in $(seq 600); do test -e {enough} && break; sleep 0.1; done"
    said: list[str] = []
    say = Steps.say

    def noted(steps: Steps, words: str) -> None:
        said.append(str(words))
        say(steps, words)

    monkeypatch.setattr(Steps, "say", noted)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n", command=waits))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        assert shows(app, "e Settings")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "one is at work, 1 s"))
        assert not shows(app, "e Settings")
        assert not shows(app, "t Test")
        enough.touch()
        await until(pilot, lambda: isinstance(app.screen, Summary))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "e Settings") and shows(app, "t Test"))

    play(bench, story)
    assert "one is at work." in said
    assert not any("first step is at work" in words for words in said)


def test_who_quits_is_told_which_step_is_at_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enough = tmp_path / "enough"
    one = Writes("one", bench.host, "/etc/a", "new a\n", command=until_there(enough))
    use(monkeypatch, bench, one)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: counts(app, "one is at work, "))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmQuit) and shows(app, "one is at work."))
        await pilot.press("escape")
        enough.touch()
        await until(pilot, lambda: not app.desk.busy)

    play(bench, story)


def test_the_question_before_leaving_follows_the_work_and_closes_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = Writes("one", bench.host, "/etc/a", "new a\n", command=until_there(tmp_path / "first"))
    two = Writes("two", bench.host, "/etc/b", "new b\n", command=until_there(tmp_path / "second"))
    use(monkeypatch, bench, one, two)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await press_apply(pilot, app)
        await until(pilot, lambda: shows(app, "one is at work"))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmQuit) and shows(app, "│  one is at work."))
        (tmp_path / "first").touch()
        await until(pilot, lambda: isinstance(app.screen, ConfirmQuit) and shows(app, "│  two is at work."))
        (tmp_path / "second").touch()
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)


def test_a_key_for_a_question_that_has_closed_is_no_answer_to_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enough = tmp_path / "enough"
    one = Writes("one", bench.host, "/etc/a", "new a\n", command=until_there(enough))
    use(monkeypatch, bench, one, Writes("two", bench.host, "/etc/b", "new b\n"))
    monkeypatch.setattr("screens.dialog.WATCHED", 3600.0)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        await pilot.press("y")
        await until(pilot, lambda: counts(app, "one is at work, "))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmQuit))
        asks = app.screen
        assert isinstance(asks, ConfirmQuit)
        enough.touch()
        await until(pilot, lambda: steps._asked and steps.listens, listens=False)
        monkeypatch.setattr("screens.base.QUIET", 3600.0)
        asks._keep_up()
        assert isinstance(app.screen, Steps)
        assert not steps.listens
        await pilot.press("y")
        assert app.desk.waiting
        monkeypatch.setattr("screens.base.QUIET", 0.1)
        steps._listen()
        await until(pilot, lambda: shows(app, "y applies two"))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"
