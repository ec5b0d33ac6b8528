"""What the edits of sendmail.mc say of themselves, where it has lines of an admin's own."""

from __future__ import annotations

import pytest

from tests.unit.steps.recorded import file, machine
from wizard.model import facts as f
from wizard.model.answers import Answers, Listen
from wizard.model.plan import Outcome, Plan, after
from wizard.steps.order import step

OWN = "define(`confAUTH_MECHANISMS', `LOGIN PLAIN')dnl\nTRUST_AUTH_MECH(`LOGIN PLAIN')dnl\n"


def planned(lines: str, *missing: str) -> Plan:
    """mc-includes on Debian's sendmail.mc with these lines above its MAILERs, and without some files."""
    text = (machine("12").text(f.SENDMAIL_MC) or "").replace(
        "MAILER_DEFINITIONS\n", f"{lines}MAILER_DEFINITIONS\n"
    )
    files = {f.SENDMAIL_MC: file(text), **dict.fromkeys(missing)}
    return step("mc-includes").plan(machine("12", files=files), Answers())


def test_only_what_will_be_included_is_missing() -> None:
    edit = planned(OWN)
    assert edit.reason == f"sendmail.mc does not include {f.STARTTLS_M4}"
    assert edit.notes == (
        f"{f.SASL_M4} is left out: sendmail.mc has mechanisms for AUTH of your own, and needs nothing of it",
    )


@pytest.mark.parametrize("name", ["submission-port", "smtp-port"])
def test_who_asks_for_ipv6_is_told_why_listeners_of_ipv4_go(name: str) -> None:
    facts = machine("12")
    for each in ("submission-port", "smtp-port"):
        facts = after(facts, step(each).plan(facts, Answers()))
    edit = step(name).plan(facts, Answers(Listen(ipv6=True)))
    assert edit.reason.startswith("the settings ask for IPv6, and port ")
    assert "has IPv4 alone (line " in edit.reason
    assert any("serves IPv4 as well" in note for note in edit.notes)
    edit = step(name).plan(facts, Answers(Listen(submission=("192.0.2.25",), smtp=("192.0.2.25",))))
    assert "has other listeners" in edit.reason
    assert edit.notes == ()


def test_that_a_line_for_port_465_is_missing_is_said() -> None:
    facts = machine("13")
    facts = after(facts, step("submission-port").plan(facts, Answers()))
    edit = step("submission-port").plan(facts, Answers(Listen(implicit_tls=True)))
    assert edit.reason == "sendmail.mc has no line that serves port 465 to other machines"


def test_that_other_machines_reach_port_25_is_said_and_how_to_prevent_it() -> None:
    facts, alone = machine("13"), Answers(Listen(smtp=("127.0.0.1",)))
    edit = step("smtp-port").plan(facts, Answers())
    [note] = edit.notes
    assert note.startswith("port 25 is open to other machines from now on")
    assert "listen.smtp=127.0.0.1" in note
    kept = step("smtp-port").plan(facts, alone)
    assert (kept.outcome, kept.notes) == (Outcome.PENDING, ())
    assert "Port=smtp, Addr=127.0.0.1, M=A" in kept.changes[0].describe().diff
    again = after(facts, edit)
    opened = again.text(f.SENDMAIL_MC) or ""
    files = {**again.files, f.SENDMAIL_MC: file(opened.replace("Port=smtp, M=A", "Port=smtp"))}
    assert step("smtp-port").plan(machine("13", files=files), Answers()).notes == (), "it is open already"


@pytest.mark.parametrize(
    ("own", "lacking"), [("DIGEST-MD5", "LOGIN PLAIN"), ("LOGIN", "PLAIN"), ("LOGIN PLAIN", "")]
)
def test_mechanisms_that_users_could_not_relay_with_are_named_before_anything_is_applied(
    own: str, lacking: str
) -> None:
    """sasl.m4 is still to be made, and Debian's script takes the list of sendmail.mc into it."""
    edit = planned(f"TRUST_AUTH_MECH(`{own}')dnl\n", f.SASL_M4)
    assert (edit.outcome is Outcome.BLOCKED) is bool(lacking)
    assert not lacking or edit.reason.startswith(f"TRUST_AUTH_MECH would lack {lacking}: ")
    assert planned(f"TRUST_AUTH_MECH(`{own}')dnl\n").outcome is Outcome.PENDING, (
        "that of a sasl.m4 that is there counts"
    )
