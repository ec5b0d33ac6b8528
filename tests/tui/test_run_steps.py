"""Steps outside the order: shown first, applied on y, undone when they fail."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import WhatWouldEnd
from screens.review_and_run import RunSteps
from tests.tui.bench import Bench, Writes, at, play, shows, text, until, use
from wizard.changes.command import CommandChange
from wizard.console import WIDTH, width
from wizard.engine.session import FRESH
from wizard.errors import HostError
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Ending, Outcome, Plan


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))
    return bench


def begin(app: WizardApp, *steps: Writes) -> None:
    app.push_screen(RunSteps("Something else", "msa-wizard something", lambda: steps))


def test_it_is_done_on_y_and_is_a_commit(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, Writes("other", bench.host, "/etc/b", "new b\n"))
        await until(pilot, lambda: shows(app, "+new b") and shows(app, "y applies other"))
        assert bench.text("/etc/b") == "old b\n"
        await pilot.pause(3)
        pressed = time.monotonic()
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "✓ Done"))
        await until(pilot, lambda: shows(app, "recorded as"))
        took = re.search(r"other done in ([\d.]+) s", "\n".join(text(app)))
        assert took
        assert float(took[1]) <= time.monotonic() - pressed + 0.1, "without the wait for y"
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, RunSteps))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\nnew b\n"
    assert [item.step for item in bench.commits()] == ["other", None]


def test_words_are_folded_into_the_place_that_they_have(bench: Bench) -> None:
    """80 columns less a blank at either side and what scrolls: no line has a single word of the one above it."""

    step = Writes("other", bench.host, "/etc/b", "new b\n")
    step.why = "words of " * 40  # type: ignore[misc]

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, step)
        await until(pilot, lambda: shows(app, "why: words of") and shows(app, "y applies other"))
        lines = [line.split() for line in text(app) if "words" in line or "of" in line.split()]
        assert all(len(line) > 5 for line in lines[:-1]), lines
        await pilot.press("escape")

    play(bench, story)
    assert width() == WIDTH, "afterwards it is the terminal's again"


class InTwoParts(Writes):
    """A command makes what the file is written of."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The command first."""
        if self._host.entry("/etc/d") is None:
            script = ("sh", "-c", f"mkdir {self._host.root}/etc/d")
            return Plan.pending(self.id, "missing", CommandChange(script, "asks", footprint=("/etc/d",)))
        return super().plan(facts, answers)


def test_a_no_to_the_rest_of_a_step_says_that_it_undoes_all_of_it(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, InTwoParts("other", bench.host, "/etc/b", "new b\n"))
        await until(pilot, lambda: shows(app, "y applies other. Enter and Esc cancel: nothing is changed."))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies the rest of other. Enter and Esc undo all of it."))
        assert (bench.root / "etc/d").exists()
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "other is undone: it was not finished. Esc goes back."))
        assert not (bench.root / "etc/d").exists()
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RunSteps))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"


def test_the_rest_of_a_step_that_is_left_is_undone_and_is_no_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, bench, InTwoParts("other", bench.host, "/etc/b", "new b\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step that is shown")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "The first part is done, this is the rest"))
        await pilot.press("escape")
        await until(pilot, lambda: not app.desk.busy)

    words = play(bench, story).backend.parting_words()
    assert not (bench.root / "etc/d").exists()
    assert "ailed" not in words, words


def test_whoever_leaves_at_the_rest_of_a_step_makes_no_failure_of_it(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, InTwoParts("other", bench.host, "/etc/b", "new b\n"))
        await until(pilot, lambda: shows(app, "y applies other"))
        await pilot.press("y")
        await until(pilot, lambda: app.desk.waiting and shows(app, "the rest of other"))
        await pilot.press("f10")
        await until(pilot, lambda: not app.desk.busy, listens=False)

    words = play(bench, story).backend.parting_words()
    assert not (bench.root / "etc/d").exists()
    assert "ailed" not in words, words


@pytest.mark.parametrize("steps", [True, False])
def test_whoever_quits_where_the_host_has_changed_makes_no_failure_of_what_was_not_begun(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, steps: bool
) -> None:
    step = Writes("other", bench.host, "/etc/b", "new b\n")
    use(monkeypatch, bench, step)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        if steps:
            await at(pilot, app, "set-up", "y applies the step that is shown")
            (bench.root / "etc/b").write_text("edited before\n")
            await pilot.press("y")
            await until(pilot, lambda: app.desk.waiting and shows(app, "The host has changed since"))
        else:
            begin(app, step)
            await until(pilot, lambda: shows(app, "y applies other"))
        await pilot.pause(FRESH)
        (bench.root / "etc/b").write_text("edited meanwhile\n")
        await pilot.press("y")
        await until(pilot, lambda: app.desk.waiting and shows(app, " edited meanwhile"))
        await pilot.press("f10")
        await until(pilot, lambda: not app.desk.busy, listens=False)

    words = play(bench, story).backend.parting_words()
    assert words == "msa-wizard: nothing was changed."
    assert bench.text("/etc/b") == "edited meanwhile\n"
    assert bench.killed() is None


class EndsInItsRest(InTwoParts):
    """Only the second part says that something ends with it."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """With an ending once the command has run."""
        plan = super().plan(facts, answers)
        rest = plan.outcome is Outcome.PENDING and self._host.entry("/etc/d") is not None
        return replace(plan, ends=(Ending("cf-lines", "lines of your own", ("Cwa.test",)),)) if rest else plan


def test_whoever_leaves_at_what_its_rest_would_end_makes_no_failure_of_it(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, EndsInItsRest("other", bench.host, "/etc/b", "new b\n"))
        await until(pilot, lambda: shows(app, "y applies other"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "the rest of other"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, WhatWouldEnd) and shows(app, "Cwa.test"))
        app.action_leave()  # as Quit of the palette does
        await until(pilot, lambda: not app.desk.busy, listens=False)

    words = play(bench, story).backend.parting_words()
    assert not (bench.root / "etc/d").exists()
    assert "ailed" not in words, words


@pytest.mark.parametrize("key", ["enter", "escape"])
def test_cancelling_is_the_default(bench: Bench, key: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, Writes("other", bench.host, "/etc/b", "new b\n"))
        await until(pilot, lambda: shows(app, "y applies other"))
        await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.screen, RunSteps))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"
    assert bench.operations() == ["baseline"]


def test_cancelling_ends_what_follows_too(bench: Bench) -> None:
    steps = [Writes(name, bench.host, f"/etc/{name}", "new\n") for name in ("b", "c")]

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, *steps)
        await until(pilot, lambda: shows(app, "y applies b. Enter and Esc cancel: nothing is changed."))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RunSteps))
        assert bench.operations() == ["baseline"]
        begin(app, *steps)
        await until(pilot, lambda: shows(app, "y applies b"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies c. Enter and Esc end here: b applied."))
        await pilot.press("escape")
        await until(
            pilot, lambda: shows(app, "b applied. Ended before c, which is still to do. Esc goes back.")
        )
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RunSteps))

    play(bench, story)
    assert [item.step for item in bench.commits()] == ["b", None]


def test_a_failure_says_what_was_undone(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        begin(app, Writes("other", bench.host, "/etc/b", "new b\n", good=lambda: False))
        await until(pilot, lambda: shows(app, "y applies other"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "✗ other failed: /etc/b is not right"))
        await until(pilot, lambda: shows(app, "undone: /etc/b"))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"


def test_a_plan_that_fails_is_a_sentence(bench: Bench) -> None:
    def make() -> list[Writes]:
        raise HostError("there is no certificate \x1b[2J here")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.push_screen(RunSteps("Something else", "msa-wizard something", make))
        await until(
            pilot, lambda: shows(app, "There is no certificate") and shows(app, "Nothing was changed")
        )
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RunSteps))

    play(bench, story)
