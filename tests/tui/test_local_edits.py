"""Applying meets the admin's own edit: three versions, and no work is undone without a question."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import LocalEdits
from screens.steps import Steps
from screens.summary import Summary
from tests.tui.bench import Bench, Writes, play, press_apply, run_ended, shows, until, use


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Both steps applied; then the admin changed a line of the first."""
    bench = Bench(root=tmp_path)
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Writes("two", bench.host, "/etc/b", "new b\n"),
    )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "+new a"))
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    again = Bench(
        root=tmp_path, steps=bench.steps
    )  # the screens started anew, on the host as they had left it
    (tmp_path / "etc/a").write_text("old a\nnew a, mine\n")
    (tmp_path / "etc/b").write_text("old b\nnew b\n")
    return again


async def at_own_edits(pilot: Pilot[int], app: WizardApp, key: str) -> None:
    await until(pilot, lambda: shows(app, "1 of 2 steps has something to do"))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "drifted one"))
    await press_apply(pilot, app, key)
    await until(
        pilot, lambda: isinstance(app.screen, LocalEdits) and shows(app, "You changed what one had done")
    )


@pytest.mark.parametrize("key", ["y", "a"])
@pytest.mark.parametrize("cancel", ["enter", "escape"])
def test_cancelling_is_the_default_and_changes_nothing(bench: Bench, key: str, cancel: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_own_edits(pilot, app, key)
        for words in ("You changed what one had done", "yours, as it is now", "new a, mine"):
            assert shows(app, words), words
        await pilot.press(cancel)
        await until(pilot, lambda: isinstance(app.screen, Steps) and not app.desk.busy)

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a, mine\n"
    assert bench.operations() == ["apply", "apply", "baseline"]


def test_taking_the_steps_version_leaves_the_admins_in_the_history(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_own_edits(pilot, app, "y")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert "new a\n" in bench.text("/etc/a").splitlines(keepends=True)
    assert bench.operations() == ["apply", "drift", "apply", "apply", "baseline"]
    drift = bench.commits()[1]
    assert "+new a, mine" in bench.diff(drift)


def test_keeping_mine_skips_the_step(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_own_edits(pilot, app, "a")
        await pilot.press("k")
        await until(pilot, lambda: not app.desk.busy and shows(app, "skipped one"))

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a, mine\n"
    assert bench.operations() == ["apply", "apply", "baseline"]


@pytest.mark.parametrize("key", ["t", "k", "e"])
def test_an_answer_after_the_run_has_ended_does_nothing(bench: Bench, key: str) -> None:
    """Settings that were opened just before the question end the run; the dialog then lies on top of them."""

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_own_edits(pilot, app, "y")
        steps = await run_ended(pilot, app)
        await pilot.press(key)
        assert isinstance(app.screen, Steps)
        assert not steps.looking
        assert not app.desk.busy
        assert not steps.skipped
        assert not steps._to_edit

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a, mine\n"


def test_after_an_edit_the_step_is_planned_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/, mine//; 1i mine" "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setattr(WizardApp, "suspend", contextlib.nullcontext)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_own_edits(pilot, app, "y")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "Nothing is left to do"))

    play(bench, story)
    assert bench.text("/etc/a") == "mine\nold a\nnew a\n"


def test_an_edit_elsewhere_in_the_file_is_not_asked_about(bench: Bench) -> None:
    (bench.root / "etc/a").write_text("mine\nold a\nnew a\n")
    (bench.root / "etc/b").write_text("mine\nold b\n")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "1 of 2 steps has something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "drifted two"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, LocalEdits) and shows(app, "/etc/b"))
        assert shows(app, "(not there)"), "the line was deleted, and comes again"
        assert isinstance(app.screen, LocalEdits)
        assert "  mine" not in app.screen._edits[0].text.splitlines(), "what was added elsewhere is not shown"

    play(bench, story)
