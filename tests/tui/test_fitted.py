"""Text that is made for its width."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from screens.app import WizardApp
from screens.steps import Steps
from screens.widgets import step_board
from screens.widgets.fitted import Fitted
from screens.widgets.output import Output
from tests.tui.bench import Bench, Writes, play, shows, text, until, use


class Beside(App[None]):
    """A list as wide as its words, and a text beside it that says for how many cells it was made."""

    CSS = "Static#list { width: auto; } Fitted { width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[int, int]] = []
        """Of each frame: for how many cells its text was made, and how many there are."""

    def compose(self) -> ComposeResult:
        """Both."""
        with Horizontal():
            yield Static("Set up", id="list")
            yield Fitted("facts")

    def _display(self, screen: Screen[object], renderable: object) -> None:
        """Look at each frame."""
        super()._display(screen, renderable)  # type: ignore[arg-type]
        for strip in self.screen._compositor.render_strips(self.size):
            if made := re.search(r"(\d+) cells", strip.text):
                self.frames.append((int(made[1]), self.query_one(Fitted).scrollable_content_region.width))


def test_no_frame_has_a_text_that_was_made_for_another_width() -> None:
    """A killed run makes the list of the first screen wider, and comes with the facts."""

    async def run() -> Beside:
        app = Beside()
        async with app.run_test(size=(80, 24)) as pilot:
            for words in ("Set up", "Finish or undo the interrupted run", "Set up"):
                app.query_one("#list", Static).update(words)
                app.query_one(Fitted).show(lambda width: Content(f"{width} cells"))
                await pilot.pause(0.2)
        return app

    frames = asyncio.run(run()).frames
    assert {made for made, _ in frames} == {74, 46}
    assert all(made == there for made, there in frames), frames


class InTurn(App[None]):
    """A long text, then a short one."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[str, bool]] = []
        """Of each frame: which text it has, and whether it has a scrollbar."""

    def compose(self) -> ComposeResult:
        """Nothing yet."""
        yield Fitted("facts")

    def _display(self, screen: Screen[object], renderable: object) -> None:
        """Look at each frame."""
        super()._display(screen, renderable)  # type: ignore[arg-type]
        shown = self.screen._compositor.render_strips(self.size)[0].text.split()
        if shown:
            bar = self.query_one(Fitted).vertical_scrollbar
            self.frames.append((shown[0], bar in self.screen._compositor.full_map))


def test_no_frame_has_the_scrollbar_of_another_text() -> None:
    """One more frame would follow, without it: on a slow line half a second."""

    async def run() -> InTurn:
        app = InTurn()
        async with app.run_test(size=(80, 24)) as pilot:
            for name, lines in (("long", 60), ("short", 3), ("long", 60)):
                content = Content("\n".join([name] * lines))
                app.query_one(Fitted).show(lambda _, content=content: content)  # type: ignore[misc]
                await pilot.pause(0.2)
        return app

    assert {*asyncio.run(run()).frames} == {("long", True), ("short", False)}


class Printing(App[None]):
    """What a command prints."""

    def compose(self) -> ComposeResult:
        """Nothing yet."""
        yield Output()


def test_rows_that_were_there_before_the_scroll_bar_are_not_cut_by_it() -> None:
    async def run() -> list[str]:
        app = Printing()
        async with app.run_test(size=(40, 6)) as pilot:
            output = app.query_one(Output)
            output.write(["x" * 40])
            output.write(["more"] * 10)
            await pilot.pause(0.2)
            output.scroll_home(animate=False)
            await pilot.pause(0.2)
            return [strip.text for strip in app.screen._compositor.render_strips(app.size)]

    assert "".join(asyncio.run(run())).count("x") == 40


def test_no_frame_of_a_step_has_a_text_that_was_made_for_another_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, frames = Bench(root=tmp_path), list[tuple[int, int]]()
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))
    monkeypatch.setattr(step_board, "_actions", lambda _, width: Content("\n".join([f"{width} cells"] * 60)))
    display = WizardApp._display

    def watched(app: WizardApp, screen: Screen[object], renderable: object) -> None:
        display(app, screen, renderable)
        if isinstance(app.screen, Steps) and (cells := re.search(r"(\d+) cells", "\n".join(text(app)))):
            frames.append((int(cells[1]), app.screen.query_one("#diff-text").size.width))

    monkeypatch.setattr(WizardApp, "_display", watched)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "has something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, " cells"))
        await pilot.press("z")
        await until(pilot, lambda: len({cells for cells, _ in frames}) > 1)

    play(bench, story)
    assert all(cells == there for cells, there in frames), frames


def test_output_behind_another_pane_has_the_rows_that_it_comes_to_the_front_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, rows = Bench(root=tmp_path), list[list[str]]()
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "has something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "to do. y applies"))
        output = app.screen.query_one(Output)
        output.write(["word " * 60, "$ " + "word " * 60])
        rows.append(list(output._flat))
        await pilot.press("4")
        await until(pilot, lambda: shows(app, "word word"))
        await pilot.pause(0.2)
        rows.append(list(output._flat))

    play(bench, story)
    assert rows[0] == rows[1]
    assert len(rows[0]) > 10


def test_output_comes_to_the_front_with_its_newest_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first frame with the oldest would be a second on a slow line."""
    bench, frames = Bench(root=tmp_path), list[bool]()
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))
    display = WizardApp._display

    def watched(app: WizardApp, screen: Screen[object], renderable: object) -> None:
        display(app, screen, renderable)
        if isinstance(app.screen, Steps) and shows(app, "row "):
            frames.append(shows(app, "row 59"))

    monkeypatch.setattr(WizardApp, "_display", watched)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "has something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "to do. y applies"))
        app.screen.query_one(Output).write([f"row {number}" for number in range(60)])
        await pilot.press("4")
        await until(pilot, lambda: shows(app, "row 59"))

    play(bench, story)
    assert frames
    assert all(frames), frames
