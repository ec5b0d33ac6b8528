"""The set-up by keys: nothing before its diff was shown, every step a commit, and every way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.steps import Steps
from screens.summary import Summary
from screens.widgets.contents import diff_content
from tests.tui.bench import (
    Bench,
    Writes,
    at_steps,
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
        await until(pilot, lambda: shows(app, "Every step is done but auth-test: test a login."))
        await at_steps(pilot, app)
        await until(pilot, lambda: shows(app, "Nothing is left to do but a login: t tests one."))
        assert shows(app, "Step 1 of 1, 1 to test")

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


def test_the_news_says_of_the_step_that_is_shown_what_y_does(bench: Bench) -> None:
    (bench.root / "etc/c").write_text("new c\n")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "2 steps to do. This one needs one first. a applies all"))
        await until(pilot, lambda: shows(app, "s Skip") and not shows(app, "y Apply"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "2 steps to do. a applies all of them."))

    play(bench, story)
