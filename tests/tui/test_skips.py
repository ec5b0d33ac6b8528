"""What remains follows from what is skipped now, and from what was applied: in the list, the counts, the questions and the
commands; and what a run that is left takes with it."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import StepFailed
from screens.leaving import ConfirmQuit, EditsGo
from screens.remaining import Remaining
from screens.steps import Steps
from screens.summary import Summary
from snapshots.errors import StoreError
from tests.tui.bench import (
    Bench,
    Stuck,
    Writes,
    at_steps,
    play,
    press_apply,
    says,
    shows,
    three_steps,
    until,
    until_there,
    use,
)
from wizard.engine.overview import Overview
from wizard.errors import AnswersError, HostError
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Plan


class Follows(Writes):
    """Something to do where one of some steps is planned, or was applied since."""

    after = ""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending behind them."""
        done = {"two": "new b", "make": "made"}[self.after] in "".join(
            each.read_text() for each in (self._host.root / "etc").iterdir() if each.is_file()
        )
        if done or self.after in facts.planned:
            return super().plan(facts, answers)
        return Plan.done(self.id, "it has read all that is there")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return three_steps(tmp_path, monkeypatch)


@pytest.fixture
def follows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One, two that needs it, and two steps that have something to do behind two, the last behind the one before it."""
    make, restart = (
        Follows("make", bench.host, "/etc/make", "made\n"),
        Follows("again", bench.host, "/etc/again", "again\n"),
    )
    make.after, restart.after = "two", "make"
    use(monkeypatch, bench, *bench.steps[:2], make, restart)
    return bench


def test_all_that_remain_are_those_behind_a_step_that_is_wanted_after_all(follows: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "done    again") and shows(app, "0 to do"))
        await pilot.press("home", "y")
        await until(pilot, lambda: shows(app, "y applies two"))
        assert shows(app, "to do   make")
        assert shows(app, "to do   again")
        assert shows(app, "Step 2 of 4, 3 to do")
        await pilot.press("down")
        await until(pilot, lambda: not shows(app, "Not now: it needs one"))
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 3 steps?"))
        await pilot.press("y")
        await until(
            pilot,
            lambda: isinstance(app.screen, Summary) and shows(app, "Done         one, two, make, again"),
        )

    play(follows, story)


def test_a_step_that_another_one_makes_to_do_is_among_all_in_the_middle_of_a_run(follows: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        for name in ("one", "two", "make"):
            await pilot.press("y")
            await until(pilot, lambda name=name: not shows(app, f"y applies {name}"))  # type: ignore[misc]
            following = {"one": "two", "two": "make", "make": "again"}[name]
            await until(pilot, lambda following=following: shows(app, f"y applies {following}"))  # type: ignore[misc]
        assert shows(app, "Step 4 of 4, 1 to do")
        await pilot.press("escape")

    play(follows, story)


def test_what_a_skip_in_the_run_makes_needless_is_not_to_do(follows: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        assert shows(app, "Step 2 of 4, 3 to do")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Summary))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "done    make") and shows(app, "done    again"))
        assert says(app, "two skipped: no other step needs it. s on a skipped step includes it again.")

    play(follows, story)


def test_a_question_after_a_skip_counts_without_what_only_that_step_makes_to_do(
    follows: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, make, again = follows.steps
    use(monkeypatch, follows, one, two, Writes("three", follows.host, "/etc/c", "new c\n"), make, again)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        assert shows(app, "Step 2 of 5, 4 to do")
        await pilot.press("s")
        await until(pilot, lambda: says(app, "y applies three"))
        assert shows(app, "Step 3 of 5, 1 to do")
        assert shows(app, "done    again")
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 1 step?") and shows(app, "two: no other step needs it"))
        await pilot.press("escape")

    play(follows, story)


@pytest.mark.parametrize(
    "problem", [HostError("M4 took longer than 30 s"), AnswersError("no"), StoreError("no")]
)
def test_a_look_that_fails_does_not_end_the_run_that_asks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    seen = bench.seen

    def fails_behind_one(again: bool = False) -> Overview:
        if "new a" in bench.text("/etc/a"):
            raise problem
        return seen(again)

    monkeypatch.setattr(bench, "seen", fails_behind_one)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: says(app, "y applies two"))
        assert shows(app, "+new b")
        await pilot.press("escape")

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a\n"


def test_s_takes_a_skip_back(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "not now two") and shows(app, "1 to do"))
        await until(pilot, lambda: says(app, "one skipped: ") and says(app, "s on it again includes it."))
        await pilot.press("home")
        await until(pilot, lambda: shows(app, "Skipped: /etc/a lacks a line"))
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "to do   one") and shows(app, "to do   two"))
        assert shows(app, "Step 1 of 3, 3 to do")
        await until(pilot, lambda: says(app, "3 steps to do. y applies the step that is shown"))

    play(bench, story)
    assert bench.operations() == []


def test_in_a_run_s_says_what_follows_and_only_the_next_is_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spared = Writes("two", bench.host, "/etc/b", "new b\n")
    spared.without = "passwords may cross the network in clear"  # type: ignore[misc]
    use(monkeypatch, bench, bench.steps[0], spared, bench.steps[2])

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("down", "s")
        await until(pilot, lambda: says(app, "two is next: y applies it, s skips it."))
        await pilot.press("s")
        await until(pilot, lambda: says(app, "y applies three"))
        assert says(app, "two skipped: ")
        await pilot.press("up", "s")
        await until(
            pilot, lambda: says(app, "two was skipped: y on it applies it once this run has ended. three is")
        )
        assert shows(app, "skipped two")

    play(bench, story)


def test_what_nobody_has_agreed_to_is_not_called_at_work_while_the_host_is_looked_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, looked = bench.seen, Event()

    def waits_behind_one(again: bool = False) -> Overview:
        if "new a" in bench.text("/etc/a"):
            assert looked.wait(30)
        return seen(again)

    monkeypatch.setattr(bench, "seen", waits_behind_one)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "next    two"))
        assert says(app, "Looking at this host ...")
        assert not shows(app, "two is at work")
        looked.set()
        await until(pilot, lambda: says(app, "y applies two"))
        await pilot.press("escape")

    play(bench, story)


def test_what_is_left_out_is_named_before_all_is_applied_and_the_command_leaves_it_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []
    monkeypatch.setattr(Steps, "same", lambda _, command: commands.append(command))
    use(monkeypatch, bench, *bench.steps, Stuck())

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "cannot be applied now"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "s Skip"))
        await pilot.press("home", "s")
        await until(pilot, lambda: shows(app, "not now two"))
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 1 step?") and shows(app, "Left out:"))
        assert shows(app, "one: without it these do not work: two")
        assert shows(app, "stuck: two are active")
        assert shows(app, "not now: two")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert "msa-wizard apply --yes three" in commands
    assert "msa-wizard apply --yes" not in commands


def test_a_run_that_waits_is_for_its_own_steps_up_to_one_that_is_stuck(bench: Bench) -> None:
    names = ("one", "two", "three", "four", "five")
    steps = {name: Writes(name, bench.host, f"/etc/{name}", "x\n") for name in names}
    plans = {name: Plan.pending(name, "to do") for name in names}
    states = dict.fromkeys(names, "pending")
    at_two = {"one": "applied", "two": "waiting"}
    assert Remaining(steps, plans, states | at_two, "two").to_apply == ["two", "three", "four", "five"]
    assert Remaining(steps, plans, states | at_two, "two", ("two", "four")).to_apply == ["two", "four"]
    stuck = states | at_two | {"four": "blocked"}
    assert Remaining(steps, plans, stuck, "two").to_apply == ["two", "three"]
    assert Remaining(steps, plans, states | {"one": "later", "two": "waiting"}, "two").left_out == [
        "not now: one"
    ]


def test_the_first_screen_counts_what_the_steps_count(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "Step 3 of 3, 1 to do"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "1 of 3 steps has something to do. Skipped: one."))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "1 to do"))
        await pilot.press("end", "s")
        await until(pilot, lambda: shows(app, "skipped three") and shows(app, "0 to do"))
        await pilot.press("escape")
        await until(pilot, lambda: says(app, "one skipped: ") and says(app, "three skipped: "))

    play(bench, story)


def test_the_output_of_a_step_has_no_word_of_one_that_was_skipped(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("home", "s")
        await until(pilot, lambda: shows(app, "skipped one"))
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, Summary))
        assert "-- one" not in [line for lines in app.desk.seen.output.values() for line in lines]
        assert "-- three" in app.desk.seen.output["three"]

    play(bench, story)


def mc_edits(bench: Bench, monkeypatch: pytest.MonkeyPatch, *, good: list[bool], command: str = "") -> None:
    """Two edits of sendmail.mc, and what makes a sendmail.cf of them."""
    (bench.root / "etc/mail").mkdir(exist_ok=True)
    (bench.root / "etc/mail/sendmail.mc").write_text("mc\n")
    mc = "/etc/mail/sendmail.mc"
    use(
        monkeypatch,
        bench,
        Writes("mc-includes", bench.host, mc, "include\n"),
        Writes("smtp-port", bench.host, mc, "port\n", command=command),
        Writes("sendmailconfig", bench.host, "/etc/mail/sendmail.cf", "cf\n", good=lambda: bool(good)),
    )


@pytest.mark.parametrize("key", ["f10", "escape"])
def test_who_leaves_between_the_edits_is_asked_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    mc_edits(bench, monkeypatch, good=[True])

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies smtp-port"))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, EditsGo) and shows(app, "If you leave now"))
        assert shows(app, "half edited: mc-includes.")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        assert app.desk.asks(app.screen), "the run waits as before"
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, EditsGo))
        await pilot.press("y")
        await until(pilot, lambda: not app.desk.busy, listens=False)

    play(bench, story)
    assert bench.text("/etc/mail/sendmail.mc") == "mc\n"


@pytest.mark.parametrize(
    ("key", "words"), [("e", "The IP addresses"), ("r", "mc-includes was already rolled back")]
)
def test_what_ends_a_run_between_the_edits_asks_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    mc_edits(bench, monkeypatch, good=[True])

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies smtp-port"))
        await pilot.press("home", key)
        await until(pilot, lambda: isinstance(app.screen, EditsGo))
        assert shows(app, "half edited: mc-includes.")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        assert app.desk.asks(app.screen), "the run waits as before"
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, EditsGo))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, words), listens=False)
        await until(pilot, lambda: bench.text("/etc/mail/sendmail.mc") == "mc\n", listens=False)

    play(bench, story)


@pytest.mark.parametrize("tool", ["rehearse", "saslauthd"])
def test_a_tool_that_ends_a_run_between_the_edits_asks_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    mc_edits(bench, monkeypatch, good=[True])

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies smtp-port"))
        steps = app.screen
        app.go(tool)
        await until(pilot, lambda: app.screen is not steps)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, EditsGo))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, EditsGo))
        assert app.desk.asks(steps), "the run waits as before"

    play(bench, story)


def test_who_leaves_where_no_edit_goes_is_not_asked(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "Set up, step by step"))

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a\n"


def test_who_quits_while_an_edit_is_at_work_is_told_which_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enough = tmp_path / "enough"
    mc_edits(bench, monkeypatch, good=[True], command=until_there(enough))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await press_apply(pilot, app)
        await until(pilot, lambda: shows(app, "smtp-port is at work"))
        await pilot.press("q")
        await until(
            pilot, lambda: isinstance(app.screen, ConfirmQuit) and shows(app, "mc-includes, smtp-port.")
        )
        await pilot.press("escape")
        enough.touch()
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)


def test_trying_again_begins_with_what_the_failure_took_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    good: list[bool] = []
    mc_edits(bench, monkeypatch, good=good)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await press_apply(pilot, app)
        await until(
            pilot, lambda: isinstance(app.screen, StepFailed) and shows(app, "again from mc-includes")
        )
        await until(pilot, lambda: not app.desk.busy)
        good.append(True)
        await pilot.press("y")
        await until(
            pilot,
            lambda: isinstance(app.screen, Summary) and shows(app, "mc-includes, smtp-port, sendmailconfig"),
        )

    play(bench, story)
    assert bench.text("/etc/mail/sendmail.mc") == "mc\ninclude\nport\n"


def test_trying_again_waits_for_the_look_after_the_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    good: list[bool] = []
    mc_edits(bench, monkeypatch, good=good)
    seen, tried = bench.seen, Event()

    def slow_once_it_failed(again: bool = False) -> Overview:
        if bench.session.failed:
            tried.wait(60)
        return seen(again)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        monkeypatch.setattr(bench, "seen", slow_once_it_failed)
        await press_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, StepFailed))
        good.append(True)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        tried.set()
        await until(pilot, lambda: isinstance(app.screen, Summary))

    play(bench, story)
    assert bench.text("/etc/mail/sendmail.mc") == "mc\ninclude\nport\n"


class Spared(Writes):
    """A step that does not apply here."""

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Why."""
        return Plan.not_applicable(self.id, "no firewall is active")


@pytest.mark.parametrize(("key", "verb"), [("y", "apply"), ("s", "skip")])
def test_why_a_key_does_nothing_on_a_step_that_does_not_apply(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, key: str, verb: str
) -> None:
    use(monkeypatch, bench, Spared("spared", bench.host, "/etc/spared", "x\n"), *bench.steps[:2])

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("home", key)
        why = f"spared is n/a, so there is nothing to {verb}: no firewall is active."
        await until(pilot, lambda: says(app, why))
        await pilot.press("down")
        await until(pilot, lambda: says(app, "y applies the step that is shown"))
        await pilot.press(key)
        await until(pilot, lambda: not says(app, "y applies the step that is shown"))
        assert not says(app, "nothing to")

    play(bench, story)


def test_what_was_to_follow_a_skip_does_not_come_after_a_run_that_has_begun_since(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, go_on, seen = Event(), Event(), bench.seen

    def slow(again: bool = False) -> Overview:
        looks.set()
        assert go_on.wait(60)
        return seen(again)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        steps = app.screen
        assert isinstance(steps, Steps)
        with monkeypatch.context() as patched:
            patched.setattr(bench, "seen", slow)
            await pilot.press("s")
            await until(pilot, looks.is_set)
            steps.board.select("three")
            await pilot.press("y")
            await until(pilot, lambda: (bench.root / "etc/c").exists() and steps.free)
            go_on.set()
            await until(pilot, lambda: isinstance(app.screen, Summary) and not steps.looking)
        assert not steps.about

    play(bench, story)
