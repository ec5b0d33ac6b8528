"""The howto's own tools by keys: saslauthd talking, a login by hand, a test from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from screens.app import WizardApp
from screens.backend import ManualLoginRequest
from screens.dialogs import AskCertificate
from screens.jobs import Job
from screens.manual_login import ManualLogin
from screens.tools import RemoteLogin, SaslauthdDebug
from screens.troubleshoot import Troubleshoot
from snapshots.live.entry import Entry, Kind
from tests.authority import Authority
from tests.pasted import pasted
from tests.tui.bench import Bench, Writes, at, play, shows, text, until, use
from tests.unit.smtp.server import PASSWORD, USER, Script, print_of, serving
from tests.unit.steps.recorded import machine
from wizard.certificates import Certificate
from wizard.changes.file import FileChange
from wizard.debug import ConversationResult, DebugResult, talk
from wizard.errors import HostError
from wizard.maillog.correlate import ConversationLine
from wizard.maillog.read import LogLine
from wizard.maillog.watched_login import OutsideLogin, commands, verdict
from wizard.model.plan import Change, Check, Sign
from wizard.smtp.connection import Move, Target
from wizard.smtp.server_trust import Trust
from wizard.smtp.transcript import Credentials, encode
from wizard.troubleshoot.verdict import Verdict, judge

LINES = (
    "saslauthd[9] :listening on socket: /var/run/saslauthd/mux",
    "saslauthd[9] :auth success: [user=alice] [service=smtp] [realm=] [mech=pam]",
    "saslauthd[9] :auth_rimap: sending LOGIN alice S3cr3t-77",
)


@dataclass
class Tools(Bench):
    """A host whose saslauthd says LINES, and whose MSA is the scripted server."""

    port: int = 0
    seconds: float = 60.0
    accepted: str = ""
    ended: list[str] = field(default_factory=list)
    problem: Exception | None = None
    nobody: bool = False

    def debug_saslauthd(
        self, job: Job, seconds: int, told: Callable[[str], None], over: Callable[[], bool]
    ) -> DebugResult:
        """Its lines, then silence until the end."""
        if self.problem:
            raise self.problem
        job.say("$ systemctl stop saslauthd")
        for line in LINES:
            told(line)
        while not over() and not job.stopped:
            time.sleep(0.02)
        self.ended.append("put back")
        job.say("undone: service saslauthd (as before)")
        return DebugResult(False, 0, Check("socket", Sign.OK, "saslauthd answers on /run/saslauthd/mux"))

    def manual_login(
        self,
        job: Job,
        request: ManualLoginRequest,
        told: Callable[[ConversationLine], None],
        enter: Callable[[Move, float | None], bool],
        agree: Callable[[tuple[Change, ...]], bool],
        ask: Callable[[Certificate, str], bool] | None = None,
    ) -> ConversationResult | None:
        """The real conversation, with the scripted server."""
        if not request.encrypted:
            above, below = (b"# " + b"word " * 30 + b"\n") * 5, b"# below\n" * 5
            before = Entry(Kind.FILE, 0o644, 0, 0, above + b"O AuthOptions=p y\n" + below)
            after = replace(before, content=above + b"# O AuthOptions=p y\n" + below)
            change = FileChange("/etc/mail/sendmail.cf", before, after, "AuthOptions temporarily removed")
            if not agree((change,)):
                return None
            self.ended.append("changed")
        end = None if request.encrypted else time.monotonic() + self.seconds
        target = Target(
            host="127.0.0.1",
            server_name="mx.test",
            port=self.port,
            send_to=request.send_to or None,
            trust=Trust(ask=ask, pins=frozenset({"0" * 64}), file="/etc/mail/x.crt", accepted=self.accepted),
        )
        try:
            return talk(
                *(self.host, target, request.credentials, told, lambda move: enter(move, end)),
                encrypted=request.encrypted,
            )
        finally:
            self.ended.append("put back")

    def outside_commands(self, columns: int) -> str:
        """As for a host with this name."""
        with pytest.MonkeyPatch.context() as patch:
            named = replace(machine("13"), fqdn="mail.example.test", fqdn_resolves=True)
            patch.setattr("wizard.maillog.watched_login.look", lambda _: named)
            trust = SimpleNamespace(pins={"AB" * 31 + "EF"})
            patch.setattr("wizard.maillog.watched_login.trust_of", lambda _: trust)
            return commands(self.host, self.answers.certificate, columns)

    def from_outside(
        self, seconds: float, told: Callable[[LogLine], None], over: Callable[[], bool]
    ) -> Check:
        """A client that logs in, or nobody."""
        end = time.monotonic() + 20
        while self.nobody and not over() and time.monotonic() < end:
            time.sleep(0.02)
        found = OutsideLogin(frozenset({"192.0.2.1"}))
        line = LogLine(0.0, "sm-mta", 7, "AUTH=server, relay=[8.8.8.8], authid=alice, mech=LOGIN, bits=0")
        assert found.takes(line)
        told(line)
        return verdict(found, seconds)

    def troubleshoot(self, credentials: Credentials | None) -> Verdict:
        """All is well."""
        from tests.unit.troubleshoot.pictures import picture

        return judge(picture())


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate and its key, in one file."""
    (tmp_path / "ca").mkdir()
    leaf = Authority(tmp_path / "ca").leaf("mx.test")
    path = tmp_path / "mx.pem"
    path.write_text(leaf.key + leaf.certificate)
    return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    bench = Tools(root=tmp_path)
    use(monkeypatch, bench, Writes("one", bench.host, "/etc/b", "new b\n"))
    return bench


def test_saslauthd_talks_and_each_line_is_explained(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "saslauthd", "y begins")
        assert not app.desk.busy
        assert shows(app, "so do 10 minutes and a lost connection.")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "auth success: [user=alice]"))
        await until(pilot, lambda: shows(app, "s left. e ends it"))
        assert "S3cr3t-77" not in "\n".join(text(app))
        await pilot.press("up")
        await until(pilot, lambda: shows(app, "yes: user and password are right"))
        await pilot.press("home")
        await until(pilot, lambda: shows(app, "ready: sendmail asks it here"))
        assert sum("auth success: [user=alice]" in line for line in text(app)) == 1, "each line is there once"
        assert sum("ready: sendmail asks it here" in line for line in text(app)) == 1
        app.go("history")
        assert isinstance(app.screen, SaslauthdDebug), "the host is changed for that while"
        await pilot.press("e")
        await until(pilot, lambda: shows(app, "✓ The service is restored"))
        rows = text(app)
        stopped, listens, restored = (
            next(at for at, row in enumerate(rows) if words in row)
            for words in ("$ systemctl stop saslauthd", "listening on socket", "undone: service saslauthd")
        )
        assert stopped < listens < restored, "in the order in which it was done"
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, SaslauthdDebug))

    play(bench, story)
    assert bench.ended == ["put back"]


def test_leaving_restores_saslauthd_first(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "saslauthd", "y begins")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "auth success: [user=alice]"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, SaslauthdDebug))
        assert bench.ended == ["put back"]

    play(bench, story)


def test_what_prevents_saslauthd_is_said(bench: Tools) -> None:
    bench.problem = HostError("there is no saslauthd service on this host")

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "saslauthd", "y begins")
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "✗ There is no saslauthd service on this host"))

    play(bench, story)


def test_each_command_waits_for_its_key(bench: Tools, certificate: Path) -> None:
    script = Script(certificate)
    bench.accepted = print_of(certificate)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "by-hand", "Fill in the user name")
        for name, value in (("user", USER), ("password", PASSWORD)):
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("f5")
        for words in (
            "(connect to",
            "EHLO",
            "STARTTLS",
            "EHLO",
            "AUTH LOGIN",
            encode(USER),
            "********",
            "QUIT",
        ):
            await until(pilot, lambda words=words: shows(app, f"Enter sends: {words}"))  # type: ignore[misc]
            if words == "AUTH LOGIN":
                await pilot.pause(0.3)
                assert not any(said.startswith("AUTH") for said in script.said), "not before its key"
            await pilot.press("enter")
            await pilot.pause()
            assert not shows(app, f"Enter sends: {words} "), "it was sent"
            assert not shows(app, "Connecting"), "nothing is done before its key"
        await until(pilot, lambda: shows(app, "✓ The login was accepted (235)."))
        assert PASSWORD not in "\n".join(text(app))
        said = app.screen.query_one("#said", OptionList)
        shown = "\n".join(str(said.get_option_at_index(at).prompt) for at in range(said.option_count))
        assert PASSWORD not in shown
        assert encode(PASSWORD) not in shown
        assert "235" in shown

    with serving(script) as bench.port:
        play(bench, story, (100, 40))


@pytest.mark.parametrize("key", ["y", "n", "enter", "escape"])
def test_another_certificate_than_the_own_is_asked_about(bench: Tools, certificate: Path, key: str) -> None:
    script = Script(certificate)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "by-hand", "Fill in the user name")
        for name, value in (("user", USER), ("password", PASSWORD)):
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("f5")
        for words in ("(connect to", "EHLO", "STARTTLS"):
            await until(pilot, lambda words=words: shows(app, f"Enter sends: {words}"))  # type: ignore[misc]
            await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskCertificate) and shows(app, "/etc/mail/x.crt"))
        pairs = print_of(certificate).upper()
        assert shows(app, f"{pairs[:2]}:{pairs[2:4]}:")
        await pilot.press(key)
        if key == "y":
            await until(pilot, lambda: shows(app, "Enter sends: EHLO"))
        else:
            await until(
                pilot, lambda: not isinstance(app.screen, AskCertificate) and shows(app, "no password")
            )

    with serving(script) as bench.port:
        play(bench, story, (100, 40))
    assert not any(said.startswith("AUTH") for said in script.said)


def test_without_tls_the_time_is_counted_and_ends_it(bench: Tools) -> None:
    bench.seconds = 4.0

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "by-hand", "Fill in the user name")
        await pilot.press("f6")
        await until(pilot, lambda: shows(app, "loopback only. F6"))
        await until(
            pilot, lambda: shows(app, "$ msa-wizard debug login --user NAME --plaintext --loopback-only")
        )
        for name, value in (("user", USER), ("password", PASSWORD)):
            app.screen.query_one(f"#{name}", Input).value = value
        same = f"$ msa-wizard debug login --user {USER} --plaintext"
        await until(pilot, lambda: shows(app, same))
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "y changes this and begins"))
        await until(pilot, lambda: shows(app, "AuthOptions is commented out"))
        assert sum("AuthOptions is commented out" in row for row in text(app)) == 1, "said once, above all"
        await pilot.press("end")
        await until(pilot, lambda: shows(app, "-O AuthOptions=p y"))
        assert not shows(app, "AuthOptions is commented out")
        assert bench.ended == [], "nothing is changed before y"
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "s left, then all is restored."))
        assert app.desk.changing, "nothing else may be done before it is put back"
        await until(
            pilot, lambda: shows(app, "✗ The time was over before the login was accepted; all is restored.")
        )
        assert not app.desk.busy

    with serving(Script(clear_auth="LOGIN PLAIN", offers_starttls=False)) as bench.port:
        play(bench, story)
    assert bench.ended == ["changed", "put back"]


def test_escape_ends_the_conversation_and_forgets_the_password(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "by-hand", "Fill in the user name")
        await pilot.press("f6", "f6")
        fields = {name: app.screen.query_one(f"#{name}", Input) for name in ("user", "password")}
        fields["user"].value, fields["password"].value = USER, PASSWORD
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "y changes this and begins"))
        await pilot.press("y")
        await until(pilot, lambda: shows(app, "Enter sends: (connect"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "Enter sends: EHLO"))
        await pilot.press("escape")
        await until(pilot, lambda: shows(app, "✗ It ended before the login was accepted."))
        assert bench.ended == ["changed", "put back"]
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert isinstance(app.screen, ManualLogin)
        assert shows(app, "< 220"), "what was said can be read"
        assert not app.desk.busy
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ManualLogin))
        assert fields["password"].value == ""

    with serving(Script(clear_auth="LOGIN PLAIN", offers_starttls=False)) as bench.port:
        play(bench, story)


def test_a_long_result_leaves_the_last_line_in_sight(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "by-hand", "Fill in the user name")
        screen = app.screen
        assert isinstance(screen, ManualLogin)
        for number in range(60):
            screen.lines.add(f"< 250-line {number}", "what it means")
        screen.lines.draw()
        await until(pilot, lambda: shows(app, "line 59"))
        screen.say("a sentence of some words. " * 16)
        await until(pilot, lambda: sum("a sentence" in line for line in text(app)) > 4)
        await until(pilot, lambda: shows(app, "line 59"), 5)

    play(bench, story)


def test_enter_at_another_user_name_goes_to_the_password_first(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "by-hand", "Fill in the user name")
        app.screen.query_one("#password", Input).value = PASSWORD
        await pilot.press(*USER, "enter")
        await until(pilot, lambda: app.screen.focused is app.screen.query_one("#password"))
        assert not app.desk.busy

    play(bench, story)


@pytest.mark.parametrize("key", ["enter", "escape", "n"])
def test_without_a_y_nothing_is_changed_for_a_login_without_tls(bench: Tools, key: str) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "by-hand", "Fill in the user name")
        await pilot.press("f6")
        for name, value in (("user", USER), ("password", PASSWORD)):
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("f5")
        await until(pilot, lambda: shows(app, "y changes this and begins"))
        await until(pilot, lambda: shows(app, "Change it and begin"))
        await pilot.press(key)
        await until(pilot, lambda: shows(app, "Nothing was changed"))
        await until(pilot, lambda: not app.desk.busy)
        assert isinstance(app.screen, ManualLogin)

    play(bench, story)
    assert bench.ended == []


def test_somebody_from_outside(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "from-outside", "alice logged in from 8.8.8.8")
        await until(pilot, lambda: shows(app, "the login is accepted"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RemoteLogin))

    play(bench, story)


def test_waiting_is_said_before_there_is_anything_to_show(
    bench: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = threading.Event()

    def commands(_: Tools, _columns: int) -> str:
        known.wait(20)
        return "swaks"

    monkeypatch.setattr(Tools, "outside_commands", commands)

    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "from-outside", "s left.")
        assert shows(app, "The commands to run on another machine come in a moment.")
        known.set()
        await until(pilot, lambda: shows(app, "alice logged in from 8.8.8.8"))

    play(bench, story)


def test_all_commands_for_another_machine_can_be_read_while_nobody_comes(bench: Tools) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "from-outside", "Waiting for a login from outside")
        for words in ("msa-wizard test --host", ":EF", "swaks --server", "openssl s_client"):
            await until(pilot, partial(shows, app, words))
        lines = [line.rstrip() for line in text(app)]
        first = next(number for number, line in enumerate(lines) if "swaks" in line)
        last = next(number for number in range(first, len(lines)) if not lines[number].endswith("\\"))
        swaks = "swaks --server mail.example.test --port 587 --tls --auth LOGIN --auth-user NAME --quit-after AUTH"
        assert pasted("\n".join(lines[first : last + 1])) == swaks.split()
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RemoteLogin))

    bench.nobody = True
    play(bench, story)


@pytest.mark.parametrize(("key", "screen"), [("d", SaslauthdDebug), ("t", ManualLogin), ("o", RemoteLogin)])
def test_the_tools_are_a_key_away_from_troubleshooting(bench: Tools, key: str, screen: type) -> None:
    async def story(pilot: Pilot[int], app: WizardApp) -> None:
        await at(pilot, app, "troubleshoot", "Nothing fails")
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, screen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Troubleshoot))

    play(bench, story)
