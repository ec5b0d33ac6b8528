"""Where local mail goes, and who would refuse it."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.steps.recorded import file, machine
from wizard.editors.daemon_options import parse
from wizard.errors import AnswersError
from wizard.model import facts as f
from wizard.model.answers import Answers, Listen
from wizard.model.answers_file import parse as parse_answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan
from wizard.sendmail.cf import Daemon, daemon
from wizard.sendmail.local_mail import Destination, destination, refused_by, served, through_us
from wizard.steps.order import step

SUBMIT_MC = "OSTYPE(`debian')dnl\nFEATURE(`msp', `[127.0.0.1]', `MSA')dnl\n"


def submit_cf(host: str = "[127.0.0.1]", port: str = "") -> str:
    return f"D{{MTAHost}}{host}\nMesmtp, P=[IPC],\n\t\tA=TCP $h\nMrelay, P=[IPC], F=x,\n\t\tT=DNS,\n\t\tA=TCP $h{port}\n"


def listeners(*options: str) -> tuple[Daemon, ...]:
    return tuple(daemon(parse(item, 1)) for item in options)


def host(**more: object) -> Facts:
    return machine(
        "13", files={f.HOSTS: file("127.0.0.1 localhost\n127.0.1.1 mail.example.test mail # us\n")}, **more
    )


@pytest.mark.parametrize(
    ("cf", "expected"),
    [
        (submit_cf(), Destination("[127.0.0.1]", 25)),
        (submit_cf(port=" 587"), Destination("[127.0.0.1]", 587)),
        (submit_cf("mail.example.test", " submission"), Destination("mail.example.test", 587)),
        (submit_cf("[127.0.0.1]", " nonsense"), None),
        ("O DaemonPortOptions=Name=NoMTA\n", None),
        ("", None),
        (None, None),
    ],
)
def test_where_it_goes(cf: str | None, expected: Destination | None) -> None:
    assert destination(cf) == expected


LOGIN = "Name=MSP, Port=submission, M=Ea"


@pytest.mark.parametrize(
    ("to", "options", "refused"),
    [
        ("[127.0.0.1]", (LOGIN,), True),
        ("localhost", (LOGIN,), True),
        ("[127.0.0.1]", ("Name=MSP, Port=587, M=E",), False),
        ("[127.0.0.1]", (f"{LOGIN}, Addr=192.0.2.25",), False),
        ("[192.0.2.25]", (f"{LOGIN}, Addr=192.0.2.25",), True),
        ("[127.0.0.1]", (f"{LOGIN}, Family=inet6",), True),  # it serves IPv4 too
        ("[IPv6:::1]", (LOGIN,), False),
        ("[IPv6:::1]", (f"{LOGIN}, Family=inet6",), True),
        ("[IPv6:::1]", (f"{LOGIN}, Family=inet6, Addr=::1",), True),
        ("[IPv6:0:0:0:0:0:0:0:1]", (f"{LOGIN}, Family=inet6, Addr=IPv6:::1",), True),
        ("[IPv6:2001:db8::9]", (f"{LOGIN}, Family=inet6",), False),
        ("[localhost]", (LOGIN,), True),
        ("$j", (LOGIN,), True),
        ("[IPv6:::1]", (f"{LOGIN}, Family=inet6, Addr=IPv6:0:0:0:0:0:0:0:1",), True),
        ("[IPv6:::1]", (f"{LOGIN}, Family=inet, Addr=127.0.0.1",), False),
        ("mail.example.test.", (LOGIN,), True),
        ("mail", (f"{LOGIN}, Addr=127.0.1.1",), True),
        ("smarthost.example.net", (LOGIN,), False),  # another machine's business
        ("smarthost.example.net", (f"{LOGIN}, Family=inet6",), False),
        ("[203.0.113.5]", (LOGIN,), False),
        ("[203.0.113.5]", (f"{LOGIN}, Family=inet6",), False),
        ("[IPv6:2001:db8::5]", (f"{LOGIN}, Family=inet6",), False),
    ],
)
def test_who_refuses_it(to: str, options: tuple[str, ...], refused: bool) -> None:
    assert (refused_by(host(), Destination(to, 587), listeners(*options)) is not None) is refused


def test_port_25_on_loopback_is_served() -> None:
    assert served(listeners("Name=MTA, M=A"))
    assert served(listeners("Name=MTA, Addr=127.0.0.1"))
    assert not served(listeners("Name=MTA, Addr=192.0.2.25", LOGIN))


@pytest.mark.parametrize(
    ("cf", "ours"),
    [(submit_cf(), True), (submit_cf(port=" 587"), True), (submit_cf("smarthost.example.net"), False),
     (submit_cf("[192.0.2.25]"), False), (submit_cf("[IPv6:0:0:0:0:0:0:0:1]"), True), ("", False)],
)  # fmt: skip
def test_whose_port_25_is_needed(cf: str, ours: bool) -> None:
    assert through_us(host(submit_from_mc=cf)) is ours


def planned(mc: str, submit_mc: str, answers: Answers | None = None, **more: object) -> Plan:
    facts = host(submit_from_mc=submit_cf(port=" 587"), **more)
    files = {**facts.files, f.SENDMAIL_MC: file(mc), f.SUBMIT_MC: file(submit_mc)}
    return step("submission-port").plan(dataclasses.replace(facts, files=files), answers or Answers())


MC = "FEATURE(`no_default_msa')dnl\nDAEMON_OPTIONS(`Name=MTA, Port=smtp, M=A')dnl\nDAEMON_OPTIONS(`{}')dnl\n"


def test_submit_mc_is_edited_with_the_port_that_gets_its_login() -> None:
    for options in ("Name=MSP, Port=submission, M=E", LOGIN):  # the second: local mail is lost already
        made = planned(MC.format(options), SUBMIT_MC)
        assert made.outcome is Outcome.PENDING
        change = made.changes[0]
        assert "+FEATURE(`msp', `[127.0.0.1]', `25')dnl" in change.describe().diff
        assert "Hand local mail to [127.0.0.1] port 25" in change.describe().title


def test_a_listener_that_local_mail_does_not_use_needs_no_edit() -> None:
    answers = Answers(Listen(submission=("192.0.2.25",)))
    made = planned(MC.format("Name=MSP, Port=submission, M=Ea, Addr=192.0.2.25"), SUBMIT_MC, answers)
    assert made.outcome is Outcome.DONE


def test_what_cannot_be_edited_stops_the_step() -> None:
    made = planned(MC.format(LOGIN), "include(`/etc/mail/own-msp.m4')dnl\n")
    assert made.outcome is Outcome.BLOCKED
    assert "dead.letter" in made.reason


def test_port_25_gets_a_listener_on_loopback_where_local_mail_needs_one() -> None:
    mc = "DAEMON_OPTIONS(`Name=MTA, Port=smtp, Addr=192.0.2.25, M=A')dnl\n"
    facts = host(submit_from_mc=submit_cf(port=" 587"))
    facts = dataclasses.replace(facts, files={**facts.files, f.SENDMAIL_MC: file(mc)})
    made = step("smtp-port").plan(facts, Answers())
    assert "Port=smtp, Addr=127.0.0.1, M=A" in made.changes[0].describe().diff
    elsewhere = dataclasses.replace(facts, submit_from_mc=submit_cf("smarthost.example.net"))
    assert step("smtp-port").plan(elsewhere, Answers()).outcome is Outcome.DONE


LOCAL = Answers(Listen(submission=("192.0.2.25",), local_submission=True))


def test_by_an_answer_local_mail_stays_on_587_without_a_login() -> None:
    mc = MC.format("Family=inet, Name=MSP-v4, Port=submission, M=E, Addr=127.0.0.1")
    made = planned(mc, SUBMIT_MC, LOCAL)
    assert [change.path for change in made.changes if change.kind == "file"] == [f.SENDMAIL_MC]  # type: ignore[attr-defined]
    content = made.changes[0].after.content.decode()  # type: ignore[attr-defined]
    assert "Name=MSP-v4, Port=submission, M=E, Addr=127.0.0.1" in content
    assert "Port=submission, Addr=192.0.2.25, M=Ea" in content
    again = planned(content, SUBMIT_MC, LOCAL)
    assert again.outcome is Outcome.DONE


@pytest.mark.parametrize("submission", ["[]", '["0.0.0.0"]', '["192.0.2.25", "127.0.0.1"]'])
def test_that_answer_needs_addresses_that_leave_loopback_free(submission: str) -> None:
    with pytest.raises(AnswersError, match="local_submission"):
        parse_answers(f"[listen]\nsubmission = {submission}\nlocal_submission = true\n")
