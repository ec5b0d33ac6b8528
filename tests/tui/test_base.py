"""A screen ends once, and takes nothing else with it, whoever ends it and whatever lies on top."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from screens.app import WizardApp
from screens.base import Frame, WizardScreen
from screens.dialog import Dialog
from screens.manual_login import ManualLogin
from screens.sentences import sentence
from screens.tools import SaslauthdDebug
from tests.tui.bench import Bench, play, shows, until
from wizard.errors import NothingToRollBack, NotRoot


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(root=tmp_path)


class Lower(WizardScreen[str]):
    """Ended by its timer too, a few times."""

    def compose(self) -> ComposeResult:
        """A word."""
        yield Static("lower")


class Upper(Dialog[str]):
    """What lies on top."""

    def compose(self) -> ComposeResult:
        """A word."""
        yield Static("upper")


def played(story: Callable[[Pilot[None], App[None], list[str | None]], Awaitable[None]]) -> list[str | None]:
    """The results that the screens of the story gave, in their order."""
    results: list[str | None] = []

    async def run() -> None:
        app = App[None]()
        async with app.run_test() as pilot:
            await story(pilot, app, results)

    asyncio.run(run())
    return results


def test_ended_twice_at_once_it_ends_once_and_the_screen_below_stays() -> None:
    async def story(pilot: Pilot[None], app: App[None], results: list[str | None]) -> None:
        below, top = Lower(), Lower()
        await app.push_screen(below, results.append)
        await app.push_screen(top, results.append)
        top.dismiss("key")
        top.dismiss("timer")
        await pilot.pause()
        top.dismiss("worker")
        await pilot.pause()
        assert app.screen is below

    assert played(story) == ["key"]


def test_ended_from_below_it_waits_for_what_lies_on_top() -> None:
    async def story(pilot: Pilot[None], app: App[None], results: list[str | None]) -> None:
        lower, upper = Lower(), Upper()
        await app.push_screen(lower, results.append)
        await app.push_screen(upper, results.append)
        lower.set_interval(0.01, lambda: lower.dismiss("timer"))
        await pilot.pause(0.2)
        assert app.screen is upper
        assert results == []
        upper.dismiss("read")
        await pilot.pause(0.2)
        assert lower not in app.screen_stack

    assert played(story) == ["read", "timer"]


@pytest.mark.parametrize("tool", [ManualLogin, SaslauthdDebug])
def test_escape_twice_leaves_one_screen(bench: Bench, tool: type[WizardScreen[None]]) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        below = app.screen
        await app.push_screen(tool())
        on_top = app.screen
        assert isinstance(on_top, ManualLogin | SaslauthdDebug)
        on_top.action_back()
        on_top.action_back()
        await pilot.pause(0.1)
        assert app.screen is below

    play(bench, story)


def test_who_is_not_root_is_told_once_that_nothing_was_changed() -> None:
    said = sentence(NotRoot("change this host"))
    assert said.startswith("Only root can change this host: run it with sudo.")
    assert said.lower().count("nothing was changed") == 1
    assert "changed" not in sentence(NotRoot("read the history", reads=True))


def test_the_name_of_a_commit_or_of_a_step_stays_as_it_is() -> None:
    said = sentence(NothingToRollBack("c86760cf8f only tells of what was undone at once"))
    assert said == "Nothing to roll back: c86760cf8f only tells of what was undone at once."


def test_the_first_screen_comes_up_without_a_look_at_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads it takes a third of the time to the first frame."""
    bench, asked = Bench(root=tmp_path), []
    monkeypatch.setattr(bench, "history_mark", lambda: asked.append("history"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: isinstance(app.screen, Frame) and shows(app, "Set up, step by step"))
        assert not asked

    play(bench, story)


def test_what_is_said_beside_a_heading_never_pushes_it_out(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "nothing was applied by msa-wizard so far"))
        assert isinstance(app.screen, Frame)
        screen = app.screen
        await until(pilot, lambda: not screen.looking)  # the end of a look writes there, too
        screen.aside(", ".join(["install"] * 30))
        await until(
            pilot, lambda: shows(app, "msa-wizard  Sendmail as a message submission agent  install, ")
        )
        assert shows(app, "…")

    play(Bench(root=tmp_path), story)
