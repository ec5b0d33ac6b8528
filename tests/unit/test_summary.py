"""What is said at the end: what was done, what was left out and what follows; what mail clients still need."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from screens.backend import _taken_back
from screens.widgets.contents import CHECKS
from tests.authority import Authority
from tests.unit.rehearse.made import good
from tests.unit.steps.recorded import file, machine
from tests.unit.test_commits_in_force import History
from wizard import log
from wizard.certificates import parsed
from wizard.cli import steps
from wizard.engine.in_force import Target
from wizard.engine.journal import Unfinished
from wizard.engine.overview import Overview, _history, _opened, found
from wizard.engine.run import Run
from wizard.engine.summary import summary
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.events import Checked, Failed, Recorded
from wizard.model.facts import Process
from wizard.model.plan import Check, Plan, Sign
from wizard.model.session import Session, TakenBack
from wizard.model.set_option import with_set
from wizard.model.step_facts import PairTrial
from wizard.rehearse.outcome import shown
from wizard.render.files import report
from wizard.render.text import SIGN_WORDS, check_text, summary_text
from wizard.steps import guess_limit, tls_policy
from wizard.steps.login_policy import OPTIONAL
from wizard.steps.order import STEPS
from wizard.system.accepted_login import AcceptedLogin, LoginFromOutside
from wizard.system.host import Host

if TYPE_CHECKING:
    from wizard.rollback.plan import Rollback

STEP = {step.id: step for step in STEPS}
FIREWALL = TakenBack("firewall", ("firewall",))


def needing(steps: Iterable[str]) -> set[str]:
    return {"auth-test", "restart"} if "saslauthd-start" in steps else set()


def seen(**plans: Plan) -> Overview:
    """A host on which everything is done but these."""
    changed = {plan.step: plan for plan in plans.values()}
    return Overview(
        machine("13"), (), {name: changed.get(name, Plan.done(name, "it is so")) for name in STEP}
    )


def session_of(*applied: str, skipped: Iterable[str] = ()) -> Session:
    session = Session(skipped=set(skipped))
    for name in applied:
        session.heard(lambda _: None)(Recorded(STEP[name], "abc", 1.0))
    return session


def test_what_follows_from_a_skipped_step_is_said() -> None:
    pending = Plan.pending("saslauthd-start", "it is not running")
    ending = summary(seen(one=pending), session_of("install", skipped=["saslauthd-start"]), needing)
    assert ending.done == (
        ("done", "install"),
        ("skipped", "saslauthd-start: without it the login test fails"),
    )
    assert ending.missing, "nothing else is to do"
    other = Plan.pending("firewall", "port 587 is closed")
    rows = dict(summary(seen(one=other), session_of(skipped=["firewall"]), needing).done)
    assert rows["skipped"] == "firewall: without it the firewall keeps clients out"


def test_nothing_is_advised_for_mail_clients_where_steps_wait_for_one_that_is_left_out() -> None:
    skipped = "saslauthd-start"
    left = {"one": Plan.pending(skipped, "to do"), "two": Plan.not_now("auth-test", skipped)}
    ending = summary(seen(**left), session_of(skipped=[skipped]), needing)
    assert ending.done == (("skipped", f"{skipped}: without it the login test fails"),)
    assert ending.missing == ()


def test_a_step_that_was_skipped_and_is_done_after_all_is_done() -> None:
    ending = summary(seen(), session_of("firewall", skipped=["firewall"]), needing)
    assert ending.done == (("done", "firewall"),)


def test_while_a_step_is_to_do_it_is_named_and_nothing_else() -> None:
    ending = summary(seen(one=Plan.pending("restart", "sendmail does not run")), session_of(), needing)
    assert ending.done == (("to do", "restart"),)
    assert ending.missing == ()


def test_a_failed_step_says_what_was_undone_and_what_was_not() -> None:
    session = Session()
    session.heard(lambda _: None)(
        Failed(STEP["restart"], "no greeting", ("the file",), ("the service",), "look")
    )
    shown = summary_text(summary(None, session, needing))
    assert "Failed       restart: no greeting" in shown
    assert "undone: the file" in shown
    assert "NOT undone: the service" in shown
    assert "msa-wizard status" in shown, "nobody has looked at the host since"
    session.heard(lambda _: None)(Recorded(STEP["restart"], "abc", 1.0))
    assert not session.failed


def test_a_test_that_failed_has_undone_nothing_and_is_over_once_it_passes() -> None:
    session, test = Session(), STEP["auth-test"]
    hear = session.heard(lambda _: None)
    hear(Checked(test, Check("starttls", Sign.OK, "STARTTLS is offered")))
    hear(Checked(test, Check("port-25", Sign.FAILED, "port 25 offers AUTH")))
    hear(Failed(test, "port 25 offers AUTH", (), (), "look", reported=True))
    hear(Checked(test, Check("troubleshoot", Sign.FAILED, "Cause: smtp-port is skipped.")))
    assert summary(seen(), session, needing).done == (("failed", "auth-test: port 25 offers AUTH"),)
    hear(Checked(test, Check("starttls", Sign.OK, "STARTTLS is offered")))
    assert session.nothing


def test_what_was_rolled_back_is_not_done_any_more() -> None:
    session = session_of("install", "firewall")
    session.took_back(FIREWALL)
    assert summary(seen(), session, needing).done == (("done", "install"), ("rolled back", "firewall"))


def test_what_a_rollback_makes_to_do_again_is_not_done_and_what_it_means_is_said() -> None:
    session = session_of("mc-includes", "auth-options", "sendmailconfig", "restart")
    session.took_back(TakenBack("auth-options", ("auth-options",)))
    names = ("auth-options", "sendmailconfig", "restart")
    again = {f"plan_{number}": Plan.pending(name, "to do") for number, name in enumerate(names)}
    assert summary(seen(**again), session, needing).done == (
        ("done", "mc-includes"),
        ("rolled back", "auth-options"),
        ("", "without auth-options passwords may cross the network in clear"),
        ("to do", "auth-options"),
        ("to do again", "sendmailconfig, restart"),
    )
    again["first"] = Plan.pending("mc-includes", "to do")
    assert "passwords" not in str(summary(seen(**again), session, needing).done), "there is no login at all"


def test_a_step_that_was_rolled_back_twice_is_named_once() -> None:
    session = session_of("install")
    session.took_back(TakenBack("mc-includes, smtp-port", ("mc-includes", "smtp-port")))
    session.took_back(TakenBack("mc-includes", ("mc-includes",)))
    assert session.rolled_back == ["mc-includes, smtp-port"]


def test_a_step_that_was_skipped_is_not_called_blocked() -> None:
    stuck = {"one": Plan.blocked("firewall", "two are active")}
    rows = summary(seen(**stuck), session_of(skipped=["firewall"]), needing).done
    assert [word for word, _ in rows] == ["skipped"]


def test_a_step_whose_rollback_was_rolled_back_is_done() -> None:
    session = session_of("install", "firewall")
    session.took_back(FIREWALL)
    session.took_back(TakenBack("the rollback of firewall (abc)"), {"firewall": "def"})
    assert summary(seen(), session, needing).done == (("done", "install, firewall"),)


@pytest.mark.parametrize(
    ("address", "opened", "sign", "says"),
    [
        ("8.8.8.8", 0.0, Sign.OK, "firewall: alice logged in from 8.8.8.8 on 1970-01-02 0"),
        ("192.168.1.7", 0.0, Sign.OK, "whether clients on the Internet get through is not proven"),
        ("8.8.8.8", 100_001.0, Sign.PENDING, "only a login from elsewhere proves"),
    ],
)
def test_a_login_from_outside_is_the_firewalls_proof_until_that_is_changed(
    address: str, opened: float, sign: Sign, says: str
) -> None:
    proof = AcceptedLogin("bob", 100_002.0, outside=LoginFromOutside("alice", address, 100_000.0))
    (commit, *_) = History().applied("firewall")
    commit = dataclasses.replace(commit, time=datetime.fromtimestamp(opened, UTC))
    overview = dataclasses.replace(
        seen(), facts=dataclasses.replace(machine("13"), login=proof), commits=(commit,)
    )
    check = next(each for each in summary(overview, session_of(), needing).missing if each.id == "outside")
    assert check.sign is sign
    assert says in check.says


def test_a_certificate_that_clients_refuse_is_told_with_the_offer(self_signed: str) -> None:
    facts = machine("13", files={f.SERVER_CERT: file(self_signed)})
    overview = dataclasses.replace(seen(), facts=facts)
    checks = {check.id: check for check in summary(overview, session_of("install"), needing).missing}
    assert checks["certificate"].sign in (Sign.WARNING, Sign.FAILED)
    assert "subjectAltName" in checks["certificate"].says
    obtain, install, renew = checks["certificate"].remedy.splitlines()
    assert obtain.startswith("`msa-wizard certificate obtain`")
    assert install.startswith("`msa-wizard certificate install CERT KEY`")
    assert renew == "`msa-wizard certificate renew` makes a new self-signed one for this host's name"
    assert list(checks) == ["login", "certificate", "outside", "dns", "clients"]
    assert "msa-wizard test --from-outside" in summary_text(summary(overview, session_of(), needing))


def test_who_may_log_in_is_advised_where_nobody_has_chosen() -> None:
    unasked = Plan.not_applicable("login-policy", OPTIONAL)
    (policy,) = (
        x for x in summary(seen(one=unasked), session_of("install"), needing).missing if x.id == "policy"
    )
    assert policy.sign is Sign.PENDING
    assert policy.remedy == "msa-wizard apply login-policy --set login.policy=no-system-accounts"
    elsewhere = Plan.not_applicable("login-policy", "PAM is not asked on this host")
    [policy] = [x for x in summary(seen(one=elsewhere), session_of(), needing).missing if x.id == "policy"]
    assert policy.sign is Sign.WARNING, "it is chosen, and cannot be had"
    assert policy.says == "login.policy of your settings has no effect: PAM is not asked on this host"


def test_a_limit_on_guessing_is_advised_where_nobody_has_chosen() -> None:
    unasked = Plan.not_applicable("guess-limit", guess_limit.OPTIONAL)
    (guess,) = (
        x for x in summary(seen(one=unasked), session_of("install"), needing).missing if x.id == "guess"
    )
    assert (guess.sign, guess.remedy) == (Sign.PENDING, guess_limit.CHOOSE)
    chosen = Plan.done("guess-limit", "fail2ban bans an address")
    assert not [x for x in summary(seen(one=chosen), session_of(), needing).missing if x.id == "guess"]


def test_tls_is_advised_where_a_port_takes_what_is_weak() -> None:
    unasked, session = seen(one=Plan.not_applicable("tls-policy", tls_policy.OPTIONAL)), session_of("install")
    (unseen,) = (x for x in summary(unasked, session, needing).missing if x.id == "tls")
    assert (unseen.sign, unseen.remedy) == (Sign.PENDING, "msa-wizard troubleshoot"), "nobody has seen any"
    looked = session_of("install")
    looked.heard(lambda _: None)(Checked(STEP["tls-policy"], Check("tls", Sign.OK, "nothing weaker")))
    assert not [x for x in summary(unasked, looked, needing).missing if x.id == "tls"]
    weak = Check("tls", Sign.WARNING, "port 587 takes TLS 1.2 without forward secrecy", tls_policy.CHOOSE)
    session.heard(lambda _: None)(Checked(STEP["tls-policy"], weak))
    (tls,) = (x for x in summary(unasked, session, needing).missing if x.id == "tls")
    assert (tls.sign, tls.remedy) == (Sign.PENDING, tls_policy.CHOOSE)
    assert tls.says.endswith(weak.says)
    chosen = seen(one=Plan.done("tls-policy", "port 587 takes only TLS that is recommended"))
    assert not [x for x in summary(chosen, session, needing).missing if x.id == "tls"]


def test_the_login_test_is_missing_until_a_login_was_accepted() -> None:
    untested = Plan.untested(
        "auth-test", "no login was accepted yet; `msa-wizard test --user NAME` proves it"
    )
    login = summary(seen(one=untested), session_of("install"), needing).missing[0]
    assert (login.sign, login.says) == (Sign.WARNING, "login: no login was accepted yet")
    assert summary(seen(), session_of("install"), needing).missing[0].sign is Sign.OK


def test_a_self_signed_certificate_without_a_fault_is_not_to_be_renewed() -> None:
    names = ("-addext", "subjectAltName=DNS:mail.example.test", "-days", "365")
    facts = machine("13", files={f.SERVER_CERT: file(made_here(*names))})
    overview = dataclasses.replace(seen(), facts=facts)
    checks = {check.id: check for check in summary(overview, session_of("install"), needing).missing}
    assert "certificate install CERT KEY" in checks["certificate"].remedy
    assert "renew" not in checks["certificate"].remedy, "the new one would be self-signed, too"


@pytest.fixture(scope="module")
def self_signed() -> str:
    """As Debian's scripts make it: no subjectAltName."""
    return made_here()


def made_here(*more: str) -> str:
    """A self-signed certificate."""
    subject = ("-subj", "/CN=mail.example.test", *more)
    made = Host().run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", *subject]
    )
    return made.stdout[made.stdout.index("-----BEGIN CERTIFICATE") :]


def test_apply_ends_with_it_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (opened,) = History().applied("firewall")
    facts = machine(
        "13", login=AcceptedLogin("alice", 0.0, outside=LoginFromOutside("alice", "8.8.8.8", 0.0))
    )
    done = {name: Plan.done(name, "it is so") for name in STEP}
    monkeypatch.setattr(steps, "readable_store", lambda: SimpleNamespace(history=lambda: [opened]))
    monkeypatch.setattr("wizard.engine.overview.look", lambda _host, *, shipped: facts)

    def shown(*plans: Plan, applied: tuple[str, ...] = (), skipped: tuple[str, ...] = ()) -> str:
        now = done | {plan.step: plan for plan in plans}
        monkeypatch.setattr("wizard.engine.overview.plans", lambda *_: now)
        run = Run(plans={}, applied=dict.fromkeys(applied, "abc"), skipped=list(skipped))
        steps._summary(run, Answers(), argparse.Namespace(argv=["apply"], quiet=False))
        return capsys.readouterr().out

    install, firewall = (Plan.pending(name, "to do") for name in ("install", "firewall"))
    whole = shown(firewall, applied=("install",), skipped=("firewall",))
    assert "Done         install\nSkipped      firewall: without it the firewall keeps clients out\n" in whole
    assert "msa-wizard test --from-outside" in whole, "the rules are newer than the login from outside"
    assert whole.endswith(f"`msa-wizard history` has each step, {log.PATH} what was run.\n")
    assert "Skipped      install: without it" in shown(install, firewall, skipped=("install", "firewall"))
    some = shown(Plan.pending("restart", "to do"), applied=("install",))
    assert "Done         install\nTo do        restart\n" in some
    assert "--from-outside" not in some
    assert "--from-outside" in shown(applied=("install",)), "nothing is left to do"

    def slow(*_: object) -> dict[str, Plan]:
        raise HostError("m4 took longer than 30 s.")

    monkeypatch.setattr("wizard.engine.overview.plans", slow)
    run = Run(plans={}, applied={"install": "abc"})
    steps._summary(run, Answers(), argparse.Namespace(argv=["apply"], quiet=False))
    ending = capsys.readouterr().out
    assert "Done         install\nTo do        `msa-wizard status` says whether anything is left\n" in ending
    monkeypatch.setattr(steps, "overview", lambda *_, **__: pytest.fail("nobody would see what it is for"))
    steps._summary(run, Answers(), argparse.Namespace(argv=["apply"], quiet=True))


def test_what_was_undone_since_is_not_called_done() -> None:
    ending = summary(seen(one=Plan.pending("restart", "to do")), session_of("install", "restart"), needing)
    assert ending.done == (("done", "install"), ("to do again", "restart"))


@pytest.mark.parametrize(
    ("chosen", "kept", "shown"),
    [
        (["login.policy=no-system-accounts"], [], "--set login.policy=no-system-accounts"),
        (
            ["guess.limit=true", "guess.never=192.0.2.0/24,10.0.0.0/8"],
            ["guess.limit=true"],
            "--set guess.never=192.0.2.0/24,10.0.0.0/8",
        ),
        (["login.policy=everybody"], ["login.policy=no-system-accounts"], "--set login.policy=everybody"),
        (["listen.ipv6=true", "accept=logins"], ["listen.ipv6=true"], ""),
        ([], [], ""),
    ],
)
def test_settings_of_one_run_are_told_how_they_last(
    capsys: pytest.CaptureFixture[str], chosen: list[str], kept: list[str], shown: str
) -> None:
    steps.unsaved_note(with_set(Answers(), chosen), with_set(Answers(), kept))
    last = capsys.readouterr().out.rpartition("\n   ")[2]
    assert last == (f"msa-wizard answers --save {shown}\n" if shown else "")


@pytest.mark.parametrize(
    ("plan", "remedy"),
    [
        (Plan.untested("auth-test", "no login was accepted yet"), "msa-wizard test --user NAME"),
        (Plan.untested("auth-test", "saslauthd does not answer", "msa-wizard apply x"), "msa-wizard apply x"),
    ],
)
def test_what_to_do_about_the_login_is_what_has_to_come_first(plan: Plan, remedy: str) -> None:
    (login,) = (each for each in summary(seen(one=plan), session_of(), needing).missing if each.id == "login")
    assert login.remedy == remedy


def test_a_rollback_whose_steps_were_applied_again_is_over() -> None:
    session = session_of("install", "firewall")
    session.took_back(FIREWALL)
    session.heard(lambda _: None)(Recorded(STEP["firewall"], "abc", 1.0))
    assert summary(seen(), session, needing).done == (("done", "install, firewall"),)
    assert not session.nothing


def test_of_a_rollback_what_was_not_applied_again_still_holds_and_what_it_left_is_said() -> None:
    session = session_of("guess-limit", "firewall")
    certificate = "certbot and what it keeps stay, for Dovecot"
    session.took_back(TakenBack("everything", ("guess-limit", "firewall"), (certificate,)))
    session.heard(lambda _: None)(Recorded(STEP["firewall"], "abc", 1.0))
    rows = (("done", "firewall"), ("rolled back", "guess-limit"), ("", f"left: {certificate}"))
    assert summary(seen(), session, needing).done == rows


def test_what_went_in_part_is_in_force_still() -> None:
    """certbot and the certificate stay for others, and the hook is gone."""
    target = Target((), ("login-policy", "certificate-obtain"))
    rollback = SimpleNamespace(target=target, in_part=[SimpleNamespace(step="certificate-obtain")])
    taken = _taken_back(cast("Rollback", rollback), ("certbot stays",))
    assert taken == TakenBack(
        "login-policy, certificate-obtain in part", ("login-policy",), ("certbot stays",)
    )
    session = session_of("login-policy", "certificate-obtain")
    session.took_back(taken)
    assert list(session.applied) == ["certificate-obtain"]
    rollback.in_part = []
    assert _taken_back(cast("Rollback", rollback), ()).words == target.words


def test_what_a_recovery_has_undone_is_neither_done_nor_failed() -> None:
    session = session_of("install", "firewall")
    session.heard(lambda _: None)(Failed(STEP["restart"], "no greeting", (), ("the service",), "look"))
    session.heard(lambda _: None)(Failed(STEP["mc-includes"], "no such file", ("the file",), (), "look"))
    session.recovery("`apply` was interrupted in restart: undone", ["abc1234567"])
    assert session.applied == {"install": "abc", "firewall": "abc"}, "in force still"
    assert list(session.failed) == ["mc-includes"], "it was undone when it failed"
    session.recovery("`apply` was interrupted in restart: undone", ["def1234567"], ["sendmail"])
    assert summary(seen(), session, needing).done[-2:] == (
        ("", "`apply` was interrupted in restart: undone"),
        ("", "left: sendmail"),
    )
    assert not session.applied


def test_a_run_that_waits_comes_first_and_nothing_else_is_called_to_do() -> None:
    killed = Unfinished("apply", "f" * 12, "carol", 1.0, "abc", {}, "restart")
    session = session_of("install")
    seen_now = seen(one=Plan.pending("restart", "it does not run"), two=Plan.blocked("firewall", "two"))
    for overview in (seen(), seen_now, None):
        ending = summary(overview, session, needing, killed)
        assert [word for word, _ in ending.done] == ["interrupted", "done"]
        assert "`msa-wizard recover --finish` finishes it" in ending.done[0][1]
        assert ending.missing == ()


def test_what_is_known_not_to_be_there_yet_is_not_called_unknown() -> None:
    nothing: dict[str, object] = {"packages": {}, "listeners": (), "processes": (), "saslauthd_says": None}
    bare = machine("13", files={f.SERVER_CERT: None}, **nothing)
    signs = {check.id: check.sign for check in found(bare, Answers())}
    assert {signs[name] for name in ("packages", "sendmail", "saslauthd", "certificate")} == {Sign.PENDING}
    mute = dataclasses.replace(bare, processes=(Process(2, "saslauthd", ("saslauthd", "-a", "pam"), 0.0),))
    assert {check.id: check.sign for check in found(mute, Answers())}["saslauthd"] is Sign.UNKNOWN
    checks = summary(dataclasses.replace(seen(), facts=bare), session_of("install"), needing).missing
    assert {check.sign for check in checks if check.id in ("outside", "clients")} == {Sign.PENDING}
    assert check_text(Check("x", Sign.PENDING, "words")).lstrip().startswith("[to do] words")


@pytest.mark.parametrize("sign", Sign)
def test_a_sign_is_the_same_word_on_the_command_line_on_the_screens_and_in_reports(sign: Sign) -> None:
    check = Check("x", sign, "it is so")
    bracketed = check_text(check).strip().partition("]")[0].strip("[")
    assert bracketed == CHECKS[sign][1]
    assert {"?": "unknown", "warn": "warning", "FAIL": "FAILED"}.get(bracketed, bracketed) == SIGN_WORDS[sign]
    overview = dataclasses.replace(seen(), checks=(check,))
    assert f"- {SIGN_WORDS[sign]}: it is so" in report("md", overview, None)
    made = good()
    made.run["steps"][0]["checks"] = [
        {"id": "x", "sign": sign.value, "state": sign.value, "says": "it is so"}
    ]
    assert f"- {SIGN_WORDS[sign]}: it is so" in shown(made, "md")


def test_what_only_a_login_from_elsewhere_can_prove_is_to_do_wherever_it_is_said() -> None:
    """In the summary, and in the step that opens the firewall."""
    (proof,) = (
        each for each in STEP["firewall"].verify(Host(), machine("13"), Answers()) if each.id == "outside"
    )
    (missing,) = (each for each in summary(seen(), session_of(), needing).missing if each.id == "outside")
    assert proof.sign is missing.sign is Sign.PENDING


@pytest.mark.parametrize(
    ("name", "follows"),
    [
        ("auth-options", "without it passwords may cross the network in clear"),
        ("smtp-port", "without it passwords can be tried at port 25, too"),
        ("saslauthd-start", "without it the login test fails"),
    ],
)
def test_a_step_that_no_login_needs_says_itself_what_follows(name: str, follows: str) -> None:
    ending = summary(seen(one=Plan.pending(name, "to do")), session_of(skipped=[name]), needing)
    assert ending.done == (("skipped", f"{name}: {follows}"),)


def test_a_step_that_cannot_be_applied_is_named_with_its_reason() -> None:
    ending = summary(seen(one=Plan.blocked("firewall", "two are active")), session_of("install"), needing)
    assert ending.done == (("done", "install"), ("blocked", "firewall: two are active"))


def test_whether_a_firewall_is_active_is_for_root_to_see() -> None:
    """To others its rules are hidden, and it counts as not active."""
    facts = dataclasses.replace(
        machine("13"), firewalls=(f.Firewall("firewalld", False, "only root can see"),)
    )
    said = {check.id: check for check in found(dataclasses.replace(facts, rules=None), Answers())}["firewall"]
    assert (said.sign, said.says) == (Sign.UNKNOWN, "only root can see whether firewalld is active")
    said = {check.id: check for check in found(facts, Answers())}["firewall"]
    assert (said.sign, said.says) == (Sign.OK, "no firewall that is known here is active")


def test_the_login_to_test_is_that_of_whoever_logged_in_last() -> None:
    facts = dataclasses.replace(machine("13"), login=AcceptedLogin("alice", 1.0, outdated=True))
    changed = Plan.untested("auth-test", "the set-up has changed since alice logged in")
    overview = dataclasses.replace(seen(one=changed), facts=facts)
    (login,) = (each for each in summary(overview, session_of(), needing).missing if each.id == "login")
    assert login.remedy == "msa-wizard test --user alice"


def test_a_firewall_that_lets_clients_in_is_no_warning_any_more() -> None:
    active = Check("firewall", Sign.WARNING, "ufw is active: ports 25 and 587 must be open")
    opened = {"firewall": Plan.done("firewall", "ports 25 and 587 are open in ufw")}
    assert _opened(active, opened) == Check("firewall", Sign.OK, "ports 25 and 587 are open in ufw")
    for other in (Plan.pending("firewall", "open them"), Plan.not_applicable("firewall", "not chosen")):
        assert _opened(active, {"firewall": other}) is active


def test_a_good_certificate_is_told_by_its_name_and_its_end(tmp_path: Path) -> None:
    pem = Authority(tmp_path).leaf("mail.example.test").certificate
    certificate = parsed(pem.encode())
    assert certificate is not None
    facts = machine("13", files={f.SERVER_CERT: file(pem)}, tls_trial=PairTrial(True))
    (said,) = (each for each in found(facts, Answers()) if each.id == "certificate")
    until = f"{certificate.not_after:%F}"
    assert (said.sign, said.says) == (Sign.OK, f"the certificate is for mail.example.test, until {until}")


def test_what_was_rolled_back_was_applied_once() -> None:
    history = History()
    assert _history(history.commits).says == "nothing was applied by msa-wizard so far"
    (commit,) = history.applied("install")
    assert "1 change in force; the last entry: apply install (alice, " in _history(history.commits).says
    (later,) = history.applied("mc-includes")
    history.add("rollback", "mc-includes", later)
    assert _history(history.commits).says.startswith(
        f"1 change in force; the last entry: {history.commits[0].subject} (alice, "
    )
    history.add("drift")
    assert history.commits[1].subject in _history(history.commits).says
    history.add("rollback", "install", commit)
    assert _history(history.commits).says == (
        "nothing that msa-wizard applied is in force: all of it was rolled back"
    )
    assert "Nothing that msa-wizard applied is in force." in report("md", seen(), None)
