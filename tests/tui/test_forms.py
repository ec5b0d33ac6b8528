"""The settings by keys."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.login_test import LoginTest
from screens.rollback import History
from screens.saved_texts import MailClients
from screens.settings import FIELDS, Settings
from screens.settings_form import Flag, Unsaved
from screens.steps import Steps
from screens.welcome import Welcome
from snapshots.store import Store
from tests.store.machine import commit
from tests.tui.bench import Bench, Writes, at, focused, notified, play, says, shows, text, until, use
from tests.unit.steps.recorded import file, machine
from wizard.errors import NotRoot
from wizard.model.answers import Answers, Guess, Login, Test
from wizard.model.answers_file import load
from wizard.model.facts import SENDMAIL_CF
from wizard.steps import guess_limit, login_policy, tls_policy
from wizard.system.lock import held


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Writes("two", bench.host, "/etc/secret", "hidden\n"),
    )
    monkeypatch.chdir(tmp_path)
    return bench


SAVED = "etc/msa-wizard/answers.toml"


def test_settings_are_checked_as_one_types_and_used_once_saved(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await pilot.press(*"192.0.2.")
        await until(pilot, lambda: shows(app, "✗ Submission addresses: '192.0.2.' is not an IP address"))
        assert not shows(app, "$ msa-wizard"), "no command saves it, nor is one of what was typed before"
        await pilot.press("f2")
        assert bench.answers == Answers(), "what is wrong is not used"
        await pilot.press("2", "5")
        await until(pilot, lambda: shows(app, "The IP addresses of this host"))
        await until(
            pilot, lambda: shows(app, "$ msa-wizard answers --set listen.submission=192.0.2.25 --save")
        )
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        assert not app._notifications, "the line of news says it, and nothing covers that or the keys"
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Settings))

    play(bench, story)
    assert bench.answers == bench.saved == load(bench.root / SAVED)
    assert bench.answers.listen.submission == ("192.0.2.25",)
    assert [path.stat().st_mode & 0o777 for path in ((bench.root / SAVED).parent, bench.root / SAVED)] == [
        0o755,
        0o644,
    ]


def test_who_may_log_in_is_chosen_with_the_groups(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.screen.query_one("#login-policy").focus()
        await until(pilot, lambda: says(app, "Recommended is no-system-accounts"))
        app.screen.query_one("#login-policy", Input).value = "groups"
        await until(pilot, lambda: says(app, '✗ Groups: policy = "groups" needs the names'))
        app.screen.query_one("#login-groups", Input).value = "mail, domain users"
        await until(pilot, lambda: shows(app, "'login.groups=mail,domain users'"))
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))

    play(bench, story)
    assert bench.saved.login == Login("groups", ("mail", "domain users"))


def test_each_value_that_is_wrong_is_marked_and_each_field_helped_with(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        wrong = {"listen-submission": "10.0.0.999", "login-groups": "no such!", "guess-window": "abc"}
        for name, value in wrong.items():
            app.screen.query_one(f"#{name}", Input).value = value
        rows = ("✗ Submission addresses", "✗ Groups", "✗ Within")
        await until(pilot, lambda: all(shows(app, row) for row in rows))
        assert not shows(app, "✗ Who may log in")
        for name, about in (
            ("guess-window", "✗ Within: 'abc' is not a time"),
            ("login-groups", "✗ Groups: 'no such!' is not the name of a group"),
            ("guess-ban", "For how long an address is banned"),
        ):
            app.screen.query_one(f"#{name}").focus()
            await until(pilot, lambda about=about: says(app, about))  # type: ignore[misc]
        assert says(app, "✗ Submission addresses: '10.0.0.999' is not an IP address")
        assert not shows(app, "$ msa-wizard")
        for name in wrong:
            app.screen.query_one(f"#{name}", Input).value = ""
        await until(pilot, lambda: shows(app, "$ msa-wizard answers"))
        assert not shows(app, "✗")

    play(bench, story)


@pytest.mark.parametrize("step", [guess_limit, login_policy, tls_policy])
def test_what_is_optional_is_named_as_in_the_settings(step: ModuleType) -> None:
    label, key = re.findall(r'\("(.+)" in the settings, (.+)\)', step.OPTIONAL)[0]
    assert label in [field.label for field in FIELDS if Settings.key(field) == key]


def test_the_box_that_bans_who_guesses_is_beside_its_fields(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.screen.query_one("#guess-limit").focus()
        await pilot.press("down")
        await until(pilot, lambda: focused(app) == "guess-attempts")
        assert shows(app, "[ ] Ban password guessers")

    play(bench, story)


def test_how_often_one_may_guess_is_chosen(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.screen.query_one("#guess-attempts", Input).value = "many"
        await until(
            pilot, lambda: says(app, "✗ Wrong passwords: must be a whole number such as 5, not 'many'")
        )
        assert app.focused is not app.screen.query_one("#guess-attempts")
        await pilot.press("f2")
        await until(pilot, lambda: app.focused is app.screen.query_one("#guess-attempts"))
        assert says(app, "✗ Wrong passwords: must be a whole number such as 5, not 'many'")
        app.screen.query_one("#guess-attempts", Input).value = "3"
        app.screen.query_one("#guess-ban", Input).value = ""
        app.screen.query_one("#guess-never", Input).value = "192.0.2.0/24"
        app.screen.query_one("#guess-limit", Flag).value = True
        await until(pilot, lambda: shows(app, "--set guess.limit=true --set guess.attempts=3"))
        await until(pilot, lambda: shows(app, "guess.never=192.0.2.0/24 --save"))
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))

    play(bench, story)
    assert bench.saved.guess == Guess(limit=True, attempts=3, never=("192.0.2.0/24",))


def test_saved_settings_are_in_the_history_as_the_program_s_own(bench: Bench) -> None:
    commit(Store.open(bench.root / "state/etc.git", root=bench.root), "baseline")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await pilot.press(*"192.0.2.25", "f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))

    play(bench, story)
    assert bench.operations() == ["settings", "baseline"]


def test_an_address_that_this_host_does_not_have_is_saved_and_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = replace(bench.facts(), addresses=("192.0.2.1",), any_address=frozenset())
    monkeypatch.setattr(Bench, "facts", lambda _: facts)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await pilot.press(*"192.0.2.1,192.0.2.25", "f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        await until(pilot, lambda: says(app, "! 192.0.2.25 is no address of this host"))

    play(bench, story)
    assert bench.saved.listen.submission == ("192.0.2.1", "192.0.2.25")


def test_groups_that_count_for_nothing_are_saved_and_said(bench: Bench) -> None:
    bench.answers = bench.saved = replace(bench.saved, login=Login(groups=("staff",)))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await pilot.press(*"192.0.2.25", "f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        await until(pilot, lambda: says(app, "groups (staff) count only where it is groups"))

    play(bench, story)


def test_groups_that_this_host_does_not_have_are_saved_and_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = replace(machine("13"), local_groups=frozenset({"mail"}))
    monkeypatch.setattr(Bench, "facts", lambda _: facts)
    bench.answers = bench.saved = replace(bench.saved, login=Login("groups", ("mail", "msa-users")))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        await until(pilot, lambda: says(app, "! msa-users is no group of this host's /etc/group"))

    play(bench, story)


def test_settings_are_not_saved_while_another_one_is_at_work(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await pilot.press(*"192.0.2.25")
        with held(bench.root / "state/lock", "bob"):
            await pilot.press("f2")
            await until(pilot, lambda: says(app, "not saved. bob has been running msa-wizard"))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Unsaved))
            await pilot.press("y")
            await until(pilot, lambda: isinstance(app.screen, Settings))
            await until(pilot, lambda: says(app, "not saved. bob has been running msa-wizard"))
            await pilot.press("f10")
            await until(pilot, lambda: isinstance(app.screen, Unsaved))
            await pilot.press("escape")
        assert not (bench.root / SAVED).exists()
        await until(pilot, lambda: isinstance(app.screen, Settings))
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Welcome))

    play(bench, story)


def test_enter_tab_and_arrows_go_through_the_settings_and_space_ticks(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        for key, now in (
            ("enter", "listen-smtp"),
            ("down", "auth-saslauthd_mechanism"),
            ("tab", "login-policy"),
            ("up", "auth-saslauthd_mechanism"),
        ):
            await pilot.press(key)
            await until(pilot, lambda now=now: focused(app) == now)  # type: ignore[misc]
        app.screen.query_one("#listen-ipv6").focus()
        await until(pilot, lambda: shows(app, "Space Tick"))
        await pilot.press("space")
        await until(pilot, lambda: shows(app, "[x] Listen on IPv6 too"))
        for flag in app.screen.query(Flag):
            box = flag.get_component_styles("toggle--button")
            assert "black" not in str(box.color), "the terminal's own background may be black"
            assert box.background == flag.styles.background, "no patch of another colour"
            assert [span.style for span in flag._button.spans] == [flag.get_visual_style("toggle--button")]
        await pilot.press("enter")
        await until(pilot, lambda: focused(app) == "listen-implicit_tls")
        assert shows(app, "[x] Listen on IPv6 too"), "Enter changes nothing"

    play(bench, story)
    assert bench.answers == Answers()


@pytest.mark.parametrize(
    ("leaving", "answer", "left", "kept"),
    [
        ("escape", "y", True, True),
        ("escape", "d", True, False),
        ("escape", "enter", False, False),
        ("escape", "escape", False, False),
        ("f10", "n", False, False),
    ],
)
def test_settings_that_are_not_saved_are_asked_about(
    bench: Bench, leaving: str, answer: str, left: bool, kept: bool
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.screen.query_one("#test-user", Input).value = "alice"
        await until(pilot, lambda: shows(app, "test.user=alice"))
        await pilot.press(leaving)
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press(answer)
        await until(pilot, lambda: not isinstance(app.screen, Unsaved))
        await until(pilot, lambda: isinstance(app.screen, Settings) is not left)
        if not left:
            assert app.screen.query_one("#test-user", Input).value == "alice"

    play(bench, story)
    assert (bench.answers.test.user == "alice") is kept
    assert (bench.root / SAVED).exists() is kept


def test_quitting_with_settings_that_are_not_saved_asks_and_then_quits(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.screen.query_one("#test-user", Input).value = "alice"
        await until(pilot, lambda: shows(app, "test.user=alice"))
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("y")
        await until(pilot, lambda: app._exit)

    play(bench, story)
    assert load(bench.root / SAVED).test.user == "alice"


@pytest.mark.parametrize("wrong", ["value", "not saved"])
def test_settings_that_cannot_be_saved_on_the_way_out_come_back_and_say_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    def refuse(*_: object) -> str:
        raise NotRoot("save the settings")

    if wrong != "value":
        monkeypatch.setattr(bench, "choose", refuse)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        settings = app.screen
        name, typed = ("listen-submission", "999.1") if wrong == "value" else ("test-user", "alice")
        settings.query_one(f"#{name}", Input).value = typed
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, History) and app.screen.is_mounted)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await until(pilot, lambda: shows(app, "y save them") is (wrong != "value"))
        await pilot.press("y")  # which does nothing where it is not offered
        if wrong == "value":
            assert shows(app, "You have changed settings, and something in them is wrong")
            await pilot.press("enter")
        await until(pilot, lambda: app.screen is settings)
        says = "✗ Submission addresses: " if wrong == "value" else "but are not saved. Only root can save"
        await until(pilot, lambda: shows(app, says))
        assert settings.query_one(f"#{name}", Input).value == typed
        assert not app._exit

    play(bench, story)


def test_the_settings_say_what_may_stay_what_an_address_is_and_what_is_not_saved(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host at which mail clients reach port 587")
        await until(pilot, lambda: shows(app, "every field may stay as it is"))
        for box in ("#watch_restart", "#replace_mta"):
            app.screen.query_one(box).focus()
            await until(pilot, lambda: says(app, "F2 does not save this box: it counts until you quit."))
        recommends = app.screen.query_one("#install-recommends", Flag)
        recommends.focus()
        await until(pilot, lambda: says(app, "This set-up does not need it"))
        assert not recommends.value

    play(bench, story)


def by_others(bench: Bench, text: str) -> None:
    (bench.root / SAVED).parent.mkdir(exist_ok=True)
    (bench.root / SAVED).write_text(text)


def test_settings_that_somebody_else_saves_are_not_written_over(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.screen.query_one("#test-user", Input).value = "alice"
        by_others(bench, "[guess]\nlimit = true\n")
        for _ in range(2):
            await pilot.press("f2")
            await until(
                pilot, lambda: says(app, "✗ Somebody has saved other settings since you opened these.")
            )
        assert load(bench.root / SAVED) == Answers(guess=Guess(limit=True))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("d")
        await at(pilot, app, "settings", "The IP addresses of this host")
        assert app.screen.query_one("#guess-limit", Flag).value
        app.screen.query_one("#test-user", Input).value = "alice"
        await until(pilot, lambda: shows(app, "$ msa-wizard answers --set test.user=alice --save"))
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))

    play(bench, story)
    assert (
        load(bench.root / SAVED) == bench.saved == Answers(test=Test(user="alice"), guess=Guess(limit=True))
    )


def test_settings_that_somebody_else_saves_count_from_the_next_look_on(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step that is shown")
        by_others(bench, "[guess]\nlimit = true\n")
        await pilot.press("f5")
        await until(pilot, lambda: bench.answers.guess.limit)
        await until(pilot, lambda: shows(app, "$ msa-wizard apply one"))
        by_others(bench, "nonsense\n")
        await pilot.press("f5")
        await until(pilot, lambda: says(app, "answers.toml"))

    play(bench, story)


def test_of_ours_only_what_we_changed_stays_over_what_somebody_else_saves(bench: Bench) -> None:
    by_others(bench, "[guess]\nlimit = true\n")
    bench.seen()
    bench.answers = replace(bench.answers, test=Test(user="alice"), watch_restart=60)  # not saved
    by_others(bench, '[guess]\nattempts = 3\n[login]\npolicy = "no-system-accounts"\n')
    bench.read_settings()
    theirs = Answers(guess=Guess(attempts=3), login=Login(policy="no-system-accounts"))
    assert bench.saved == theirs
    assert bench.seen().answers == bench.answers == replace(theirs, test=Test(user="alice"), watch_restart=60)
    assert bench.settings_options == " --set test.user=alice"


def test_what_does_not_go_with_settings_of_somebody_else_is_named_and_the_rest_stays(bench: Bench) -> None:
    by_others(bench, '[listen]\nsubmission = ["192.0.2.5"]\n')
    bench.seen()
    ours = replace(bench.answers.listen, local_submission=True)
    bench.answers = replace(bench.answers, listen=ours, test=Test(user="alice"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        by_others(bench, "[guess]\nlimit = true\n")
        await at(pilot, app, "settings", "The IP addresses of this host")
        await until(pilot, lambda: notified(app, "not saved: listen.local_submission=true. This does not go"))
        assert app.screen.query_one("#test-user", Input).value == "alice"

    play(bench, story)
    assert bench.answers == Answers(guess=Guess(limit=True), test=Test(user="alice"))


def test_nothing_changed_is_left_without_a_question(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Welcome))

    play(bench, story)
    assert not (bench.root / SAVED).exists()


def test_settings_that_cannot_be_saved_are_used_and_the_command_line_says_them(bench: Bench) -> None:
    (bench.root / "etc/msa-wizard").symlink_to("nowhere")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        for box in ("#listen-implicit_tls", "#replace_mta", "#watch_restart"):
            app.screen.query_one(box, Flag).value = True
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "used here until you quit, but are not saved"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await until(pilot, lambda: shows(app, "d leave without saving (they are used here until you quit)"))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Welcome))
        app.go("set-up")
        options = "--set listen.implicit_tls=true --replace-mta --watch-restart 60 one"
        same = f"$ msa-wizard apply {options}"
        await until(pilot, lambda: same in " ".join(" ".join(text(app)).split()).replace(" \\ ", " "))

    play(bench, story)
    assert bench.answers.listen.implicit_tls


def test_a_port_that_the_host_serves_already_is_ticked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    cf = file("O DaemonPortOptions=Name=TLS, Family=inet, Port=465, M=Eas\n")
    monkeypatch.setattr(bench, "facts", lambda: machine("13", files={SENDMAIL_CF: cf}))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.screen.query_one("#listen-implicit_tls").focus()
        await until(pilot, lambda: shows(app, "[x] Port 465 too"))
        await until(pilot, lambda: says(app, "Clearing the box does not close it"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Welcome))

    play(bench, story)


def test_the_palette_goes_to_every_screen_and_back_to_one_that_is_open(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "to do. y applies"))
        steps = app.screen
        for words, kind in (("login", LoginTest), ("client", MailClients), ("step by", Steps)):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: shows(app, "$ msa-wizard history"))
            await pilot.press(*words)
            await until(pilot, lambda: not shows(app, "$ msa-wizard history"))
            await pilot.press("enter")
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind))  # type: ignore[misc]
        assert app.screen is steps, "no second one on top of it"

    play(bench, story)
