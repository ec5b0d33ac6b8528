"""The diagnoses, each a pure function of the picture: what they see, what they do not, and in which layer."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import pytest

from tests.unit import nft_rulesets
from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import (
    ALICE,
    CERTIFICATE,
    CF,
    FOLDER,
    SHADOW,
    conversation,
    facts,
    picture,
)
from wizard.gather.pam import Pam
from wizard.maillog.read import LOG, UNPROVED, LogLine
from wizard.mends.order import find
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Service
from wizard.model.plan import Outcome, Sign
from wizard.smtp.handshakes import RSA, TLS10, Handshake
from wizard.steps.order import step
from wizard.steps.restart import WEDGED
from wizard.system.sockets import Listener
from wizard.troubleshoot.confinement import Confined
from wizard.troubleshoot.diagnoses.order import DIAGNOSES
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import ORDER, Layer, next_looks
from wizard.troubleshoot.storage import CLIENT_QUEUE, MTA_QUEUE, Queue, Storage
from wizard.troubleshoot.verdict import judge

SERVICES = {name: Service(name, True, True, "active (running)") for name in ("sendmail", "saslauthd")}


def _cf(old: str, new: str, **more: Any) -> dict[str, Any]:
    text = CF.replace(old, new)
    assert text != CF
    return {"facts": {"files": {f.SENDMAIL_CF: file(text)}, "cf_from_mc": text}, **more}


def _stopped(layer: Layer, why: str = "it ended") -> dict[str, Any]:
    return {"talk": {"stopped": layer, "why": why, "offered": ()}}


def _account(**changes: Any) -> dict[str, Any]:
    return {"account": dataclasses.replace(ALICE, shadow=dataclasses.replace(SHADOW, **changes))}


_INPUT = {"family": "inet", "table": "filter", "name": "input", "hook": "input", "prio": 0, "policy": "drop"}
_BANNED = nft_rulesets.read(
    (), set=[{"family": "inet", "table": "f2b-table", "name": "addr-set-sshd", "elem": ["192.0.2.7"]}]
)
_DROP = nft_rulesets.read([_INPUT])

CASES: list[tuple[str, Layer, dict[str, Any]]] = [
    ("certificate-not-own", Layer.CERTIFICATE, {"account": ALICE, **_stopped(Layer.CERTIFICATE)}),
    ("clock-wrong", Layer.NAME, {"now": 1.0}),
    ("hostname-unresolved", Layer.NAME, {"facts": {"fqdn": "", "fqdn_resolves": False}}),
    ("firewall-closed", Layer.FIREWALL, {"ruleset": _DROP}),
    ("sendmail-missing", Layer.LISTENER, {"facts": {"packages": {}}}),
    ("mc-broken", Layer.LISTENER, {"m4_said": "m4: ERROR", **_stopped(Layer.LISTENER)}),
    ("cf-broken", Layer.LISTENER, {"cf_refused": "line 7: unknown configuration line"}),
    ("cf-differs", Layer.AUTH_OFFER, {"facts": {"cf_from_mc": CF + "O X=1\n"}, **_stopped(Layer.AUTH_OFFER)}),
    ("port-taken", Layer.LISTENER, {"facts": {"listeners": (Listener("::", 587, "master", 9),)}}),
    ("sendmail-dead", Layer.LISTENER, {"facts": {"processes": ()}, "mux_problem": ""}),
    ("daemon-mode", Layer.LISTENER, {"facts": {"processes": (), "listeners": (), "files": {f.SENDMAIL_CONF: file('DAEMON_MODE="None";\n')}}}),
    ("submission-missing", Layer.LISTENER, _cf("Port=submission, M=Ea", "Port=26")),
    ("submission-elsewhere", Layer.LISTENER, _cf("Port=submission", "Port=2587")),
    ("loopback-only", Layer.LISTENER, _cf("Port=submission", "Port=submission, Addr=127.0.0.1")),
    ("listener-missing", Layer.LISTENER, {"facts": {"listeners": ()}}),
    ("sendmail-hung", Layer.GREETING, {"states": {1: "T"}}),
    ("hosts-access", Layer.GREETING, {"texts": {Text.HOSTS_DENY: "sendmail: ALL\n"}, **_stopped(Layer.GREETING)}),
    ("access-refuses", Layer.GREETING, {"texts": {Text.ACCESS: "Connect:127\tREJECT\n"}}),
    ("connections-limited", Layer.GREETING, {"talk": {"stopped": Layer.GREETING, "code": 421}}),
    ("starttls-off", Layer.STARTTLS, _cf("M=Ea", "M=EaS")),
    ("tls-on-connect", Layer.STARTTLS, _cf("M=Ea", "M=Eas")),
    ("apparmor-denies", Layer.SASLAUTHD, {"confined": (Confined("saslauthd", "/usr/sbin/saslauthd", ('apparmor="DENIED" name="/etc/shadow"',)),), "talk": {"login": False}}),
    ("modules-missing", Layer.AUTH_OFFER, {"facts": {"packages": {"sendmail-bin": "8", "sendmail-cf": "8", "sasl2-bin": "2"}}, **_stopped(Layer.AUTH_OFFER)}),
    ("auth-switched-off", Layer.AUTH_OFFER, _cf("M=Ea", "M=EaA")),
    ("auth-not-required", Layer.AUTH_OFFER, {"talk": {"mail_before_auth": "failed"}}),
    ("auth-in-clear", Layer.AUTH_OFFER, {"talk": {"clear": ("LOGIN",)}}),
    ("mechanisms", Layer.AUTH_OFFER, {"talk": {"offered": ("LOGIN", "CRAM-MD5")}}),
    ("sasl-conf", Layer.SASLAUTHD, {"facts": {"files": {f.SASL_CONF: None}}}),
    ("saslauthd-dead", Layer.SASLAUTHD, {"facts": {"processes": facts().processes[:1]}, "mux_problem": "No such file"}),
    ("saslauthd-hung", Layer.SASLAUTHD, {"states": {2: "T"}, "mux_problem": "timed out"}),
    ("saslauthd-boot", Layer.SASLAUTHD, {"facts": {"services": {**SERVICES, "saslauthd": Service("saslauthd", True)}}}),
    ("saslauthd-cache", Layer.SASLAUTHD, {"account": dataclasses.replace(ALICE, right=False), "socket_login": "OK"}),
    ("pam-missing", Layer.PAM, {"pam": Pam(None)}),
    ("pam-broken", Layer.PAM, {"pam": Pam(f.PAM_SMTP, (), (("no line", "x", "/etc/pam.d/smtp line 1"),))}),
    ("pam-unknown", Layer.PAM, {"account": ALICE, "socket_login": "NO", "talk": {"login": False}}),
    ("account-unknown", Layer.ACCOUNT, {"account": dataclasses.replace(ALICE, shell=None, shadow=None)}),
    ("account-locked", Layer.ACCOUNT, _account(locked=True)),
    ("account-expired", Layer.ACCOUNT, _account(expires=1)),
    ("password-expired", Layer.ACCOUNT, _account(changed=0)),
    ("password-missing", Layer.ACCOUNT, _account(never=True)),
    ("password-wrong", Layer.ACCOUNT, {"account": dataclasses.replace(ALICE, right=False), "socket_login": "NO"}),
    ("mechanisms-not-trusted", Layer.RELAY, _cf("C{TrustAuthMech} LOGIN PLAIN\n", "")),
    ("aliases-missing", Layer.RELAY, {**_cf("O AuthOptions", "O AliasFile=/etc/mail/aliases\nO AuthOptions"), "aliases_db": False}),
    ("disk-full", Layer.QUEUE, {"storage": Storage((dataclasses.replace(FOLDER, path=MTA_QUEUE, free_kib=3),))}),
    ("disk-full", Layer.QUEUE, _stopped(Layer.STARTTLS, "STARTTLS got 452 4.4.5 Insufficient disk space")),
    ("inodes-out", Layer.QUEUE, {"storage": Storage((dataclasses.replace(FOLDER, path=MTA_QUEUE, free_inodes=3),))}),
    ("read-only", Layer.QUEUE, {"storage": Storage((dataclasses.replace(FOLDER, path=MTA_QUEUE, read_only=True),))}),
]  # fmt: skip


def test_only_the_kinds_that_are_taken_are_weak() -> None:
    fault = judge(picture(weak_tls=(Handshake(RSA, True), Handshake(TLS10, False)))).fault("weak-tls")
    assert fault is not None
    assert fault.finding.cause.endswith(": TLS 1.2 without forward secrecy (RSA key exchange)")
    assert "tls.policy=recommended" in fault.finding.mend.text
    assert judge(picture(weak_tls=(Handshake(RSA, False), Handshake(TLS10, None)))).faults == ()


def test_a_sound_machine_is_told_to_be_sound() -> None:
    verdict = judge(picture())
    assert verdict.faults == ()
    assert verdict.summary.startswith("MSA OK - mail clients can submit |")
    assert verdict.untested
    assert judge(picture(account=ALICE, talk={"login": True})).faults == ()


@pytest.mark.parametrize(("name", "layer", "changes"), CASES, ids=[case[0] for case in CASES])
def test_the_fault_is_blamed_in_its_layer(name: str, layer: Layer, changes: dict[str, Any]) -> None:
    blamed = judge(picture(**changes)).blamed
    assert blamed is not None
    assert (blamed.id, blamed.layer) == (name, layer)
    assert blamed.finding.evidence
    assert blamed.finding.mend.steps or blamed.finding.mend.text


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("firewall-banned", {"ruleset": _BANNED}),
        ("certificate-no-alternative-name", {"talk": {"certificate": dataclasses.replace(CERTIFICATE, names=())}}),
        ("certificate-name", {"talk": {"certificate": dataclasses.replace(CERTIFICATE, names=("x.test",), subject="")}}),
        ("auth-on-smtp", {"conversations": (conversation(25, offered=("LOGIN",)), conversation(587))}),
        ("messages-wait", {"storage": Storage((), (Queue(MTA_QUEUE, 3, 7200.0, ("Deferred",)),)), "facts": {"packages": {}}}),
        ("msp-queue-not-run", {"storage": Storage((), (Queue(CLIENT_QUEUE, 3, 7200.0),))}),
        ("messages-held", {"storage": Storage((), (Queue(MTA_QUEUE, held=("/var/spool/mqueue/hf1",)),))}),
        ("dead-letter", {"storage": Storage(dead_letters=("/root/dead.letter",))}),
        ("load-high", {"storage": Storage(load=16.0, processors=2)}),
        ("inodes-out", {"storage": Storage((dataclasses.replace(FOLDER, path="/tmp", free_inodes=3),))}),
        ("weak-tls", {"weak_tls": (Handshake(RSA, True), Handshake(TLS10, False))}),
        ("hands-off", {"facts": {"files": {f.SENDMAIL_CONF: file('HANDS_OFF="Yes"\n')}}}),
        ("daemon-mode", {"facts": {"files": {f.SENDMAIL_CONF: file("DAEMON_MODE=inetd\n")}}}),
        ("log-unreadable", {"log": None, "log_problem": "journalctl ended with status 1: Bad message"}),
        ("log-complaints", {"log": (LogLine(2e9, "sm-mta", 1, "SYSERR(root): x"),)}),
    ],
)  # fmt: skip
def test_what_works_and_may_bite_is_a_warning(name: str, changes: dict[str, Any]) -> None:
    found = judge(picture(**changes)).fault(name)
    assert found is not None
    assert found.sign is Sign.WARNING


@pytest.mark.parametrize("layer", [Layer.LISTENER, Layer.GREETING, Layer.STARTTLS, Layer.AUTH_OFFER])
def test_what_nobody_knows_ends_in_the_right_layer_with_the_words(layer: Layer) -> None:
    verdict = judge(picture(**_stopped(layer, "the moon is full")))
    assert verdict.blamed is not None
    assert verdict.blamed.layer is layer
    assert any("the moon is full" in item.says for item in verdict.blamed.finding.evidence)
    assert verdict.blamed.finding.mend.text.count("`") == 6, "the three likeliest next looks"


def test_the_next_looks_name_the_very_port_and_user() -> None:
    assert "-connect [::1]:465 <" in next_looks(Layer.STARTTLS, "::1", 465).text
    assert "-starttls smtp -connect 127.0.0.1:587 <" in next_looks(Layer.GREETING).text
    assert "`getent passwd 'x; reboot'`" in next_looks(Layer.ACCOUNT, user="x; reboot").text


def test_a_login_that_nobody_can_explain_is_never_well() -> None:
    """With a user that this host knows nothing of but the name, as from LDAP."""
    owner = dataclasses.replace(ALICE, shadow=None, right=None)
    verdict = judge(picture(account=owner, talk={"stopped": Layer.ACCOUNT, "why": "535", "login": False}))
    assert verdict.blamed is not None
    assert verdict.blamed.id == "login-unknown"


def test_a_socket_that_nobody_can_explain_is_never_well() -> None:
    verdict = judge(picture(mux_problem="Permission denied"))
    assert verdict.blamed is not None
    assert verdict.blamed.id == "saslauthd-unknown"


def test_no_port_for_mail_clients_is_never_well() -> None:
    blamed = judge(picture(conversations=())).blamed
    assert blamed is not None
    assert blamed.layer is Layer.LISTENER


def test_the_outermost_layer_is_to_blame_and_the_others_are_told() -> None:
    verdict = judge(
        picture(states={1: "T"}, mux_problem="gone", account=dataclasses.replace(ALICE, right=False))
    )
    assert verdict.blamed is not None
    assert verdict.blamed.id == "sendmail-hung"
    assert {"saslauthd-unknown", "password-wrong"} <= {item.id for item in verdict.faults}
    failing = [ORDER.index(item.layer) for item in verdict.faults if item.sign is Sign.FAILED]
    assert failing == sorted(failing)


def test_sendmail_does_not_hang_where_another_program_holds_its_port_and_says_nothing() -> None:
    """It is sendmail's port again as soon as sendmail listens there, too."""
    mute, mine = Listener("0.0.0.0", 587, "python3", 9), Listener("127.0.0.1", 587, "sendmail-mta", 1)
    silent = {"stopped": Layer.GREETING, "why": "it fell silent", "code": 0, "greeting": ""}
    verdict = judge(picture(facts={"listeners": (mute,)}, talk=silent))
    assert verdict.blamed is not None
    assert verdict.blamed.id == "port-taken"
    assert "or `kill 9` where it has none" in verdict.blamed.finding.mend.text
    assert [fault.layer for fault in verdict.faults].count(Layer.GREETING) == 0
    assert verdict.signs[Layer.GREETING] is Sign.UNKNOWN, "nobody knows how sendmail greets"
    assert judge(picture(facts={"listeners": (mute, mine)}, talk=silent)).fault("sendmail-hung") is not None


def test_hands_off_is_fixed_before_what_debians_scripts_must_do() -> None:
    hands = {f.SENDMAIL_CONF: file('HANDS_OFF="Yes"\n'), f.SASL_CONF: None}
    found = judge(picture(facts={"files": hands})).fault("sasl-conf")
    assert found is not None
    assert found.finding.mend.steps[0] == "mend-hands-off"


def test_a_summary_is_one_line_with_one_bar() -> None:
    summary = judge(picture(cf_refused="a | b\nc")).summary
    assert summary.count("|") == 1
    assert "\n" not in summary


def test_ids_are_their_own_and_layers_in_order() -> None:
    ids = [item.id for item in DIAGNOSES]
    assert len(set(ids)) == len(ids)
    places = [ORDER.index(item.layer) for item in DIAGNOSES]
    assert places == sorted(places)
    assert all(item.symptom and item.probe for item in DIAGNOSES)


def test_every_fix_is_a_step_that_exists() -> None:
    named = set()
    for _, _, changes in CASES:
        named |= {name for item in judge(picture(**changes)).faults for name in item.finding.mend.steps}
    assert len(named) > 10
    for name in named:
        step = find(name)
        assert step.id == name
        assert step.plan(picture().facts, Answers()).reason != step.why, "no sentence is said twice"


def test_a_picture_of_nothing_at_all_can_be_judged() -> None:
    """No sendmail, no files, no log: every diagnosis looks, none stumbles."""
    from tests.unit.steps.recorded import bare

    verdict = judge(Picture(bare("13"), now=2e9, log=None))
    assert verdict.blamed is not None
    assert verdict.blamed.id == "sendmail-missing"
    assert verdict.fault("pam-missing") is None, "Sendmail's packages bring the file"
    assert verdict.fault("log-missing") is not None
    known = {layer for layer, sign in verdict.signs.items() if sign is Sign.OK}
    assert known <= {Layer.NAME, Layer.FIREWALL, Layer.QUEUE}, "nothing is well where nothing is there"


@pytest.mark.parametrize(
    ("stopped", "unknown"),
    [
        (Layer.LISTENER, {Layer.GREETING, Layer.STARTTLS, Layer.AUTH_OFFER}),
        (Layer.GREETING, {Layer.GREETING, Layer.STARTTLS, Layer.AUTH_OFFER}),
        (Layer.STARTTLS, {Layer.STARTTLS, Layer.AUTH_OFFER}),
        (None, set()),
    ],
)
def test_from_the_layer_on_where_a_conversation_ends_nothing_is_said_to_be_well(
    stopped: Layer | None, unknown: set[Layer]
) -> None:
    """The certificate on the disk is judged all the same."""
    talks = (conversation(25), conversation(587, stopped=stopped, why="it ended"))
    signs = judge(picture(conversations=talks), ()).signs
    assert {layer for layer, sign in signs.items() if sign is Sign.UNKNOWN} == unknown | {Layer.ACCOUNT}


def test_a_layer_that_a_fault_of_another_one_ended_is_not_well() -> None:
    full = judge(picture(**_stopped(Layer.STARTTLS, "STARTTLS got 452 4.4.5 Insufficient disk space")))
    assert full.signs[Layer.STARTTLS] is Sign.UNKNOWN
    assert full.signs[Layer.QUEUE] is Sign.FAILED


def test_a_user_who_is_not_there_is_named_in_the_command_that_makes_one() -> None:
    nobody = dataclasses.replace(ALICE, user="b o", shell=None, shadow=None)
    fault = judge(picture(account=nobody)).fault("account-unknown")
    assert fault is not None
    assert fault.finding.mend.text.endswith("`adduser 'b o'`"), "as a shell takes it"


def test_a_log_that_cannot_be_read_is_not_said_to_be_missing() -> None:
    verdict = judge(picture(log=None, log_problem="/var/log/mail.log cannot be read: it is not a file"))
    assert [fault.id for fault in verdict.faults] == ["log-unreadable"]


NOT_WRITTEN = "6AT9Re04006602: SYSERR(root): collect: Cannot write ./df6AT9Re04006602 (bfcommit, uid=0, gid=103): Operation not permitted"


def test_a_queue_that_cannot_be_written_is_to_blame_until_a_message_is_taken() -> None:
    refused = LogLine(2e9, "sm-mta", 1, NOT_WRITTEN)
    its = LogLine(2e9, "sm-mta", 1, "6AT9Re04006602: from=<a@b.test>, size=18, class=0, nrcpts=1, relay=x")
    blamed = judge(picture(log=(refused, its))).blamed
    assert blamed is not None
    assert (blamed.id, blamed.layer) == ("queue-not-written", Layer.QUEUE)
    taken = LogLine(
        2e9 + 1, "sm-mta", 2, "6AT9B79a001977: from=<a@b.test>, size=18, class=0, nrcpts=1, relay=x"
    )
    assert judge(picture(log=(refused, taken))).blamed is None
    assert judge(picture(log=(dataclasses.replace(refused, file=LOG),))).blamed is None


def test_where_cron_runs_the_queue_of_programs_it_may_wait() -> None:
    waits = Storage((), (Queue(CLIENT_QUEUE, 3, 7200.0, ("Deferred",)),))
    verdict = judge(picture(storage=waits, texts={Text.CRON_PID: "1\n"}))
    assert verdict.fault("msp-queue-not-run") is None
    waiting = verdict.fault("messages-wait")
    assert waiting is not None
    assert "`sendmail -Ac -q -v`" in waiting.finding.mend.text


def test_a_line_of_a_file_decides_nothing() -> None:
    """Any user of the host can have it written; it is shown beside what was seen otherwise, with that word."""
    forged = tuple(
        LogLine(2e9, "sm-mta", 1, text, LOG)
        for text in ("SYSERR(root): x", "rejecting connections on daemon MSP-v4: load average: 99", WEDGED)
    )
    assert judge(picture(log=forged)).fault("log-complaints") is None
    only_25 = (Listener("0.0.0.0", 25, "sendmail-mta", 1),)
    found = judge(picture(log=forged, facts={"listeners": only_25})).fault("listener-missing")
    assert found is not None
    assert "does not listen on port 587" in found.finding.cause
    assert any(UNPROVED in item.source for item in found.finding.evidence)
    real = (LogLine(2e9, "sm-mta", 1, "rejecting connections on daemon MSP-v4: load average: 99"),)
    found = judge(picture(log=real, facts={"listeners": only_25})).fault("listener-missing")
    assert found is not None
    assert "RefuseLA" in found.finding.cause


@pytest.mark.parametrize(
    "text",
    [
        "from=<SYSERR@x.test>, size=1, relay=x [192.0.2.1]",
        "to=<SYSERR@x.test>, stat=Sent",
        "ruleset=check_rcpt, arg1=<SYSERR@x.test>",
    ],
)
def test_what_a_client_chose_is_no_complaint_of_the_daemon(text: str) -> None:
    logged = (LogLine(2e9, "sm-mta", 1, f"6AN5cMnp001108: {text}"),)
    assert judge(picture(log=logged)).fault("log-complaints") is None


def test_a_file_of_debians_that_pam_includes_is_brought_back_by_debian() -> None:
    """mend-pam-service would write the very line that is there."""
    missing = "it includes /etc/pam.d/common-auth, which is not there"
    stack = Pam(f.PAM_SMTP, (), ((missing, "@include common-auth", "/etc/pam.d/smtp line 13"),))
    before = LogLine(1e9 - 60, "saslauthd", 1, "PAM unable to dlopen(pam_nonexist.so)")
    fault = judge(picture(pam=stack, log=(before,), began=1e9)).fault("pam-broken")
    assert fault is not None
    assert fault.finding.cause == f"the PAM service smtp is broken: {missing}"
    assert not fault.finding.mend.steps
    assert "`pam-auth-update --force`" in fault.finding.mend.text
    assert [piece.says for piece in fault.finding.evidence] == ["@include common-auth"]
    other = dataclasses.replace(
        stack,
        wrong=(("it includes /etc/pam.d/x, which is not there", "@include x", "/etc/pam.d/smtp line 1"),),
    )
    fault = judge(picture(pam=other)).fault("pam-broken")
    assert fault is not None
    assert fault.finding.mend.steps == ("mend-pam-service",)


@pytest.mark.parametrize(
    ("tags", "program", "look"),
    [
        (["saslauthd"], "saslauthd", "-t saslauthd -n"),
        (["sm-mta"], "sendmail", "-t sm-mta -n"),
        (["sm-mta", "saslauthd"], "sendmail and saslauthd", "-t sm-mta -t saslauthd -n"),
    ],
)
def test_a_complaint_names_who_logged_it_and_when(tags: list[str], program: str, look: str) -> None:
    lines = tuple(LogLine(2e9, tag, 1, f"{tag}: cannot open x") for tag in tags)
    fault = judge(picture(log=lines)).fault("log-complaints")
    assert fault is not None
    assert fault.finding.cause == f"{program} logged errors in the last hour"
    assert look in fault.finding.mend.text
    when = datetime.fromtimestamp(2e9).strftime("%F %T")
    assert [piece.source for piece in fault.finding.evidence] == [f"journal, {tag}, {when}" for tag in tags]


@pytest.mark.parametrize("package", ["sasl2-bin", "libsasl2-modules", "sendmail-bin"])
def test_a_package_that_dpkg_has_not_finished_is_not_called_missing_while_all_works(package: str) -> None:
    found = picture()
    whole = {**found.facts.packages, "openssl": "3", "sendmail": "8"}
    whole.pop(package, None)
    facts = dataclasses.replace(found.facts, packages=whole, half_way={package: "half-configured"})
    assert judge(dataclasses.replace(found, facts=facts)).blamed is None
    plan = step("install").plan(facts, Answers())
    assert (plan.outcome, plan.reason) == (
        Outcome.PENDING,
        f"dpkg has not finished with {package} (half-configured)",
    )


@pytest.mark.parametrize(
    ("there", "half", "reason"),
    [
        ((), (), "sendmail, sasl2-bin, libsasl2-modules, openssl are not installed"),
        (("sendmail", "sasl2-bin", "libsasl2-modules", "openssl"), (), "sendmail-bin is not installed"),
        (("sendmail-bin", "sasl2-bin", "libsasl2-modules"), (), "openssl is not installed"),
        (
            ("sasl2-bin", "openssl"),
            ("sendmail", "sendmail-bin"),
            "dpkg has not finished with sendmail (unpacked), sendmail-bin (unpacked); libsasl2-modules is not installed",
        ),
    ],
)
def test_the_mta_is_asked_for_by_the_package_that_is_missing(
    there: tuple[str, ...], half: tuple[str, ...], reason: str
) -> None:
    facts = dataclasses.replace(
        picture().facts, packages=dict.fromkeys(there, "1"), half_way=dict.fromkeys(half, "unpacked")
    )
    assert step("install").plan(facts, Answers()).reason == reason
