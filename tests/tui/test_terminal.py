"""Terminals of every kind: those that cannot, those without UTF-8, small ones, and what is sent over the line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from screens import SMALLEST, launch
from screens.app import WizardApp
from screens.jobs import Desk
from screens.launch import plain, trouble
from screens.steps import Steps
from screens.widgets.terminal_output import AsciiOnly
from tests.tui.bench import Bench, Writes, at_steps, play, shows, text, until, use

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("term", "size", "words"),
    [
        ("dumb", (80, 24), "cannot show screens"),
        ("", (80, 24), "TERM=not set"),
        ("xterm", (0, 0), "does not tell its size"),
        ("xterm", (79, 24), "79x24"),
        ("linux", (80, 21), "80x21"),
    ],
)
def test_a_terminal_that_cannot_gets_a_sentence(term: str, size: tuple[int, int], words: str) -> None:
    assert words in (trouble({"TERM": term}, size) or "")


@pytest.mark.parametrize(
    "term", ["xterm-256color", "screen-256color", "linux", "vt100", "tmux-256color", "putty"]
)
def test_all_others_are_taken(term: str) -> None:
    assert trouble({"TERM": term}, SMALLEST) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "C"}, True),
        ({}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "C", "LC_ALL": "en_US.utf8"}, False),
        ({"LANG": "en_US.UTF-8", "TERM": "linux"}, True),
    ],
)
def test_ascii_where_there_is_no_utf8(environ: dict[str, str], expected: bool) -> None:
    assert plain(environ) is expected


def test_every_cell_becomes_one_ascii_cell() -> None:
    drawn = "✓ ✗ │ ─ ┌ ▃ ├ 日 ü \N{COMBINING ACUTE ACCENT}"
    line = AsciiOnly().apply([Segment(drawn)], Color(0, 0, 0))
    ascii_line = "".join(segment.text for segment in line)
    assert ascii_line == "+ x | - +   + ?? ? "


def test_a_window_that_becomes_too_small_says_so_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "1 of 1 step has"))
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: shows(app, "This window is too small"))
        for size in (SMALLEST, (132, 43), (200, 60)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: shows(app, "Set up, step by step"))
            assert not shows(app, "too small")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Steps) and shows(app, "+new a"))

    play(bench, story, plain=True)


@pytest.mark.parametrize("leave", ["f10", "q"])
@pytest.mark.parametrize("place", ["set-up", "settings", "test"])
def test_no_key_acts_on_what_a_too_small_window_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, leave: str
) -> None:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "1 of 1 step has"))
        app.go(place)
        screen = app.screen
        await until(pilot, lambda: screen.is_mounted and shows(app, "F10 Quit") and shows(app, "$ "))
        focused = screen.focused
        await pilot.resize_terminal(79, 24)
        await until(pilot, lambda: shows(app, "make it larger to go on, or press F10 to quit."))
        app.post_message(Paste("pasted"))
        await pilot.press("y", "a", "x", "tab", "f5", "f3", "ctrl+p", "escape")
        await pilot.pause(0.5)
        assert app.screen is screen
        assert screen.focused is focused
        assert not app.desk.works_for(screen)
        assert not any("x" in field.value or "pasted" in field.value for field in screen.query(Input))
        await pilot.press(leave)
        await until(pilot, lambda: app._exit)
        assert not any("q" in field.value for field in screen.query(Input))

    assert play(bench, story).return_code == 0
    assert bench.text("/etc/a") == "old a\n"


@pytest.mark.parametrize("size", [(60, 24), (80, 20)])
def test_no_key_answers_a_dialog_that_a_too_small_window_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_steps(pilot, app)
        await pilot.press("a")
        await until(pilot, lambda: shows(app, "y apply all"))
        dialog = app.screen
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: shows(app, "Nothing is lost; make it larger to answer."))
        assert not shows(app, "y apply all")
        assert len([line for line in text(app) if line.strip()]) == 2, "nothing but the two lines"
        await pilot.press("y", "escape", "f10", "q")
        await pilot.pause(0.5)
        assert app.screen is dialog
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: shows(app, "y apply all"))
        assert not shows(app, "too small")
        assert bench.text("/etc/a") == "old a\n"
        await pilot.press("y")
        await until(pilot, lambda: bench.text("/etc/a") == "old a\nnew a\n")

    play(bench, story)


def test_escape_sequences_from_outside_never_reach_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    (tmp_path / "etc/a").write_bytes(b"[bold]old\x1b[31m[/bold] a\n")
    say = "printf 'evil \\033[2J \\033]0;title\\007 [red]x[/red]\\n'"
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n", command=say),
        Writes("two", bench.host, "/etc/b", "new b\n"),
    )

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "[bold]old"))
        await pilot.press("y")
        await until(pilot, lambda: app.desk.waiting)
        await pilot.press("p", "4")
        await until(pilot, lambda: shows(app, "[red]x[/red]"))
        assert "\x1b" not in "".join(text(app))

    play(bench, story)


def test_a_crash_leaves_a_sentence_and_a_private_report_without_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    secret = "s3cret-value"

    def breaks(password: str) -> None:
        raise RuntimeError("a mistake")

    try:
        breaks(secret)
    except RuntimeError as error:
        words = launch.crash_words(error)
    path = next((tmp_path / ".cache/msa-wizard").glob("crash-*.txt"))
    assert str(path) in words
    assert path.stat().st_mode & 0o777 == 0o600
    assert "a mistake" in path.read_text()
    assert secret not in path.read_text()


def test_the_commands_work_where_textual_does_not() -> None:
    script = (
        "import sys\n"
        "for name in ('textual', 'rich', 'screens'): sys.modules[name] = None\n"
        "from wizard.cli.main import main\n"
        "sys.exit(main(['rollback', '--help']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_color_draws_in_the_terminals_own_and_still_shows_what_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "1 of 1 step has"))
        strips = [
            strip.apply_filter(each, Color(0, 0, 0))
            for strip in app.screen._compositor.render_strips(app.size)
            for each in app._filters
            if each.enabled
        ]
        styles = [(segment.text, segment.style) for strip in strips for segment in strip if segment.style]
        for words, style in styles:
            assert style.color is None or style.color.is_default, words
            assert style.bgcolor is None or style.bgcolor.is_default, words
        assert any("Set up" in words and style.underline for words, style in styles)

    play(bench, story)


@pytest.mark.parametrize("busy", [False, True])
def test_the_last_words_stay_on_the_terminal(
    busy: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def at_once(app: WizardApp, **_: object) -> int:
        return 0

    waited: list[Desk] = []
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(launch, "window", lambda: (80, 24))
    monkeypatch.setattr(WizardApp, "run_async", at_once)
    monkeypatch.setattr(Desk, "busy", busy)
    monkeypatch.setattr(Desk, "wait", lambda desk: waited.append(desk))
    assert launch.launch() == 0
    *before, last = capsys.readouterr().out.splitlines()
    assert last == "msa-wizard: nothing was changed."
    assert ["finished first" in line for line in before] == [True] * busy
    assert len(waited) == busy
