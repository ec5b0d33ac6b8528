"""What the screens wait for: one look for all of them, apt beside it, and the seconds that pass."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.message import Message
from textual.message_pump import MessagePump
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import ApplyAll
from screens.jobs import ApplyPolicy, Job, Reply, StepWaits, same
from screens.steps import Steps
from tests.tui.bench import Bench, Writes, at, counts, play, shows, until, use
from tests.unit.steps.recorded import bare
from wizard.engine.overview import Overview
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.step_facts import AptPlan
from wizard.steps.order import STEPS, step
from wizard.system.host import Host

APT = AptPlan(("Inst sendmail (8 Debian:12 [all])",), {"sendmail": (1_000_000, 2_000_000)})
ASKED = "asking apt, "


class Apt:
    """It answers when it is let, and counts the questions."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = threading.Event()

    def __call__(self, _host: Host, _recommends: bool = True) -> AptPlan:
        self.asked += 1
        assert self.may_answer.wait(30)
        return APT


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Apt]:
    """A bare Debian 12."""

    def look(_host: Host, **_: object) -> Facts:
        facts: Facts = bare("12")
        return facts

    asked = Apt()
    monkeypatch.setattr("wizard.engine.overview.look", look)
    monkeypatch.setattr("wizard.engine.planner.look", look)
    monkeypatch.setattr("wizard.engine.overview.apt_simulation", asked)
    yield asked
    asked.may_answer.set()


def test_the_first_screen_does_not_wait_for_apt(tmp_path: Path, apt: Apt) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do") and counts(app, ASKED))
        app.go("set-up")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, ASKED))
        apt.may_answer.set()
        await until(pilot, lambda: shows(app, "1 package: 1.0 MB to download"))
        await until(pilot, lambda: not shows(app, ASKED))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "steps have something to do") and not shows(app, ASKED))
        await pilot.press("f5")
        await until(pilot, lambda: app.backend.held is not None and not app.backend.held.facts.asking_apt)
        assert apt.asked == 1, "its lists and the packages are the same"

    play(Bench(root=tmp_path, steps=STEPS), story)


def test_apt_is_not_asked_again_by_the_run(tmp_path: Path, apt: Apt) -> None:
    bench = Bench(root=tmp_path, steps=STEPS)
    bench.seen()
    apt.may_answer.set()
    first, second = bench.seen_with_apt(), bench.seen_with_apt()
    assert first is second is bench.held
    assert first.facts.apt_plan is APT
    bench.changed()
    assert bench.held is None
    bench.seen_with_apt()
    assert apt.asked == 1


def test_a_list_of_packages_that_was_not_shown_is_shown_before_they_come() -> None:
    install = step("install")
    without = install.plan(bare("12", asking_apt=True), Answers())
    told = install.plan(bare("12", apt_plan=APT), Answers())
    assert without.notes[0].startswith("apt is being asked")
    assert not same(without, told)
    assert same(told, install.plan(bare("12", apt_plan=APT), Answers()))
    assert same(told, install.plan(bare("12"), Answers())), "apt cannot say any more what was shown"


class Asked(Job):
    """What the admin is asked, and says yes to."""

    def __init__(self) -> None:
        super().__init__("apply", MessagePump())
        self.why: list[str] = []

    def ask(self, message: Message, within: float | None = None) -> Reply:
        """Yes, once it was looked at."""
        assert isinstance(message, StepWaits)
        self.why.append(message.why)
        return Reply.YES


def test_what_was_approved_is_asked_for_again_with_the_reason() -> None:
    install = step("install")
    without, told = (
        install.plan(bare("12", **apt), Answers()) for apt in ({"asking_apt": True}, {"apt_plan": APT})
    )
    job, policy = Asked(), ApplyPolicy(shown=("install", without))
    assert policy.decide(job, install, told)
    assert policy.decide(job, install, without)
    assert policy.decide(job, step("saslauthd-init"), told)
    assert job.why == [
        "Only now has apt said what comes with it: see above.",
        "The host has changed since this was shown; this is the new plan.",
        "",
    ]


@dataclass
class Counted(Bench):
    """A machine that counts the looks at it, and is slow to be seen when it is told to."""

    looks: int = 0

    def __post_init__(self) -> None:
        """May be seen at once."""
        super().__post_init__()
        self.may_see = threading.Event()
        self.may_see.set()

    def overview(self) -> Overview:
        """A new look."""
        self.looks += 1
        assert self.may_see.wait(300)
        return super().overview()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    bench = Counted(root=tmp_path)
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Writes("two", bench.host, "/etc/b", "new b\n"),
    )
    return bench


def test_screens_share_one_look_until_something_changes(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        for place, words in (("set-up", "to do"), ("report", "Save"), ("set-up", "to do")):
            app.go(place)
            await until(pilot, lambda words=words: shows(app, words))  # type: ignore[misc]
            await pilot.press("escape")
            await until(pilot, lambda: shows(app, "steps have something to do"))
        assert bench.looks == 1
        await pilot.press("f5")
        await until(pilot, lambda: bench.looks == 2)
        app.desk.start(app, "a job", lambda _job: (bench.root / "etc/a").write_text("new a\n"))
        await until(pilot, lambda: not app.desk.busy)
        app.go("set-up")
        await until(pilot, lambda: shows(app, "1 step to do"))
        assert bench.looks == 3

    play(bench, story)


def test_a_look_that_takes_long_says_so_with_the_seconds(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        bench.may_see.clear()
        await pilot.press("f5")
        await until(pilot, lambda: counts(app, "looking at this host, "))
        assert shows(app, "steps have something to do"), "what is known stays"
        bench.may_see.set()
        await until(pilot, lambda: not shows(app, "looking at this host"))

    play(bench, story)


def test_a_look_that_a_newer_one_has_overtaken_is_not_shown(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        slow, shown = threading.Event(), list[str]()
        screen = app.screen

        threads: list[threading.Thread] = []

        def old() -> str:
            threads.append(threading.current_thread())
            assert slow.wait(30)
            return "old"

        screen.look(old, shown.append)  # type: ignore[attr-defined]
        screen.look(lambda: "new", shown.append)  # type: ignore[attr-defined]
        await until(pilot, lambda: shown == ["new"])
        slow.set()
        await until(pilot, lambda: not threads[0].is_alive())
        over = threading.Event()
        screen.call_later(over.set)
        await until(pilot, over.is_set)
        assert shown == ["new"]

    play(bench, story)


def test_who_quits_does_not_wait_for_a_look(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        bench.may_see.clear()
        await pilot.press("f5")
        await until(pilot, lambda: bench.looks == 2)
        await pilot.press("q")

    began = time.monotonic()
    play(bench, story)
    assert not bench.may_see.is_set()
    bench.may_see.set()
    assert time.monotonic() - began < 250, "the look would have ended by itself after 300 s"


def test_a_mistake_of_ours_in_a_look_is_not_hidden(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        app.screen.look(lambda: 1 // 0, print)  # type: ignore[attr-defined]
        await until(pilot, lambda: app.crash is not None)

    with pytest.raises(ZeroDivisionError):
        play(bench, story)


def test_all_is_asked_once_apt_has_said_what_comes(tmp_path: Path, apt: Apt) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        app.go("set-up")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
        await pilot.press("a")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        await pilot.press("a")
        await until(
            pilot,
            lambda: shows(app, "First it is known what that is") and counts(app, ASKED),
            listens=False,
        )
        assert not shows(app, "y apply all")
        await pilot.press("y")
        assert isinstance(app.screen, ApplyAll)
        assert not app.desk.busy
        apt.may_answer.set()
        await until(pilot, lambda: shows(app, "Installed with it:") and shows(app, "y apply all"))
        assert shows(app, "1 package: 1.0 MB to download")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps))

    play(Bench(root=tmp_path, steps=STEPS), story)


async def by_another_session(bench: Bench, app: WizardApp, name: str) -> None:
    """A step applied by somebody else meanwhile."""
    other = Bench(root=bench.root, steps=bench.steps)
    await asyncio.to_thread(other.apply, Job("apply", app), lambda step, _plan: step.id == name)


def test_what_another_session_has_done_is_seen_by_the_next_screen(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step")
        await by_another_session(bench, app, "one")
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "1 of 2 steps has something to do"))

    play(bench, story)


def test_all_is_what_is_left_after_another_session(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step")
        await by_another_session(bench, app, "one")
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 1 step?") and shows(app, "y apply all"))
        await pilot.press("escape")

    play(bench, story)


def test_what_was_shown_before_another_session_is_not_applied(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step")
        await by_another_session(bench, app, "one")
        await pilot.press("y")
        await until(pilot, lambda: app.desk.waiting and shows(app, "y applies two"))
        await pilot.press("escape")
        await until(pilot, lambda: not app.desk.busy)

    play(bench, story)
    assert bench.text("/etc/b") == "old b\n"
    assert bench.operations() == ["apply", "baseline"]


def test_a_plan_that_an_edit_has_changed_is_shown_again_before_it_is_done(bench: Counted) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step")
        (bench.root / "etc/a").write_text("edited\n")
        await pilot.press("y")
        await until(
            pilot,
            lambda: app.desk.waiting and shows(app, "The host has changed since") and shows(app, " edited"),
        )
        assert bench.text("/etc/a") == "edited\n"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))

    play(bench, story)
    assert bench.text("/etc/a") == "edited\nnew a\n"
