"""What is written into files by keys: what mail clients need, and the report."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Never

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from screens.app import WizardApp
from screens.saved_texts import MailClients
from screens.saving import ConfirmReplace
from screens.welcome import PLACES
from tests.tui.bench import Bench, Writes, apply_all, at, focused, play, says, shows, until, use
from wizard.errors import CannotHere
from wizard.model.plan import Check, Sign


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


def test_a_file_that_is_there_is_replaced_only_after_a_question(bench: Bench) -> None:
    (bench.root / "mail-settings.txt").write_text("mine")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        await pilot.press("down", "f2")
        await until(pilot, lambda: isinstance(app.screen, ConfirmReplace))
        await pilot.press("enter")
        await until(pilot, lambda: says(app, "Nothing was written"))
        assert (bench.root / "mail-settings.txt").read_text() == "mine"
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ConfirmReplace))
        await pilot.press("y")
        await until(pilot, lambda: says(app, f"{bench.root}/mail-settings.txt is replaced"))

    play(bench, story)
    assert "STARTTLS" in (bench.root / "mail-settings.txt").read_text()


def test_a_file_name_that_stands_for_nothing_is_said(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        await pilot.press("down")
        app.screen.query_one("#file", Input).value = "~nosuchuser/x.txt"
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "~nosuchuser/x.txt: "))
        assert says(app, "Nothing was written.")

    play(bench, story)


def test_a_wrong_imap_server_is_said_by_the_key_for_the_dns_too(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        app.screen.query_one("#imap", Input).value = "a b"
        await until(pilot, lambda: shows(app, "'a b'"))
        await pilot.press("d")
        await pilot.pause()
        assert shows(app, "'a b'")
        assert not shows(app, "in the first row"), "that is where one is"

    play(bench, story)


def test_the_command_of_a_form_writes_its_file_and_asks_the_dns(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [Check("dns", Sign.OK, "as the DNS says")]
    monkeypatch.setattr("screens.saved_texts.check_dns", lambda _: checks)
    monkeypatch.setenv("HOME", "/home/alice")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "$ msa-wizard client-settings --format table")
        assert not shows(app, "--output")
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "client-settings --format text --output mail-settings.txt"))
        app.screen.query_one("#file", Input).value = "~/x.txt"
        await until(pilot, lambda: shows(app, "--output /home/alice/x.txt"))
        await pilot.press("d")
        await until(pilot, lambda: shows(app, "client-settings --format text --check-dns"))
        await until(pilot, lambda: shows(app, "as the DNS says"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "--format autoconfig") and not shows(app, "--check-dns"))
        assert not shows(app, "as the DNS says"), "that was about the other form"

    play(bench, story)


@pytest.mark.parametrize("key", ["d", "c"])
def test_an_answer_that_comes_late_is_not_said_of_another_form(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    go_on, answered = threading.Event(), threading.Event()

    def slow(_: object) -> Never:
        assert go_on.wait(60)
        answered.set()
        raise CannotHere("No answer came")

    monkeypatch.setattr("screens.saved_texts.check_dns", slow)
    monkeypatch.setattr("screens.saved_texts.certificate_warning", slow)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        clients = app.screen
        assert isinstance(clients, MailClients)
        await pilot.press(key)
        await until(pilot, lambda: bool(clients.looking))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "--format text"))
        go_on.set()
        await until(pilot, lambda: answered.is_set() and not clients.looking)
        await pilot.pause()
        assert not shows(app, "No answer came")
        await pilot.press(key)
        await until(pilot, lambda: says(app, "No answer came"))

    play(bench, story)


def test_no_command_is_said_to_write_the_report(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "$ msa-wizard apply"))
        app.screen.query_one("#offers", OptionList).highlighted = [*PLACES].index("report") - 1
        await until(pilot, lambda: not shows(app, "$ msa-wizard"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "Mail submission on"))
        assert not shows(app, "$ ")

    play(bench, story)


def test_enter_goes_from_field_to_field(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        app.screen.query_one("#imap", Input).focus()
        await pilot.press(*"imap.example.test", "enter", *"/root/x")
        assert app.screen.query_one("#imap", Input).value == "imap.example.test"
        assert app.screen.query_one("#file", Input).value == "/root/x"

    play(bench, story)


def test_the_report_scrolls_by_lines_and_pages(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "report", "Mail submission on")
        await until(pilot, lambda: shows(app, "PgDn Page"), 5)
        pane = app.screen.query_one("#shown")
        await until(pilot, lambda: pane.max_scroll_y > 2)
        await pilot.press("down", "down")
        await until(pilot, lambda: pane.scroll_offset.y == 2)
        await pilot.press("up")
        await until(pilot, lambda: pane.scroll_offset.y == 1)
        await pilot.press("pagedown")
        await until(pilot, lambda: pane.scroll_offset.y > 2)

    play(bench, story)


def test_client_settings_as_files(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        await pilot.press("down", "down")
        await until(pilot, lambda: shows(app, "needs the server for reading mail"))
        app.screen.query_one("#imap", Input).value = "imap.example.test"
        await until(pilot, lambda: shows(app, "<clientConfig"))
        await pilot.press("f2")
        await until(
            pilot, lambda: says(app, f"{bench.root}/config-v1.1.xml is written, readable for everybody")
        )
        await until(pilot, lambda: shows(app, "--format autoconfig --imap imap.example.test"))
        await pilot.press("tab")
        await until(pilot, lambda: focused(app) == "shown")
        await pilot.press("end")
        await until(pilot, lambda: shows(app, "</clientConfig>"))

    play(bench, story)
    assert (bench.root / "config-v1.1.xml").stat().st_mode & 0o777 == 0o644
    assert "imap.example.test" in (bench.root / "config-v1.1.xml").read_text()


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_the_report_holds_diffs_and_no_file_that_is_not_for_all(bench: Bench, name: str) -> None:
    (bench.root / "etc/secret").write_text("hidden before\n")
    (bench.root / "etc/secret").chmod(0o640)
    apply_all(bench)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "report", "Mail submission on")
        app.screen.query_one("#file", Input).value = name
        await pilot.press("f2")
        await until(pilot, lambda: says(app, f"{name} is written, readable for you alone"))

    play(bench, story)
    report = (bench.root / name).read_text()
    assert "+new a" in report
    assert "/etc/secret (not shown)" in report
    assert "hidden" not in report
    assert "msa-wizard rollback one" in report


def test_settings_of_a_host_that_takes_no_mail_from_clients_yet_say_so(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "clients", "STARTTLS")
        await until(
            pilot, lambda: says(app, "! Mail clients cannot use this yet: sendmail.cf has no port 587")
        )
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "mail-settings.txt"))
        assert says(app, "! Mail clients cannot use this yet")

    play(bench, story)
