"""What each step plans on the recorded machines."""

from __future__ import annotations

import dataclasses

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.planned import HOWTO, added, mc, plan, removed, sequence
from tests.unit.steps.recorded import CF, NOW, RECORDED, RELEASES, bare, file, machine
from wizard.changes.file import FileChange
from wizard.model import facts as f
from wizard.model.answers import Answers, Install, Listen
from wizard.model.facts import Facts, Process, TlsRefusal
from wizard.model.plan import UNKNOWN, UNTESTED, Outcome, Plan, Sign, after
from wizard.model.step_facts import AptPlan
from wizard.steps.order import STEPS, step
from wizard.system.accepted_login import AcceptedLogin
from wizard.system.host import Host
from wizard.system.sockets import Listener


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
    assert "listens on every port that sendmail.cf names" in plan("restart", fresh).reason
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


# --- what is not known ----------------------------------------------------------------------------------------


REFUSED = TlsRefusal(f.COMMON_KEY, f.COMMON_KEY, "everybody may read it", "chmod 0640")


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
        (
            served(login=AcceptedLogin("alice", NOW), tls_refused=(REFUSED,)),
            UNTESTED,
            f"it refuses {f.COMMON_KEY}",
        ),
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


def test_every_step_that_changes_something_says_before_what_will_be_checked() -> None:
    assert [step.id for step in STEPS if not step.checked] == ["preflight"]
    assert not [step.id for step in STEPS if step.checked.endswith(".") or step.checked[:1].isspace()]
