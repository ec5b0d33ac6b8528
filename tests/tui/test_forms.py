"""Settings, mail clients and the report by keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.login_test import LoginTest
from screens.saved_texts import MailClients
from screens.settings import Settings
from screens.steps import Steps
from tests.tui.bench import Bench, Writes, at, play, shows, until, use
from wizard.engine.engine import Engine
from wizard.model.answers import load
from wizard.system.signals import Interrupt


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


def test_settings_are_checked_as_one_types_and_used_on_enter(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "Where port 587 listens")
        await pilot.press(*"192.0.2.")
        await until(pilot, lambda: shows(app, "is not an IP address"))
        await pilot.press("enter")
        assert isinstance(app.screen, Settings), "what is wrong is not used"
        await pilot.press("2", "5")
        await until(pilot, lambda: shows(app, "Where port 587 listens"))
        await pilot.press("f2")
        await until(pilot, lambda: shows(app, "answers.toml is written"))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Settings))

    play(bench, story)
    assert bench.answers.listen.submission == ("192.0.2.25",)
    assert load(bench.root / "answers.toml") == bench.answers


def test_settings_come_from_the_file(bench: Bench) -> None:
    (bench.root / "answers.toml").write_text('[listen]\nimplicit_tls = true\n[test]\nuser = "alice"\n')

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "Where port 587 listens")
        await pilot.press("f4")
        await until(pilot, lambda: app.screen.query_one("#test-user", Input).value == "alice")
        await until(pilot, lambda: shows(app, "[x] Port 465 too"))
        await until(pilot, lambda: shows(app, "[ ] Listen on IPv6 too"))
        await pilot.press("escape")

    play(bench, story)
    assert bench.answers.test.user == "", "escape forgets"


def test_client_settings_as_files(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        await pilot.press("down", "down")
        await until(pilot, lambda: shows(app, "the IMAP server too below"))
        app.screen.query_one("#imap", Input).value = "imap.example.test"
        await until(pilot, lambda: shows(app, "<clientConfig"))
        await pilot.press("f2")
        await until(pilot, lambda: shows(app, "config-v1.1.xml is written"))

    play(bench, story)
    assert "imap.example.test" in (bench.root / "config-v1.1.xml").read_text()


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_the_report_holds_diffs_and_no_file_that_is_not_for_all(bench: Bench, name: str) -> None:
    (bench.root / "etc/secret").write_text("hidden before\n")
    (bench.root / "etc/secret").chmod(0o640)
    with bench.at_work(Interrupt()) as (store, journal, _):
        Engine(bench.host, bench.answers, lambda _: None).apply(
            store, journal, (), lambda _s, _p: True, lambda: None
        )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "report", "Mail submission on")
        app.screen.query_one("#file", Input).value = name
        await pilot.press("f2")
        await until(pilot, lambda: shows(app, f"{name} is written"))

    play(bench, story)
    report = (bench.root / name).read_text()
    assert "+new a" in report
    assert "/etc/secret (not shown)" in report
    assert "hidden" not in report
    assert "msa-wizard rollback one" in report


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
