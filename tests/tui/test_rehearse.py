"""The rehearsal on the screen: nothing begins by itself, how far it is, the report, a stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from screens.app import WizardApp
from screens.rehearse import Rehearse
from screens.welcome import Welcome
from tests.tui.bench import Bench, Writes, at, play, shows, until, use
from tests.unit.rehearse.made import good
from wizard.errors import CannotHere
from wizard.rehearse.outcome import Rehearsal
from wizard.system.signals import Interrupt


@dataclass
class Rehearsed(Bench):
    """A machine whose rehearsal goes on until it is let go."""

    go_on: list[str] = field(default_factory=list)
    begun: int = 0
    forbidden: str = ""

    def rehearse(self, tell: Callable[[dict[str, Any]], None], interrupt: Interrupt) -> Rehearsal:
        """What a clone says."""
        self.begun += 1
        if self.forbidden:
            raise CannotHere(self.forbidden)
        for said in (
            {"event": "phase", "phase": "boot"},
            {"event": "phase", "phase": "apply"},
            {"event": "step", "step": "install", "state": "done"},
            {"event": "step", "step": "restart", "state": "doing"},
            {"event": "text", "line": "   | $ systemctl restart sendmail"},
        ):
            tell(said)
        while not self.go_on:
            interrupt()
            time.sleep(0.02)
        return good()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsed:
    bench = Rehearsed(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/b", "new b\n"))
    monkeypatch.chdir(tmp_path)
    return bench


def test_from_the_first_screen_to_the_report(bench: Rehearsed) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Rehearse first"))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Rehearse) and shows(app, "y begins"))
        assert bench.begun == 0
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "systemctl restart sendmail") and shows(app, "working restart"))
        assert shows(app, "done: install")
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "and leaves nothing of the clone"))
        bench.go_on.append("")
        await until(pilot, lambda: shows(app, "It would work"))
        await pilot.press("end")
        await until(pilot, lambda: shows(app, "     logs and the records of apt and dpkg"))
        await pilot.press("f2")
        says = app.screen.query_one("#says", Static)
        words = f"{bench.root}/msa-rehearsal.md is written, readable for you alone."
        await until(pilot, lambda: words in str(says.visual))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Welcome))

    play(bench, story)
    assert "**OK: It would work" in (bench.root / "msa-rehearsal.md").read_text()
    assert bench.begun == 1
    assert bench.text("/etc/b") == "old b\n"


def test_it_can_be_stopped_and_started_again(bench: Rehearsed) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "rehearse", "y begins")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "working restart"))
        await pilot.press("x")
        await until(pilot, lambda: shows(app, "Nothing is left of the clone"))
        bench.go_on.append("")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "It would work"))

    play(bench, story)
    assert bench.begun == 2


def test_where_it_is_impossible_it_says_why(bench: Rehearsed) -> None:
    bench.forbidden = "this host cannot be cloned: new namespaces"

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "rehearse", "y begins")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "cannot be cloned"))

    play(bench, story)
