"""What preflight finds in the way before anything is changed."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from tests.unit.steps.planned import HOWTO, added, mc, plan
from tests.unit.steps.recorded import CF, NOW, bare, file, machine
from wizard.engine.engine import Engine
from wizard.errors import CannotHere
from wizard.mends.generated import MendDaemonMode
from wizard.model import facts as f
from wizard.model.answers import Answers, Listen
from wizard.model.facts import Foreign, Release
from wizard.model.plan import Outcome, Sign
from wizard.steps.preflight import checks
from wizard.system.host import Host
from wizard.system.sockets import Listener


@pytest.mark.parametrize(
    ("overrides", "check_id"),
    [
        (
            {
                "release": Release("fedora", "41", "Fedora Linux 41"),
                "foreign": Foreign("it has no dpkg", "use Debian"),
            },
            "release",
        ),
        ({"release": Release("debian", "11", "Debian 11")}, "release"),
        ({"packages": {"postfix": "3.7"}}, "mta"),
        ({"packages": {"exim4-daemon-light": "4.96"}}, "mta"),
        ({"fqdn": "mail", "fqdn_resolves": False}, "fqdn"),
        ({"listeners": (Listener("0.0.0.0", 587, "python3", 42),)}, "port-587"),
        ({"disk_free": 10_000_000}, "disk"),
        ({"usr_readonly": True}, "usr"),
        ({"links": {"/etc/mail": "/srv/mail"}}, "links"),
        ({"links": {"/etc/default": "/etc/default.real", "/etc/mail": "/etc/mail.real"}}, "links"),
        ({"links": {"/etc/default": ""}}, "links"),
    ],
)
def test_obstacles_are_named(overrides: dict[str, object], check_id: str) -> None:
    facts = bare("12", **overrides)
    failed = [item for item in checks(facts, HOWTO) if item.sign is Sign.FAILED]
    assert [item.id for item in failed] == [check_id]
    assert failed[0].remedy
    assert plan("preflight", facts).outcome is Outcome.BLOCKED


def test_a_masked_service_is_not_to_run() -> None:
    facts = machine("13")
    masked = dataclasses.replace(facts.services["sendmail"], masked=True)
    blocked = plan(
        "preflight", dataclasses.replace(facts, services=dict(facts.services) | {"sendmail": masked})
    )
    assert blocked.outcome is Outcome.BLOCKED
    assert "sendmail.service is masked" in blocked.reason
    assert any("systemctl unmask sendmail" in line for line in blocked.remedy)
    assert plan("preflight", facts).outcome is Outcome.DONE


def test_a_bare_machine_has_no_obstacles() -> None:
    assert plan("preflight", bare("12")).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("release", "sign"),
    [
        *[("11", Sign.FAILED), ("12", Sign.OK), ("13", Sign.OK), ("14", Sign.OK)],
        *[("15", Sign.WARNING), ("", Sign.WARNING)],
    ],
)
def test_releases_that_it_was_tried_on(release: str, sign: Sign) -> None:
    facts = dataclasses.replace(bare("12"), release=Release("debian", release, "Debian"))
    assert [check.sign for check in checks(facts, HOWTO) if check.id == "release"] == [sign]


ELSEWHERE = "DAEMON_OPTIONS(`Name=X, Port=587, Addr=198.51.100.9{more}')dnl\n"


def own_mc(more: str = "", **overrides: object) -> f.Facts:
    """A machine whose admin has put a listener at an address of another host above the MAILER lines."""
    text = str(machine("13").text(f.SENDMAIL_MC))
    new = text.replace("MAILER_DEFINITIONS", ELSEWHERE.format(more=more) + "MAILER_DEFINITIONS")
    assert new != text
    return machine("13", files={f.SENDMAIL_MC: file(new)}, **overrides)


def test_a_listener_at_an_address_of_another_host_is_in_the_way_before_anything_changes() -> None:
    facts = own_mc()
    line = str(facts.text(f.SENDMAIL_MC)).splitlines().index(ELSEWHERE.format(more="").strip()) + 1
    for name in ("preflight", "submission-port"):
        step_plan = plan(name, facts)
        assert step_plan.outcome is Outcome.BLOCKED, name
        assert f"line {line}" in step_plan.reason
        assert "198.51.100.9, which is no address of this host" in step_plan.reason
        assert step_plan.remedy == (
            "in /etc/mail/sendmail.mc put one of this host's addresses (127.0.0.1, 192.0.2.25, ::1, 2001:db8::25) after "
            "its Addr=, or take Addr= out",
        )


def test_a_listener_that_sendmail_can_do_without_or_open_all_the_same_is_not_in_the_way() -> None:
    for facts in (own_mc(more=", M=O"), own_mc(any_address=frozenset({"inet"}))):
        assert plan("preflight", facts).outcome is Outcome.DONE
        assert plan("submission-port", facts).outcome is Outcome.PENDING
    assert plan("preflight", own_mc(any_address=frozenset({"inet6"}))).outcome is Outcome.BLOCKED


def test_a_listener_elsewhere_that_the_settings_replace_is_not_in_the_way() -> None:
    chosen = Answers(Listen(submission=("192.0.2.25",)))
    assert plan("preflight", own_mc(), chosen).outcome is Outcome.DONE
    assert "dnl DAEMON_OPTIONS(`Name=X" in mc(own_mc(), chosen, "submission-port")
    assert plan("preflight", own_mc(), Answers(Listen(smtp=("192.0.2.25",)))).outcome is Outcome.BLOCKED


def test_a_listener_elsewhere_in_an_included_file_or_in_sendmail_cf_is_in_the_way() -> None:
    cf = CF + "O DaemonPortOptions=Name=X, Port=587, Addr=198.51.100.9\n"
    step_plan = plan("preflight", machine("13", cf_from_mc=cf))
    assert (
        "a file that /etc/mail/sendmail.mc includes has `Name=X, Port=587, Addr=198.51.100.9`"
        in step_plan.reason
    )
    facts = machine("13", files={f.SENDMAIL_CF: file(cf)}, cf_changed=NOW + 1)
    step_plan = plan("restart", facts)
    assert step_plan.outcome is Outcome.BLOCKED
    assert "/etc/mail/sendmail.cf has `Name=X" in step_plan.reason
    assert step_plan.remedy[1] == "then `msa-wizard apply sendmailconfig restart`"
    later = dataclasses.replace(facts, planned=frozenset({"sendmailconfig"}))
    assert plan("restart", later).outcome is Outcome.PENDING


def test_the_program_on_the_port_is_named() -> None:
    step_plan = plan("preflight", bare("12", listeners=(Listener("0.0.0.0", 587, "python3", 42),)))
    assert "python3 (pid 42)" in step_plan.reason


def test_all_that_is_in_the_way_is_named_at_once() -> None:
    facts = bare("12", fqdn_resolves=False, listeners=(Listener("0.0.0.0", 587, "python3", 42),))
    step_plan = plan("preflight", facts)
    assert "is not a qualified name" in step_plan.reason
    assert "python3 (pid 42)" in step_plan.reason
    assert any("127.0.1.1 mail.example.org" in line for line in step_plan.remedy)
    assert any("systemctl status 42" in line for line in step_plan.remedy)


def test_a_host_is_not_renamed_to_its_own_name() -> None:
    step_plan = plan("preflight", bare("12", fqdn_resolves=False, hostname="mail"))
    assert not any("set-hostname" in line for line in step_plan.remedy)
    step_plan = plan("preflight", bare("12", fqdn_resolves=False, hostname="mail.lan"))
    assert " hostnamectl set-hostname mail" in step_plan.remedy


@pytest.mark.parametrize(
    ("value", "listens"), [("Daemon", True), ("daemon", True), ("None", False), ("Inetd", False), ("", False)]
)
def test_a_host_whose_sendmail_never_listens_is_named(value: str, listens: bool) -> None:
    shipped = machine("12").text(f.SENDMAIL_CONF) or ""
    conf = re.sub(r'^DAEMON_MODE="Daemon"', f'DAEMON_MODE="{value}"', shipped, flags=re.M)
    assert value == "Daemon" or conf != shipped
    facts = machine("12", files={f.SENDMAIL_CONF: file(conf)})
    for name in ("preflight", "restart"):
        step_plan = plan(name, facts)
        assert (step_plan.outcome is not Outcome.BLOCKED, f'DAEMON_MODE="{value}"' in step_plan.reason) == (
            listens,
            not listens,
        )
    assert listens or 'set DAEMON_MODE="Daemon"' in step_plan.remedy[0]
    mend = MendDaemonMode().plan(facts, HOWTO)
    assert mend.outcome is (Outcome.DONE if listens else Outcome.PENDING)
    assert added(mend) == ([] if listens else ['DAEMON_MODE="Daemon";'])
    fixed = dataclasses.replace(facts, planned=frozenset({MendDaemonMode.id}))
    assert plan("restart", fixed).outcome is not Outcome.BLOCKED


def test_a_port_is_called_free_only_where_nobody_holds_it() -> None:
    held = (Listener("0.0.0.0", 25, "sendmail-mta", 100),)
    says = {each.id: each.says for each in checks(machine("12", listeners=held), HOWTO)}
    assert says["port-25"] == "sendmail listens on port 25"
    assert says["port-587"] == "port 587 is free"
    unseen = machine("12", euid=1000, listeners=(Listener("0.0.0.0", 25, None, None),))
    port = next(each for each in checks(unseen, HOWTO) if each.id == "port-25")
    assert (port.sign, "only root can see" in port.says) == (Sign.UNKNOWN, True)


def test_replace_mta_lets_it_go() -> None:
    answers = Answers(replace_mta=True)
    facts = bare("12", packages={"postfix": "3.7"}, listeners=(Listener("0.0.0.0", 25, "master", 9),))
    assert plan("preflight", facts, answers).outcome is Outcome.DONE
    change = plan("install", facts, answers).changes[0]
    assert "--no-remove" not in change.describe().commands[0]
    assert "--no-remove" in plan("install", facts).changes[0].describe().commands[0]


def test_who_wants_another_mta_replaced_is_told_how_on_the_screens_and_the_command_line() -> None:
    step_plan = plan("preflight", bare("12", packages={"postfix": "3.7"}))
    told = "tick Replace another MTA in the Settings, or `msa-wizard apply --replace-mta`"
    assert [line for line in step_plan.remedy if line.endswith(told)]


def test_465_is_looked_at_only_where_it_was_chosen() -> None:
    facts = bare("12", listeners=(Listener("0.0.0.0", 465, "stunnel4", 9),))
    assert plan("preflight", facts).outcome is Outcome.DONE
    assert plan("preflight", facts, Answers(Listen(implicit_tls=True))).outcome is Outcome.BLOCKED


def test_a_system_with_debians_sendmail_is_warned_not_refused() -> None:
    facts = bare("12", release=Release("ubuntu", "24.04", "Ubuntu 24.04"))
    release = checks(facts, HOWTO)[0]
    assert release.sign is Sign.WARNING
    assert "rehearse" in release.remedy
    assert plan("preflight", facts).outcome is Outcome.DONE


def test_why_a_system_is_refused_is_said(tmp_path: Path) -> None:
    facts = bare(
        "12",
        release=Release("fedora", "41", "Fedora Linux 41"),
        foreign=Foreign("it has no dpkg and no apt", "use Debian"),
    )
    assert "Fedora Linux 41: it has no dpkg" in plan("preflight", facts).reason
    engine = Engine(Host(tmp_path), Answers(), lambda _: None)
    assert set(engine.plan(["preflight", "install"], facts)) == {"preflight", "install"}
    with pytest.raises(
        CannotHere, match="Fedora Linux 41: it has no dpkg and no apt; what to do: use Debian"
    ):
        engine.plan(["install"], facts)
