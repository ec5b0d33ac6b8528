"""What fails, why, and fixing it, by keys; on a recorded host with what is given changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from screens.app import WizardApp
from screens.dialogs import AskCredentials
from screens.review_and_run import RunSteps
from screens.troubleshoot import Troubleshoot
from tests.tui.bench import Bench, Writes, at, play, shows, text, until, use
from tests.unit.troubleshoot.pictures import ALICE, SENDMAIL, picture
from wizard.model.plan import Step
from wizard.smtp.transcript import Credentials
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.verdict import Verdict, judge


@dataclass
class Broken(Bench):
    """saslauthd does not answer until a file says so; the account is only looked at with a login."""

    asked: Credentials | None = None

    def troubleshoot(self, credentials: Credentials | None) -> Verdict:
        """The real diagnoses, on a picture."""
        self.asked = credentials
        fixed = "fixed" in self.text("/etc/a")
        down = {} if fixed else {"facts": {"processes": (SENDMAIL,)}, "mux_problem": "No such file"}
        return judge(picture(**down, **({"account": ALICE} if credentials else {})))

    def fixes(self, faults: Sequence[Fault]) -> Sequence[Step]:
        """One that can be done here."""
        assert [item.id for item in faults]
        return [Writes("mend-it", self.host, "/etc/a", "fixed\n")]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Broken:
    bench = Broken(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/b", "new b\n"))
    return bench


def test_the_first_layer_that_fails_is_explained_and_fixed(bench: Broken) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "troubleshoot", "Cause: saslauthd")
        await until(pilot, lambda: shows(app, "f fixes it"))
        await until(pilot, lambda: shows(app, "msa-wizard troubleshoot --fix "))
        assert shows(app, "o Outside")
        assert isinstance(app.screen, Troubleshoot)
        cause = str(app.screen.query_one(app.screen.SAYS, Static).visual).removeprefix("Cause: ")
        assert "\n".join(text(app)).count(cause[:30]) == 1, "it is said once, in one sentence"
        assert bench.text("/etc/a") == "old a\n", "looking changes nothing"
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, RunSteps) and shows(app, "+fixed"))
        assert bench.text("/etc/a") == "old a\n"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "✓ Done"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Troubleshoot) and shows(app, "Nothing fails"))

    play(bench, story)
    assert bench.operations() == ["apply", "baseline"]


def test_a_login_is_asked_for_and_forgotten(bench: Broken) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "troubleshoot", "Cause: saslauthd")
        await pilot.press("u", "enter")
        await until(pilot, lambda: shows(app, "The user name is missing."))
        await pilot.press(*"alice", "enter", "enter")
        await until(pilot, lambda: shows(app, "The password is missing."))
        await pilot.press(*"s3cret", "enter")
        await until(pilot, lambda: bench.asked is not None)
        await until(pilot, lambda: shows(app, "troubleshoot --user alice"))
        assert not shows(app, "s3cret")
        screen = app.screen
        assert isinstance(screen, Troubleshoot)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)
        assert screen._credentials is None

    play(bench, story)
    assert bench.asked == Credentials("alice", "s3cret")


def test_what_comes_of_a_login_is_explained_whatever_row_was_read(bench: Broken) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "troubleshoot", "Cause: saslauthd")
        await pilot.press("end")
        await until(pilot, lambda: shows(app, "provider's firewall"))
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, AskCredentials))
        await pilot.press(*"alice", "enter", *"s3cret", "enter")
        await until(pilot, lambda: isinstance(app.screen, Troubleshoot) and shows(app, "Users say: "))
        assert not shows(app, "provider's firewall")

    play(bench, story)
    assert bench.asked == Credentials("alice", "s3cret")


def test_what_was_typed_for_the_test_serves_to_find_out_why(bench: Broken) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "test", "A user of the server")
        await pilot.press(*"alice", "enter", *"s3cret", "f4")
        await until(pilot, lambda: isinstance(app.screen, Troubleshoot) and shows(app, "Cause: "))

    play(bench, story)
    assert bench.asked == Credentials("alice", "s3cret")


def test_rows_of_layers_say_what_was_looked_at_and_what_not(bench: Broken) -> None:
    (bench.root / "etc/a").write_text("fixed\n")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "troubleshoot", "Nothing fails")
        await pilot.press("home")
        await until(pilot, lambda: shows(app, "Nothing is wrong here. Looked at:"))
        assert not shows(app, " Fix")
        rows = app.screen.query_one("#rows", OptionList)
        rows.highlighted = rows.get_option_index("layer:greeting")
        await until(pilot, lambda: shows(app, "- the log, MaxDaemonChildren"))
        assert not any(line.strip() == "- the greeting" for line in text(app)), (
            "/proc and the greeting has it"
        )
        await pilot.press("end")
        await until(pilot, lambda: shows(app, "provider's firewall"))
        (bench.root / "etc/a").write_text("broken\n")
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "Cause: saslauthd"))
        assert shows(app, "provider's firewall"), "the row that was read stays"

    play(bench, story)


def test_enter_reads_what_the_row_means_and_escape_comes_back(bench: Broken) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "troubleshoot", "Cause: saslauthd")
        await until(pilot, lambda: shows(app, "Enter Read"))
        await pilot.press("enter")
        assert app.screen.focused is app.screen.query_one("#explained")
        await pilot.press("escape")
        assert app.screen.focused is app.screen.query_one("#rows")
        assert isinstance(app.screen, Troubleshoot)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Troubleshoot))

    play(bench, story)


def test_what_was_found_goes_on_below_its_own_beginning(bench: Broken) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "troubleshoot", "Cause: saslauthd")
        await until(pilot, lambda: shows(app, "f fixes it"))
        await pilot.press("enter", "end")
        await pilot.pause(0.2)
        rows = [row.strip() and row for row in text(app)]
        found = rows[rows.index(next(row for row in rows if row.startswith(" Found:"))) + 1 :]
        below = found[: found.index("")]
        assert below
        assert all(row.startswith("   ") for row in below), below

    play(bench, story, (80, 24))
