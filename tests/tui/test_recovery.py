"""What follows on the screens when a recovery does not go well: the chosen way stays, and what is over is called so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from screens.app import WizardApp
from screens.recovery import RecoveryScreen
from tests.tui.bench import Bench, Writes, apply_all, at, play, press_apply, shows, until, use
from tests.tui.test_interrupted import at_the_interrupted, killed_in_three
from tests.tui.test_what_would_end import Ends
from wizard.errors import HostError
from wizard.rollback.recovery import Recovery


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A host on which a run was killed in step three, and a step that was left."""
    bench = Bench(root=tmp_path)
    steps = (
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Writes("three", bench.host, "/etc/c", "new c\n"),
    )
    use(monkeypatch, bench, *steps)
    apply_all(bench)
    (tmp_path / "etc/d").write_text("half\n")
    killed_in_three(bench)
    use(monkeypatch, bench, *steps, Writes("four", bench.host, "/etc/f", "f\n"))
    return bench


def test_the_way_that_failed_stays_the_chosen_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    undone: list[str] = []

    def fail(_: Recovery) -> None:
        undone.append("tried")
        raise HostError("the disk is full")

    monkeypatch.setattr(Recovery, "undo", fail)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "Undoes the run"))
        for tries in (1, 2):
            await pilot.press("y")
            await until(pilot, lambda tries=tries: len(undone) == tries and shows(app, "The disk is full"))  # type: ignore[misc]
            await until(pilot, lambda: shows(app, "Keep the host as it is now"))
            option = app.screen.query_one("#ways", OptionList).highlighted_option
            assert option is not None
            assert option.id == "undo"
            await until(pilot, lambda: shows(app, "Undoes the run"))
            assert not shows(app, "recover --finish")

    play(bench, story)
    assert undone == ["tried", "tried"]
    assert not (bench.root / "etc/f").exists(), "what was left was not applied instead"


def stops_at_four(bench: Bench, ends: bool) -> tuple[Writes, str]:
    """A step that ends a run, by what would end with it or by a check that fails, and how the screen says so."""
    kind, where = (Ends, "Stopped before four") if ends else (Writes, "Stopped at four")
    return kind("four", bench.host, "/etc/f", "f\n", good=lambda: False), where


@pytest.mark.parametrize("ends", [False, True])
def test_a_finished_run_that_stops_is_over_and_leads_to_the_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    four, where = stops_at_four(bench, ends)
    use(monkeypatch, bench, *bench.steps[:2], four)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, f"! The interrupted run is over. {where}"))
        assert bench.killed() is None
        await until(pilot, lambda: shows(app, "Esc goes back; the rest is on the steps."))
        assert not shows(app, "Finish the run"), "there is nothing to finish"
        assert not shows(app, "y Take this way")
        await pilot.press("y")
        assert not app.desk.busy
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RecoveryScreen))

    play(bench, story)


def test_a_finished_run_stops_before_what_it_had_not_come_to(bench: Bench) -> None:
    journal = bench.root / "state/journal"
    journal.write_text(journal.read_text().replace(', "unattended": true', ""))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        assert shows(app, "It ends before the first step that it had not come to.")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Stopped before four: it had not come that far"))
        await until(pilot, lambda: shows(app, "Esc goes back; the rest is on the steps."))

    play(bench, story)
    assert not (bench.root / "etc/f").exists()


@pytest.mark.parametrize("ends", [False, True])
def test_a_finished_run_beyond_the_howto_that_stops_does_not_lead_to_the_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    four, where = stops_at_four(bench, ends)
    monkeypatch.setattr(four, "rebuild", lambda *_: four, raising=False)
    monkeypatch.setattr("wizard.rollback.recovery.find", lambda _: four)
    journal = bench.root / "state/journal"
    lines = journal.read_text().splitlines()
    first = json.loads(lines[0])
    first["request"]["extra"] = [["four", {}]]
    journal.write_text("\n".join([json.dumps(first), *lines[1:], ""]))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: shows(app, f"! The interrupted run is over. {where}"))
        await until(pilot, lambda: shows(app, "Esc goes back; the run can be begun again."))
        assert not shows(app, "on the steps")

    play(bench, story)


def test_a_run_that_another_session_has_recovered_is_called_so(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)
        (bench.root / "state/journal").unlink()
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "No run is interrupted any more."))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RecoveryScreen))

    play(bench, story)


def test_who_leaves_an_interrupted_run_as_it_is_is_told_of_it_at_the_end(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at_the_interrupted(pilot, app)

    words = play(bench, story).backend.parting_words()
    assert words.startswith("msa-wizard: nothing was changed. `apply`, begun by carol on ")
    assert words.endswith("`msa-wizard recover` undoes that run, `msa-wizard recover --finish` finishes it.")


def test_a_run_that_failed_and_is_undone_in_the_same_session_is_neither_done_nor_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(root=tmp_path)
    steps = Writes("one", bench.host, "/etc/a", "a\n"), Writes("two", bench.host, "/etc/b", "b\n")
    steps[1].good = lambda: False
    use(monkeypatch, bench, *steps)
    monkeypatch.setattr("wizard.engine.session.undo_effects", lambda *_: ((), ("service sendmail",)))
    parting: list[str] = []

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "set-up", "y applies the step")
        await press_apply(pilot, app)
        await until(pilot, lambda: shows(app, "NOT undone: service sendmail"))
        parting.append(bench.parting_words())
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "Interrupted  `apply`, begun by"))
        assert not shows(app, "Back to the steps"), "nothing can be done there before"
        await pilot.press("home", "enter")
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen) and shows(app, "Undo the run"))
        await pilot.press("down")
        await until(pilot, lambda: shows(app, "Undoes the run"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "The interrupted run was undone."))

    parting.append(play(bench, story).backend.parting_words())
    failed, recovered = (" ".join(words.split()) for words in parting)
    assert failed.startswith("Interrupted `apply`, begun by ")
    assert "Done one Failed two: /etc/b is not right" in failed
    assert "To do" not in failed
    assert bench.text("/etc/a") == "old a\n"
    assert recovered.startswith("Recovered `apply`, begun by ")
    assert "was interrupted in two: undone" in recovered
    assert not any(word in recovered for word in ("Done", "Failed", "NOT undone"))
