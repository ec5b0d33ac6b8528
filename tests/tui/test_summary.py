"""The end of a set-up on the screen, and what of it stays on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from screens.app import WizardApp
from screens.help import Help
from screens.login_test import LoginTest
from screens.review_and_run import RunSteps
from screens.steps import Steps
from screens.summary import Summary
from tests.tui.bench import Bench, Stuck, Writes, at, play, shows, until, use
from wizard.changes.file import FileChange
from wizard.debug import ConversationResult, DebugResult, PlaintextOffer
from wizard.engine.summary import Summary as Ending
from wizard.engine.temporary import ForAWhile
from wizard.errors import HostError
from wizard.model.events import Failed
from wizard.model.plan import Check, Plan, Sign
from wizard.smtp.connection import Target
from wizard.steps import tls_policy
from wizard.steps.order import step
from wizard.steps.restart import AuthTest
from wizard.system import guard as guards
from wizard.system.accepted_login import note_login
from wizard.system.guard import Revert


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "old a\n"))
    return bench


def test_it_names_what_was_done_and_leads_to_what_is_missing(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.push_screen(
            RunSteps("More", "msa-wizard more", lambda: [Writes("other", bench.host, "/etc/b", "new b\n")])
        )
        await until(pilot, lambda: shows(app, "+new b"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "✓ Done"))
        await pilot.press("escape")
        await at(pilot, app, "summary", "What mail clients need")
        assert shows(app, "Done         other")
        await until(pilot, lambda: shows(app, "$ msa-wizard test --user NAME"))  # of the offer that is chosen
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "$ msa-wizard test --from-outside"))
        assert not shows(app, "$ msa-wizard client-settings"), "said below, of the offer"
        await pilot.press("up")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LoginTest))
        assert bench.held is not None
        app.screen.query_one("#host", Input).value = "127.0.0.1"
        app.screen.query_one("#port", Input).value = "1"
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "FAILED [tcp]"))
        assert bench.held is None, "a login may have been accepted: the summary looks again"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Summary))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "Set up, step by step"))

    app = play(bench, story)
    assert "Done         other\n" in app.backend.parting_words()
    assert "msa-wizard test --from-outside" in app.backend.parting_words()


def test_a_run_that_is_broken_off_is_told_on_the_terminal(bench: Bench) -> None:
    good = False

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.push_screen(
            RunSteps(
                "More",
                "msa-wizard more",
                lambda: [Writes("other", bench.host, "/etc/b", "new b\n", good=lambda: good)],
            )
        )
        await until(pilot, lambda: shows(app, "+new b"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "failed"))

    words = play(bench, story).backend.parting_words()
    assert "Failed       other: /etc/b is not right" in words
    assert "undone: " in words
    assert "msa-wizard status" in words


def test_it_leads_to_the_choice_of_who_may_log_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, bench, *bench.steps, *map(step, ("login-policy", "guess-limit", "tls-policy")))
    weak = Check("tls", Sign.WARNING, "port 587 takes TLS 1.2 without forward secrecy", tls_policy.CHOOSE)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.backend.session.warnings["tls-policy"] = [weak]
        await at(pilot, app, "summary", "advised: let neither root nor system accounts log in")
        await until(pilot, lambda: shows(app, "Tab Text, menu"))
        assert shows(app, "advised: only TLS that is recommended today")
        assert shows(app, "Choose in the settings: who may log in, how often one may guess, which TLS")
        offers = app.screen.query_one("#offers", OptionList)
        offers.highlighted = offers.get_option_index("settings")
        await until(pilot, lambda: shows(app, "$ msa-wizard answers"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "Who may log in"))

    play(bench, story)


def test_it_waits_for_whoever_reads_the_help_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    wait = f"until [ -e {go_on} ]; do sleep 0.1; done"
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n", command=wait))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "+new a")
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 1 step?"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "one is at work"))
        assert shows(app, "$ msa-wizard apply --yes"), "not of one step alone"
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        go_on.touch()
        await until(pilot, lambda: not app.desk.busy)
        await pilot.pause(0.5)
        assert isinstance(app.screen, Help), "it is not covered while it is read"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Summary) and shows(app, "Done         one"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Steps))

    play(bench, story)


@pytest.mark.parametrize(("passed", "before"), [(True, False), (False, False), (True, True)])
def test_a_login_test_that_passes_in_a_shell_ends_the_failure_of_an_earlier_one(
    bench: Bench, passed: bool, before: bool
) -> None:
    """Not a login alone, with something else wrong, nor a test from before."""
    failed = Failed(AuthTest(), "port 25 offers AUTH", (), (), "look", reported=True)
    (bench.root / "var/lib/msa-wizard").mkdir(parents=True)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        if before:
            note_login(bench.host, "alice", passed=True)
        app.backend.session.heard(lambda _: None)(failed)
        await at(pilot, app, "summary", "Failed       auth-test: port 25 offers AUTH")
        assert bench.held is not None
        if not before:
            note_login(bench.host, "alice", passed=passed)
            assert bench.held is None, "what is shown of logins is outdated"
        await pilot.press("escape")
        await at(pilot, app, "summary", "What mail clients need")
        assert shows(app, "Failed       auth-test") is (before or not passed)

    words = play(bench, story).backend.parting_words()
    assert ("auth-test: port 25 offers AUTH" in words) is (before or not passed)


def test_what_failed_and_was_done_in_a_shell_since_has_not_failed_any_more(bench: Bench) -> None:
    failed = Failed(Writes("one", bench.host, "/etc/a", "old a\n"), "no room", (), (), "again")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.backend.session.heard(lambda _: None)(failed)
        await at(pilot, app, "summary", "What mail clients need")
        assert not shows(app, "no room")

    play(bench, story)


def test_who_only_looks_is_told_that_nothing_was_changed(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))

    assert play(bench, story).backend.parting_words() == "msa-wizard: nothing was changed."


def test_the_terminal_gets_what_is_left_though_nobody_has_looked_since(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen = "`msa-wizard status` says whether anything is left"
    bench.session.applied["other"] = "abc"
    bench.seen()
    assert unseen not in bench.parting_words()
    bench.changed()
    assert unseen in bench.parting_words()
    assert "What mail clients need:" in bench.parting_words(look=True)
    for error in (HostError("m4 took longer than 30 s."), KeyboardInterrupt()):
        bench.changed()
        with monkeypatch.context() as patch:
            patch.setattr(bench, "overview", Mock(side_effect=error))
            assert unseen in bench.parting_words(look=True)


def test_who_saved_the_settings_is_not_told_that_nothing_was_changed(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "every field may stay as it is")
        app.screen.query_one("#test-user", Input).value = "alice"
        await until(pilot, lambda: shows(app, "$ msa-wizard answers --set test.user=alice --save"))
        await pilot.press("f2")
        await until(pilot, lambda: bench.saved.test.user == "alice")

    words = play(bench, story).backend.parting_words()
    assert "Saved        the settings, in /etc/msa-wizard/answers.toml\n" in words


@pytest.mark.parametrize("restored", [True, False])
@pytest.mark.parametrize("tool", ["saslauthd", "by-hand"])
def test_what_is_changed_for_a_while_counts_and_so_does_what_could_not_be_restored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, restored: bool, tool: str
) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setattr(guards, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(guards, "_start", lambda *_: None)
    now = bench.host.entry("/etc/a")
    assert now is not None
    changes = (FileChange("/etc/a", now, replace(now, content=b"for a while\n"), "another a"),)

    @contextmanager
    def changed(work: ForAWhile, *_: object, **__: object) -> Iterator[float]:
        with work.changed("debug-it", changes, Revert(()), 60):
            if not restored:
                (tmp_path / "etc/a").write_text("somebody was here\n")
            yield 0.0

    def debug(work: ForAWhile, *_: object, **__: object) -> DebugResult:
        with changed(work):
            return DebugResult(False, 0, None)

    offer = PlaintextOffer(changes, Revert(()), "127.0.0.1")
    monkeypatch.setattr("wizard.debug.debug", debug)
    monkeypatch.setattr("wizard.debug.plaintext_offer", lambda *_, **__: offer)
    monkeypatch.setattr("wizard.debug.plaintext_offered", changed)
    monkeypatch.setattr("wizard.debug.talk", lambda *_, **__: ConversationResult(True, ""))
    monkeypatch.setattr("wizard.maillog.watched_login.target_of", lambda *_, **__: Target("127.0.0.1"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, tool, "y begins" if tool == "saslauthd" else "Fill in the user name")
        if tool == "by-hand":
            for name in ("user", "password"):
                app.screen.query_one(f"#{name}", Input).value = "made-up"
            await pilot.press("f6", "f5")
            await until(pilot, lambda: shows(app, "y changes this"))
        await pilot.press("y")
        await until(pilot, lambda: app.screen.listens and not app.desk.busy and not shows(app, "..."))  # type: ignore[attr-defined]
        await until(pilot, lambda: shows(app, "Not undone:") is not restored)

    words = " ".join(play(bench, story).backend.parting_words().split())
    what = "saslauthd in debug mode" if tool == "saslauthd" else "a manual login without TLS"
    assert "nothing was changed" not in words
    if restored:
        assert f"Debugged {what}: changed for that while" in words
    else:
        assert f"Failed {what}: not undone: " in words
        assert "run `msa-wizard recover`" in words
        assert bench.killed() is not None


def test_a_step_that_cannot_be_applied_is_said_on_the_first_screen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = Writes("two", bench.host, "/etc/b", "new b\n")
    monkeypatch.setattr(blocked, "plan", lambda *_: Plan.blocked("two", "it is in the way"))
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"), blocked)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "two cannot be applied now: Enter on the first line says why."))

    play(bench, story)


def test_steps_end_in_it_and_say_what_a_skipped_step_means(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Writes("two", bench.host, "/etc/b", "new b\n"),
        Writes("auth-test", bench.host, "/etc/b", "old b\n", needs=("one",)),
    ]
    use(monkeypatch, bench, *steps)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "+new a")
        await pilot.press("s")
        await until(pilot, lambda: shows(app, "+new b"))
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "Apply 1 step?"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Summary) and shows(app, "Done         two"))
        await until(pilot, lambda: shows(app, "Skipped      one: without it the login test fails"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "one skipped: without it the login test fails"))

    words = play(bench, story).backend.parting_words()
    assert "Skipped      one: without it the login test fails" in words


def test_the_steps_name_what_cannot_be_applied_where_all_else_is_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "old a\n"), Stuck())

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "two are active")
        await until(
            pilot, lambda: shows(app, "stuck cannot be applied yet: fix what it shows, then press F5.")
        )

    play(bench, story)


@dataclass
class LoggedIn(Bench):
    """Where alice has logged in before the set-up was changed."""

    def summary(self) -> Ending:
        """With her login to test."""
        login = Check("login", Sign.WARNING, "login: it is to be tested", "msa-wizard test --user alice")
        ending = super().summary()
        return replace(ending, missing=(login, *(each for each in ending.missing if each.id != "login")))


def test_the_command_that_tests_a_login_names_who_logged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = LoggedIn(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "old a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "summary", "What mail clients need")
        await until(pilot, lambda: shows(app, "$ msa-wizard test --user alice"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "$ msa-wizard test --from-outside"))

    play(bench, story)
