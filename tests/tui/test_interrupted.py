"""A run that was killed, on the screens: it is offered first, and each way ends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.recovery import RecoveryScreen, ways
from screens.steps import Steps
from snapshots.live.entry import Entry, Kind
from tests.store.test_lock import holder
from tests.tui.bench import Bench, apply_all, play, shows, three_steps, until
from wizard.changes.file import FileEffect
from wizard.changes.records import intent
from wizard.errors import HostError
from wizard.model.answers import Answers
from wizard.rollback.recovery import Recovery


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A host on which all three steps were applied."""
    bench = three_steps(tmp_path, monkeypatch)
    apply_all(bench)
    return bench


HALF: Mapping[str, object] = {"kind": "file", "path": "/etc/d"}


def killed_in_three(bench: Bench, effect: Mapping[str, object] = HALF) -> None:
    """Killed in step three, once its file was written: the journal says so."""
    head = bench.commits()[0].id
    lines = [
        {"schema": 1, "operation": "apply", "run": "f" * 12, "who": "carol", "since": 1.0, "head": head,
         "request": {"wanted": [], "answers": asdict(Answers()), "unattended": True}},
        {"step": "three", "head": head},
        {"change": {"touches": ["/etc/d"], "expected": effect}},
    ]  # fmt: skip
    (bench.root / "state/journal").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_who_else_is_at_work_is_said_until_he_has_ended(bench: Bench) -> None:
    killed_in_three(bench)  # as its journal is while it is at work

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, f"alice has been running msa-wizard (pid {pid}) since "))
        assert shows(app, "may not stay. F5 looks again.")
        assert not shows(app, "was interrupted")
        await pilot.press("enter")
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, Steps) and shows(app, f"alice has been running msa-wizard (pid {pid})")
            ),
        )
        other.close()
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "A run was interrupted."))
        assert not shows(app, "alice has been")

    with ExitStack() as other:
        pid = other.enter_context(holder(bench.root / "state/lock"))
        play(bench, story)


async def at_the_interrupted(pilot: Pilot[int], app: WizardApp) -> None:
    await until(pilot, lambda: shows(app, "Finish or undo the interrupted run"))
    await until(pilot, lambda: shows(app, "begun by carol"))
    await pilot.press("home", "enter")
    await until(pilot, lambda: isinstance(app.screen, RecoveryScreen) and shows(app, "/etc/d"))


@pytest.mark.parametrize("way", ["finish", "undo"])
def test_an_interrupted_run_is_offered_first_and_y_takes_the_highlighted_way(bench: Bench, way: str) -> None:
    (bench.root / "etc/d").write_text("half\n")
    killed_in_three(bench)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        if way == "undo":
            await pilot.press("down")
        await until(
            pilot,
            lambda: shows(app, f"{way.capitalize()}es the run" if way == "finish" else "Undoes the run"),
        )
        await until(
            pilot, lambda: shows(app, f"$ msa-wizard recover{' --finish' if way == 'finish' else ''}")
        )
        assert (bench.root / "etc/d").exists()
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "The host is consistent again"))
        assert shows(app, f"The interrupted run was {'finished' if way == 'finish' else 'undone'}.")
        assert not shows(app, "the run")
        assert not shows(app, "y Take this way"), "what is over is not offered"
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RecoveryScreen))

    words = " ".join(play(bench, story).backend.parting_words().split())
    assert "Recovered `apply`, begun by carol" in words, "something was done"
    assert f"was interrupted in three: {'finished' if way == 'finish' else 'undone'}" in words
    assert not (bench.root / "etc/d").exists()
    assert bench.killed() is None


def not_undone(bench: Bench, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """A run was killed in its third step, and undoing it fails."""
    (bench.root / "etc/d").write_text("half\n")
    killed_in_three(bench)

    def fail(_: Recovery) -> None:
        raise HostError(why)

    monkeypatch.setattr(Recovery, "undo", fail)


def test_a_recovery_that_fails_half_way_is_not_called_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_undone(bench, monkeypatch, "the disk is full")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "Undoes the run"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "The disk is full"))

    words = " ".join(play(bench, story).backend.parting_words().split())
    assert words.startswith("Interrupted `apply`, begun by carol")
    assert "was interrupted in three. `msa-wizard recover` undoes that run" in words
    assert "Failed the interrupted run is not undone: the disk is full" in words
    assert "To do" not in words, "nothing can be done before"


def test_why_a_recovery_failed_is_read_to_its_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (f"E: line {number} of what apt said" for number in range(6))
    not_undone(bench, monkeypatch, "\n".join(["apt could not purge:", *lines]))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "Undoes the run"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Apt could not purge"))
        assert shows(app, "line 5 of what apt said")
        assert shows(app, "Fix that and try again, or keep")

    play(bench, story)


def test_a_recovery_that_succeeds_the_second_time_did_not_fail(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.root / "etc/d").write_text("half\n")
    killed_in_three(bench)
    undo, failures = Recovery.undo, ["the disk is full"]

    def fails_once(recovery: Recovery) -> object:
        if failures:
            raise HostError(failures.pop())
        return undo(recovery)

    monkeypatch.setattr(Recovery, "undo", fails_once)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        for says in ("The disk is full", "The interrupted run was undone"):
            await at_the_interrupted(pilot, app)
            await pilot.press("down")
            await until(pilot, lambda: shows(app, "Undoes the run"))
            await pilot.press("y")
            await until(pilot, partial(shows, app, says))
            await pilot.press("escape")

    words = " ".join(play(bench, story).backend.parting_words().split())
    assert "Recovered `apply`, begun by carol" in words
    assert "Failed" not in words
    assert "Interrupted" not in words
    assert "nothing was changed" not in words


def test_as_long_as_a_run_is_interrupted_nothing_is_called_done(bench: Bench) -> None:
    killed_in_three(bench)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "A run was interrupted. First finish it or undo it"))
        app.go("set-up")
        await until(pilot, lambda: shows(app, "A run was interrupted. First finish it or undo it (Esc"))

    play(bench, story)


def test_a_service_in_hand_is_named_though_no_file_of_it_is_touched(bench: Bench) -> None:
    killed_in_three(bench)
    killed = bench.killed()
    assert killed is not None
    change: dict[str, object] = {"touches": [], "expected": {"kind": "service", "name": "sendmail"}}
    for way in ways(replace(killed, changes=[change]), ())["finish"], ways(killed, ())["undo"]:
        assert "In hand: three, with these changes begun:\n" in way.preview.plain
        assert "none yet" not in way.preview.plain
    assert "  service sendmail\n" in ways(replace(killed, changes=[change]), ())["undo"].preview.plain


def test_no_other_key_begins_anything_on_an_interrupted_run(bench: Bench) -> None:
    (bench.root / "etc/d").write_text("half\n")
    killed_in_three(bench)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        await pilot.press("enter", "enter")
        assert app.screen.focused is app.screen.query_one("#preview"), "Enter reads"
        await pilot.press("u", "f", "a", "space", "n", "enter", "escape")
        assert app.screen.focused is app.screen.query_one("#ways"), "Escape goes back to the ways first"
        assert not app.desk.busy
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RecoveryScreen))

    play(bench, story)
    assert bench.text("/etc/d") == "half\n"
    assert bench.killed() is not None


def test_what_undoing_loses_is_named_before(bench: Bench) -> None:
    killed_in_three(bench)
    killed = bench.killed()
    assert killed is not None
    done = [replace(commit, run=killed.run) if commit.step == "one" else commit for commit in bench.commits()]
    offered = ways(killed, done)
    assert next(iter(offered)) == "finish"
    assert "Rolled back, though done: one." in offered["undo"].preview.plain
    assert "Stays: one." in offered["finish"].preview.plain


def test_what_cannot_be_undone_can_be_kept(bench: Bench) -> None:
    """Somebody has written the new file again since; to keep that is offered once it is needed."""
    (bench.root / "etc/d").write_text("his\n")
    written = Entry(Kind.FILE, 0o644, 0, 0, b"half\n")
    killed_in_three(bench, intent(FileEffect("/etc/d", None, written)))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        assert not shows(app, "Keep the host as it is")
        await pilot.press("down", "y")
        await until(pilot, lambda: shows(app, "or keep the host as it is now"))
        assert bench.killed() is not None
        await pilot.press("end")
        await until(pilot, lambda: shows(app, "$ msa-wizard recover --accept"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Accepted as it is, recorded as"))

    play(bench, story)
    assert bench.text("/etc/d") == "his\n"
    assert bench.killed() is None
