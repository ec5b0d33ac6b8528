"""The first screen: what its first frame waits for, and a host that cannot be looked at."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets.option_list import Option

from screens.app import WizardApp
from screens.saved_texts import MailClients, Report
from screens.settings import Settings
from screens.steps import Steps
from screens.welcome import Welcome
from screens.widgets.rows import Rows
from tests.tui.bench import Bench, Writes, notified, play, shows, until, use
from wizard.engine.overview import Overview
from wizard.errors import HostError
from wizard.gather.certificates import another
from wizard.model.facts import Facts
from wizard.model.plan import Check, Sign
from wizard.steps.order import STEPS


@dataclass
class Unreadable(Bench):
    """A host on which a command that every look needs is missing."""

    def overview(self) -> Overview:
        """No look succeeds."""
        raise HostError("the command ss is \x1b[2J missing: apt install iproute2")

    def facts(self) -> Facts:
        """No look succeeds."""
        raise HostError("the command ss is \x1b[2J missing: apt install iproute2")


@pytest.mark.parametrize("screen", [Steps, Settings, MailClients, Report])
def test_a_look_that_fails_is_a_sentence_on_every_screen(
    tmp_path: Path, screen: type[Steps | Settings | MailClients | Report]
) -> None:
    words = r"The command ss is \x1b[2J missing: apt install iproute2."

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, words) and shows(app, "Set up, step by step"))
        app.push_screen(screen())
        await until(
            pilot, lambda: isinstance(app.screen, screen) and (shows(app, words) or notified(app, words))
        )
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "Set up, step by step"))

    play(Unreadable(root=tmp_path), story)


def test_the_first_frame_waits_for_no_engine() -> None:
    script = "import sys, screens.app; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "screens.welcome" in modules
    late = ("wizard.engine", "wizard.steps", "wizard.changes", "wizard.gather", "snapshots.store", "git")
    assert not [name for name in modules if name.startswith(late)]


def test_another_certificate_is_the_menu_s_to_get_and_no_command_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewing = "`certbot renew --cert-name mail.example.test` renews it, or says what is in the way"
    remedy = "\n".join([renewing, another(None, ["self-signed"])])
    check = Check("certificate", Sign.WARNING, "the certificate is self-signed", remedy)
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))
    monkeypatch.setattr("wizard.engine.overview.checks", lambda *_: (check,))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Certificate in the menu leads to another one"))
        assert shows(app, "`certbot renew"), "which no screen does"
        assert not shows(app, "msa-wizard certificate")

    play(bench, story)


def test_all_facts_can_be_read_at_80x24(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tab leads to them, the arrows and End scroll, and Tab leads back; Enter opens what is highlighted all the while."""
    many = [
        Check(f"fact-{number}", Sign.OK, f"fact {number}, whose words are too long for one line")
        for number in range(30)
    ]
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))
    monkeypatch.setattr(
        "wizard.engine.overview.checks", lambda *_: (*many, Check("bad", Sign.FAILED, "this is bad"))
    )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "FAIL  this is bad"))
        await pilot.press("tab", "end")
        await until(pilot, lambda: shows(app, "fact 29") and not shows(app, "this is bad"))
        assert not shows(app, "│ line"), "what is wrapped stays in its column, beside a scrollbar, too"
        await pilot.press("home", "tab", "down", "down")
        await until(pilot, lambda: shows(app, "this is bad") and shows(app, "$ msa-wizard answers"))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(app.screen, Settings))

    play(bench, story)


@pytest.mark.parametrize("width", [80, 120])
def test_keys_in_the_footer_stand_apart(tmp_path: Path, width: int) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Enter Open  F5 Look again  r Rehearse"))

    play(Unreadable(root=tmp_path), story, (width, 24))


def test_enter_opens_what_the_keys_before_it_have_chosen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        for key in ("down", "down", "enter"):  # typed faster than the list takes them in
            app.simulate_key(key)
        await until(pilot, lambda: isinstance(app.screen, Settings))

    play(Bench(root=tmp_path, steps=STEPS), story)


@pytest.mark.parametrize("plain", [False, True])
def test_it_is_seen_which_side_has_the_keys(tmp_path: Path, plain: bool) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        rest, keys = ("|", "#") if plain else ("│", "┃")
        await until(pilot, lambda: shows(app, f"Set up, step by step {rest}"))
        await pilot.press("tab")
        await until(pilot, lambda: shows(app, f"Set up, step by step {keys}"))
        await pilot.press("tab")
        await until(pilot, lambda: shows(app, f"Set up, step by step {rest}"))

    play(Bench(root=tmp_path), story, plain=plain)


@pytest.mark.parametrize("back", ["tab", "left", "escape"])
def test_the_footer_says_what_the_keys_do_on_either_side(tmp_path: Path, back: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Tab Facts"))
        await pilot.press("tab")
        await until(pilot, lambda: shows(app, "Tab Menu") and not shows(app, "Tab Facts"))
        await pilot.press(back)
        await until(pilot, lambda: shows(app, "Tab Facts") and not shows(app, "Tab Menu"))
        assert isinstance(app.screen, Welcome)

    play(Bench(root=tmp_path), story)


def test_the_chosen_row_has_one_colour(tmp_path: Path) -> None:
    """Red or cyan on the blue bar cannot be read in sixteen colours."""

    class Lists(App[None]):
        def compose(self) -> ComposeResult:
            yield Rows(*(Option(Content.styled(each, "ansi_red"), id=each) for each in ("one", "two")))

    async def story() -> None:
        app = Lists()
        async with app.run_test() as pilot:
            rows = app.query_one(Rows)
            rows.highlighted = 1
            await pilot.pause()
            colours = [
                {
                    segment.style.color
                    for segment in rows.render_line(y)
                    if segment.style and segment.text.strip()
                }
                for y in (0, 1)
            ]
            assert len(colours[0] | colours[1]) == 2

    asyncio.run(story())
