"""A rollback says before it is done what will not work any more."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.steps.planned import HOWTO, mc
from tests.unit.steps.recorded import file, machine
from tests.unit.test_exposes import rollback
from wizard.editors import sendmail_mc
from wizard.engine.in_force import Target
from wizard.model import facts as f
from wizard.model.facts import Process
from wizard.render.text import rollback_summary, rollback_text
from wizard.rollback.apply import _checks
from wizard.rollback.consequences import consequences, of_removal
from wizard.sendmail import cf as sendmail_cf

FOUND = """DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, Addr=127.0.0.1')dnl
DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea, Addr=127.0.0.1')dnl
"""
CLIENTS = FOUND.replace("M=Ea, Addr=127.0.0.1", "M=Ea")
OPEN = FOUND.replace("M=Ea, Addr=127.0.0.1", "M=E")
SERVERS = CLIENTS.replace("smtp, Addr=127.0.0.1", "smtp, M=A")
TRIED = SERVERS.replace("M=A", "M=b")


def made_of(mc: str) -> str:
    """Enough of the sendmail.cf that such a sendmail.mc gives."""
    return "".join(f"O DaemonPortOptions={option.raw}\n" for option in sendmail_mc.daemon_options(mc))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (CLIENTS, FOUND, ["mail clients can no longer reach port 587"]),
        (CLIENTS, OPEN, ["port 587 takes mail without a login, also from other machines"]),
        (SERVERS, CLIENTS, ["other mail servers can no longer reach port 25"]),
        (SERVERS, TRIED, ["passwords can be tried at port 25, too"]),
        (FOUND, CLIENTS, []),
        (CLIENTS, f"{CLIENTS}dnl more\n", []),
    ],
)
def test_what_clients_and_servers_meet_no_more(before: str, after: str, words: list[str]) -> None:
    cf = made_of(before)
    facts = machine("13", files={f.SENDMAIL_CF: file(cf)}, cf_from_mc=cf)
    targets = {f.SENDMAIL_MC.lstrip("/"): (file(before), file(after))}
    assert list(consequences(facts, targets, ())) == words
    assert sendmail_cf.daemons(cf)
    never_made = dataclasses.replace(facts, files={**facts.files, f.SENDMAIL_CF: file(made_of(after))})
    assert not consequences(never_made, targets, ()), "it was never in force"


def test_a_service_that_is_stopped_ends_logins() -> None:
    assert consequences(machine("13"), {}, ("saslauthd",)) == (
        "saslauthd is stopped: users whose passwords it checks can no longer log in",
    )


def test_packages_that_go_take_the_mail_server_along() -> None:
    runs = dataclasses.replace(machine("13"), processes=(Process(2, "sendmail-mta", ("sendmail",), 1.0),))
    assert of_removal(runs) == (
        "sendmail goes: no mail comes in or goes out, and mail clients can no longer log in",
    )
    assert of_removal(dataclasses.replace(runs, processes=())) == ()


def test_who_may_log_in_where_passwords_come_from_elsewhere_then() -> None:
    """By PAM to shadow: a policy there counts no more. To a directory: nobody of this host logs in any more."""
    limits = "account required pam_succeed_if.so user ingroup mail\n"
    files = {f.SASLAUTHD_DEFAULT: file('MECHANISMS="pam"\n'), f.PAM_SMTP: file(limits)}
    facts = machine("13", files=files)

    def words(after: str) -> list[str]:
        targets = {f.SASLAUTHD_DEFAULT.lstrip("/"): (files[f.SASLAUTHD_DEFAULT], file(after))}
        return list(consequences(facts, targets, ()))

    assert words('MECHANISMS="pam"\n# more\n') == []
    (limit,) = words('MECHANISMS="shadow"\n')
    assert limit.startswith(f"{f.PAM_SMTP} will no longer limit who may log in")
    login, _ = words('MECHANISMS="ldap"\n')
    assert login.endswith("passwords come from pam now, and would come from ldap")
    gone = {f.SASLAUTHD_DEFAULT.lstrip("/"): (files[f.SASLAUTHD_DEFAULT], None)}
    assert not consequences(facts, gone, ()), "its package goes"


def test_it_stands_right_above_the_question_and_what_is_restarted_is_named() -> None:
    words = "mail clients can no longer reach port 587"
    plan = dataclasses.replace(rollback(None, None), ends=(words,), restarts=("sendmail",))
    assert rollback_summary(plan).splitlines()[-1] == f"!! {words}"
    assert rollback_text(plan).startswith(f"!! {words}\n")
    assert "note: sendmail is restarted" in rollback_text(plan)
    assert "restarted" not in rollback_text(rollback(None, None))
    both = dataclasses.replace(plan, restarts=("saslauthd", "sendmail"))
    assert "note: saslauthd and sendmail are restarted" in rollback_text(both)


def test_afterwards_only_what_is_off_since_then_is_said() -> None:
    """sendmail.cf was not what sendmail.mc gives before, either; and saslauthd was not there."""
    found = machine("13")
    text = mc(found, HOWTO, "smtp-port")
    applied = dataclasses.replace(found, files={**found.files, f.SENDMAIL_MC: file(text)})
    gone = Target((), ("smtp-port",), ("saslauthd-start",))
    plan = dataclasses.replace(rollback(None, None), target=gone)
    (check,) = _checks(plan, applied, found)
    assert check.says.startswith("the step smtp-port is not in force now: port 25 would offer AUTH")
    assert not _checks(plan, found, found)
    everything = dataclasses.replace(plan, target=Target((), ("install", "smtp-port")))
    assert not _checks(everything, applied, found), "it was asked for"
