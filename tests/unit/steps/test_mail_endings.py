"""Who sends mail as could not be any more is asked about, by the mail log; who does not is no question."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.steps.recorded import NOW, bare, file, machine
from wizard.engine.edits import looking_ahead
from wizard.model import facts as f
from wizard.model.answers import Answers, Listen
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan, Step
from wizard.model.step_facts import HandedIn, MailLately
from wizard.steps import mail_endings
from wizard.steps.listeners import SmtpPort, SubmissionPort
from wizard.steps.mc_edit import AuthOptions
from wizard.steps.mc_includes import McIncludes
from wizard.system.host import Host

OPEN = "DAEMON_OPTIONS(`Family=inet, Name=web, Port=587, Addr=127.0.0.1, M=E')dnl\n"
OUTSIDE = "DAEMON_OPTIONS(`Family=inet, Port=587, Addr=192.0.2.25, M=Ea')dnl\n"
DEBIANS = "DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea, Addr=127.0.0.1')dnl\n"
ALICE = HandedIn("alice", "LOGIN", "192.0.2.7", "MTA-v4", True, NOW)
PRINTER = HandedIn("scan", "PLAIN", "192.0.2.8", "Daemon1", False, NOW)
WEB = HandedIn("", "", "127.0.0.1", "web", False, NOW)
UNSEEN = MailLately(
    unseen="who logged in before 2026-11-01 08:00 is not known: the journal goes back no further"
)


def host(*mail: HandedIn, lines: str = OUTSIDE + OPEN, cf: str = "", **changes: Any) -> Facts:
    """At work with these listeners for mail clients, and with Debian's own on port 25."""
    mc = machine("13").text(f.SENDMAIL_MC) or ""
    assert DEBIANS in mc
    mc = mc.replace(DEBIANS, lines)
    listening = [
        line.partition("`")[2].partition("'")[0] for line in mc.splitlines() if line.startswith("DAEMON_")
    ]
    live = "".join(f"O DaemonPortOptions={each}\n" for each in listening) + cf
    files = {f.SENDMAIL_MC: file(mc), f.SENDMAIL_CF: file(live), **changes.pop("files", {})}
    return machine("13", **({"files": files, "mail": MailLately(mail)} | changes))


def plan(step: Step, facts: Facts, answers: Answers | None = None) -> Plan:
    return step.plan(facts, answers or Answers())


def test_who_logs_in_at_port_25_is_named() -> None:
    made = plan(SmtpPort(), host(ALICE, PRINTER, dataclasses.replace(ALICE, listener="gone")))
    [ending] = made.ends
    assert ending.id == "logins-port-25"
    assert ending.says.startswith(
        "1 user sent mail within 30 days after a login at port 25, and can no longer log in"
    )
    assert ending.lines == ("alice from 192.0.2.7, port 25 (MTA-v4), last on 2026-09-21",)


def test_where_a_name_is_on_two_ports_both_are_said() -> None:
    lines = DEBIANS.replace("MSP-v4", "MTA-v4")
    [ending] = plan(SmtpPort(), host(ALICE, lines=lines)).ends
    assert "port 25 or port 587 (MTA-v4)" in ending.lines[0]


def test_who_sends_the_password_without_tls_is_named_whatever_the_port() -> None:
    clear = dataclasses.replace(ALICE, encrypted=False)
    hashed = dataclasses.replace(clear, user="bob", mechanism="CRAM-MD5")
    made = plan(AuthOptions(), host(ALICE, clear, hashed, PRINTER))
    [ending] = made.ends
    assert ending.id == "logins-without-tls"
    assert ending.says.startswith("2 users sent mail within 30 days after a login without TLS")
    assert ending.lines == (
        "alice from 192.0.2.7, port 25 (MTA-v4) without TLS, last on 2026-09-21",
        "scan from 192.0.2.8, port 587 (Daemon1) without TLS, last on 2026-09-21",
    )
    assert plan(AuthOptions(), host(clear, cf="O AuthOptions=p\n")).ends == (), "it is refused already"


def test_a_listener_for_programs_of_the_host_stays_beside_another() -> None:
    made = plan(SubmissionPort(), host(WEB, lines=OUTSIDE.replace("M=Ea", "M=E") + OPEN))
    assert made.outcome is Outcome.PENDING
    after = made.changes[-1].after.content.decode()  # type: ignore[attr-defined]
    assert OPEN in after
    assert OUTSIDE in after
    assert made.ends == ()
    made = plan(SubmissionPort(), host(WEB))
    assert made.outcome is Outcome.DONE
    assert (
        made.reason
        == "port 587 requires AUTH (line 59 of sendmail.mc); line 60: for programs of this host, without a login"
    )
    tls = "DAEMON_OPTIONS(`Family=inet, Name=MSPS-v4, Port=submissions, M=Eas')dnl\n"
    reason = plan(SubmissionPort(), host(WEB, lines=OUTSIDE + tls)).reason
    assert reason == "port 587 requires AUTH (line 59 of sendmail.mc), and so does port 465 (line 60)"


def test_whose_mail_needs_a_login_from_now_on_is_named() -> None:
    made = plan(SubmissionPort(), host(WEB, ALICE, lines=OPEN))
    [ending] = made.ends
    assert ending.id == "mail-without-login"
    assert ending.says.startswith("1 address sent mail within 30 days without a login")
    assert ending.lines == ("from 127.0.0.1, port 587 (web) without TLS, last on 2026-09-21",)
    chosen = Answers(listen=Listen(submission=("192.0.2.25",), local_submission=True))
    assert plan(SubmissionPort(), host(WEB, lines=OPEN), chosen).ends == (), "there is one for it then"
    other = dataclasses.replace(WEB, address="192.0.2.9", listener="Daemon1")
    made = plan(SubmissionPort(), host(WEB, other, lines=OUTSIDE.replace("M=Ea", "M=E") + OPEN))
    assert [each.lines for each in made.ends] == [
        ("from 192.0.2.9, port 587 (Daemon1) without TLS, last on 2026-09-21",)
    ]


def test_local_mail_that_is_led_elsewhere_is_no_question() -> None:
    cf = "D{MTAHost}[127.0.0.1]\nMrelay, P=[IPC], A=TCP $h 587\n"
    made = plan(SubmissionPort(), host(WEB, lines=OPEN, files={f.SUBMIT_CF: file(cf)}))
    assert made.ends == ()
    assert any("does not tell local mail from" in note for note in made.notes)


def test_the_first_edit_asks_for_all_of_them() -> None:
    steps = (SubmissionPort(), AuthOptions(), SmtpPort())
    facts = host(WEB, ALICE, dataclasses.replace(PRINTER, listener="MTA-v4"), lines=OPEN)
    first = looking_ahead(plan(McIncludes(), facts), facts, steps, plan)
    assert first.changes == plan(McIncludes(), facts).changes
    assert [each.id for each in first.ends] == ["mail-without-login", "logins-without-tls", "logins-port-25"]
    assert first.ends == tuple(ending for step in steps for ending in plan(step, facts).ends)


def test_what_nobody_does_is_no_question() -> None:
    for step in (SubmissionPort(), AuthOptions(), SmtpPort()):
        made = plan(step, host(lines=OPEN))
        assert (made.outcome, made.ends) == (Outcome.PENDING, ())


@pytest.mark.parametrize("step", [AuthOptions(), SmtpPort()])
def test_what_the_log_does_not_tell_is_said_where_logins_are_set_up(step: Step) -> None:
    assert UNSEEN.unseen not in plan(step, host(mail=UNSEEN)).notes
    assert UNSEEN.unseen in plan(step, host(mail=UNSEEN, cf="O AuthMechanisms=LOGIN PLAIN\n")).notes


def test_the_log_is_read_where_something_may_end_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def read(_host: Host, _cf: str, names: object = None) -> tuple[tuple[HandedIn, ...], str]:
        asked.append(names)
        return (), ""

    for name in ("mail_after_login", "mail_without_login"):
        monkeypatch.setattr(mail_endings, name, read)

    def looked(step: Step, facts: Facts) -> bool:
        asked.clear()
        step.gathered(Host(), dataclasses.replace(facts, mail=None), Answers())
        return bool(asked)

    for step in (SubmissionPort(), AuthOptions(), SmtpPort()):
        assert looked(step, host(lines=OPEN))
        assert not looked(step, bare("13"))
        assert not looked(step, host(lines=OPEN, euid=1000))
    assert not looked(McIncludes(), host(lines=OPEN))
    assert not looked(SubmissionPort(), host(lines=DEBIANS)), "Debian's own wants a login"
    assert not looked(AuthOptions(), host(cf="O AuthOptions=p y\n"))
    done = host(lines=OUTSIDE)
    mc = (done.text(f.SENDMAIL_MC) or "").replace("Port=smtp, Addr=127.0.0.1", "Port=smtp, M=A")
    files = {**done.files, f.SENDMAIL_MC: file(mc)}
    assert not looked(SmtpPort(), dataclasses.replace(done, files=files)), "it is planned no more"
