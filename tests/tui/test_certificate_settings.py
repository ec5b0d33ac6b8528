"""What is chosen in "Get a certificate" is a part of the settings: kept like the others, and by the same way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.certificate_obtain import ObtainCertificate
from screens.review_and_run import RunSteps
from screens.settings import Settings
from screens.settings_form import Flag, Unsaved
from snapshots.store import Store
from tests.store.machine import commit
from tests.tui.bench import Bench, Writes, at, play, says, shows, until, use
from tests.tui.test_forms import SAVED, by_others
from wizard.model.answers import Answers, Certificate, Test
from wizard.model.answers_file import load, saved
from wizard.steps.certificate_obtain import CertificateObtain

BEGINS = "Where the authority may write"
TYPED = Certificate(name="mail.example.org", email="a@example.org", agree_tos=True)
BY_DNS = Certificate("dns-rfc2136", "mail.example.org", "a@example.org", credentials="/root/rfc2136.ini")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(root=tmp_path)
    use(monkeypatch, bench, Writes(CertificateObtain.id, bench.host, "/etc/obtained", "a certificate\n"))
    monkeypatch.chdir(tmp_path)
    return bench


def fill(app: WizardApp, wanted: Certificate) -> None:
    """Type this into the form."""
    assert isinstance(app.screen, ObtainCertificate)
    for field in app.screen.query(Input):
        field.value = getattr(wanted, str(field.id))
    app.screen.query_one("#agree_tos", Flag).value = wanted.agree_tos


@pytest.mark.parametrize(
    ("wanted", "apply"),
    [
        (TYPED, "gets no certificate while Challenge is empty"),
        (BY_DNS, "gets no certificate yet: Let's Encrypt gives"),
        (replace(BY_DNS, agree_tos=True), "gets the certificate, too"),
        (replace(BY_DNS, agree_tos=True, credentials=""), "gets no certificate yet: no file with"),
    ],
)
def test_it_is_saved_and_there_at_the_next_start(bench: Bench, wanted: Certificate, apply: str) -> None:
    commit(Store.open(bench.root / "state/etc.git", root=bench.root), "baseline")
    by_others(bench, "# ours\n[test]\nuser = 'alice' # the first\n")
    (bench.root / SAVED).chmod(0o640)

    async def fills_in(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "obtain", BEGINS)
        fill(app, wanted)
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now") and says(app, f"`apply` {apply}"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ObtainCertificate))

    async def finds_it(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "obtain", BEGINS)
        assert {str(field.id): field.value for field in app.screen.query(Input)} == {
            str(field.id): getattr(wanted, str(field.id)) for field in app.screen.query(Input)
        }
        assert app.screen.query_one("#agree_tos", Flag).value is wanted.agree_tos
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ObtainCertificate))

    play(bench, fills_in)
    assert load(bench.root / SAVED) == Answers(certificate=wanted, test=Test(user="alice"))
    assert (bench.root / SAVED).read_text().startswith("# ours\n[test]\nuser = 'alice' # the first\n")
    assert (bench.root / SAVED).stat().st_mode & 0o777 == 0o640
    assert bench.operations()[0] == "settings"
    play(Bench(root=bench.root, steps=bench.steps), finds_it)


def test_nothing_is_saved_where_nothing_differs(bench: Bench) -> None:
    commit(Store.open(bench.root / "state/etc.git", root=bench.root), "baseline")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        for name, begins in (("obtain", BEGINS), ("settings", "The IP addresses of this host")):
            await at(pilot, app, name, begins)
            await pilot.press("f2")
            await until(pilot, lambda: says(app, "✓ These settings are saved already."))
            await pilot.press("escape")

    play(bench, story)
    assert not (bench.root / SAVED).exists()
    assert bench.operations() == ["baseline"]


def test_what_was_got_by_it_is_kept(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "obtain", BEGINS)
        fill(app, TYPED)
        await pilot.press("f5")
        await until(
            pilot, lambda: isinstance(app.screen, RunSteps) and shows(app, "y applies certificate-obtain")
        )
        assert not (bench.root / SAVED).exists()
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Esc goes back"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RunSteps | ObtainCertificate))

    play(bench, story)
    assert load(bench.root / SAVED).certificate == bench.answers.certificate == TYPED
    assert bench.operations()[:2] == ["settings", "apply"]
    assert bench.session.saved == [f"the settings, in /{SAVED}"]


@pytest.mark.parametrize("there", ["", "# ours\n[test]\nuser = 'alice'\n"])
def test_what_is_not_chosen_here_is_not_saved(bench: Bench, there: str) -> None:
    if there:
        by_others(bench, there)
    wanted = Test(user="bob")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        bench.answers = replace(bench.answers, test=wanted)
        await at(pilot, app, "obtain", BEGINS)
        fill(app, TYPED)
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ObtainCertificate))

    play(bench, story)
    chosen = '[certificate]\nname = "mail.example.org"\nemail = "a@example.org"\nagree_tos = true\n'
    assert (bench.root / SAVED).read_text() == f"{there}\n{chosen}".lstrip()
    assert bench.answers == Answers(test=wanted, certificate=TYPED)


@pytest.mark.parametrize("ends", ["cancelled", "failed"])
def test_what_nothing_was_got_by_is_asked_about(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    fails = Writes(CertificateObtain.id, bench.host, "/etc/obtained", "a certificate\n", good=lambda: False)
    use(monkeypatch, bench, fails)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "obtain", BEGINS)
        fill(app, TYPED)
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "y applies certificate-obtain"))
        if ends == "failed":
            await pilot.press("y")
            await until(pilot, lambda: shows(app, "failed and is undone"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ObtainCertificate))
        assert app.screen.query_one("#email", Input).value == TYPED.email
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("d")
        await until(pilot, lambda: not isinstance(app.screen, Unsaved | ObtainCertificate))

    play(bench, story)
    assert not (bench.root / SAVED).exists()
    assert bench.answers == Answers()


@pytest.mark.parametrize(("answer", "left"), [("y", True), ("enter", False)])
def test_leaving_asks_about_what_is_not_saved(bench: Bench, answer: str, left: bool) -> None:
    bench.answers = bench.saved = Answers(certificate=TYPED)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "obtain", TYPED.email)
        app.screen.query_one("#email", Input).value = ""
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press(answer)
        await until(pilot, lambda: not isinstance(app.screen, Unsaved))
        await until(pilot, lambda: isinstance(app.screen, ObtainCertificate) is not left)

    play(bench, story)
    assert (bench.answers.certificate.email == "") is left
    assert (bench.root / SAVED).exists() is left


def test_what_is_wrong_is_not_saved_and_its_field_is_gone_to(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "obtain", BEGINS)
        app.screen.query_one("#credentials", Input).value = "/root/../etc/shadow"
        for key in ("f2", "f5"):
            app.screen.query_one("#email").focus()
            await pilot.press(key)
            await until(pilot, lambda: says(app, "✗ DNS credentials: '/root/../etc/shadow' must not hold .."))
            await until(pilot, lambda: app.focused is app.screen.query_one("#credentials"))
        assert not shows(app, "$ msa-wizard"), "no command asks with it"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        assert not shows(app, "y save them")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ObtainCertificate))
        assert says(app, "✗ DNS credentials: ")

    play(bench, story)
    assert not (bench.root / SAVED).exists()


def test_what_somebody_else_saves_of_it_meanwhile_is_not_written_over(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "obtain", BEGINS)
        fill(app, TYPED)
        by_others(bench, '[test]\nuser = "alice"\n')
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        assert load(bench.root / SAVED) == Answers(certificate=TYPED, test=Test(user="alice"))
        by_others(bench, '[certificate]\nemail = "bob@example.org"\n')
        app.screen.query_one("#name", Input).value = "mx.example.org"
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "✗ Somebody has saved other settings since you opened these."))

    play(bench, story)
    assert load(bench.root / SAVED) == Answers(certificate=Certificate(email="bob@example.org"))


def test_the_form_of_the_certificate_and_that_of_the_rest_do_not_write_over_each_other(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        settings = app.screen
        await until(pilot, lambda: shows(app, "(apply gets none; o on Certificate)"))
        settings.query_one("#test-user", Input).value = "alice"
        app.go("obtain")
        await until(pilot, lambda: isinstance(app.screen, ObtainCertificate) and shows(app, BEGINS))
        fill(app, BY_DNS)
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        assert saved(bench.root / SAVED) == Answers(certificate=BY_DNS), (
            "not what the other form has not saved"
        )
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is settings)
        await until(pilot, lambda: shows(app, "mail.example.org by dns-rfc2136 (o on Certificate)"))
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Settings))

    play(bench, story)
    assert load(bench.root / SAVED) == Answers(certificate=BY_DNS, test=Test(user="alice"))


def test_the_certificate_saved_on_top_leaves_nothing_unsaved_below(bench: Bench) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "settings", "The IP addresses of this host")
        app.go("obtain")
        await until(pilot, lambda: isinstance(app.screen, ObtainCertificate) and shows(app, BEGINS))
        fill(app, TYPED)
        await pilot.press("f2")
        await until(pilot, lambda: says(app, "Every command uses them now"))
        await pilot.press("f10")
        await until(pilot, lambda: app._exit)

    play(bench, story)
