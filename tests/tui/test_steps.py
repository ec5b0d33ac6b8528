"""The set-up by keys: nothing before its diff was shown, every step a commit, and every way out."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import ProgressBar

from screens.app import WizardApp
from screens.dialogs import ConfirmQuit, StepFailed
from screens.steps import Steps
from screens.summary import Summary
from screens.widgets.contents import diff_content
from screens.widgets.step_board import StepBoard
from tests.tui.bench import (
    Bench,
    Stuck,
    Writes,
    at,
    at_steps,
    counts,
    play,
    press_apply,
    shows,
    three_steps,
    until,
    use,
)
from wizard.changes.install_packages import PackagesChange
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.model.step_facts import AptPlan
from wizard.steps.order import step
from wizard.system.host import Host
from wizard.system.lock import held


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return three_steps(tmp_path, monkeypatch)


def test_y_applies_what_is_shown_and_then_shows_the_next(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await until(pilot, lambda: shows(app, "+new a"))
        assert bench.text("/etc/a") == "old a\n"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        assert shows(app, "Step 2 of 3, 2 to do"), "the next one is not done yet"
        assert bench.text("/etc/a") == "old a\nnew a\n"
        await until(pilot, lambda: shows(app, "+new b"))
        assert bench.text("/etc/b") == "old b\n", "the second waits for its own key"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies three"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.operations() == ["apply", "apply", "apply", "baseline"]
    assert len({item.run for item in bench.commits()[:3]}) == 1, "a sitting is one run"


def test_enter_reads_and_esc_comes_back_to_the_list(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        await pilot.press("enter", "enter")
        assert steps.focused is steps.panes.front
        await pilot.press("down", "escape")
        assert steps.focused is steps.query_one("#list")
        assert steps.board.chosen == "one", "the arrows scrolled the text"
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "Set up, step by step"))

    play(bench, story)
    assert bench.operations() == []


def test_after_a_rollback_the_steps_show_what_is_to_do_and_not_the_old_output(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary))
        app.go("set-up")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "applied one"))
        shown = app.screen
        assert isinstance(shown, Steps)
        await pilot.press("home", "4")
        await until(pilot, lambda: shown.panes.front.id == "output-scroll")
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is shown and shows(app, "to do   one"))
        assert shown.panes.front.id == "diff-scroll"

    play(bench, story)


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


def test_all_of_them_are_listed_first_and_enter_cancels(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 3 steps?") and shows(app, "two"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        assert not app.desk.busy

    play(bench, story)
    assert bench.operations() == []


def test_a_step_skipped_before_the_run_is_never_shown_at_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    mark = StepBoard.mark

    def watched(board: StepBoard, name: str, state: str) -> None:
        seen.append((name, state))
        mark(board, name, state)

    monkeypatch.setattr(StepBoard, "mark", watched)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("down", "down", "s")
        await press_apply(pilot, app)
        await until(pilot, lambda: bench.text("/etc/b") == "old b\nnew b\n" and not app.desk.busy)
        await until(pilot, lambda: not isinstance(app.screen, Steps))
        app.go("set-up")
        await until(pilot, lambda: shows(app, "skipped three"))

    play(bench, story)
    assert ("two", "working") in seen
    assert ("three", "working") not in seen


class Makes(Writes):
    """Something to do once the first step was done, or will be."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending where `one` is planned."""
        if "one" in facts.planned:
            return super().plan(facts, answers)
        return Plan.done(self.id, "there is nothing new")


def test_what_only_a_skipped_step_makes_necessary_is_not_to_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, bench, bench.steps[0], Makes("makes", bench.host, "/etc/b", "made\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await until(pilot, lambda: shows(app, "to do   makes"))
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "done    makes") and shows(app, "skipped one"))

    play(bench, story)


class Follows(Writes):
    """Nothing to do once the step before it is done; not decided earlier."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Later, then done."""
        if "new a" in (self._host.root / "etc/a").read_text():
            return Plan.done(self.id, "one did it")
        return Plan.later(self.id, "one decides it")


def test_a_step_is_later_only_until_it_is_decided(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = bench.steps
    use(monkeypatch, bench, one, Follows("follows", bench.host, "", "", needs=("one",)), two, three)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await until(pilot, lambda: shows(app, "later   follows"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await until(pilot, lambda: shows(app, "done    follows"))

    play(bench, story)


def test_what_was_never_applied_is_not_offered_to_be_rolled_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Writes("two", bench.host, "/etc/b", "new b\n")
    monkeypatch.setattr(later, "plan", lambda *_: Plan.later("two", "one decides it"))
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"), later)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "Decided later") and shows(app, "s Skip"))
        assert not shows(app, "Roll back")
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "skipped two"))
        assert not shows(app, "Roll back")

    play(bench, story)


def test_news_of_a_step_goes_when_another_one_is_shown(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("down", "y")
        await until(pilot, lambda: shows(app, "one is needed first"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "3 steps to do. This one needs one first."))

    play(bench, story)


def test_only_keys_that_do_something_are_shown(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await until(
            pilot, lambda: shows(app, "y Apply") and shows(app, "Enter Read") and shows(app, "Esc Back")
        )
        assert not shows(app, "Roll back"), "nothing was applied"
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "r Roll back") and not shows(app, "y Apply"))

    play(bench, story)


def test_no_step_claims_a_login_that_nobody_tried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("end")
        await until(pilot, lambda: shows(app, "To test: no login can be accepted"))

    use(monkeypatch, bench, *bench.steps, step("auth-test"))
    play(bench, story)


def test_y_at_each_question_goes_through_to_the_summary(bench: Bench) -> None:
    """A y that is held down answers the first question alone (`test_races`)."""

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        for name in ("two", "three"):
            await until(pilot, lambda name=name: shows(app, f"y applies {name}"))  # type: ignore[misc]
            await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.operations() == ["apply", "apply", "apply", "baseline"]


def test_apply_all_shows_each_and_asks_no_more(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.text("/etc/c") == "new c\n"


def test_an_applied_step_that_has_to_be_done_again_can_be_rolled_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only something else was edited, and it is to do, not drifted."""

    class Follows(Writes):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            return replace(super().plan(facts, answers), follows=True)

    use(monkeypatch, bench, Follows("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        assert not shows(app, "Roll back")
        await pilot.press("y")
        await until(pilot, lambda: bench.operations() == ["apply", "baseline"])
        (bench.root / "etc/a").write_text("old a\n")
        await until(pilot, lambda: not isinstance(app.screen, Steps))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "to do") and shows(app, "Roll back"))

    play(bench, story)


def test_a_skipped_step_stays_undone_and_can_be_applied_later(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "y applies three"))
        await until(pilot, lambda: shows(app, "skipped two"))
        await pilot.press("y")
        await until(pilot, lambda: not app.desk.busy)
        await until(pilot, lambda: isinstance(app.screen, Summary))
        await pilot.press("escape", "up", "y")
        await until(pilot, lambda: bench.text("/etc/b") == "old b\nnew b\n")
        await until(pilot, lambda: not app.desk.busy)

    play(bench, story)
    assert [item.step for item in bench.commits()] == ["two", "three", "one", None]


def test_what_needs_a_skipped_step_is_not_offered(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "skipped one") and shows(app, "not now two"))
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 1 step?"))
        await pilot.press("escape", "home", "down")
        await until(pilot, lambda: shows(app, "Not now: it needs one, which is left out"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "one is needed first, but was skipped: two does not work"))
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary) and shows(app, "Done         three"))

    play(bench, story)
    assert [item.step for item in bench.commits()] == ["three", None]


def test_what_needs_a_step_that_is_wanted_after_all_is_among_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, written = Writes("one", bench.host, "/etc/a", "new a\n"), ("/etc/b", "new b\n")
    after = (
        Writes("two", bench.host, *written, needs=("one",)),
        Writes("six", bench.host, *written, needs=("two",)),
    )
    use(monkeypatch, bench, first, *after)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "skipped one") and shows(app, "not now six"))
        await pilot.press("home", "y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 2 steps?"))

    play(bench, story)
    assert [item.step for item in bench.commits()] == ["one", None]


def test_a_step_chosen_out_of_order_needs_what_it_needs(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("down", "y")
        await until(pilot, lambda: shows(app, "one is needed first: two does not work without it"))

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"


def test_a_skipped_step_that_a_login_can_do_without_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spared = Writes("one", bench.host, "/etc/a", "new a\n")
    spared.without = "passwords may cross in clear"  # type: ignore[misc]
    first = Writes("zero", bench.host, "/etc/z", "new z\n")
    use(monkeypatch, bench, first, spared, Writes("two", bench.host, "/etc/b", "new b\n", needs=("one",)))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("down", "s")
        await until(pilot, lambda: shows(app, "skipped one"))
        await pilot.press("end", "y")
        await until(pilot, lambda: bench.text("/etc/b") == "old b\nnew b\n")
        await until(pilot, lambda: not app.desk.busy)

    play(bench, story)
    assert [item.step for item in bench.commits()] == ["two", None]


def test_what_changed_since_it_was_shown_is_shown_again(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        (bench.root / "etc/a").write_text("mine\n")
        await pilot.press("y")
        await until(pilot, lambda: app.desk.waiting)
        await until(pilot, lambda: shows(app, " mine") and shows(app, "The host has changed since"))
        assert bench.text("/etc/a") == "mine\n"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))

    play(bench, story)
    assert bench.text("/etc/a") == "mine\nnew a\n"


def test_a_failed_step_says_what_was_undone_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    good: list[bool] = []
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n", command="echo hello", good=lambda: bool(good)),
    )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, StepFailed))
        await until(pilot, lambda: shows(app, "one failed"))
        await until(pilot, lambda: shows(app, "/etc/a is not right"))
        await until(pilot, lambda: shows(app, "hello"))
        await until(pilot, lambda: shows(app, "Undone: /etc/a (as before)"))
        assert bench.text("/etc/a") == "old a\n"
        good.append(True)
        await until(pilot, lambda: not app.desk.busy)
        await pilot.pause(0.3)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a\n"


@pytest.mark.parametrize("way", ["look", "skip", "elsewhere"])
def test_a_step_that_failed_is_called_so_until_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    bench = Bench(root=tmp_path)
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n", good=lambda: False),
        Writes("two", bench.host, "/etc/b", "new b\n"),
    )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, StepFailed))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "FAILED  one"))
        if way == "look":
            await pilot.press("f5")
            await until(pilot, lambda: shows(app, "to do   one"))
        elif way == "skip":
            await pilot.press("s")
            await until(pilot, lambda: shows(app, "skipped one"))
            assert not shows(app, "FAILED  one")
        else:  # a fix of troubleshooting has applied it, and somebody has taken that back since
            del app.backend.session.failed["one"]
            await pilot.press("f1")
            await until(pilot, lambda: not isinstance(app.screen, Steps))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "to do   one"))

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


def test_a_wide_window_shows_old_and_new_side_by_side(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await until(pilot, lambda: shows(app, "+new a"))
        assert not shows(app, " | +new a")
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: shows(app, " |  old a") and shows(app, " | +new a"))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not shows(app, " | +new a") and shows(app, "+new a"))

    play(bench, story)


def test_escape_brings_the_list_back_where_the_text_has_the_whole_width(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        for key in ("enter", "z"):
            await pilot.press(key)
        await until(pilot, lambda: not shows(app, "Step 1 of"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "Step 1 of"))
        assert isinstance(app.screen, Steps)
        assert app.screen.focused is app.screen.query_one(str(Steps.AUTO_FOCUS)), "the list has the keys"

    play(bench, story)


def test_a_line_that_is_longer_than_its_column_goes_on_below() -> None:
    shown = diff_content(f"--- a\n+++ b\n@@ -1,2 +1,2 @@\n ccc\n-{'x' * 160}\n+é{'y' * 20}\n", 163).plain
    half = 80
    assert shown.splitlines() == [
        *("--- a", "+++ b", "@@ -1,2 +1,2 @@"),
        f"{' ccc':<{half}} |  ccc",
        f"-{'x' * 79} | +é{'y' * 20}",
        f"{'x' * half} | ",
        f"{'x':<{half}} | ",
    ]


def test_why_names_only_steps_that_a_screen_shows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("end", "2")
        await until(pilot, lambda: shows(app, "these steps will not work"))
        assert shows(app, "saslauthd-init")
        assert not shows(app, "mend-")

    use(monkeypatch, bench, *bench.steps, step("saslauthd-init"), step("install"))
    play(bench, story)


def test_a_login_is_what_is_left_until_one_was_accepted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Every step is done. Now test a login."))
        await at_steps(pilot, app)
        await until(pilot, lambda: shows(app, "Nothing is left to do but a login: t tests one."))

    use(monkeypatch, bench, step("auth-test"))
    play(bench, story)


class Brings(Step):
    """A step that installs something."""

    id = "install"
    title = "Install"
    why = "a test"

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """What apt would bring."""
        asked = AptPlan(("Inst postfix-mta-sts-resolver (1 Debian:12 [all])",))
        return Plan.pending(self.id, "missing", PackagesChange(("sendmail",), asked))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Nothing."""
        return []


def test_the_packages_are_seen_before_all_is_applied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Installed with it:"))
        assert shows(app, "1 package: ")
        assert shows(app, "postfix-mta-sts-resolver: listens on 127.0.0.1:8461")
        await pilot.press("escape")

    use(monkeypatch, bench, *bench.steps, Brings())
    play(bench, story)
    assert bench.operations() == []


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


def test_a_step_that_the_run_has_applied_is_not_shown_as_to_do(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("p", "1")
        await until(pilot, lambda: shows(app, "Applied just now: this was done.") and shows(app, "+new a"))
        assert not shows(app, "To do: "), "it is applied"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "two is next: y applies it"))

    play(bench, story)


def test_an_applied_step_shows_what_it_changed_and_when_it_was_checked(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("5")
        await until(pilot, lambda: shows(app, "Checked right after the step is applied"))
        assert shows(app, "whether the line is there"), "what will be checked"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "applies two"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "have something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "Step 2 of 3, 2 to do"))
        await pilot.press("p")
        await until(pilot, lambda: shows(app, "Applied on ") and shows(app, "+new a"))
        app.desk.seen.checks.clear()
        await pilot.press("n", "p", "5")
        await until(pilot, lambda: shows(app, "Checked when it was applied"))

    play(bench, story)


def test_the_cursor_begins_on_what_is_in_the_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class InTheWay(Writes):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            return Plan.blocked(self.id, "another MTA is installed")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "cannot be applied now"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "nother MTA is installed"))

    use(monkeypatch, bench, *bench.steps, InTheWay("blocked", bench.host, "/etc/blocked", ""))
    play(bench, story)


def test_while_something_is_in_the_way_no_key_applies_and_f5_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: list[bool] = []

    class First(Writes):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            return Plan.done(self.id, "free") if free else Plan.blocked(self.id, "port 587 is held")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "cannot be applied now"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "fix what preflight shows, then press F5"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "+new a"))
        assert not shows(app, "y Apply")
        assert not shows(app, "a All")
        await pilot.press("a", "y")
        free.append(True)
        await pilot.press("up", "f5")
        await until(pilot, lambda: shows(app, "y applies the step that is shown") and shows(app, "a All"))
        assert isinstance(app.screen, Steps)
        assert app.screen.board.chosen == "one", "what was in the way is not"

    use(monkeypatch, bench, First("preflight", bench.host, "/etc/first", ""), *bench.steps)
    play(bench, story)
    assert bench.operations() == []


def test_the_news_says_of_the_step_that_is_shown_what_y_does(bench: Bench) -> None:
    (bench.root / "etc/c").write_text("new c\n")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "2 steps to do. This one needs one first. a applies all"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "2 steps to do. a applies all of them."))

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
    one = Writes(
        "one", bench.host, "/etc/a", "new a\n", command=f"until test -e {enough}; do sleep 0.05; done"
    )
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


@pytest.fixture
def stuck(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One, what cannot be applied, what needs that, two that need nothing."""
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Stuck(),
        Writes("behind", bench.host, "/etc/behind", "new\n", needs=("stuck",)),
        Writes("two", bench.host, "/etc/b", "new b\n"),
        Writes("three", bench.host, "/etc/c", "new c\n"),
    )
    return bench


def test_y_goes_past_a_step_that_cannot_be_applied(stuck: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "two are active")
        await pilot.press("home")
        await until(
            pilot, lambda: shows(app, "4 steps to do. y applies the step that is shown, a the 3 that do not")
        )
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("escape")
        await at(pilot, app, "set-up", "two are active")
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "This one needs stuck, which cannot be applied."))
        await pilot.press("y")
        await until(
            pilot, lambda: shows(app, "stuck is needed first, and cannot be applied: fix what it shows")
        )
        await pilot.press("down", "down")
        await until(pilot, lambda: shows(app, "$ msa-wizard apply two"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies three"))

    play(stuck, story)
    assert [item.step for item in stuck.commits()] == ["two", "one", None]


def test_all_that_remain_are_those_that_can_be_applied(stuck: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    monkeypatch.setattr(Steps, "same", lambda _, command: commands.append(command))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "two are active")
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 3 steps?"))
        await pilot.press("y")
        await until(
            pilot, lambda: isinstance(app.screen, Summary) and shows(app, "Done         one, two, three")
        )
        await until(pilot, lambda: shows(app, "Blocked      stuck: two are active"))

    play(stuck, story)
    assert "msa-wizard apply --yes one two three" in commands


def test_a_step_that_cannot_be_applied_is_skipped(stuck: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "two are active")
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "skipped stuck"))
        await pilot.press("home")
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary) and shows(app, "one, behind, two, three"))

    play(stuck, story)
