"""A picture of every screen, and of those that use the room of a wide terminal one more; on a recorded Debian 13.

After an intended change: MSA_WIZARD_PICTURES=write ./tests/run screens -- -k pictures, then look at each of them. The
documents show copies, in docs/pictures.
"""

from __future__ import annotations

import datetime
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from screens import SMALLEST
from screens.app import WizardApp
from screens.certificate import Certificate as CertificateScreen
from screens.certificate import InstallCertificate
from screens.certificate_obtain import ObtainCertificate
from screens.dialog import Dialog
from screens.dialogs import FirewallCountdown, LocalEdits, StepFailed
from screens.help import Help
from screens.jobs import Job, JobEnded, MoveWaits, RollbackWaits
from screens.leaving import ConfirmQuit, EditsGo
from screens.login_test import LoginTest
from screens.manual_login import ManualLogin
from screens.recovery import RecoveryScreen
from screens.rehearse import Rehearse
from screens.rollback import History, RollbackScreen
from screens.saved_texts import MailClients, Report
from screens.settings import Settings
from screens.steps import Steps
from screens.summary import Summary
from screens.tools import SaslauthdDebug
from screens.troubleshoot import Troubleshoot
from screens.welcome import Welcome
from snapshots.format.message import Author, Commit
from snapshots.live.entry import Entry, Kind
from snapshots.merge.path_merge import Conflict
from snapshots.merge.reversal import Reversal
from snapshots.store import Store
from tests.tui.bench import Bench, play, shows, until
from tests.unit.rehearse.made import good
from tests.unit.steps.recorded import machine
from tests.unit.troubleshoot.pictures import SENDMAIL, picture
from wizard.certificates import Certificate
from wizard.changes.packages import PackagesEffect
from wizard.engine.in_force import Target
from wizard.engine.journal import Unfinished
from wizard.engine.local_edits import OwnEdit
from wizard.engine.overview import Overview, found, plans
from wizard.engine.summary import Summary as Ending
from wizard.gather.certificates import CertificateReport, Named, another
from wizard.maillog.correlate import ConversationLine
from wizard.model.facts import COMMON_KEY, SERVER_CERT, Facts
from wizard.model.plan import Check, Sign
from wizard.rollback.plan import Rollback, Wanted
from wizard.smtp.connection import Move
from wizard.smtp.login_test import Finding, Result
from wizard.smtp.transcript import Credentials
from wizard.steps.order import STEPS
from wizard.steps.preflight import checks
from wizard.system.sockets import Listener
from wizard.troubleshoot.verdict import Verdict, judge

PICTURES = Path(__file__).parent / "pictures"
WHEN = datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.UTC)
DIFF = """etc/mail/sendmail.mc
--- a/etc/mail/sendmail.mc
+++ b/etc/mail/sendmail.mc
@@ -61,1 +61,1 @@
-DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, Addr=127.0.0.1')dnl
+DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, M=A')dnl
"""


@dataclass
class Recorded(Bench):
    """A machine that is always the same."""

    def facts(self) -> Facts:
        """Debian 13 as apt leaves it."""
        own = tuple(Listener("127.0.0.1", port, "sendmail-mta", 1) for port in (25, 587))
        facts: Facts = replace(machine("13"), listeners=own)
        return facts

    def overview(self) -> Overview:
        """Without the clock, which never stands still."""
        facts = self.facts()
        seen = [item for item in checks(facts, self.answers) if item.id != "clock"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "wizard.engine.planner.tried", lambda _host, _facts, plan: plan
            )  # m4 is not on every host
            planned = plans(self.host, self.answers, facts)
        return Overview(facts, (*seen, *found(facts, self.answers)), planned, ())

    def store(self) -> Store | None:
        """None yet."""
        return None

    def killed(self) -> Unfinished | None:
        """A run that was killed."""
        change: dict[str, object] = {
            "touches": ["/etc/mail/sendmail.mc"],
            "expected": {"kind": "file", "path": "/etc/mail/sendmail.mc"},
        }
        return Unfinished("apply", "f" * 12, "carol", 1.0, "0" * 40, {}, "smtp-port", "", [change])

    def commits(self) -> tuple[Commit, ...]:
        """Two steps on a baseline."""
        rows = (
            ("apply", "smtp-port: No AUTH on port 25", "smtp-port"),
            ("drift", "Changes made outside msa-wizard", None),
        )
        who = Author("carol", "carol@mail.example.test")
        return tuple(
            Commit(id=f"{number}" * 40, author=who, time=WHEN, subject=subject, body="", operation=operation, step=step, howto=None, run="f" * 12)
            for number, (operation, subject, step) in enumerate((*rows, ("baseline", "The host as it was found", None)), 1)
        )  # fmt: skip

    def diff(self, commit: Commit) -> str:
        """The same for each."""
        return DIFF

    def troubleshoot(self, credentials: Credentials | None) -> Verdict:
        """saslauthd is down."""
        return judge(picture(facts={"processes": (SENDMAIL,)}, mux_problem="No such file"))

    def summary(self) -> Ending:
        """All is done but one step, and clients want more."""
        done = (
            ("done", "install, saslauthd-start, sendmail-auth, mc-includes, submission-port, sendmailconfig, restart"),
            ("skipped", "smtp-port: without it passwords can be tried at port 25, too"),
        )  # fmt: skip
        says = "the certificate is self-signed: each mail client asks once whether to trust it"
        return Ending(
            done,
            (
                Check("login", Sign.OK, "login: a login was accepted on 2026-03-01"),
                Check("certificate", Sign.WARNING, says, "msa-wizard certificate install CERT KEY"),
                Check(
                    "outside", Sign.PENDING, "firewall: only a login from elsewhere proves that it lets clients in",
                    "msa-wizard test --from-outside",
                ),
            ),
        )  # fmt: skip

    def certificates(self) -> CertificateReport:
        """Debian's own, which no client takes without a word."""
        seen = Certificate(
            subject="mail.example.test", issuer="mail.example.test", names=(), not_before=WHEN,
            not_after=WHEN.replace(year=2036), key="RSA 2048", fingerprint_sha256="a7" * 32,
            self_signed=True, trusted=False, problem=None,
        )  # fmt: skip
        named = Named("ServerCertFile", SERVER_CERT, COMMON_KEY, seen, "RSA 2048", "0640 root:smmsp")
        says = "it has no subjectAltName: today's clients find no name in it"
        return CertificateReport(
            "mail.example.test", [named], "2048 bits",
            [
                Check("names", Sign.FAILED, says, another(seen, ("no-alternative-name",))),
                Check("presented", Sign.OK, "port 587 presents this very certificate"),
            ],
        )  # fmt: skip


def just_tested() -> Screen[None]:
    """A login test that has just ended in 235."""

    class Tested(LoginTest):
        def on_screen_resume(self) -> None:
            """The lines, as if they came from a server."""
            for who, text, beside in (
                ("client", "AUTH LOGIN", "log in, name and password asked for one by one"),
                ("server", "334 VXNlcm5hbWU6", "base64 of: Username:"),
                ("client", "YWxpY2U=", "base64 of the user name alice"),
                ("server", "334 UGFzc3dvcmQ6", "base64 of: Password:"),
                ("client", "********", "base64 of the password, masked"),
                (
                    "log",
                    "sm-mta[1262]: AUTH=server, relay=localhost [127.0.0.1], authid=alice",
                    "the login is accepted",
                ),
                ("server", "235 2.0.0 OK Authenticated", "logged in"),
            ):
                self.add(ConversationLine(0.0, who, text, beside))  # type: ignore[arg-type]
            good = Finding("smtp-auth", "ok", "Port 25 offers no AUTH.")
            said = "The login was accepted (235)."
            self.on_job_ended(
                JobEnded(Job("test", self), Result(True, None, said, 235, (), (good,), None, None, None))
            )

    return Tested()


def saslauthd_talks() -> Screen[None]:
    """saslauthd in debug mode, after a login."""

    class Talking(SaslauthdDebug):
        def on_screen_resume(self) -> None:
            """The lines of one login."""
            for line in (
                "listening on socket: /var/run/saslauthd/mux",
                "using process model",
                "forked child: 1379",
                "released accept lock",
                "[login=alice] [service=smtp] [realm=]: not found, update pending",
                "auth success: [user=alice] [service=smtp] [realm=] [mech=pam]",
                "response: OK",
                "auth failure: [user=bob] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]",
            ):
                self.add(f"saslauthd[1378] :{line}")

    return Talking()


def asks_for_the_next() -> Screen[None]:
    """A login by hand without TLS, at its password."""

    class Asking(ManualLogin):
        def on_screen_resume(self) -> None:
            """The lines so far, and the move that waits."""
            self.action_mode()
            self.query_one("#user", Input).value = "alice"
            self.query_one("#password", Input).value = "s3cret"
            for who, words, beside in (
                ("client", "AUTH LOGIN", "log in: name and password are asked for one by one"),
                ("server", "334 VXNlcm5hbWU6", "base64 of: Username:"),
                ("client", "YWxpY2U=", "base64 of the user name alice"),
                ("server", "334 UGFzc3dvcmQ6", "base64 of: Password:"),
            ):
                self.add(ConversationLine(0.0, who, words, beside))  # type: ignore[arg-type]
            self.query_one("#said").focus()
            self.on_move_waits(
                MoveWaits(Move("********", "base64 of the password, masked here"), time.monotonic() + 97.4)
            )

        def _count(self) -> None:
            assert self._waits is not None or not self.is_current
            if self._waits is not None:
                self._waits = MoveWaits(self._waits.move, time.monotonic() + 97.4)
            super()._count()

    return Asking()


BEFORE = "DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, Addr=127.0.0.1')dnl"
LEFT = "DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, M=A')dnl"
MINE = "DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, M=Ab')dnl"


def rollback_waits(*conflicts: Conflict) -> Screen[None]:
    """A rollback that is worked out."""
    commit = Recorded.commits(Recorded.__new__(Recorded))[0]
    now, then = (Entry(Kind.FILE, 0o644, 0, 0, f"{line}\n".encode()) for line in (LEFT, BEFORE))
    targets = {} if conflicts else {"etc/mail/sendmail.mc": (now, then)}
    reversal = Reversal("0" * 40, (commit,), targets, (), conflicts, ())
    wanted = Wanted(PackagesEffect((), ()))
    rollback = Rollback(
        Target((commit,), ("smtp-port",)),
        reversal,
        wanted,
        None,
        (),
        True,
        ends=("other mail servers can no longer reach port 25",),
        restarts=("sendmail",),
    )

    class Waiting(RollbackScreen):
        def _begin(self) -> None:
            self.on_rollback_waits(RollbackWaits(rollback))

    return Waiting("smtp-port")


def rollback_conflict() -> Screen[None]:
    """The three versions that git's merge shows."""
    marked = (
        "<<<<<<< as it is now",
        MINE,
        "||||||| as the step left it",
        LEFT,
        "=======",
        BEFORE,
        ">>>>>>> as it was before",
    )
    return rollback_waits(Conflict("etc/mail/sendmail.mc", "content", "\n".join(marked)))


def own_edits() -> Screen[str | None]:
    """An edit of the admin's that a step would undo."""
    text = f"yours, as it is now:\n  {MINE}\nas the step left it:\n  {LEFT}\nas the step would make it:\n  {LEFT}"
    return LocalEdits("smtp-port", [OwnEdit("/etc/mail/sendmail.mc", text)])


class Stopped(FirewallCountdown):
    """Its clock stands still."""

    def __init__(self) -> None:
        super().__init__(51.3)

    def over(self) -> bool:
        """Nothing waits here, which would end it."""
        return False

    def say_now(self) -> None:
        """As it began."""


class Quitting(ConfirmQuit):
    """Nothing is at work here, which would end it."""

    def __init__(self) -> None:
        super().__init__(lambda: ("restart", "run", ()))

    def over(self) -> bool:
        """It stays."""
        return False


def just_rehearsed() -> Screen[None]:
    """A rehearsal that has just ended well."""

    class Rehearsed(Rehearse):
        def on_screen_resume(self) -> None:
            """The report."""
            self.ended(good())

    return Rehearsed()


SCREENS: dict[str, tuple[Callable[[], Screen[Any]], str]] = {
    "welcome": (Welcome, "steps have something to do"),
    "steps": (Steps, "steps to do. y"),
    "summary": (Summary, "What mail clients need"),
    "settings": (Settings, "(saslauthd asks pam)"),
    "rehearse": (Rehearse, "y begins"),
    "rehearsed": (just_rehearsed, "It would work"),
    "login-test": (just_tested, "accepted (235)"),
    "history": (History, "M=A"),
    "recovery": (RecoveryScreen, "y takes the highlighted way"),
    "rollback": (rollback_waits, "y rolls this back"),
    "rollback-conflict": (rollback_conflict, "e edits"),
    "local-edits": (own_edits, "cancel (the default)"),
    "troubleshoot": (Troubleshoot, "f fixes it"),
    "certificate": (CertificateScreen, "What sendmail and mail"),
    "saslauthd-debug": (saslauthd_talks, "response: OK"),
    "manual-login": (asks_for_the_next, "Enter sends: ********"),
    "install-certificate": (InstallCertificate, "The certificate in PEM format"),
    "obtain-certificate": (ObtainCertificate, "Where the authority may write"),
    "mail-clients": (MailClients, "STARTTLS"),
    "report": (Report, "Mail submission on"),
    "step-failed": (lambda: StepFailed("restart", "port 587 does not greet", ["Restarting sendmail"], ["service sendmail"], []), "failed"),
    "firewall-countdown": (Stopped, "52 s left to confirm them"),
    "edits-go": (lambda: EditsGo(["mc-includes", "submission-port"]), "If you leave now"),
    "confirm-quit": (Quitting, "If you quit now"),
    "help": (lambda: Help(Steps()), "Esc closes this"),
}  # fmt: skip


WIDE = ("steps", "rollback", "history", "local-edits", "troubleshoot", "report")
PICTURED = [(name, (80, 24)) for name in SCREENS] + [(name, (120, 40)) for name in WIDE]


@pytest.mark.parametrize(
    ("name", "size"),
    PICTURED,
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else value,
)
def test_pictures(tmp_path: Path, name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr("wizard.gather.certificates.Named.days_left", 3650)
    monkeypatch.setattr("wizard.render.files._now", lambda: "2026-03-01 12:30 UTC")
    drawn: list[str] = []

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        app.ansi_color = False  # a picture needs colours, not the names of colours
        make, words = SCREENS[name]
        await until(pilot, lambda: shows(app, "steps have something to do"))
        if name != "welcome":
            app.push_screen(make())
        if name == "help":
            await until(pilot, lambda: isinstance(app.screen, Help))
        else:
            await until(pilot, lambda: shows(app, words))
        # The footer comes a while after the words, on a busy machine a long while.
        for _ in range(10 if writes else 50):
            await pilot.pause(0.3)
            svg = app.export_screenshot(title=f"msa-wizard: {name}")
            drawn[:] = [re.sub(r"\bterminal-\d+", "terminal", svg)]  # a hash of the content, in every line
            if not writes and drawn[0] == path.read_text():
                break

    path = PICTURES / f"{name}-{size[0]}x{size[1]}.svg"
    writes = os.environ.get("MSA_WIZARD_PICTURES") == "write"
    play(Recorded(root=tmp_path, steps=STEPS), story, size)
    if writes:
        PICTURES.mkdir(exist_ok=True)
        path.write_text(drawn[0])
    (tmp_path / path.name).write_text(drawn[0])
    assert drawn[0] == path.read_text(), (
        f"the screen looks otherwise: compare {path} and {tmp_path / path.name}"
    )


def test_each_screen_fits_the_smallest_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.gather.certificates.Named.days_left", 3650)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await until(pilot, lambda: shows(app, "steps have something to do") and shows(app, "F1 Help"))
        for name, (make, words) in SCREENS.items():
            if name in ("welcome", "help"):  # what scrolls is looked at with the dialogs
                continue
            app.push_screen(screen := make())
            await until(pilot, partial(shows, app, words))
            await until(pilot, partial(shows, app, "└" if isinstance(screen, Dialog) else "F1 Help"))
            app.pop_screen()

    play(Recorded(root=tmp_path, steps=STEPS), story, SMALLEST)
