"""The login test by keys: what is typed goes where it belongs, however fast, and the password is never drawn."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest
from textual import events
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.dialogs import AskCertificate, AskCredentials
from screens.login_test import LoginTest
from screens.manual_login import ManualLogin
from tests.authority import Authority
from tests.tui.bench import Bench, Writes, at, play, shows, text, until, use
from tests.unit.smtp.server import PASSWORD, USER, Script, serving
from wizard.model.answers import Answers, Test
from wizard.model.events import Failed
from wizard.model.plan import Check, Sign
from wizard.smtp.login_test import Finding, Result
from wizard.steps.restart import AuthTest

SECRET = "Kw4kzalver-77"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))
    return bench


def test_what_is_typed_ahead_goes_to_its_own_field(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(LoginTest, "action_begin", lambda _: begun.append(True))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        for character in f"alice\r{SECRET}\r":  # all at once, as a paste or a slow line brings it
            key = "enter" if character == "\r" else character
            app.post_message(events.Key(key, None if key == "enter" else character))
        await until(pilot, lambda: bool(begun))
        assert app.screen.query_one("#user", Input).value == "alice"
        assert app.screen.query_one("#password", Input).value == SECRET
        assert SECRET not in "\n".join(text(app))
        assert SECRET not in app.export_screenshot()

    play(bench, story)


def test_what_is_no_port_is_said_in_plain_words(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#port", Input).value = "smtp"
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "'smtp' is no port: a number such as 587"))

    play(bench, story)


def test_keys_count_in_the_order_in_which_they_were_typed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(LoginTest, "action_begin", lambda _: begun.append(True))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#host", Input).focus()
        app.post_message(events.Paste("mail.example.org"))
        for key in (
            "tab",
            *"2x",
            "backspace",
            *"5",
            "tab",
            *"alice",
            "tab",
            *SECRET,
            "left",
            "backspace",
            *"7",
            "f5",
        ):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: bool(begun))
        field = {
            each: app.screen.query_one(f"#{each}", Input).value
            for each in ("host", "port", "user", "send-to")
        }
        assert field == {"host": "mail.example.org", "port": "25", "user": "alice", "send-to": ""}
        assert app.screen.query_one("#password", Input).value == SECRET
        assert SECRET not in app.export_screenshot()

    play(bench, story)


@pytest.mark.parametrize("pasted", [True, False])
def test_what_comes_right_behind_enter_goes_to_the_form_that_enter_opens(bench: Bench, pasted: bool) -> None:
    """`h` and `q` are keys of that screen, and letters in its first field."""

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Test a login"))
        for key in ("down", "down", "down", "enter"):
            app.post_message(events.Key(key, None))
        if pasted:
            app.post_message(events.Paste("hqx"))
        else:
            for key in (*"hq", "backspace", *"qx"):
                app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: isinstance(app.screen, LoginTest) and shows(app, "hqx"))
        assert app.screen.query_one("#user", Input).value == "hqx"

    play(bench, story)


def test_a_server_that_is_not_there_has_a_verdict_with_its_layer(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#host", Input).value = "127.0.0.1"
        app.screen.query_one("#port", Input).value = "1"
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "FAILED [tcp]"))
        await until(pilot, lambda: shows(app, "$ msa-wizard test --host 127.0.0.1 --port 1"))

    play(bench, story)


def test_the_command_has_what_is_in_the_form(bench: Bench) -> None:
    bench.answers = Answers(test=Test(host="mail.example.test", user="alice"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "$ msa-wizard test --host mail.example.test --user alice --watch")
        app.screen.query_one("#user", Input).value = "bob"
        await until(pilot, lambda: shows(app, "--user bob --watch"))

    play(bench, story)


def test_what_was_emptied_stays_empty_in_the_command(bench: Bench) -> None:
    """The settings would fill it in again."""
    bench.answers = Answers(test=Test("mail.example.test", "alice", "bob@example.test"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "$ msa-wizard test --host mail.example.test --user alice")
        for field in ("#host", "#send-to"):
            app.screen.query_one(field, Input).value = ""
        await until(
            pilot, lambda: shows(app, "$ msa-wizard test --host '' --user alice --send-to '' --watch")
        )

    play(bench, story)


def test_enter_at_another_user_name_goes_to_the_password_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def begin(screen: LoginTest) -> None:
        begun.append(screen.query_one("#password", Input).value)

    monkeypatch.setattr(LoginTest, "action_begin", begin)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        await pilot.press(*"alice", "enter", *"hers", "enter")
        assert begun == ["hers"]
        await pilot.press("up", *"root", "enter")
        await until(pilot, lambda: app.screen.focused is app.screen.query_one("#password"))
        assert begun == ["hers"]
        await pilot.press(*"his", "enter")
        assert begun == ["hers", "his"]

    play(bench, story)


def test_enter_without_a_user_asks_for_one(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "Enter a user name first"))
        assert not app.desk.busy

    play(bench, story)


def test_the_password_goes_with_the_screen(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        field = app.screen.query_one("#password", Input)
        field.value = SECRET
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LoginTest))
        assert field.value == ""

    play(bench, story)


def certified(folder: Path) -> Path:
    """A file with the key and the certificate of a server, of an authority that nobody knows."""
    (folder / "ca").mkdir()
    leaf = Authority(folder / "ca").leaf("mx.test")
    certificate = folder / "mx.pem"
    certificate.write_text(leaf.key + leaf.certificate)
    return certificate


def fill(app: WizardApp, port: int, **more: str) -> None:
    """The form of the test, for the server at this port."""
    values = {"host": "127.0.0.1", "port": str(port), "user": USER, "password": PASSWORD, **more}
    for name, value in values.items():
        app.screen.query_one(f"#{name.replace('_', '-')}", Input).value = value


@pytest.mark.parametrize("key", ["y", "enter"])
def test_a_server_that_is_not_trusted_is_asked_about(bench: Bench, tmp_path: Path, key: str) -> None:
    certificate = certified(tmp_path)
    script = Script(certificate)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        fill(app, port)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, AskCertificate) and shows(app, "SHA-256"))
        await pilot.press(key)
        await until(pilot, lambda: shows(app, "✓ OK" if key == "y" else "FAILED [certificate]"))
        assert PASSWORD not in "\n".join(text(app))

    with serving(script) as port:
        play(bench, story, (100, 40))
    assert any(said.startswith("AUTH") for said in script.said) is (key == "y")


@pytest.mark.parametrize("moment", ["EHLO+tls", "AUTH", "RCPT"])
def test_who_leaves_the_test_ends_it_before_its_next_command(
    bench: Bench, tmp_path: Path, moment: str
) -> None:
    certificate = certified(tmp_path)
    asked, go_on = threading.Event(), threading.Event()

    def slow(_command: str) -> bytes:
        asked.set()
        assert go_on.wait(60)
        return answer

    answer = {"EHLO+tls": b"250-mx.test\r\n250 AUTH LOGIN\r\n", "AUTH": b"334 VXNlcm5hbWU6\r\n"}.get(
        moment, b"250 ok\r\n"
    )
    script = Script(certificate, replies={moment: slow})

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        fill(app, port, send_to="bob@example.test")
        test = app.screen
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, AskCertificate) and shows(app, "SHA-256"))
        await pilot.press("y")
        await until(pilot, asked.is_set)
        job = app.desk._of(test)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not test)
        go_on.set()
        await until(pilot, job.ended.is_set)

    with serving(script) as port:
        play(bench, story, (100, 40))
    assert script.said[-1].startswith(moment.removesuffix("+tls")), "nothing more is sent"
    assert not script.messages


def test_a_failure_on_this_host_has_its_cause(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    says = Check(
        "saslauthd-dead", Sign.FAILED, "Cause: saslauthd does not run.", "msa-wizard troubleshoot --fix x"
    )
    looks, looked = threading.Event(), threading.Event()

    def cause(*_: object) -> Check:
        looks.set()
        assert looked.wait(60)
        return says

    monkeypatch.setattr("wizard.troubleshoot.explain.of_login", cause)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#host", Input).value = "127.0.0.1"
        app.screen.query_one("#port", Input).value = "1"
        await pilot.press("f5")
        await until(pilot, looks.is_set)
        await until(pilot, lambda: shows(app, "Testing ..."))
        looked.set()
        await until(pilot, lambda: shows(app, "FAILED [tcp]: Cause: saslauthd does not run. F4 shows"))
        assert sum("saslauthd does not run" in line for line in text(app)) == 1, "said once"
        assert not shows(app, "Probable causes")

    play(bench, story)


def test_a_long_finding_goes_on_below_its_words(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    says = Check("x", Sign.WARNING, "Cause: " + "words of " * 12 + "its end.", "look")
    monkeypatch.setattr("wizard.troubleshoot.explain.of_login", lambda *_: says)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#host", Input).value = "127.0.0.1"
        app.screen.query_one("#port", Input).value = "1"
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "! warn  Cause: words of"))
        (below,) = (line for line in text(app) if "its end." in line and "F4" not in line)
        assert below[1:9] == " " * 8, "under its words"

    play(bench, story)


def test_a_long_verdict_is_shown_to_its_end(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        screen = LoginTest()
        app.push_screen(screen)
        await until(pilot, lambda: shows(app, "Leave empty to test"))
        screen.say(f"{'a sentence of some words. ' * 22}Here it ends.")
        await until(pilot, lambda: shows(app, "Here it ends."))

    play(Bench(root=tmp_path), story)


def test_after_a_wrong_password_the_next_one_replaces_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = Check(
        "password-wrong", Sign.FAILED, "The password of alice is wrong.", "set a new one: `passwd alice`"
    )
    monkeypatch.setattr("wizard.troubleshoot.explain.of_login", lambda *_: says)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#host", Input).value = "127.0.0.1"
        app.screen.query_one("#port", Input).value = "1"
        await pilot.press(*"alice", "enter", *"wrong", "enter")
        await until(pilot, lambda: shows(app, "What to do: set a new one: `passwd alice`"))
        await pilot.press(*"right")
        assert app.screen.query_one("#password", Input).value == "right"

    play(bench, story)


@pytest.mark.parametrize("key", ["shift+tab", "up"])
def test_a_password_typed_right_after_a_key_between_fields_lands_where_that_leads(
    bench: Bench, key: str
) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#send-to", Input).focus()
        await pilot.pause()
        for each in (key, *SECRET):  # faster than anybody types: nothing is waited for in between
            character = each if len(each) == 1 else None
            app.post_message(Key(each, character))
        await until(pilot, lambda: app.screen.query_one("#password", Input).value == SECRET)
        assert app.screen.query_one("#send-to", Input).value == ""

    play(bench, story)


def test_after_an_accepted_login_it_is_said_what_comes_next(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        screen = app.screen
        assert isinstance(screen, LoginTest)
        screen._cause = None
        says = "The login was accepted (235)."
        accepted = Result(True, None, says, 235, (), (), None, "TLSv1.3", None)
        screen._show_result(accepted)
        await until(pilot, lambda: shows(app, "What mail clients need next"))
        await until(pilot, lambda: shows(app, "Ctrl+P, Summary"))
        app.screen.query_one("#host", Input).value = "mail.example.org"
        screen._show_result(accepted)
        await until(pilot, lambda: not shows(app, "What mail clients need next"))

    play(bench, story)


FAILED = Failed(AuthTest(), "port 25 offers AUTH", (), (), "look", reported=True)


@pytest.mark.parametrize(
    ("host", "port", "state", "over"),
    [
        ("", "", Sign.OK, True),
        ("", "587", Sign.OK, True),
        ("", "", Sign.FAILED, False),
        ("", "465", Sign.OK, False),
        ("mail.example.org", "", Sign.OK, False),
    ],
)
def test_a_test_of_this_host_that_passes_ends_the_failure_of_an_earlier_one(
    bench: Bench, host: str, port: str, state: Sign, over: bool
) -> None:
    """A login that is accepted while port 25 still offers AUTH does not."""

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.backend.session.heard(lambda _: None)(FAILED)
        await at(pilot, app, "test", "A user of the server")
        screen = app.screen
        assert isinstance(screen, LoginTest)
        screen._cause = None
        app.screen.query_one("#host", Input).value = host
        app.screen.query_one("#port", Input).value = port
        finding = Finding("smtp-auth", state, "Port 25.")
        says = "The login was accepted (235)."
        screen._show_result(Result(True, None, says, 235, (), (finding,), None, "TLSv1.3", None))
        await until(pilot, lambda: shows(app, says))
        assert app.backend.session.nothing is over

    play(bench, story)


def test_the_user_who_was_tested_last_is_there_again_and_no_password(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        app.screen.query_one("#host", Input).value = "127.0.0.1"
        app.screen.query_one("#port", Input).value = "1"
        await pilot.press(*"alice", "enter", *"wrong", "enter")
        await until(pilot, lambda: shows(app, "FAILED [tcp]"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LoginTest))
        forms = (
            (LoginTest(), "A user of the server"),
            (ManualLogin(), "F6"),
            (AskCredentials(), "is tried once"),
        )
        for form, words in forms:
            app.push_screen(form)
            await until(pilot, partial(shows, app, words))
            assert app.screen.query_one("#user", Input).value == "alice"
            assert app.screen.query_one("#password", Input).value == ""

    play(bench, story)
