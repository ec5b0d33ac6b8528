"""A certificate to install, or to get from an authority, by keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.certificate import InstallCertificate
from screens.certificate_obtain import ObtainCertificate
from screens.help import Help
from screens.review_and_run import RunSteps
from screens.rollback import History
from tests.tui.bench import Bench, Writes, apply_all, at, play, says, shows, until, use
from wizard.errors import HostError
from wizard.gather.certificates import CertificateReport, another
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.steps.certificate_obtain import CertificateObtain


class Certificates(Bench):
    """A host on which a certificate can be installed."""

    def certificate_installation(self, cert: str, key: str, chain: str) -> Sequence[Step]:
        """A step that can be done here; files that are none are refused as the real one does."""
        if not cert.endswith(".pem"):
            raise HostError(f"{cert} holds no certificate. Nothing was changed")
        return [Writes("certificate-install", self.host, "/etc/a", f"{cert} {key} {chain}\n")]


class Looked(Bench):
    """A host that says how often its certificates were looked at."""

    looks = 0

    def certificates(self) -> CertificateReport:
        """Says it."""
        self.looks += 1
        raise HostError(f"look {self.looks}")


class Renews(Bench):
    """A host with a certificate without names."""

    def certificates(self) -> CertificateReport:
        """It, with the ways to another one."""
        remedy = another(None, ("no-alternative-name",))
        return CertificateReport(
            "a.example", [], "", [Check("names", Sign.WARNING, "it has no name", remedy)]
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    bench = Certificates(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/b", "new b\n"))
    return bench


def test_a_certificate_is_asked_for_checked_shown_and_installed(bench: Certificates) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "install", "The certificate in PEM format")
        await pilot.press(*"/x.txt", "enter")
        await until(pilot, lambda: shows(app, "Its private key"))
        await pilot.press(*"/k.pem", "enter", "enter")
        await until(pilot, lambda: shows(app, "/x.txt holds no certificate"))
        await until(pilot, lambda: says(app, "Esc goes back.") and not says(app, "Nothing was changed"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, InstallCertificate))
        await pilot.press(*"/c.pem")  # where the focus is: in the chain
        await until(
            pilot, lambda: shows(app, "$ msa-wizard certificate install /x.txt /k.pem --chain /c.pem")
        )
        app.screen.query_one("#chain", Input).value = ""
        app.screen.query_one("#cert", Input).value = "/x.pem"
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, RunSteps) and shows(app, "+/x.pem /k.pem"))
        await until(pilot, lambda: shows(app, "$ msa-wizard certificate install /x.pem /k.pem"))
        assert bench.text("/etc/a") == "old a\n"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "✓ Done"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RunSteps | InstallCertificate))

    play(bench, story)
    assert "/x.pem /k.pem" in bench.text("/etc/a")


def test_the_ways_to_another_certificate_are_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Renews(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "certificate", "What sendmail and mail clients make of it")
        ways = "o gets one from an authority", "i installs one that you have", "n makes a new self-signed one"
        assert all(shows(app, way) for way in ways)

    play(bench, story)


def test_a_certificate_is_looked_at_again_once_something_was_done_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Looked(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/a", "new a\n"))

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "certificate", "Look 1.")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press("escape")
        await pilot.pause(0.5)
        assert shows(app, "Look 1."), "nothing was done"
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, History))
        apply_all(bench)
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "Look 2."))

    play(bench, story)


def test_a_field_that_must_not_be_empty_is_named(bench: Certificates) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "install", "The certificate in PEM format")
        assert shows(app, "fullchain.pem, say")
        assert shows(app, "privkey.pem, say")
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "✗ Certificate: enter the path of its file."))
        await pilot.press(*"/x.pem")
        await until(pilot, lambda: not shows(app, "enter the path of its file."))
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "✗ Private key: enter the path of its file."))
        await pilot.press("tab")
        await until(pilot, lambda: shows(app, "The intermediate certificates"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "✗ Private key: enter the path of its file."))

    play(bench, story)


def test_an_authority_is_asked_by_what_was_typed(
    bench: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at first says why the authority is not asked at all."""
    (bench.root / "etc/there").write_text("there\n")
    there = (Writes(name, bench.host, "/etc/there", "there\n") for name in ("preflight", "install"))
    use(monkeypatch, bench, *there, CertificateObtain())

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "certificate", "certificate show")
        await pilot.press("o")
        await until(pilot, lambda: shows(app, "Where the authority may write to you"))
        await until(pilot, lambda: shows(app, "$ msa-wizard certificate obtain --email ADDRESS"))
        await pilot.press(*"a@example.org", "enter", *"mail", "tab", "f5")
        await until(pilot, lambda: shows(app, "✗ Name: 'mail' is not a qualified host name"))
        await until(pilot, lambda: app.focused is app.screen.query_one("#name"))
        assert shows(app, "✗ Name: 'mail' is not a qualified host name")
        app.screen.query_one("#name", Input).value = "mail.example.org, smtp.example.org"
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "certificate obtain mail.example.org smtp.example.org"))
        await pilot.press(*"webroot", "enter", *"/srv", "enter", "enter", "enter", "enter")
        await pilot.press(*"https://127.0.0.1:9/dir", "enter", "space")
        says = "a@example.org --challenge webroot"
        await until(pilot, lambda: shows(app, says) and shows(app, "--agree-tos"))
        await pilot.press("enter")
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, RunSteps) and shows(app, "BLOCKED: there is no /etc/mail/sendmail.cf")
            ),
        )
        await until(pilot, lambda: shows(app, "Esc goes back"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ObtainCertificate))

    play(bench, story)


def test_what_was_typed_to_install_a_certificate_is_there_again(bench: Certificates) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "install", "The certificate in PEM format")
        app.screen.query_one("#key", Input).value = "typed-before"
        await until(pilot, lambda: shows(app, "typed-before") and shows(app, "$ msa-wizard certificate"))
        await pilot.press("escape")
        await until(pilot, lambda: not shows(app, "typed-before"))
        app.go("install")
        await until(pilot, lambda: shows(app, "typed-before"))

    play(bench, story)


def test_no_authority_is_asked_while_something_is_in_the_way(
    bench: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    class InTheWay(Writes):
        def plan(self, facts: Facts, answers: Answers) -> Plan:
            return Plan.blocked(self.id, "another MTA is installed")

    obtains = Writes(CertificateObtain.id, bench.host, "/etc/obtained", "a certificate\n")
    use(monkeypatch, bench, InTheWay("preflight", bench.host, "/etc/x", ""), obtains)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "certificate", "certificate show")
        await pilot.press("o")
        await until(pilot, lambda: shows(app, "Where the authority may write to you"))
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, RunSteps) and shows(app, "nother MTA is installed"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Esc goes back"))

    play(bench, story)
    assert not bench.host.exists("/etc/obtained")
