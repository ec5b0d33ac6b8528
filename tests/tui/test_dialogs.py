"""Every dialog in the smallest window, however much it has to say: its headline and its last line of keys are in sight, and a long line goes
on below its own beginning."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

import screens
from screens import SMALLEST
from screens.app import WizardApp
from screens.dialog import Dialog
from screens.dialogs import (
    ApplyAll,
    AskCertificate,
    AskCredentials,
    FirewallCountdown,
    LocalEdits,
    Search,
    StepFailed,
    WhatWouldEnd,
)
from screens.help import Help
from screens.leaving import ConfirmQuit, EditsGo
from screens.saving import ConfirmReplace
from screens.settings_form import Unsaved
from screens.welcome import Welcome
from tests.tui.bench import Bench, play, shows, text, until
from wizard.engine.local_edits import OwnEdit
from wizard.model.plan import Ending, Plan
from wizard.steps.order import STEPS

WORDS = " ".join(f"word{number}" for number in range(30))
LONG = f"DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, M=A')dnl {WORDS}"
MANY = [LONG] * 12
PATH = "/etc/" + "/".join(["a-folder-with-a-long-name"] * 40)
STEP = max((step.id for step in STEPS), key=len)

BRINGS: Any = SimpleNamespace(describe=lambda: SimpleNamespace(details=MANY))
"""A change that brings packages."""

FULL: dict[type[Dialog[Any]], tuple[Callable[[], Dialog[Any]], str, str]] = {
    EditsGo: (lambda: EditsGo(["mc-includes"]), "If you leave now", "Enter stay here"),
    ConfirmQuit: (lambda: ConfirmQuit(lambda: (STEP, "run", ())), f"{STEP} is at work.", "Enter stay here"),
    ApplyAll: (
        lambda: ApplyAll(lambda: "", lambda: (STEPS * 3, [Plan.pending(STEP, "", BRINGS)], [])),
        f"Apply {3 * len(STEPS)} steps?",
        "y apply all",
    ),
    WhatWouldEnd: (
        lambda: WhatWouldEnd(STEP, [Ending("cf-lines", LONG, tuple(MANY))]),
        "something that works would end",
        "y it may end",
    ),
    AskCertificate: (
        lambda: AskCertificate("\n".join(["Not trusted.", *MANY])),
        "Not trusted.",
        "n do not (Enter, too)",
    ),
    AskCredentials: (AskCredentials, "User name", "Enter continues."),
    LocalEdits: (
        lambda: LocalEdits(STEP, [OwnEdit(PATH, "\n".join(f"+{line}" for line in MANY))] * 2),
        f"You changed what {STEP} had done",
        "Enter cancel (the default)",
    ),
    StepFailed: (
        lambda: StepFailed(STEP, "\n".join(MANY), MANY, MANY, MANY),
        f"{STEP} failed",
        "Enter look around",
    ),
    FirewallCountdown: (lambda: FirewallCountdown(60), "The firewall gets new rules", "n revert now"),
    Search: (Search, "Find in the output", ""),
    Help: (lambda: Help(Welcome()), "Sendmail as a message", "Esc close"),
    ConfirmReplace: (lambda: ConfirmReplace(Path(PATH)), "This file exists already", "Enter keep it"),
    Unsaved: (Unsaved, "You have changed settings", "Enter"),
}
"""Each dialog with more than it has room for: how it is made, and what of its first and of its last line is seen."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(FirewallCountdown, "over", lambda _: False)
    monkeypatch.setattr(ConfirmQuit, "over", lambda _: False)
    return Bench(root=tmp_path)


def test_each_dialog_is_looked_at() -> None:
    for module in pkgutil.iter_modules(screens.__path__):
        importlib.import_module(f"screens.{module.name}")
    there = {each for each in Dialog.__subclasses__() if each.__module__.startswith("screens.")}
    assert there == set(FULL)


@pytest.mark.parametrize("dialog", FULL, ids=lambda each: str(each.__name__))
def test_the_headline_and_the_keys_are_in_sight(bench: Bench, dialog: type[Dialog[Any]]) -> None:
    make, first, last = FULL[dialog]

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.push_screen(make())
        await until(pilot, lambda: isinstance(app.screen, dialog) and shows(app, first) and shows(app, last))
        rows = text(app)
        assert any("└" in row for row in rows), "its lower edge is in sight"
        assert not shows(app, "F10 Quit"), "the keys of the screen below do nothing now"
        if dialog in (ApplyAll, WhatWouldEnd, LocalEdits, StepFailed, ConfirmReplace):
            below = next(at for at, row in enumerate(rows) if first in row) + 1
            assert not rows[below].strip(" │"), "one blank line below the headline"
            assert rows[below + 1].strip(" │")
        if dialog in (ApplyAll, WhatWouldEnd, LocalEdits, StepFailed):
            await pilot.press("end")  # past what is long in another way
            await pilot.pause(0.2)
            goes_on = [row for row in text(app) if re.match(r"\W*word(?!0 )", row)]
            assert goes_on
            assert all("│    " in row for row in goes_on), "below its own beginning"

    play(bench, story, SMALLEST)


def test_what_was_undone_of_a_failed_step_stands_above_its_output(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.push_screen(StepFailed("firewall", "nobody confirmed it", MANY, ["live rules"], ["/etc/x"]))
        await until(pilot, lambda: shows(app, "Last output"))
        rows = text(app)
        undone, not_undone, output = (
            next(at for at, row in enumerate(rows) if words in row)
            for words in (" Undone: live rules", "NOT undone: /etc/x", "Last output")
        )
        assert undone < not_undone < output, "in sight, however long the output"

    play(bench, story)


def test_every_step_that_is_to_be_applied_stands_apart_from_its_title(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.push_screen(ApplyAll(lambda: "", lambda: ([each for each in STEPS if each.id == STEP], [], [])))
        await until(pilot, lambda: shows(app, f"{STEP} Get a certificate from an authority"))

    play(bench, story)


@pytest.mark.parametrize(
    "dialog", [each for each in FULL if each is not Help], ids=lambda each: str(each.__name__)
)
def test_f1_explains_it_and_then_it_is_there_again(bench: Bench, dialog: type[Dialog[Any]]) -> None:
    make, first, _ = FULL[dialog]

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step") and shows(app, "F10 Quit"))
        app.push_screen(make())
        await until(
            pilot, lambda: isinstance(app.screen, dialog) and shows(app, first) and app.screen.listens
        )
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help) and shows(app, "Esc close"))
        listed = str(app.screen.query_one("#content Static", Static).visual)
        title, _, words = listed.partition("\n\n")
        assert title == dialog.HEADING
        assert words.partition("\n\nKeys\n")[0].strip(), "it says what the dialog is for"
        assert listed.count("  F1 ") == 1
        assert "Ctrl+P" not in listed, "the app's keys do nothing in a dialog"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, dialog) and shows(app, first))
        app.screen.dismiss()
        await until(pilot, lambda: shows(app, "F10 Quit"))

    play(bench, story)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            "restart",
            "if not, it is undone, and sendmailconfig of this run too. Other steps that are done stay",
        ),
        ("firewall", "if not, it is undone. Other steps that are done stay"),
        ("", "it ends where that is safe"),
    ],
)
def test_quitting_says_what_comes_of_a_step_and_of_what_is_none(bench: Bench, step: str, words: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.push_screen(ConfirmQuit(lambda: (step, "test", ())))
        await until(pilot, lambda: shows(app, f"{step or 'test'} is at work."))
        assert words in " ".join(" ".join(text(app)).split()).replace("│ ", "").replace(" │", "")

    play(bench, story)
