"""A step's plan as text: what its state is, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from screens.widgets.step_board import Shown, _actions
from tests.unit.steps.recorded import bare, machine
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.events import Drifted, Event, Planned
from wizard.model.plan import Plan
from wizard.render.text import event_text, notes_once, plan_text
from wizard.steps.order import step


def test_a_note_of_several_plans_is_read_once() -> None:
    """On a bare host each edit of sendmail.mc is planned on what the package will bring."""
    facts, events = bare("13", apt_plan=None), list[Event]()
    shipped = machine("13").files[f.SENDMAIL_MC]
    facts = replace(facts, files={**facts.files, f.SENDMAIL_MC: shipped}, assumed=frozenset({f.SENDMAIL_MC}))
    report = notes_once(events.append)
    plans = [step(name).plan(facts, Answers()) for name in ("submission-port", "auth-options", "smtp-port")]
    for plan in plans:
        report(Planned(step(plan.step), plan))
    note = "planned on /etc/mail/sendmail.mc as the package ships it"
    assert [any(each.startswith(note) for each in plan.notes) for plan in plans] == [True] * 3, (
        "each stands alone"
    )
    assert "\n".join(map(event_text, events)).count(note) == 1


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan.untested("restart", "no login was accepted yet"), "   to test: no login was accepted yet"),
        (Plan.unseen("restart", "only root can see it"), "   unknown: only root can see it"),
        (Plan.later("restart", "decided by apt"), "   decided later: decided by apt"),
        (Plan.done("restart", "no line is left"), "   already done: no line is left"),
        (
            Plan.not_applicable("restart", "optional, and not asked for"),
            "   n/a: optional, and not asked for",
        ),
    ],
)
def test_the_state_is_a_word_with_a_colon(plan: Plan, says: str) -> None:
    assert says in plan_text(step("restart"), plan).splitlines()


def test_what_others_changed_is_named_from_the_root_on() -> None:
    said = event_text(Drifted("33de074731", ("etc/default/saslauthd", "etc/group")))
    assert said.endswith("were recorded first as 33de074731: /etc/default/saslauthd, /etc/group")


def test_what_to_do_breaks_at_words() -> None:
    remedy = "one of the two has to go, for packets are let in by neither alone: `ufw disable`, or `systemctl disable --now firewalld`"
    text = plan_text(step("firewall"), Plan.blocked("firewall", "two firewalls are active", remedy))
    assert max(map(len, text.splitlines())) <= 80
    assert remedy in " ".join(text.split())


def test_a_sentence_without_a_command_breaks_at_words_too() -> None:
    remedy = "make an A record (and AAAA) for it that leads to this host; or prove the name by DNS: --challenge dns-PLUGIN"
    text = plan_text(step("firewall"), Plan.blocked("firewall", "no address", remedy))
    assert max(map(len, text.splitlines())) <= 80
    assert remedy in " ".join(text.split())


def test_a_command_to_run_stays_in_one_piece() -> None:
    command = " sed -i '0,/^127.0.1.1/s//127.0.1.1 mail.example.org mail/' /etc/hosts && getent hosts mail.example.org"
    assert (
        f"      {command}"
        in plan_text(step("preflight"), Plan.blocked("preflight", "no name", command)).splitlines()
    )


def test_the_pane_of_a_step_breaks_a_command_so_that_it_can_be_pasted() -> None:
    blocked = Plan.blocked(
        "firewall",
        "two are active",
        "choose the one in which the ports are opened, which is one of those above:",
        "   msa-wizard answers --save --set firewall.use=none   # leaves all of them alone",
    )
    lines = _actions(Shown(step("firewall"), blocked), 46).plain.splitlines()
    assert max(map(len, lines)) <= 46
    assert lines[-3:] == [
        "  msa-wizard answers --save --set \\",
        "    firewall.use=none \\",
        "    # leaves all of them alone",
    ]
