"""Something that works would end with a step: shown in its plan, and a question of its own before it is applied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import WhatWouldEnd
from screens.review_and_run import RunSteps
from screens.steps import Steps
from screens.summary import Summary
from tests.tui.bench import Bench, Writes, play, press_apply, run_ended, shows, until, use
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Ending, Outcome, Plan

LINES = tuple(f"Cwdomain{number}.test" for number in range(40))
LOST = Ending("cf-lines", "lines of your own in sendmail.cf", LINES)


class Ends(Writes):
    """Something ends with it."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        plan = super().plan(facts, answers)
        return replace(plan, ends=(LOST,)) if plan.outcome is Outcome.PENDING else plan


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Ends("two", bench.host, "/etc/b", "new b\n"),
    )
    return bench


async def at_question(pilot: Pilot[int], app: WizardApp, key: str) -> None:
    await until(pilot, lambda: shows(app, "2 of 2 steps have something to do"))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "+new a"))
    await press_apply(pilot, app, key)
    if key == "y":
        await until(pilot, lambda: shows(app, "y applies two"))
        assert shows(app, "Would end: lines of your own")
        await pilot.press("y")
    await until(pilot, lambda: isinstance(app.screen, WhatWouldEnd) and shows(app, "Cwdomain0.test"))


@pytest.mark.parametrize("key", ["y", "a"])
@pytest.mark.parametrize("cancel", ["enter", "escape"])
def test_cancelling_is_the_default_and_changes_nothing(bench: Bench, key: str, cancel: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_question(pilot, app, key)
        for _ in range(6):
            await pilot.press("space")
        await until(pilot, lambda: shows(app, "Cwdomain39.test"))
        await pilot.press(cancel)
        await until(pilot, lambda: isinstance(app.screen, Steps) and not app.desk.busy)
        await until(pilot, lambda: shows(app, "Stopped before two") or shows(app, "to do   two"))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"
    assert bench.operations() == ["apply", "baseline"]


def test_what_a_later_edit_would_end_names_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(root=tmp_path)
    first = Writes("mc-includes", bench.host, "/etc/a", "new a\n")
    use(monkeypatch, bench, first, Ends("smtp-port", bench.host, "/etc/b", "new b\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "2 of 2 steps have something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
        await press_apply(pilot, app, "y")
        await until(pilot, lambda: isinstance(app.screen, WhatWouldEnd) and shows(app, "With smtp-port"))
        assert shows(app, "Would end: by smtp-port: lines of your own")
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "To skip smtp-port, go"))
        assert shows(app, "Stopped before mc-includes, which has changed nothing.")
        assert not shows(app, "s skips it")
        await pilot.press("down", "s")
        await until(pilot, lambda: shows(app, "smtp-port skipped: "))
        await pilot.press("y")
        await until(pilot, lambda: bench.text("/etc/a") == "old a\nnew a\n" and not app.desk.busy)

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"


def test_what_comes_up_between_the_edits_and_gets_a_no_takes_the_edits_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Writes):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            plan, edited = super().plan(facts, answers), "new" in self._host.text("/etc/mail/sendmail.mc")
            return replace(plan, ends=(LOST,)) if plan.outcome is Outcome.PENDING and edited else plan

    bench = Bench(root=tmp_path)
    (tmp_path / "etc/mail").mkdir(exist_ok=True)
    (tmp_path / "etc/mail/sendmail.mc").write_text("old\n")
    first = Writes("mc-includes", bench.host, "/etc/mail/sendmail.mc", "new\n")
    made = Writes("sendmailconfig", bench.host, "/etc/mail/sendmail.cf", "made\n")
    use(monkeypatch, bench, first, Late("smtp-port", bench.host, "/etc/b", "new b\n"), made)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "3 of 3 steps have something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
        await press_apply(pilot, app, "a")
        await until(pilot, lambda: isinstance(app.screen, WhatWouldEnd))
        await pilot.press("enter")
        words = "Rolled back, so that sendmail.mc is not left half edited: mc-includes."
        await until(pilot, lambda: shows(app, words) and not app.desk.busy)
        assert shows(app, "before smtp-port, which has changed nothing.")
        await until(pilot, lambda: shows(app, "to do   mc-includes"))

    play(bench, story)
    assert bench.text("/etc/mail/sendmail.mc") == "old\n"
    assert bench.operations() == ["rollback", "apply", "baseline"]


@pytest.mark.parametrize("key", ["y", "a"])
def test_it_is_done_on_y(bench: Bench, key: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_question(pilot, app, key)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\nnew b\n"


def test_what_the_answers_accept_is_not_asked(bench: Bench) -> None:
    bench.answers = Answers(accept=("cf-lines",))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "2 of 2 steps have something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "+new a"))
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\nnew b\n"


@pytest.mark.parametrize(("key", "after"), [("y", "old b\nnew b\n"), ("escape", "old b\n")])
def test_a_step_outside_the_order_asks_too(bench: Bench, key: str, after: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        step = Ends("other", bench.host, "/etc/b", "new b\n")
        app.push_screen(RunSteps("Something else", "msa-wizard something", lambda: (step,)))
        await until(pilot, lambda: shows(app, "y applies other") and shows(app, "WOULD END [cf-lines]"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, WhatWouldEnd))
        await pilot.press(key)
        words = "Done" if key == "y" else "Stopped before other"
        await until(pilot, lambda: isinstance(app.screen, RunSteps) and shows(app, words))

    play(bench, story)
    assert bench.text("/etc/b") == after


def test_a_yes_after_the_run_has_ended_does_nothing(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_question(pilot, app, "y")
        steps = await run_ended(pilot, app)
        await pilot.press("y")
        assert isinstance(app.screen, Steps)
        assert not steps._began, "nothing is at work"

    play(bench, story)
