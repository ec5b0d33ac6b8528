"""A question counts only on the screen that asks it: what other screens do over a run that waits, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input
from textual.widgets._footer import FooterKey

from screens.app import WizardApp
from screens.base import Frame, WizardScreen
from screens.dialogs import AskCertificate
from screens.jobs import CertificateWaits, Job, Reply
from screens.login_test import LoginTest
from screens.manual_login import ManualLogin
from screens.rehearse import Rehearse
from screens.review_and_run import RunSteps
from screens.settings import Settings
from screens.steps import Steps
from screens.tools import RemoteLogin, SaslauthdDebug
from screens.welcome import PLACES, TOOLS, Welcome
from tests.tui.bench import Writes, play, press_apply, shows, until, use
from tests.tui.test_tools import Tools
from tests.unit.smtp.server import PASSWORD, USER, Script, serving
from wizard.errors import HostError

COUNT = 12


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    bench = Tools(root=tmp_path)
    names = [f"s{number}" for number in range(COUNT)]
    use(monkeypatch, bench, *(Writes(name, bench.host, f"/etc/{name}", f"new {name}\n") for name in names))
    monkeypatch.chdir(tmp_path)
    return bench


async def at_a_question(pilot: Pilot[int], app: WizardApp) -> None:
    """On the steps, where s0 was applied and s1 waits."""
    await until(pilot, lambda: shows(app, "Set up, step by step"))
    app.go("set-up")
    await until(pilot, lambda: shows(app, "y applies the step"))
    await pilot.press("y")
    await until(pilot, lambda: shows(app, "y applies s1"))


async def over_it(pilot: Pilot[int], app: WizardApp, name: str, kind: type[Screen[None]]) -> None:
    app.go(name)
    await until(pilot, lambda: isinstance(app.screen, kind) and app.screen.is_mounted)


def test_escape_on_another_screen_does_not_answer_the_steps(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_a_question(pilot, app)
        await over_it(pilot, app, "rehearse", Rehearse)
        await until(pilot, lambda: shows(app, "y begins."))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        assert app.desk.asks(app.screen)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies s2"))

    play(bench, story)
    assert bench.text("/etc/s1") == "new s1\n", "it was not left out"


def test_only_the_screen_of_a_job_answers_it_and_its_end_ends_the_question(bench: Tools) -> None:
    answers: list[object] = []

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        other, asking = Rehearse(), Rehearse()
        await app.push_screen(other)
        await app.push_screen(asking)
        app.desk.start(asking, "a job", lambda job: answers.append(job.ask(CertificateWaits("?"))))
        await until(pilot, lambda: app.desk.asks(asking))
        app.desk.answer(Reply.YES, other)
        app.desk.left(other)
        assert app.desk.asks(asking)
        assert not app.desk.asks(other)
        asking.dismiss()
        await until(pilot, lambda: not app.desk.busy)

    play(bench, story)
    assert answers == []


@contextmanager
def a_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, list[bool]]]:
    """One that is slow until it is let go, and whose certificate nobody trusts; the answers to the question about that."""
    go_on, answers = threading.Event(), list[bool]()

    def ask(job: Job) -> bool:
        return job.ask(CertificateWaits("Not trusted: SHA-256 ...")) is Reply.YES

    def slow(_host: object, target: Job, *_: object) -> None:
        assert go_on.wait(60)
        answers.append(ask(target))
        raise OSError("it is over")

    monkeypatch.setattr("wizard.maillog.watched_login.hold_conversation", slow)
    monkeypatch.setattr("wizard.maillog.watched_login.target_of", lambda *_, ask, **__: ask)
    monkeypatch.setattr("screens.login_test.asking", lambda job: job)
    yield go_on, answers
    go_on.set()


async def begin_a_test(pilot: Pilot[int], app: WizardApp) -> LoginTest:
    """Over the steps, a test at work."""
    await pilot.press("t")
    await until(pilot, lambda: isinstance(app.screen, LoginTest) and app.screen.is_mounted)
    for name, value in (("user", USER), ("password", PASSWORD)):
        app.screen.query_one(f"#{name}", Input).value = value
    await pilot.press("f5")
    test = app.screen
    assert isinstance(test, LoginTest)
    await until(pilot, lambda: app.desk.works_for(test))
    return test


def test_who_leaves_a_login_test_is_not_held_up_by_it_nor_asked_for_it(
    bench: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_server(monkeypatch) as (go_on, answers):

        async def story(pilot: Pilot[int], app: WizardApp) -> None:
            await until(pilot, lambda: shows(app, "Set up, step by step"))
            app.go("set-up")
            await until(pilot, lambda: shows(app, "y applies the step"))
            test = await begin_a_test(pilot, app)
            job = app.desk._of(test)
            assert not app.desk.busy, "it changes nothing"
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y Apply"))
            go_on.set()
            await until(pilot, job.ended.is_set)
            await press_apply(pilot, app)
            await until(pilot, lambda: bench.operations()[:1] == ["apply"] and not app.desk.busy)
            await pilot.press("escape", "escape")
            await until(pilot, lambda: isinstance(app.screen, Welcome))
            app.action_leave()
            await until(pilot, lambda: app._exit)

        app = play(bench, story)
    assert answers == [], "nobody has sent the password anywhere"
    assert app.return_code == 0
    assert bench.text(f"/etc/s{COUNT - 1}") == f"new s{COUNT - 1}\n", "all were applied"


def test_a_login_test_leaves_the_run_that_waits_as_it_is(
    bench: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_server(monkeypatch) as (go_on, answers):

        async def story(pilot: Pilot[int], app: WizardApp) -> None:
            await at_a_question(pilot, app)
            await begin_a_test(pilot, app)
            go_on.set()
            await until(pilot, lambda: isinstance(app.screen, AskCertificate) and shows(app, "SHA-256"))
            await pilot.press("y")
            await until(pilot, lambda: isinstance(app.screen, LoginTest) and shows(app, "It is over."))
            assert answers == [True]
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies s1"))
            assert bench.operations().count("apply") == 1
            await pilot.press("y")
            await until(pilot, lambda: shows(app, "y applies s2"))

        play(bench, story)


def test_who_quits_does_not_wait_for_a_login_test(bench: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_server(monkeypatch):

        async def story(pilot: Pilot[int], app: WizardApp) -> None:
            await until(pilot, lambda: shows(app, "Set up, step by step"))
            app.go("set-up")
            await until(pilot, lambda: shows(app, "y applies the step"))
            await begin_a_test(pilot, app)
            await pilot.press("f10")
            await until(pilot, lambda: app._exit)
            assert not app.desk.busy

        assert play(bench, story).return_code == 0


def test_the_settings_end_a_run_that_waits_and_the_steps_plan_by_them(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_a_question(pilot, app)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Settings) and app.screen.is_mounted)
        await until(pilot, lambda: not app.desk.busy)
        app.screen.query_one("#test-user", Input).value = "alice"
        await pilot.press("f2")
        await until(pilot, lambda: bench.saved.test.user == "alice")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies s2"))

    play(bench, story)
    assert bench.answers == bench.saved
    assert bench.text("/etc/s1") == "new s1\n"


def test_a_manual_login_begins_over_a_run_that_waits(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_a_question(pilot, app)
        await over_it(pilot, app, "by-hand", ManualLogin)
        await until(pilot, lambda: shows(app, "F5 Begin"))
        for name, value in (("user", USER), ("password", PASSWORD)):
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "Enter sends: (connect to"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "It ended before the login was accepted"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        await over_it(pilot, app, "by-hand", ManualLogin)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps))

    with serving(Script()) as bench.port:
        play(bench, story)


def test_saslauthds_debug_mode_begins_over_a_run_that_waits(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_a_question(pilot, app)
        await over_it(pilot, app, "saslauthd", SaslauthdDebug)
        await until(pilot, lambda: shows(app, "y Begin"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "auth success: [user=alice]"))
        await pilot.press("e")
        await until(pilot, lambda: shows(app, "✓ The service is restored"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "y applies the step"))

    play(bench, story)


def test_a_test_from_outside_goes_on_beside_a_run_that_waits(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_a_question(pilot, app)
        await over_it(pilot, app, "from-outside", RemoteLogin)
        await until(pilot, lambda: shows(app, "alice logged in from 8.8.8.8"))
        await until(pilot, lambda: shows(app, "F5 Again"))
        bench.nobody = True
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "Waiting for a login from outside"))
        assert not shows(app, "F5 Again"), "it is at work"
        outside = app.desk._of(app.screen)
        app.go("set-up")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        await until(pilot, outside.ended.is_set)
        assert app.desk.asks(app.screen)

    play(bench, story)


def test_a_question_that_another_screen_has_ended_is_not_on_the_screen_any_more(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.push_screen(RunSteps("More", "msa-wizard more", lambda: bench.steps))
        await until(pilot, lambda: shows(app, "y applies s0"))
        app.go("settings")
        await until(pilot, lambda: isinstance(app.screen, Settings) and not app.desk.busy)
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "It has ended here, and nothing more is done. Esc goes back."))
        await pilot.press("y", "escape")
        await until(pilot, lambda: isinstance(app.screen, Welcome))

    play(bench, story)
    assert not (bench.root / "etc/s0").exists()


ELSEWHERE = {"f10", "ctrl+q", "q", "f1", "question_mark", "escape", "tab", "shift+tab", "enter"}
"""Keys of every screen, which have tests of their own."""
TURNS = {"space", "pagedown", "pageup"}
"""Those need a text that is longer than its place."""


def state(app: WizardApp, looks: list[str]) -> object:
    """What a key may change: what is seen and where, what is at work, what is looked at."""
    screen = app.screen
    drawn = [[segment.text for segment in strip] for strip in screen._compositor.render_strips(app.size)]
    desk = app.desk
    return drawn, screen, screen.focused, desk._job, tuple(desk._beside.values()), desk.waiting, len(looks)


@pytest.mark.parametrize("name", sorted({*PLACES, *TOOLS} - {"continue", "set-up", "settings"}))
def test_no_key_of_the_footer_is_dead_over_a_run_that_waits(
    bench: Tools, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each comes first once."""
    looks: list[str] = []
    look = Frame.look

    def counted(self: Frame[None], *args: object, **named: object) -> None:
        looks.append(self.HEADING)
        look(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Frame, "look", counted)

    def no_clone(*_: object) -> None:
        raise HostError("no clone can be made here")

    monkeypatch.setattr(bench, "rehearse", no_clone)

    def footer(app: WizardApp) -> list[str]:
        keys = [each.key for each in app.screen.query(FooterKey)]
        return [key for key in keys if key not in ELSEWHERE | TURNS]

    async def opened(pilot: Pilot[int], app: WizardApp) -> Frame[None]:
        while not app.desk.waiting:  # a key in the moment in which the steps do not listen is none
            await until(pilot, lambda: shows(app, "y Apply"))
            await pilot.press("y")
            await pilot.pause(1)
        app.go(name)
        screen = app.screen
        assert isinstance(screen, Frame)
        assert not isinstance(screen, Steps)
        await until(pilot, lambda: screen.is_mounted and shows(app, "F10 Quit") and not screen.looking)
        return screen

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_a_question(pilot, app)
        steps = app.screen
        await opened(pilot, app)
        for key in footer(app):
            before = state(app, looks)
            await pilot.press(key)
            await until(pilot, lambda before=before: state(app, looks) != before, 8, listens=False)  # type: ignore[misc]
            while app.screen is not steps:
                assert isinstance(app.screen, WizardScreen)
                app.screen.dismiss()
                await until(pilot, lambda: not app.desk.changing, listens=False)
            await until(pilot, lambda: shows(app, "y Apply"))
            await opened(pilot, app)

    play(bench, story, (100, 30))
