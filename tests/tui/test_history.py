"""History, rollback and conflicts by keys."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from screens.app import WizardApp
from screens.rollback import History, RollbackScreen
from snapshots.store import Commit
from tests.tui.bench import Bench, Writes, apply_all, counts, play, shows, three_steps, until, use
from wizard.errors import HostError, Interrupted
from wizard.rollback.rollback import RollbackRun


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A host on which all three steps were applied."""
    bench = three_steps(tmp_path, monkeypatch)
    apply_all(bench)
    return bench


async def at_history(pilot: Pilot[int], app: WizardApp) -> None:
    await until(pilot, lambda: shows(app, "Set up, step by step"))
    await pilot.press("h")
    await until(pilot, lambda: isinstance(app.screen, History) and shows(app, "applied"))


def test_the_diff_of_each_row(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await until(pilot, lambda: shows(app, "+new c"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "+new b"))
        await until(pilot, lambda: shows(app, "$ msa-wizard diff"))

    play(bench, story)


def test_a_name_with_brackets_is_shown_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "a[/b]")
    (bench.root / "etc/a").write_text("newer\n")
    apply_all(bench)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await until(pilot, lambda: shows(app, "a[/b]"))

    play(bench, story)


def test_a_wiped_history_is_reported_at_once(bench: Bench) -> None:
    shutil.rmtree(bench.root / "state/etc.git")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "The history that was in"))

    play(bench, story, size=(120, 40))


def test_a_damaged_store_is_reported_when_it_is_repaired(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        (bench.root / "state/etc.git/config").write_text("[core")
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "config of the store is damaged"))

    play(bench, story, size=(120, 40))


def test_a_middle_step_goes_with_what_needs_it_and_comes_back(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("down", "down", "r")
        await until(pilot, lambda: isinstance(app.screen, RollbackScreen) and shows(app, "y rolls this back"))
        await until(pilot, lambda: shows(app, "rolled back too, because they need it: two"))
        await until(pilot, lambda: shows(app, "-new a"))
        assert bench.text("/etc/a") == "old a\nnew a\n"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
        assert (bench.text("/etc/a"), bench.text("/etc/b")) == ("old a\n", "old b\n")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, History) and shows(app, "rolled back"))
        await pilot.press("home", "r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        rolled_back = bench.commits()[0]
        assert shows(app, f"the rollback of one, two ({rolled_back.short})"), "named by what it did"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
        await pilot.press("escape", "home")
        await until(pilot, lambda: shows(app, "it rolled back:"))
        row = [str(cell) for cell in app.screen.query_one("#commits", DataTable).get_row_at(1)]
        assert (row[0], row[2]) == (rolled_back.short, "(rolled back)"), "what is named is a row"

    play(bench, story)
    assert bench.text("/etc/a") == "old a\nnew a\n"
    assert bench.operations()[:2] == ["rollback", "rollback"]


def test_a_rollback_that_is_undone_in_part_leads_to_the_recovery(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise HostError("port 587 does not answer")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "The rollback failed and was undone in part: port 587"))
        assert shows(app, "NOT undone: service sendmail")
        assert shows(app, "Fix what is NOT undone, then finish or undo this: first screen, first line.")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: shows(app, "Finish or undo the interrupted run"))

    monkeypatch.setattr("wizard.rollback.apply.RollbackSession._listens", silent)
    monkeypatch.setattr("wizard.rollback.apply.undo_effects", lambda *_: ((), ("service sendmail",)))
    words = " ".join(play(bench, story).backend.parting_words().split())
    assert words.startswith("Interrupted `rollback`, begun by ")
    assert "Rolled back" not in words


@pytest.mark.parametrize("error", [HostError("port 587 does not answer"), Interrupted(signal.SIGTERM)])
def test_a_rollback_that_failed_and_was_undone_is_told_on_the_terminal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def silent(*_: object) -> None:
        raise error

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        await pilot.press("y")
        await until(pilot, lambda: bench.session.half_way and not app.desk.changing)

    monkeypatch.setattr("wizard.rollback.apply.RollbackSession._listens", silent)
    words = " ".join(play(bench, story).backend.parting_words().split())
    assert f"Failed rolling back three: {error}; all of it was undone" in words
    assert bench.text("/etc/c") == "new c\n"


@pytest.mark.parametrize("key", ["enter", "escape"])
def test_cancelling_is_the_default(bench: Bench, key: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, History))

    play(bench, story)
    assert bench.text("/etc/c") == "new c\n"


def test_back_to_a_row_rolls_back_all_that_came_after(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("down", "down", "g")
        await until(pilot, lambda: shows(app, "y rolls this back") and shows(app, "Esc Cancel"))
        assert shows(app, f", back to {bench.commits()[2].short}"), "not only what goes, but where it leads"
        assert shows(app, f"$ msa-wizard rollback --to {bench.commits()[2].short}")
        app.screen.query_one("#preview").scroll_end(animate=False)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
        await until(pilot, lambda: shows(app, "Esc Back") and not shows(app, "Esc Cancel"))
        assert not shows(app, "No output yet"), "nothing was printed, nor will be"

    play(bench, story)
    assert (bench.text("/etc/a"), bench.text("/etc/b")) == ("old a\nnew a\n", "old b\n")
    assert not (bench.root / "etc/c").exists()


@pytest.mark.parametrize(
    ("key", "left"), [("k", "old a\nnew a, mine\n"), ("r", "old a\n"), ("escape", "old a\nnew a, mine\n")]
)
def test_a_conflict_shows_both_and_the_admin_chooses(bench: Bench, key: str, left: str) -> None:
    (bench.root / "etc/a").write_text("old a\nnew a, mine\n")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("down", "down", "r")
        await until(pilot, lambda: shows(app, "k keeps what is there now"))
        await until(pilot, lambda: shows(app, "new a, mine"))
        await pilot.press("y")
        assert bench.text("/etc/a") == "old a\nnew a, mine\n", "y is no answer to a conflict"
        await pilot.press(key)
        if key != "escape":
            await until(pilot, lambda: shows(app, "y rolls this back"))
            assert shows(app, "/etc/a stays as it is now.") is (key == "k")
            await pilot.press("y")
            await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
            assert shows(app, "/etc/a stays as it is now.") is (key == "k")
        else:
            await until(pilot, lambda: isinstance(app.screen, History))

    play(bench, story)
    assert bench.text("/etc/a") == left


def test_a_conflict_is_edited_away(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (bench.root / "etc/a").write_text("old a\nnew a, mine\n")
    editor = tmp_path / "an editor"
    editor.write_text('#!/bin/sh\n[ "$1" = -x ] && sed -i "s/, mine//; 1i mine" "$2"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"'{editor}' -x")
    monkeypatch.setattr(WizardApp, "suspend", contextlib.nullcontext)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("down", "down", "r")
        await until(pilot, lambda: shows(app, "e edits"))
        await pilot.press("e")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))

    play(bench, story)
    assert bench.text("/etc/a") == "mine\nold a\n"


def test_enter_reads_the_diff_and_escape_comes_back_to_the_rows(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("enter")
        difference = app.screen.query_one("#difference")
        assert app.screen.focused is difference
        await pilot.press("escape")
        assert app.screen.focused is app.screen.query_one("#commits")
        await pilot.press("tab")
        assert app.screen.focused is difference, "Tab changes the pane, too"

    play(bench, story)


def test_the_rows_fit_and_what_they_leave_out_is_in_the_text_below(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = "submission-port: Require AUTH on port 587, and on port 465"
    commits = [replace(commit, subject=subject) for commit in bench.commits()]
    monkeypatch.setattr(bench, "commits", lambda: commits)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        rows = app.screen.query_one("#commits", DataTable)
        assert [str(column.label) for column in rows.columns.values()] == ["Commit", "When", "What", "Change"]
        assert rows.max_scroll_x == 0
        assert shows(app, "submission-port: Require AUTH on ")
        assert shows(app, "…")
        await until(pilot, lambda: shows(app, f"({commits[0].author.name})"))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "By" in [str(column.label) for column in rows.columns.values()])
        assert rows.max_scroll_x == 0
        assert shows(app, f"{subject} {commits[0].author.name}")

    play(bench, story)


def test_the_cursor_stays_on_its_commit_when_others_come(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("down", "down")
        await until(pilot, lambda: shows(app, f"diff {bench.commits()[2].short}"))
        chosen = bench.commits()[2].short
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, History) and shows(app, "rolled back"))
        await until(pilot, lambda: shows(app, f"diff {chosen}"))

    play(bench, story)


def test_a_key_in_the_moment_of_coming_back_loses_no_row(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, commits = threading.Event(), bench.commits
    released.set()

    def held() -> tuple[Commit, ...]:
        assert released.wait(60)
        return commits()

    monkeypatch.setattr(bench, "commits", held)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))
        released.clear()
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, History))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, f"diff {commits()[2].short}") and shows(app, "+new b"))
        assert not shows(app, commits()[0].short)
        released.set()
        await until(pilot, lambda: shows(app, commits()[0].short))
        await until(pilot, lambda: shows(app, "(applied)"))

    play(bench, story)


def test_without_root_the_history_says_who_can_read_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for name, seen in (("commits", ()), ("store", None), ("killed", None), ("lost", "")):
        monkeypatch.setattr(bench, name, lambda seen=seen: seen)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "Set up, step by step"))
        await pilot.press("h")
        await until(pilot, lambda: shows(app, "Only root can read the history"))

    play(bench, story)


def test_a_rollback_counts_its_seconds_and_what_it_shows_next_begins_at_its_top(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = threading.Event()
    do = RollbackRun.do

    def slow(*args: Any) -> Any:
        known.wait(60)
        return do(*args)

    monkeypatch.setattr(RollbackRun, "do", slow)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("r")
        await until(pilot, lambda: shows(app, "y rolls this back"))
        screen, preview = app.screen, app.screen.query_one("#preview")
        assert isinstance(screen, RollbackScreen)
        for words in ("preview", "result"):
            screen.show(*(f"{words} {number}" for number in range(90)))
            await until(pilot, lambda words=words: shows(app, f"{words} 0"))  # type: ignore[misc]
            await pilot.press("space", "space")
            await until(pilot, lambda: preview.scroll_y > 0)
        await pilot.press("y")
        await until(pilot, lambda: counts(app, "At work (", ")."), listens=False)
        known.set()
        await until(pilot, lambda: shows(app, "Rolled back, recorded as"))

    play(bench, story)


def test_the_seconds_of_a_preview_are_counted_until_it_asks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = threading.Event()
    roll_back = bench.roll_back

    def slow(*args: Any) -> object:
        known.wait(60)
        return roll_back(*args)

    monkeypatch.setattr(bench, "roll_back", slow)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await pilot.press("r")
        await until(pilot, lambda: counts(app, "Preparing (", ")."))
        known.set()
        await until(pilot, lambda: shows(app, "y rolls this back"))
        assert not shows(app, "Preparing")

    play(bench, story)


def test_without_a_history_no_key_is_shown_that_needs_a_row(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.push_screen(History())
        await until(pilot, lambda: shows(app, "There is no history yet"))
        await until(pilot, lambda: shows(app, "F10 Quit"))
        assert not shows(app, "Roll back")
        assert not shows(app, "Full or folded")

    play(Bench(root=tmp_path), story)


def test_what_is_generated_is_folded_and_the_key_is_shown_where_something_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.root / "etc/mail").mkdir()
    use(monkeypatch, bench, Writes("four", bench.host, "/etc/mail/sendmail.cf", "V10/Debian\n"))
    apply_all(bench)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_history(pilot, app)
        await until(pilot, lambda: shows(app, "1 line added, 0 removed; generated, f shows all of it"))
        await until(pilot, lambda: shows(app, "f Full or folded"))
        await pilot.press("f")
        await until(pilot, lambda: shows(app, "+V10/Debian"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "/etc/mail: created") and not shows(app, "f Full or folded"))

    play(bench, story, size=(100, 40))
