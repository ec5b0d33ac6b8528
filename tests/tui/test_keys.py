"""The keyboard that all screens share: how keys are spelled, what F1 lists, what the footer holds, Tab and the arrows."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static
from textual.widgets._footer import FooterKey

from screens.app import WizardApp
from screens.base import Frame
from screens.external_programs import edit, shell
from screens.help import Help
from screens.welcome import PLACES, TOOLS
from screens.widgets.keys import spelled
from tests.pasted import pasted
from tests.tui.bench import Bench, Writes, at, at_steps, notified, play, shows, text, until, use


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))
    return bench


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("f5", "F5"),
        ("escape", "Esc"),
        ("enter", "Enter"),
        ("ctrl+p", "Ctrl+P"),
        ("shift+tab", "Shift+Tab"),
        ("pagedown", "PgDn"),
        ("a", "a"),
        ("question_mark", "?"),
    ],
)
def test_a_key_is_spelled_as_in_the_readme(key: str, shown: str) -> None:
    assert spelled(key) == shown


def footer(app: WizardApp) -> list[str]:
    """The keys of the footer with what they do."""
    return [f"{each.key_display} {each.description}" for each in app.screen.query(FooterKey)]


@pytest.mark.parametrize("name", sorted({*PLACES, *TOOLS} - {"continue"}))
def test_the_footer_fits_into_eighty_columns_in_one_spelling(bench: Bench, name: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.go(name)
        await until(pilot, lambda: any(words.startswith("F10 ") for words in footer(app)))
        await until(pilot, lambda: all(f"{words} " in f"{text(app)[-1]} " for words in footer(app)))
        shown = footer(app)
        assert not any(words.startswith(("f", "^", "esc", "enter")) and words[1:2] != " " for words in shown)

    play(bench, story)


def test_help_in_a_form_names_what_matters_and_no_key_of_a_text_field(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        listed = str(app.screen.query_one("#content Static", Static).visual)
        for words in ("Tab", "Down", "Next field", "Esc", "Back", "Ctrl+P", "Go to any screen"):
            assert words in listed
        for words in ("Move cursor", "Delete", "super", "^p", "Focus Next"):
            assert words not in listed

    play(bench, story)


KNOWN = {"Back", "Cancel", "Again", "Close"}
"""Meanings of a key that need no second word."""


@pytest.mark.parametrize("name", sorted({*PLACES, *TOOLS} - {"continue"}))
def test_help_says_in_words_what_each_key_does_and_names_none_twice(bench: Bench, name: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.go(name)
        await until(pilot, lambda: any(words.startswith("F10 ") for words in footer(app)))
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        listed = str(app.screen.query_one("#content Static", Static).visual).rpartition("Keys\n")[2]
        for line in listed.partition("\nWords on this screen")[0].splitlines():
            keys, meaning = line[2:24].split(","), line[24:]
            assert len({key.strip() for key in keys}) == len(keys), line
            assert " " in meaning or meaning in KNOWN, line

    play(bench, story)


def test_help_explains_the_words_that_are_on_the_screen(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "saslauthd"))
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        listed = str(app.screen.query_one("#content Static", Static).visual)
        assert "saslauthd: the service that checks" in listed
        assert "MTA: mail transfer agent" in listed
        assert "base64" not in listed, "it is not on the screen"
        words = listed.partition("Words on this screen\n")[2].splitlines()
        assert all(line.startswith("    ") or ": " in line for line in words), "the rest is below the meaning"
        assert max(map(len, words)) <= 71
        assert any(line.startswith("    ") for line in words)

    play(bench, story)


def test_help_on_a_text_field_lists_no_key_that_the_field_takes_as_text(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        await until(pilot, lambda: "F1 Help" in footer(app))
        shown = footer(app)
        app.screen.query(Input).last().focus()
        await pilot.press("down")
        await until(pilot, lambda: "Space Tick" in footer(app))
        assert [words for words in footer(app) if words != "Space Tick"] == shown, (
            "the keys keep their places"
        )
        await pilot.press("up", "f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        listed = str(app.screen.query_one("#content Static", Static).visual)
        assert "F3 " in listed
        assert "F3, h" not in listed
        assert "F10, q" not in listed

    play(bench, story)


def test_the_footer_keeps_help_where_it_has_too_many_keys(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, bench, *(Writes(name, bench.host, f"/etc/{name}", "new\n") for name in ("one", "two")))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "y applies two"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "1 of 2 steps"))
        (bench.root / "etc/one").write_text("")
        await pilot.press("f5", "enter")
        await until(pilot, lambda: "r Roll back" in text(app)[-1] and "y Apply" in text(app)[-1])
        assert text(app)[-1].rstrip().endswith("F1 Help")

    play(bench, story)


@pytest.mark.parametrize("name", ["test", "by-hand", "install"])
def test_arrows_and_tab_move_between_the_fields(bench: Bench, name: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        app.go(name)
        await until(pilot, lambda: isinstance(app.screen.focused, Input))
        fields = list(app.screen.query(Input))
        first = app.screen.focused
        assert isinstance(first, Input)
        following = fields[fields.index(first) + 1]
        for there, back in (("down", "up"), ("tab", "shift+tab")):
            await pilot.press(there)
            assert app.screen.focused is following
            await pilot.press(back)
            assert app.screen.focused is first

    play(bench, story)


BLUE = 4


@pytest.mark.parametrize("name", ["test", "by-hand", "settings"])
def test_the_label_of_the_field_that_has_the_focus_is_lit_and_no_other(bench: Bench, name: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, name, "F2 Save" if name == "settings" else "User name")
        await until(pilot, lambda: isinstance(app.screen.focused, Input))
        for key in ("down", "up"):
            await pilot.press(key)
            await pilot.pause()
            lit = [label for label in app.screen.query(".label") if label.styles.background.ansi == BLUE]
            assert app.screen.focused is not None
            assert [label.parent for label in lit] == [app.screen.focused.parent]

    play(bench, story)


def test_the_heading_of_the_text_that_has_the_focus_is_lit(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        for key, lit in (("enter", True), ("escape", False)):
            await pilot.press(key)
            await pilot.pause()
            assert (app.screen.query_one("#panes Tab.-active").styles.background.ansi == BLUE) is lit

    play(bench, story)


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of the terminal while it was lent, as Textual does it: it comes back only after a body that raises
    nothing."""
    states: list[str] = []

    @contextlib.contextmanager
    def suspend(self: WizardApp) -> Iterator[None]:
        states.append("lent")
        yield
        states.append("back")

    monkeypatch.setattr(WizardApp, "suspend", suspend)
    return states


def test_what_was_edited_by_hand_is_looked_at_again(
    bench: Bench, lent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "true")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: bench.held is not None)
        edit(app, bench.root / "etc/a")
        assert bench.held is None

    play(bench, story)
    assert lent == ["lent", "back"]


@pytest.mark.parametrize("editor", ["no-such-editor -x", "'unfinished", "/etc/passwd"])
def test_an_editor_that_cannot_be_started_gives_the_terminal_back(
    bench: Bench, lent: list[str], monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        edit(app, bench.root / "etc/a")
        await until(pilot, lambda: notified(app, "did not work here"))

    play(bench, story)
    assert lent in ([], ["lent", "back"])


def test_without_any_editor_it_is_said_what_to_do(
    bench: Bench, lent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(bench.root))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        edit(app, bench.root / "etc/a")
        await until(pilot, lambda: notified(app, "Set EDITOR, or edit"))

    play(bench, story)
    assert lent == []


def test_a_shell_that_is_not_there_gives_the_terminal_back(
    bench: Bench, lent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/no/such/shell")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        shell(app)
        await until(pilot, lambda: notified(app, "`/no/such/shell` did not work here"))

    play(bench, story)
    assert lent == ["lent", "back"]


@pytest.mark.parametrize("columns", [80, 200])
def test_the_command_above_the_keys_can_be_pasted(bench: Bench, columns: int) -> None:
    long = "msa-wizard apply --yes --answers '/root/my settings.toml' --set listen.implicit_tls=true --accept logins"

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        assert isinstance(app.screen, Frame)
        app.screen.same(long)
        await until(pilot, lambda: shows(app, "--accept logins"))
        same = app.screen.query_one("#same", Static)
        region = same.content_region
        lines = [line[region.x : region.right].rstrip() for line in text(app)[region.y : region.bottom]]
        assert pasted("\n".join(lines).removeprefix("$ ")) == shlex.split(long)

    play(bench, story, size=(columns, 24))
