"""A change of the firewall over SSH must be confirmed: y keeps it; n, the clock and quitting revert it."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import FirewallCountdown, StepFailed
from screens.help import Help
from screens.steps import Steps
from screens.summary import Summary
from tests.tui.bench import Bench, Writes, counts, play, says, shows, until, use
from wizard.changes.confirm_or_revert import Confirmation, decide
from wizard.changes.rules import RulesChange
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Plan
from wizard.system import guard
from wizard.system.guard import Decision

WITHIN = 3600
"""Seconds of the countdown: on a busy machine the minute of the program's own is over before a test has looked at it."""


class Guarded(Writes):
    """First live rules with a guard, then the file, as the firewall's step has it."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        plan = super().plan(facts, answers)
        if not plan.changes:
            return plan
        guard = Confirmation(answers.confirm_within) if answers.confirm_within else None
        return Plan.pending(self.id, plan.reason, RulesChange((), guard=guard), *plan.changes)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    monkeypatch.setattr(guard, "FOLDER", tmp_path / "run")
    monkeypatch.setattr("wizard.changes.confirm_or_revert.DEFAULT", WITHIN)
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    use(monkeypatch, bench, Guarded("one", bench.host, "/etc/a", "new a\n"))
    return bench


async def applying(pilot: Pilot[int], app: WizardApp) -> None:
    await until(pilot, lambda: shows(app, "1 of 1 step has something to do"))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
    await pilot.press("y")


async def at_confirming(pilot: Pilot[int], app: WizardApp) -> None:
    await applying(pilot, app)
    await until(
        pilot, lambda: isinstance(app.screen, FirewallCountdown) and shows(app, "s left to confirm them")
    )


def test_a_window_that_is_too_small_goes_on_counting(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        await pilot.resize_terminal(70, 20)
        await until(pilot, lambda: shows(app, "This window is too small to answer: make it larger."))
        assert counts(app, "The firewall gets new rules: ", " left to confirm them")
        await pilot.resize_terminal(80, 24)
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, FirewallCountdown))

    play(bench, story)


def test_y_keeps_the_rules_and_enter_decides_nothing(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        await pilot.press("enter", "enter", "escape", "space")
        await pilot.pause(0.6)
        assert isinstance(app.screen, FirewallCountdown)
        assert bench.text("/etc/a") == "old a\n", "the file is written after the word"
        await until(pilot, lambda: counts(app, "new rules: ", " left") and not shows(app, f"{WITHIN} s left"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a\n"
    assert bench.operations() == ["apply", "baseline"]


def test_a_key_that_is_held_down_is_no_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.base.QUIET", 5.0)  # longer than a busy machine takes from key to key

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "1 of 1 step has something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
        while not isinstance(app.screen, FirewallCountdown):
            await pilot.press("y")
            await pilot.pause(0.05)
        for _ in range(20):
            await pilot.press("y")
        assert isinstance(app.screen, FirewallCountdown)
        assert not shows(app, "I can still log in"), "it says its keys once it listens"
        await until(pilot, lambda: shows(app, "I can still log in"))
        assert bench.text("/etc/a") == "old a\n"
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, StepFailed))

    play(bench, story)
    assert bench.text("/etc/a") == "old a\n"


def test_n_reverts_them_at_once(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        await pilot.press("n")
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, StepFailed) and shows(app, "somebody said no, so the new rules were")
            ),
        )

    play(bench, story)
    assert bench.text("/etc/a") == "old a\n"
    assert bench.operations() == ["rollback", "baseline"]


def test_nobody_in_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.changes.confirm_or_revert.DEFAULT", 3)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await applying(pilot, app)  # on a busy machine the countdown is over before it is seen
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, StepFailed)
                and shows(app, "nobody confirmed the firewall's new rules within 3 s")
            ),
        )

    play(bench, story)
    assert bench.operations() == ["rollback", "baseline"]


def test_its_help_goes_with_it_and_who_quits_is_told_that_the_rules_go(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        await pilot.press("f10")
        await until(pilot, lambda: says(app, "If you quit now, they are reverted at once"))
        assert not shows(app, "package manager")
        await pilot.press("escape", "f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        assert decide(Decision.REVERTED) is Decision.REVERTED
        await until(pilot, lambda: isinstance(app.screen, StepFailed))
        assert not any(isinstance(each, Help) for each in app.screen_stack)

    play(bench, story)


def test_a_word_from_another_session_closes_the_dialog(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        assert decide(Decision.CONFIRMED) is Decision.CONFIRMED
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.operations() == ["apply", "baseline"]


@pytest.mark.parametrize("asked", [False, True])
def test_what_comes_of_it_stays_on_the_screen(bench: Bench, asked: bool) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        if asked:
            await pilot.press("f10")
            await until(pilot, lambda: shows(app, "If you quit now"))
        assert decide(Decision.REVERTED) is Decision.REVERTED
        await until(pilot, lambda: isinstance(app.screen, StepFailed))
        await pilot.pause(2.5)
        assert isinstance(app.screen, StepFailed), "no timer of a dialog below takes it away"
        assert not any(isinstance(each, FirewallCountdown) for each in app.screen_stack)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps))

    play(bench, story)


def test_quitting_reverts_them_and_does_not_wait_for_the_clock(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        await pilot.press("f10")
        await until(pilot, lambda: shows(app, "If you quit now"))
        await pilot.press("y")
        await until(pilot, lambda: not app.desk.busy)

    began = time.monotonic()
    app = play(bench, story)
    assert time.monotonic() - began < 500
    assert app.return_code == 130
    assert bench.text("/etc/a") == "old a\n"
    assert bench.operations() == ["rollback", "baseline"]
    assert (
        "one: rolled back, the session was lost, or msa-wizard was told to end" in bench.commits()[0].subject
    )


def test_on_the_console_nothing_is_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_CONNECTION")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "1 of 1 step has something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a\n"


def test_a_word_that_cannot_be_written_is_said_and_can_be_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    new_file = guard.new_file

    def write(path: Path, content: str | bytes) -> None:
        if path.suffix == ".decision" and full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        new_file(path, content)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_confirming(pilot, app)
        monkeypatch.setattr(guard, "new_file", write)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "No space left on device"))
        assert isinstance(app.screen, FirewallCountdown)
        full.clear()
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.operations() == ["apply", "baseline"]
