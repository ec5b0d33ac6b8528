"""What each step plans on the recorded machines."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import NOW, RECORDED, bare, file, machine
from wizard.changes.file import FileChange
from wizard.engine.engine import Engine
from wizard.errors import CannotHere
from wizard.mends.generated import MendDaemonMode
from wizard.model import facts as f
from wizard.model.answers import Answers, Auth, Install, Listen
from wizard.model.facts import Facts, Foreign, Process, Release
from wizard.model.plan import UNKNOWN, UNTESTED, Outcome, Plan, Sign, after
from wizard.model.step_facts import AptPlan
from wizard.rollback.apply import running as daemons_running
from wizard.steps.order import STEPS, step
from wizard.steps.preflight import checks
from wizard.steps.saslauthd import answers_on_socket
from wizard.system.accepted_login import AcceptedLogin
from wizard.system.host import Host
from wizard.system.sockets import Listener

RELEASES = ("11", "12", "13", "14")
HOWTO = Answers()


def plan(step_id: str, facts: Facts, answers: Answers = HOWTO) -> Plan:
    return step(step_id).plan(facts, answers)


def added(made: Plan) -> list[str]:
    lines = [line for change in made.changes for line in change.describe().diff.splitlines()]
    return [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")]


def removed(made: Plan) -> list[str]:
    lines = [line for change in made.changes for line in change.describe().diff.splitlines()]
    return [line[1:] for line in lines if line.startswith("-") and not line.startswith("---")]


def sequence(facts: Facts, answers: Answers = HOWTO) -> dict[str, Plan]:
    plans = {}
    for item in STEPS:
        plans[item.id] = item.plan(facts, answers)
        facts = after(facts, plans[item.id])
    return plans


def test_ids_are_those_of_the_design() -> None:
    assert [item.id for item in STEPS] == [
        "preflight",
        "install",
        "saslauthd-init",
        "saslauthd-config",
        "saslauthd-start",
        "sendmail-auth",
        "mc-includes",
        "submission-port",
        "auth-options",
        "smtp-port",
        "sendmailconfig",
        "restart",
        "firewall",
        "auth-test",
        "login-policy",
        "guess-limit",
        "tls-policy",
        "certificate-obtain",
    ]


def test_every_need_is_an_earlier_step() -> None:
    seen: set[str] = set()
    for item in STEPS:
        assert set(item.needs) <= seen, item.id
        seen.add(item.id)


# --- saslauthd ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "start"), [("11", ["START=yes"]), ("12", ["START=yes"]), ("13", []), ("14", [])]
)
def test_start_is_written_only_where_the_init_script_asks(release: str, start: list[str]) -> None:
    made = plan("saslauthd-config", machine(release))
    assert added(made) == start
    assert made.outcome is (Outcome.PENDING if start else Outcome.DONE)


def test_start_no_is_changed_in_place() -> None:
    assert removed(plan("saslauthd-config", machine("11"))) == ["START=no"]


def test_another_mechanism() -> None:
    made = plan("saslauthd-config", machine("13"), Answers(auth=Auth("shadow")))
    assert (removed(made), added(made)) == (['MECHANISMS="pam"'], ['MECHANISMS="shadow"'])


def test_a_socket_elsewhere_is_told() -> None:
    text = (machine("12").text(f.SASLAUTHD_DEFAULT) or "").replace(
        "/var/run/saslauthd", "/var/spool/postfix/run"
    )
    made = plan("saslauthd-config", machine("12", files={f.SASLAUTHD_DEFAULT: file(text)}))
    assert any("will not find it there" in note for note in made.notes)


@pytest.mark.parametrize("release", RELEASES)
def test_bug_791814_is_not_worked_round_where_it_is_fixed(release: str) -> None:
    made = plan("saslauthd-init", machine(release))
    assert made.outcome is Outcome.NOT_APPLICABLE
    assert "fixed in 2.1.26" in made.reason


def test_bug_791814_is_worked_round_in_the_variable_that_the_hook_reads() -> None:
    healthy = machine("12")
    defect = (healthy.text(f.SASLAUTHD_INIT) or "").replace(
        "find /etc/default/ -regex", "find /etc/default -regex"
    )
    made = plan("saslauthd-init", machine("12", files={f.SASLAUTHD_INIT: file(defect, 0o755)}))
    assert 'SYSTEMCTL_SKIP_REDIRECT="true"' in added(made)
    assert any("find /etc/default/ -regex" in line for line in added(made))
    hook = (healthy.text(f.SYSTEMD_HOOK) or "").replace("SYSTEMCTL_SKIP_REDIRECT", "_SYSTEMCTL_SKIP_REDIRECT")
    old = machine("12", files={f.SASLAUTHD_INIT: file(defect, 0o755), f.SYSTEMD_HOOK: file(hook)})
    assert '_SYSTEMCTL_SKIP_REDIRECT="true"' in added(plan("saslauthd-init", old))


def test_saslauthd_is_asked_and_its_status_word_is_not_believed() -> None:
    trap = machine("11")
    services = dict(trap.services) | {
        "saslauthd": dataclasses.replace(trap.services["saslauthd"], active="active (exited)", enabled=True)
    }
    made = plan("saslauthd-start", dataclasses.replace(trap, services=services))
    assert made.outcome is Outcome.PENDING
    assert "active (exited)" in made.reason
    assert any(
        "restart saslauthd" in command for change in made.changes for command in change.describe().commands
    )


def running(facts: Facts, *argv: str) -> Facts:
    services = dict(facts.services) | {
        "saslauthd": dataclasses.replace(facts.services["saslauthd"], enabled=True)
    }
    process = Process(7, "saslauthd", ("/usr/sbin/saslauthd", *argv), NOW)
    return dataclasses.replace(
        facts,
        services=services,
        processes=(*facts.processes, process),
        saslauthd_says="NO NULL login received",
    )


def test_an_answer_of_saslauthd_is_a_plain_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "ask_unix_socket", lambda *_: "NO NULL login received")
    check = answers_on_socket(Host(), "/run/mux")
    assert (check.sign, check.says) == (Sign.OK, "saslauthd answers on /run/mux")


def test_saslauthd_that_answers_is_left_alone() -> None:
    assert plan("saslauthd-start", running(machine("12"), "-a", "pam")).outcome is Outcome.DONE


def test_saslauthd_that_asks_something_else_is_restarted() -> None:
    made = plan("saslauthd-start", running(machine("12"), "-a", "shadow"))
    assert (made.outcome, made.reason) == (Outcome.PENDING, "it does not run with -a pam")


def test_a_saslauthd_that_runs_and_does_not_answer_is_not_stopped_by_an_undo() -> None:
    """It hangs, or serves other programs: the kernel's word counts, not the socket's."""
    silent = dataclasses.replace(running(machine("12"), "-m", "/run/other"), saslauthd_says=None)
    for facts, ran in ((silent, True), (dataclasses.replace(silent, processes=()), False)):
        (change,) = plan("saslauthd-start", facts).changes
        assert (change.was_running, "saslauthd" in daemons_running(facts)) == (ran, ran)  # type: ignore[attr-defined]


def test_a_queue_runner_that_runs_alone_is_not_stopped_by_an_undo() -> None:
    """Its service is at work by systemd's word; that of a dead one is `active (exited)`."""
    for word, ran in (("active (running)", True), ("active (exited)", False)):
        dead = machine("12", processes=())
        service = dataclasses.replace(dead.services["sendmail"], active=word)
        (change,) = plan(
            "restart", dataclasses.replace(dead, services={**dead.services, "sendmail": service})
        ).changes
        assert change.was_running is ran  # type: ignore[attr-defined]


# --- sendmail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["12", "13", "14"])
def test_only_what_saslauthd_can_serve_is_offered(release: str) -> None:
    made = plan("sendmail-auth", machine(release))
    assert added(made) == ["mech_list: LOGIN PLAIN"]
    assert [change.kind for change in made.changes] == ["file"]


def test_update_auth_runs_where_something_is_missing() -> None:
    facts = machine("12", groups={"sasl": frozenset({"smmta"})})
    made = plan("sendmail-auth", facts)
    assert [change.kind for change in made.changes] == ["command", "file"]
    assert "smmsp in group sasl" in made.changes[0].describe().title


@pytest.mark.parametrize("step_id", ["sendmail-auth", "sendmailconfig"])
def test_hands_off_is_refused(step_id: str) -> None:
    conf = (machine("12").text(f.SENDMAIL_CONF) or "").replace('HANDS_OFF="No"', 'HANDS_OFF="Yes"')
    made = plan(step_id, machine("12", files={f.SENDMAIL_CONF: file(conf)}))
    assert made.outcome is Outcome.BLOCKED
    assert "report success" in made.reason


@pytest.mark.parametrize("release", RELEASES)
def test_the_howto_on_debians_own_sendmail_mc(release: str) -> None:
    plans = sequence(machine(release))
    assert [line for line in added(plans["mc-includes"]) if line.startswith("include")] == [
        "include(`/etc/mail/sasl/sasl.m4')dnl",
        "include(`/etc/mail/tls/starttls.m4')dnl",
    ]
    assert added(plans["submission-port"]) == [
        "DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea')dnl"
    ]
    assert removed(plans["submission-port"]) == [
        "DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea, Addr=127.0.0.1')dnl"
    ]
    assert "define(`confAUTH_OPTIONS',`p y')dnl" in added(plans["auth-options"])
    assert added(plans["smtp-port"]) == ["DAEMON_OPTIONS(`Family=inet,  Name=MTA-v4, Port=smtp, M=A')dnl"]
    assert plans["sendmailconfig"].outcome is Outcome.PENDING
    assert plans["restart"].outcome is Outcome.PENDING


@pytest.mark.parametrize("release", RELEASES)
def test_a_second_time_there_is_nothing_to_edit(release: str) -> None:
    facts = machine(release)
    for made in sequence(facts).values():
        facts = after(facts, made)
    facts = dataclasses.replace(facts, planned=frozenset())
    for step_id in (
        "saslauthd-config",
        "sendmail-auth",
        "mc-includes",
        "submission-port",
        "auth-options",
        "smtp-port",
    ):
        if release == "11" and step_id in ("sendmail-auth", "mc-includes"):
            continue  # recorded from the packages alone: what update_auth makes is not there
        assert plan(step_id, facts).outcome is Outcome.DONE, step_id


def mc(facts: Facts, answers: Answers, *step_ids: str) -> str:
    for step_id in step_ids:
        made = plan(step_id, facts, answers)
        assert made.outcome in (Outcome.PENDING, Outcome.DONE), made.reason
        facts = after(facts, made)
    return facts.text(f.SENDMAIL_MC) or ""


def listeners(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("DAEMON_OPTIONS")]


def test_ipv6_is_one_line_that_serves_ipv4_as_well() -> None:
    text = mc(machine("12"), Answers(Listen(ipv6=True)), "submission-port", "smtp-port")
    assert listeners(text) == [
        "DAEMON_OPTIONS(`Family=inet6,  Name=MTA-v6, Port=smtp, M=A')dnl",
        "DAEMON_OPTIONS(`Family=inet6,  Name=MSP-v6, Port=submission, M=Ea')dnl",
    ]


def test_implicit_tls_is_a_line_of_its_own() -> None:
    text = mc(machine("12"), Answers(Listen(implicit_tls=True)), "submission-port")
    assert "DAEMON_OPTIONS(`Family=inet,  Name=MSP-TLS-v4, Port=465, M=Eas')dnl" in listeners(text)


def test_chosen_addresses_each_get_a_line() -> None:
    chosen = Listen(submission=("192.0.2.25", "2001:db8::25"))
    text = mc(machine("12"), Answers(chosen), "submission-port")
    lines = [line for line in listeners(text) if "submission" in line]
    assert lines == [
        "DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, Addr=192.0.2.25, M=Ea')dnl",
        "DAEMON_OPTIONS(`Family=inet6, Name=MSP-v6, Port=submission, Addr=2001:db8::25, M=Ea')dnl",
    ] or sorted(line.count("Addr=") for line in lines) == [1, 1]


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::99"])
def test_an_address_of_another_host_is_refused(address: str) -> None:
    made = plan("submission-port", machine("12"), Answers(Listen(submission=(address,))))
    assert made.outcome is Outcome.BLOCKED
    assert address in made.reason


def test_ipv6_on_a_host_without_it_is_refused() -> None:
    made = plan("submission-port", machine("12", ipv6=False), Answers(Listen(ipv6=True)))
    assert made.outcome is Outcome.BLOCKED


def test_the_flags_of_the_admin_survive() -> None:
    text = (machine("12").text(f.SENDMAIL_MC) or "").replace(
        "MAILER_DEFINITIONS\n", "define(`confAUTH_OPTIONS', `A')dnl\nMAILER_DEFINITIONS\n"
    )
    made = plan("auth-options", machine("12", files={f.SENDMAIL_MC: file(text)}))
    assert added(made) == ["define(`confAUTH_OPTIONS', `A p y')dnl"]


MISSPELT = "DEAMON_OPTIONS(`Family=inet,  Name=MSP"


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda text: text.replace("FEATURE(`use_cw_file')", "FEATURE(`use_cw_file)"), "line"),
        (lambda text: text.replace("DAEMON_OPTIONS(`Family=inet,  Name=MSP", MISSPELT), "DAEMON_OPTIONS"),
    ],
)
def test_an_mc_that_is_not_understood_is_left_alone(spoil: object, named: str) -> None:
    text = spoil(machine("12").text(f.SENDMAIL_MC) or "")  # type: ignore[operator]
    made = plan("submission-port", machine("12", files={f.SENDMAIL_MC: file(text)}))
    assert made.outcome is Outcome.BLOCKED
    assert named in made.reason + " ".join(made.remedy)


def test_a_misspelt_macro_with_which_the_daemon_runs_is_noted() -> None:
    text = (machine("12").text(f.SENDMAIL_MC) or "").replace(
        "DAEMON_OPTIONS(`Family=inet,  Name=MSP", MISSPELT
    )
    files = {f.SENDMAIL_MC: file(text), f.SENDMAIL_CF: file(f"O A=1\n{MISSPELT}-v4')\n")}
    made = plan("submission-port", machine("12", files=files))
    assert made.outcome is Outcome.PENDING
    assert any("DEAMON_OPTIONS" in note and "write DAEMON_OPTIONS" in note for note in made.notes)


def test_a_symbolic_link_is_not_written_through() -> None:
    link = Entry(Kind.SYMLINK, 0o777, 0, 0, b"/srv/sendmail.mc")
    made = plan("smtp-port", machine("12", files={f.SENDMAIL_MC: link}))
    assert made.outcome is Outcome.BLOCKED
    assert "/srv/sendmail.mc" in made.reason


def test_without_a_sendmail_mc_the_questionnaire_is_refused() -> None:
    made = plan("sendmailconfig", machine("12", files={f.SENDMAIL_MC: None}, cf_from_mc=None))
    assert made.outcome is Outcome.BLOCKED
    assert "twenty questions" in made.reason


def test_a_broken_mc_is_refused_before_sendmailconfig() -> None:
    made = plan("sendmailconfig", machine("12", cf_from_mc=None))
    assert made.outcome is Outcome.BLOCKED
    assert "stop the running MTA" in made.reason


CF = "O DaemonPortOptions=Name=MTA-v4, Family=inet, Port=smtp\n"


def test_sendmailconfig_ignores_comments_and_dates() -> None:
    files = {f.SENDMAIL_CF: file("##### built on Monday\n" + CF + "### /etc/mail/sendmail.mc ###\n# dnl\n")}
    made = plan("sendmailconfig", machine("12", files=files, cf_from_mc="##### built on Friday\n" + CF))
    assert made.outcome is Outcome.DONE
    other = machine("12", files=files, cf_from_mc=CF.replace("smtp", "587"))
    assert plan("sendmailconfig", other).outcome is Outcome.PENDING


OWN_TLS = "".join(
    f"define(`conf{name}', `/etc/own/{name}')dnl\n"
    for name in ("CACERT_PATH", "CACERT", "SERVER_CERT", "SERVER_KEY")
)
OWN_AUTH = "define(`confAUTH_MECHANISMS', `GSSAPI LOGIN PLAIN')dnl\nTRUST_AUTH_MECH(`LOGIN PLAIN')dnl\n"


def with_own(lines: str, release: str = "12") -> Plan:
    """mc-includes on Debian's file with these lines in it."""
    text = (machine(release).text(f.SENDMAIL_MC) or "").replace(
        "MAILER_DEFINITIONS\n", lines + "MAILER_DEFINITIONS\n"
    )
    return plan("mc-includes", machine(release, files={f.SENDMAIL_MC: file(text)}))


def test_a_certificate_of_ones_own_needs_no_starttls_m4() -> None:
    made = with_own(OWN_TLS)
    assert [line for line in added(made) if "include" in line] == [f"include(`{f.SASL_M4}')dnl"]
    assert any(f"{f.STARTTLS_M4} is left out" in note for note in made.notes)


@pytest.mark.parametrize("left_out", ["CACERT_PATH", "CACERT", "SERVER_CERT", "SERVER_KEY"])
def test_half_a_certificate_wins_over_the_include(left_out: str) -> None:
    """Without any one of the four there is no STARTTLS: starttls.m4 gives it, and is put above what is there."""
    lines = "".join(line for line in OWN_TLS.splitlines(keepends=True) if f"`conf{left_out}'" not in line)
    made = with_own(lines)
    change = made.changes[0]
    assert isinstance(change, FileChange)
    assert change.after is not None
    text = change.after.content.decode()
    assert text.index(f.STARTTLS_M4) < text.index(lines)
    assert text.index(lines) < text.index(f.SASL_M4), "nothing of that file is set here"
    assert not made.notes


def test_mechanisms_of_ones_own_need_no_sasl_m4() -> None:
    made = with_own(OWN_AUTH)
    assert [line for line in added(made) if "include" in line] == [f"include(`{f.STARTTLS_M4}')dnl"]
    assert with_own(OWN_AUTH + OWN_TLS).outcome is Outcome.DONE


def test_mechanisms_for_a_smart_host_are_kept_and_ours_are_added() -> None:
    made = with_own("define(`confAUTH_MECHANISMS', `DIGEST-MD5 LOGIN')dnl\n")
    lines = added(made)
    assert "define(`confAUTH_MECHANISMS', `DIGEST-MD5 LOGIN PLAIN')dnl" in lines
    order = [line for line in lines if "include" in line or "define" in line]
    assert order.index(f"include(`{f.SASL_M4}')dnl") < order.index(
        "define(`confAUTH_MECHANISMS', `DIGEST-MD5 LOGIN PLAIN')dnl"
    )


@pytest.mark.parametrize(
    "name", ["confAUTH_REALM", "confTO_AUTH", "confCRL", "confTLS_SRV_OPTIONS", "confDH_PARAMETERS"]
)
def test_any_setting_of_ones_own_is_below_the_include(name: str) -> None:
    line = f"define(`{name}', `mine')dnl\n"
    change = with_own(line).changes[0]
    assert isinstance(change, FileChange)
    assert change.after is not None
    text = change.after.content.decode()
    path = f.SASL_M4 if "AUTH" in name else f.STARTTLS_M4
    assert text.index(path) < text.index(line)


def test_settings_in_another_file_are_seen_in_sendmail_cf() -> None:
    cf = "".join(
        f"O {name}=/etc/own/x\n" for name in ("CACertPath", "CACertFile", "ServerCertFile", "ServerKeyFile")
    )
    made = plan("mc-includes", machine("12", cf_from_mc=cf))
    assert [line for line in added(made) if "include" in line] == [f"include(`{f.SASL_M4}')dnl"]


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("DAEMON_OPTIONS(`Port=465, Name=TLS, M=s')dnl", "DAEMON_OPTIONS(`Port=465, Name=TLS, M=sa')dnl"),
        ("DAEMON_OPTIONS(`Port=smtps, Name=T, M=sA')dnl", "DAEMON_OPTIONS(`Port=smtps, Name=T, M=sa')dnl"),
        ("DAEMON_OPTIONS(`Name=T, Port=465, Addr=192.0.2.25, M=s')dnl", "DAEMON_OPTIONS(`Name=T, Port=465, Addr=192.0.2.25, M=sa')dnl"),
        ("DAEMON_OPTIONS(`Port=465, Name=T, Addr=127.0.0.1, M=s')dnl", None),
        ("DAEMON_OPTIONS(`Port=465, Name=T, M=Esa')dnl", None),
    ],
)  # fmt: skip
def test_465_asks_for_a_login_where_others_reach_it(line: str, after: str | None) -> None:
    text = (machine("12").text(f.SENDMAIL_MC) or "").replace(
        "MAILER_DEFINITIONS\n", f"{line}\nMAILER_DEFINITIONS\n"
    )
    made = plan("submission-port", machine("12", files={f.SENDMAIL_MC: file(text)}))
    lines = [item for item in added(made) if "465" in item or "smtps" in item]
    assert lines == ([after] if after else [])
    assert any("465" in note and "without a login" in note for note in made.notes) == (after is not None)


def test_a_certificate_elsewhere_is_the_one_that_counts() -> None:
    cf = CF + "O ServerCertFile=/etc/own/cert.pem\n"
    files = {f.SENDMAIL_CF: file(cf), f.SERVER_CERT: None}
    assert plan("sendmailconfig", machine("12", files=files, cf_from_mc=cf)).outcome is Outcome.DONE
    there = machine("12", files=files, cf_from_mc=cf)
    gone = dataclasses.replace(there, tls_missing=frozenset({"/etc/own/cert.pem"}))
    signs = []
    for facts in (there, gone):
        checks = {item.id: item for item in step("sendmailconfig").verify(Host(RECORDED), facts, HOWTO)}
        assert "/etc/own/cert.pem" in checks["certificate"].says
        signs.append(checks["certificate"].sign)
    assert signs == [Sign.OK, Sign.FAILED]


def test_restart_is_due_when_the_daemon_is_older_than_what_it_read() -> None:
    held = (Listener("0.0.0.0", 25, "sendmail-mta", 100),)
    files = {f.SENDMAIL_CF: file(CF)}
    fresh = machine("12", files=files, listeners=held, cf_changed=NOW - 1)
    assert plan("restart", fresh).outcome is Outcome.DONE
    assert plan("restart", dataclasses.replace(fresh, cf_changed=NOW + 1)).outcome is Outcome.PENDING
    assert "port 25" in plan("restart", dataclasses.replace(fresh, listeners=())).reason
    assert "does not run" in plan("restart", dataclasses.replace(fresh, processes=())).reason


def test_a_child_that_outlived_the_restart_is_not_taken_for_the_daemon() -> None:
    held = (Listener("0.0.0.0", 25, "sendmail-mta", 200),)
    old, new = Process(100, "sendmail-mta", (), NOW - 100), Process(200, "sendmail-mta", (), NOW)
    facts = machine(
        "12", files={f.SENDMAIL_CF: file(CF)}, listeners=held, processes=(old, new), cf_changed=NOW - 1
    )
    assert facts.process("sendmail-mta") == new
    assert plan("restart", facts).outcome is Outcome.DONE


def test_debian_13_leaves_sendmail_disabled() -> None:
    held = (Listener("0.0.0.0", 25, "sendmail-mta", 100),)
    made = plan("restart", machine("13", files={f.SENDMAIL_CF: file(CF)}, listeners=held))
    assert "not enabled at boot" in made.reason
    assert made.changes[0].describe().commands == ("systemctl enable sendmail",)


# --- before anything ------------------------------------------------------------------------------------------


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
        made = plan(name, facts)
        assert made.outcome is Outcome.BLOCKED, name
        assert f"line {line}" in made.reason
        assert "198.51.100.9, which is no address of this host" in made.reason
        assert made.remedy == (
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
    made = plan("preflight", machine("13", cf_from_mc=cf))
    assert (
        "a file that /etc/mail/sendmail.mc includes has `Name=X, Port=587, Addr=198.51.100.9`" in made.reason
    )
    facts = machine("13", files={f.SENDMAIL_CF: file(cf)}, cf_changed=NOW + 1)
    made = plan("restart", facts)
    assert made.outcome is Outcome.BLOCKED
    assert "/etc/mail/sendmail.cf has `Name=X" in made.reason
    assert made.remedy[1] == "then `msa-wizard apply sendmailconfig restart`"
    later = dataclasses.replace(facts, planned=frozenset({"sendmailconfig"}))
    assert plan("restart", later).outcome is Outcome.PENDING


def test_the_program_on_the_port_is_named() -> None:
    made = plan("preflight", bare("12", listeners=(Listener("0.0.0.0", 587, "python3", 42),)))
    assert "python3 (pid 42)" in made.reason


def test_all_that_is_in_the_way_is_named_at_once() -> None:
    facts = bare("12", fqdn_resolves=False, listeners=(Listener("0.0.0.0", 587, "python3", 42),))
    made = plan("preflight", facts)
    assert "is not a qualified name" in made.reason
    assert "python3 (pid 42)" in made.reason
    assert any("127.0.1.1 mail.example.org" in line for line in made.remedy)
    assert any("systemctl status 42" in line for line in made.remedy)


def test_a_host_is_not_renamed_to_its_own_name() -> None:
    made = plan("preflight", bare("12", fqdn_resolves=False, hostname="mail"))
    assert not any("set-hostname" in line for line in made.remedy)
    made = plan("preflight", bare("12", fqdn_resolves=False, hostname="mail.lan"))
    assert " hostnamectl set-hostname mail" in made.remedy


@pytest.mark.parametrize(
    ("value", "listens"), [("Daemon", True), ("daemon", True), ("None", False), ("Inetd", False), ("", False)]
)
def test_a_host_whose_sendmail_never_listens_is_named(value: str, listens: bool) -> None:
    shipped = machine("12").text(f.SENDMAIL_CONF) or ""
    conf = re.sub(r'^DAEMON_MODE="Daemon"', f'DAEMON_MODE="{value}"', shipped, flags=re.M)
    assert value == "Daemon" or conf != shipped
    facts = machine("12", files={f.SENDMAIL_CONF: file(conf)})
    for name in ("preflight", "restart"):
        made = plan(name, facts)
        assert (made.outcome is not Outcome.BLOCKED, f'DAEMON_MODE="{value}"' in made.reason) == (
            listens,
            not listens,
        )
    assert listens or 'set DAEMON_MODE="Daemon"' in made.remedy[0]
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


# --- what is not known ----------------------------------------------------------------------------------------


def served(**overrides: object) -> Facts:
    return machine("12", saslauthd_says="NO", **overrides)


@pytest.mark.parametrize(
    ("facts", "word", "says"),
    [
        (bare("12"), UNTESTED, "can be tested after install, restart"),
        (machine("12"), UNTESTED, "saslauthd does not answer"),
        (served(processes=()), UNTESTED, "sendmail does not run"),
        (served(), UNTESTED, "no login was accepted yet"),
        (served(login=AcceptedLogin("alice", NOW, True)), UNTESTED, "has changed since alice logged in"),
        (served(login=AcceptedLogin("alice", NOW)), "", "a login was accepted: alice"),
        (served(euid=1000), UNKNOWN, "only root can see"),
    ],
)
def test_a_login_is_proved_by_one_that_was_accepted(facts: Facts, word: str, says: str) -> None:
    if "sendmail-bin" not in facts.packages:
        facts = dataclasses.replace(facts, planned=frozenset({"install", "restart"}))
    made = plan("auth-test", facts)
    assert (made.word, made.outcome is Outcome.DONE) == (word, not word)
    assert says in made.reason
    if "can be tested after" in says:
        assert made.remedy == ("msa-wizard apply",), (
            "these steps alone would leave out what sendmail.mc lacks"
        )


def test_nothing_is_made_up_where_only_root_can_see() -> None:
    facts = served(euid=1000, unreadable=frozenset({f.SASL_CONF}), files={f.SASL_CONF: None})
    facts = dataclasses.replace(facts, planned=frozenset(), unseen=frozenset({"sendmail-auth"}))
    assert plan("sendmailconfig", facts).word == UNKNOWN
    assert after(facts, Plan.unseen("sendmail-auth", "no")).planned == frozenset()


def test_a_file_that_is_still_to_come_is_not_called_done() -> None:
    """Debian 13's /etc/default/saslauthd is right as it is shipped."""
    there = machine("13").files[f.SASLAUTHD_DEFAULT]
    assert there is not None
    made = sequence(bare("13", shipped={f.SASLAUTHD_DEFAULT: there}))["saslauthd-config"]
    assert made.outcome is Outcome.LATER
    assert "as the package ships it" in made.reason


APT = AptPlan(
    (
        "Inst sendmail-bin (8.17 Debian:12 [amd64])",
        "Inst postfix-mta-sts-resolver (1.1 Debian:12 [all])",
        "Inst sendmail (8.17 Debian:12 [all])",
    ),
    {"sendmail-bin": (708_852, 1_923_072), "sendmail": (9_000, 200_000)},
)


def test_what_comes_is_shown_with_sizes_and_daemons() -> None:
    made = plan("install", bare("12", apt_plan=APT), Answers(install=Install(recommends=True)))
    details = made.changes[0].describe().details
    assert details[0] == "3 packages: 0.7 MB to download, 2.1 MB on the disk"
    (surprise,) = (line for line in details if "postfix-mta-sts-resolver: listens on 127.0.0.1:8461" in line)
    assert "not needed here (the setting install.recommends brings it)" in surprise, (
        "why it comes, and what leaves it out"
    )
    assert "sendmail-bin (1.9 MB)" in details[-1]
    assert "recommends = true" in made.notes[0]
    assert "--no-install-recommends" not in made.changes[0].describe().commands[0]


def test_what_is_only_recommended_does_not_come_unasked() -> None:
    made = plan("install", bare("12"))
    assert "--no-install-recommends" in made.changes[0].describe().commands[0]


def test_replace_mta_lets_it_go() -> None:
    answers = Answers(replace_mta=True)
    facts = bare("12", packages={"postfix": "3.7"}, listeners=(Listener("0.0.0.0", 25, "master", 9),))
    assert plan("preflight", facts, answers).outcome is Outcome.DONE
    change = plan("install", facts, answers).changes[0]
    assert "--no-remove" not in change.describe().commands[0]
    assert "--no-remove" in plan("install", facts).changes[0].describe().commands[0]


def test_who_wants_another_mta_replaced_is_told_how_on_the_screens_and_the_command_line() -> None:
    made = plan("preflight", bare("12", packages={"postfix": "3.7"}))
    told = "tick Replace another MTA in the Settings, or `msa-wizard apply --replace-mta`"
    assert [line for line in made.remedy if line.endswith(told)]


def test_465_is_looked_at_only_where_it_was_chosen() -> None:
    facts = bare("12", listeners=(Listener("0.0.0.0", 465, "stunnel4", 9),))
    assert plan("preflight", facts).outcome is Outcome.DONE
    assert plan("preflight", facts, Answers(Listen(implicit_tls=True))).outcome is Outcome.BLOCKED


# --- a bare machine -------------------------------------------------------------------------------------------


def test_on_a_bare_machine_what_cannot_be_known_is_decided_later() -> None:
    plans = sequence(bare("12"))
    assert plans["install"].outcome is Outcome.PENDING
    for step_id in ("saslauthd-config", "mc-includes", "submission-port", "auth-options", "smtp-port"):
        assert plans[step_id].outcome is Outcome.LATER, step_id
    assert plans["sendmail-auth"].reason == f"once update_auth has made {f.SASL_CONF}"
    assert plans["saslauthd-start"].reason == "saslauthd comes with the packages, and has to be started"
    assert any("M=Ea" in note for note in plans["submission-port"].notes)
    for step_id in ("sendmailconfig", "restart", "saslauthd-start"):
        assert plans[step_id].outcome is Outcome.PENDING, step_id


def test_on_a_bare_machine_the_packages_texts_are_planned_on_where_they_can_be_had() -> None:
    real = machine("12")
    shipped = {
        path: real.files[path] for path in (f.SENDMAIL_MC, f.SASL_CONF, f.SASLAUTHD_DEFAULT, f.SASLAUTHD_INIT)
    }
    plans = sequence(bare("12", shipped=shipped))
    assert added(plans["saslauthd-config"]) == ["START=yes"]
    assert added(plans["submission-port"]) == [
        "DAEMON_OPTIONS(`Family=inet,  Name=MSP-v4, Port=submission, M=Ea')dnl"
    ]
    assert any("as the package ships it" in note for note in plans["submission-port"].notes)


def test_flags_that_sendmail_would_not_take_are_written_apart() -> None:
    text = (machine("12").text(f.SENDMAIL_MC) or "").replace(
        "MAILER_DEFINITIONS\n", "define(`confAUTH_OPTIONS', `Apy')dnl\nMAILER_DEFINITIONS\n"
    )
    made = plan("auth-options", machine("12", files={f.SENDMAIL_MC: file(text)}))
    assert added(made) == ["define(`confAUTH_OPTIONS', `A p y')dnl"]


def test_users_who_may_not_ask_saslauthd_are_told_so() -> None:
    made = plan("saslauthd-start", machine("12", euid=1000))
    assert made.outcome is Outcome.LATER
    assert "root" in made.reason


def test_users_who_may_not_read_are_told_so() -> None:
    made = plan("sendmail-auth", machine("12", euid=1000, unreadable=frozenset({f.SASL_CONF})))
    assert made.outcome is Outcome.LATER
    assert "root" in made.reason


# --- what a step finds ------------------------------------------------------------------------------------------


def test_a_reason_says_what_is_found_and_not_that_something_differs() -> None:
    plans = sequence(machine("12"))
    assert plans["auth-options"].reason == (
        "sendmail.mc has no confAUTH_OPTIONS: it lacks p (no password without TLS) and y (no anonymous login)"
    )
    assert plans["submission-port"].reason == "sendmail.mc has no line that serves port 587 to other machines"
    assert plans["smtp-port"].reason.startswith("port 25 would offer AUTH (line ")
    assert plans["mc-includes"].reason == f"sendmail.mc does not include {f.SASL_M4} and {f.STARTTLS_M4}"
    assert plans["saslauthd-config"].reason == 'START is not set and must be "yes"'
    assert "CRAM-MD5 LOGIN PLAIN and must be LOGIN PLAIN" in plans["sendmail-auth"].reason
    own = machine("12", files={f.SENDMAIL_MC: with_options(machine("12"), "y")})
    assert plan("auth-options", own).reason == (
        "confAUTH_OPTIONS is `y': it lacks p (no password without TLS)"
    )


def with_options(facts: Facts, flags: str) -> Entry:
    text = facts.text(f.SENDMAIL_MC) or ""
    return file(
        text.replace("MAILER_DEFINITIONS", f"define(`confAUTH_OPTIONS',`{flags}')dnl\nMAILER_DEFINITIONS")
    )


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


def test_every_step_that_changes_something_says_before_what_will_be_checked() -> None:
    assert [step.id for step in STEPS if not step.checked] == ["preflight"]
    assert not [step.id for step in STEPS if step.checked.endswith(".") or step.checked[:1].isspace()]
