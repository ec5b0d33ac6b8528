"""Which TLS mail clients may speak: what the step plans, what it refuses to do, and what its checks make of handshakes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.steps.recorded import NOW, bare, file, machine
from wizard.gather import tls as gathered_tls
from wizard.gather.tls import Ciphers
from wizard.maillog import recent
from wizard.maillog.read import Logged, LogLine
from wizard.model import facts as f
from wizard.model.answers import Answers, Tls
from wizard.model.facts import Facts
from wizard.model.plan import Check, Outcome, Plan, Sign
from wizard.model.step_facts import TlsTaken, WeakLogin
from wizard.sendmail.m4 import Expansion
from wizard.sendmail.mc_gate import Gate
from wizard.sendmail.tls_rules import listed, rules, with_rules
from wizard.smtp.handshakes import KINDS, QUICK, RSA, SMALL_DH, TLS12, TLS13, Handshake, Kind
from wizard.steps import tls_policy
from wizard.steps.restart import Restart
from wizard.steps.tls_policy import CHOOSE, OPTIONAL, TlsPolicy
from wizard.system.host import Host

CHOSEN = Answers(tls=Tls("recommended"))
CF = """O DaemonPortOptions=Family=inet, Name=MTA-v4, Port=smtp, M=A
O DaemonPortOptions=Family=inet, Name=MSP-v4, Port=submission, M=Ea
"""
WEAK = TlsTaken("DEFAULT", weak=("port 587 takes TLS 1.0",))
LINES = rules((587,), listed("DEFAULT", small_dh=False))
OLD = WeakLogin("alice", "192.0.2.7", "TLSv1.1", "ECDHE-RSA-AES256-SHA", NOW)


def host(tls: TlsTaken | None = WEAK, **changes: Any) -> Facts:
    files = {f.SENDMAIL_CF: file(CF)} | changes.pop("files", {})
    return machine("13", **({"tls": tls, "cf_from_mc": CF, "files": files} | changes))


def plan(facts: Facts, answers: Answers = CHOSEN) -> Plan:
    return TlsPolicy().plan(facts, answers)


def applied(facts: Facts, lines: tuple[str, ...] = LINES) -> Facts:
    """With the ruleset in sendmail.mc, and in what that gives."""
    mc = with_rules(facts.text(f.SENDMAIL_MC) or "", lines)
    files = {**facts.files, f.SENDMAIL_MC: file(mc)}
    return dataclasses.replace(facts, files=files, cf_from_mc="\n".join((CF, *lines, "Mlocal, P=x")))


def test_nothing_is_planned_unasked() -> None:
    for facts in (host(), bare("13"), host(None), host(files={f.SENDMAIL_MC: None})):
        made = plan(facts, Answers())
        assert (made.outcome, made.reason, made.changes) == (Outcome.NOT_APPLICABLE, OPTIONAL, ())


def test_what_was_applied_is_not_taken_back_because_nothing_is_asked() -> None:
    made = plan(applied(host()), Answers())
    assert made.outcome is Outcome.DONE
    assert "`msa-wizard rollback tls-policy`" in made.reason


@pytest.mark.parametrize("release", ["12", "13", "14"])
def test_the_ruleset_goes_to_the_end_of_the_file_and_sendmail_is_made_to_read_it(release: str) -> None:
    facts = machine(release, tls=WEAK, cf_from_mc=CF)
    made = plan(facts)
    assert (made.outcome, made.reason) == (Outcome.PENDING, "port 587 takes TLS 1.0")
    assert [change.kind for change in made.changes] == ["file", "dialogue", "service"]
    before, after = facts.text(f.SENDMAIL_MC) or "", made.changes[0].after.content.decode()  # type: ignore[attr-defined]
    assert after == with_rules(before, LINES)
    assert any("port 25" in note for note in made.notes)
    gate: Gate = made.changes[0].gate  # type: ignore[attr-defined]
    gate.compare("\n".join((CF, *LINES)))
    assert gate.planned.lines == frozenset(LINES)


def test_in_force_or_nothing_weaker_it_is_done() -> None:
    made = plan(applied(host(TlsTaken("DEFAULT"))))
    assert (made.outcome, made.reason) == (
        Outcome.DONE,
        "port 587 takes only TLS that is recommended, by sendmail.mc",
    )
    made = plan(host(TlsTaken("ECDHE+AESGCM", untried=("TLS 1.0 on port 587: no",))))
    assert (made.outcome, made.notes) == (Outcome.DONE, ("not tried: TLS 1.0 on port 587: no",))
    assert "takes nothing weaker" in made.reason


def test_another_list_or_port_is_taken_over_though_nothing_weak_is_taken() -> None:
    made = plan(applied(host(TlsTaken("ECDHE+AESGCM"))))
    assert made.outcome is Outcome.PENDING
    assert "CipherList=ECDHE+AESGCM:!kRSA" in made.changes[0].after.content.decode()  # type: ignore[attr-defined]
    assert any("written again" in note for note in made.notes)


def test_beside_ours_no_other_ruleset_of_that_name_is_touched() -> None:
    ours = applied(host())
    theirs = dataclasses.replace(ours, cf_from_mc=f"Stls_srv_features\nR$*\t$@ x\n{ours.cf_from_mc}")
    made = plan(theirs)
    assert (made.outcome, made.changes) == (Outcome.BLOCKED, ())
    assert "of its own" in made.reason
    mc = (ours.text(f.SENDMAIL_MC) or "").replace(
        "Stls_srv_features\n", "Stls_srv_features\ndnl mine\n# mine\n"
    )
    commented = dataclasses.replace(ours, files={**ours.files, f.SENDMAIL_MC: file(mc)})
    assert plan(commented).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("listener", "there"),
    [("Port=smtp", True), ("Port=smtp, M=A", False), ("Port=smtp, Addr=127.0.0.1", False)],
)
def test_where_a_login_is_offered_at_port_25_the_policy_does_not_reach_it(listener: str, there: bool) -> None:
    cf = {f.SENDMAIL_CF: file(CF.replace("Port=smtp, M=A", listener))}
    ours, good = applied(host(TlsTaken("DEFAULT"), files=cf)), host(TlsTaken("DEFAULT"), files=cf)
    for made in (plan(host(files=cf)), plan(ours), plan(good)):
        assert (
            any("offered at port 25, too, with the TLS that it has there" in x for x in made.notes) is there
        )


def test_who_came_with_what_will_be_refused_is_named() -> None:
    made = plan(host(dataclasses.replace(WEAK, recent=(OLD,), unseen="")))
    (ending,) = made.ends
    assert ending.id == "tls-refused"
    assert "alice from 192.0.2.7, TLSv1.1 ECDHE-RSA-AES256-SHA, last login: 20" in ending.lines[0]
    assert plan(host()).ends == ()


@pytest.mark.parametrize(
    ("facts", "outcome", "words"),
    [
        (bare("13", planned=frozenset({"install"})), Outcome.LATER, "packages"),
        (host(planned=frozenset({"sendmailconfig"})), Outcome.LATER, "once sendmail runs"),
        (host(cf_from_mc=None), Outcome.BLOCKED, "m4 makes no sendmail.cf"),
        (host(None), Outcome.BLOCKED, "sendmail does not run"),
        (host(packages={"sendmail-bin": "8.15.2-22+deb11u3"}), Outcome.BLOCKED, "sendmail 8.15"),
        (host(TlsTaken(broken=("no list", "do it"))), Outcome.BLOCKED, "no list"),
        (host(files={f.SENDMAIL_MC: None}), Outcome.BLOCKED, "m4 makes no sendmail.cf"),
        (host(files={f.SENDMAIL_MC: file("define(`x', `y'\n")}), Outcome.BLOCKED, "never closed"),
        (host(cf_from_mc=f"{CF}Stls_srv_features\nR$*\t$@ x\n"), Outcome.BLOCKED, "a ruleset tls_srv_features of its own"),
        (host(TlsTaken("kRSA", weak=("x",))), Outcome.BLOCKED, "none has forward secrecy"),
        (host(cf_from_mc="O DaemonPortOptions=Name=MTA-v4, Port=smtp, M=A\n"), Outcome.BLOCKED, "no listener for mail clients"),
    ],
)  # fmt: skip
def test_where_it_cannot_be_it_says_why(facts: Facts, outcome: Outcome, words: str) -> None:
    made = plan(facts)
    assert (made.outcome, made.changes) == (outcome, ())
    assert words in made.reason
    assert outcome is Outcome.LATER or made.remedy


def handshake(taken: tuple[Kind, ...], unknown: tuple[Kind, ...] = ()) -> Any:
    def made(
        _host: Host, _daemon: object, _name: str, kinds: tuple[Kind, ...] = KINDS
    ) -> tuple[Handshake, ...]:
        return tuple(
            Handshake(
                kind, None if kind in unknown else kind in taken, "no openssl" if kind in unknown else ""
            )
            for kind in kinds
        )

    return made


def checks(
    monkeypatch: pytest.MonkeyPatch,
    taken: tuple[Kind, ...],
    answers: Answers = CHOSEN,
    unknown: tuple[Kind, ...] = (),
) -> list[Check]:
    monkeypatch.setattr(tls_policy, "handshakes", handshake(taken, unknown))
    monkeypatch.setattr(Restart, "verify", lambda *_: [Check("boot", Sign.FAILED, "not enabled")])
    return TlsPolicy().verify(Host(), host(), answers)


@pytest.mark.parametrize(
    ("taken", "signs"),
    [
        ((TLS13, TLS12), {"tls-587": Sign.OK, "weak-587": Sign.OK}),
        ((TLS12,), {"tls-587": Sign.OK, "weak-587": Sign.OK}),
        ((TLS13, RSA), {"tls-587": Sign.OK, "weak-587": Sign.FAILED}),
        ((), {"tls-587": Sign.FAILED, "weak-587": Sign.OK}),
    ],
)
def test_each_kind_must_be_taken_or_refused_as_it_should(
    monkeypatch: pytest.MonkeyPatch, taken: tuple[Kind, ...], signs: dict[str, Sign]
) -> None:
    assert {check.id: check.sign for check in checks(monkeypatch, taken)} == signs


def test_what_could_not_be_tried_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    made = checks(monkeypatch, (TLS13,), unknown=(KINDS[-1],))
    assert [check.sign for check in made] == [Sign.OK, Sign.OK, Sign.UNKNOWN]
    assert "renegotiation" in made[-1].says
    assert "renegotiation" not in made[1].says, "nobody knows that it is refused"


def test_unasked_the_weak_kinds_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    (made,) = checks(monkeypatch, (TLS13, RSA, SMALL_DH), Answers())
    assert (made.sign, made.remedy) == (Sign.WARNING, CHOOSE)
    assert made.says.startswith("port 587 takes TLS 1.2 without forward secrecy")
    assert checks(monkeypatch, (TLS13, TLS12), Answers()) == []
    assert KINDS[-1] not in QUICK, "one that takes a second"


# --- what is gathered -----------------------------------------------------------------------------------------


def gathered(monkeypatch: pytest.MonkeyPatch, taken: tuple[Kind, ...], facts: Facts) -> TlsTaken | None:
    monkeypatch.setattr(tls_policy, "handshakes", handshake(taken))
    monkeypatch.setattr(tls_policy, "expand_text", lambda *_: Expansion(0, "", ""))
    monkeypatch.setattr(tls_policy, "ciphers", lambda *_: Ciphers("DEFAULT"))
    monkeypatch.setattr(
        tls_policy, "recent_tls", lambda _host, _cf, refused: ((OLD,) if refused("TLSv1.1", "x") else (), "")
    )
    return TlsPolicy().gathered(Host(), facts, CHOSEN).tls


def test_nobody_looks_unless_it_is_chosen_and_sendmail_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TlsPolicy().gathered(Host(), host(None), Answers()).tls is None
    assert gathered(monkeypatch, (TLS13,), host(None, processes=())) is None
    assert gathered(monkeypatch, (TLS13,), host(None, planned=frozenset({"restart"}))) is None


def test_of_what_is_in_force_only_the_size_of_the_group_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[Kind]()

    def tried(_host: Host, _daemon: object, _name: str, kinds: tuple[Kind, ...]) -> tuple[Handshake, ...]:
        asked.extend(kinds)
        return tuple(Handshake(kind, False) for kind in kinds)

    gathered(monkeypatch, (), host())
    monkeypatch.setattr(tls_policy, "handshakes", tried)
    assert TlsPolicy().gathered(Host(), applied(host(None)), CHOSEN).tls == TlsTaken("DEFAULT")
    assert asked == [SMALL_DH]
    barred = applied(host(None), rules((587,), listed("DEFAULT", small_dh=True)))
    assert TlsPolicy().gathered(Host(), barred, CHOSEN).tls == TlsTaken("DEFAULT", small_dh=True)
    assert asked == [SMALL_DH], "barred anyway"


def test_a_group_that_became_small_under_the_policy_is_barred_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = gathered(monkeypatch, (TLS13, TLS12, SMALL_DH), applied(host(None)))
    assert seen is not None
    made = plan(applied(host(seen)))
    assert (made.outcome, made.reason) == (
        Outcome.PENDING,
        "port 587 takes Diffie-Hellman below 2048 bits",
    )
    assert ":!kDHE" in made.changes[0].after.content.decode()  # type: ignore[attr-defined]
    assert [ending.id for ending in made.ends] == ["tls-refused"], "who came with it lately is asked about"


def test_weak_kinds_are_told_with_who_came_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made = gathered(monkeypatch, (TLS13, RSA, SMALL_DH), host(None))
    assert made is not None
    assert made.weak == (
        "port 587 takes TLS 1.2 without forward secrecy (RSA key exchange), Diffie-Hellman below 2048 bits",
    )
    assert (made.small_dh, made.recent) == (True, (OLD,))
    made = gathered(monkeypatch, (TLS13, TLS12), host(None))
    assert made == TlsTaken("DEFAULT"), "nothing weak: nobody's log is read"
    made = gathered(monkeypatch, (RSA,), host(None))
    assert made is not None
    assert "neither TLS 1.3 nor TLS 1.2" in made.broken[0]


def test_what_m4_does_not_like_is_to_be_corrected_first(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered(monkeypatch, (TLS13, RSA), host(None))
    monkeypatch.setattr(tls_policy, "expand_text", lambda *_: Expansion(1, "x", "m4: cannot open `y'"))
    made = TlsPolicy().gathered(Host(), host(None), CHOSEN).tls
    assert made is not None
    assert "m4 ends with status 1 for /etc/mail/sendmail.mc: m4: cannot open" in made.broken[0]


def test_a_port_that_limits_connections_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> tuple[Handshake, ...]:
        return (Handshake(TLS13, True), Handshake(RSA, None, "it greets with 421", begun=False))

    gathered(monkeypatch, (), host(None))
    monkeypatch.setattr(tls_policy, "handshakes", busy)
    made = TlsPolicy().gathered(Host(), host(None), CHOSEN).tls
    assert made == TlsTaken(
        broken=("port 587 does not answer now: it greets with 421", "try again in ten minutes")
    )
    monkeypatch.setattr(Restart, "verify", lambda *_: [])
    signs = {check.id: check.sign for check in TlsPolicy().verify(Host(), host(), CHOSEN)}
    assert signs == {"answers-587": Sign.UNKNOWN, "tls-587": Sign.OK}


def test_a_small_group_stays_barred_once_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    barred = rules((587,), listed("DEFAULT", small_dh=True))
    made = gathered(monkeypatch, (TLS13,), applied(host(None), barred))
    assert made == TlsTaken("DEFAULT", small_dh=True)
    assert plan(applied(host(made), barred)).outcome is Outcome.DONE


def test_a_log_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered(monkeypatch, (TLS13, RSA), host(None))

    unknown = "who logged in lately cannot be seen: no"
    monkeypatch.setattr(tls_policy, "recent_tls", lambda *_: ((), unknown))
    made = TlsPolicy().gathered(Host(), host(None), CHOSEN).tls
    assert made is not None
    assert made.unseen == unknown
    assert unknown in plan(host(made)).notes


STARTED = "STARTTLS=server, relay=laptop.example [192.0.2.7], version={}, verify=NOT, cipher={}, bits=256/256"
LOGGED_IN = "AUTH=server, relay=laptop.example [192.0.2.7], authid={}@example.test, mech=LOGIN, bits=0"


def line(text: str, pid: int = 7, at: float = NOW) -> LogLine:
    return LogLine(at, "sm-mta", pid, text)


def test_a_login_belongs_to_the_handshake_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    old = STARTED.format("TLSv1.1", "ECDHE-RSA-AES256-SHA")
    logged = (
        line(old),
        line(STARTED.format("TLSv1.3", "TLS_AES_256_GCM_SHA384"), pid=8),
        line(LOGGED_IN.format("bob"), pid=8, at=NOW + 1),
        line(LOGGED_IN.format("alice"), at=NOW + 2),
        line(old, pid=9),  # a server on port 25: no login
        line(LOGGED_IN.format("carol"), pid=7, at=NOW + 9999),
        line(STARTED.format("TLSv1.2", "AES256-SHA"), pid=10),
        line(LOGGED_IN.format("dora"), pid=10, at=NOW + 3),
    )
    monkeypatch.setattr(recent, "logins", lambda *_: Logged(logged))
    found, unknown = recent.recent_tls(
        Host(), CF, lambda version, cipher: tls_policy._refuses(version, cipher, small_dh=False)
    )
    assert unknown == ""
    assert [(each.user, each.address, each.version, each.cipher) for each in found] == [
        ("dora", "192.0.2.7", "TLSv1.2", "AES256-SHA"),
        ("alice", "192.0.2.7", "TLSv1.1", "ECDHE-RSA-AES256-SHA"),
    ]


@pytest.mark.parametrize(
    ("version", "cipher", "small", "refused"),
    [
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", True, False),
        ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384", True, False),
        ("TLSv1.2", "DHE-RSA-AES256-GCM-SHA384", False, False),
        ("TLSv1.2", "DHE-RSA-AES256-GCM-SHA384", True, True),
        ("TLSv1.2", "AES256-GCM-SHA384", False, True),
        ("TLSv1.2", "ADH-AES256-SHA", False, True),
        ("TLSv1", "ECDHE-RSA-AES256-SHA", False, True),
        ("TLSv1.4", "ANYTHING", False, False),
    ],
)
def test_what_is_refused_is_known_by_version_and_cipher(
    version: str, cipher: str, small: bool, refused: bool
) -> None:
    assert tls_policy._refuses(version, cipher, small_dh=small) is refused


@pytest.mark.parametrize(
    ("cf", "listed", "broken"),
    [
        ("", "DEFAULT", ""),
        ("O CipherList=ECDHE+AESGCM, HIGH\n", "ECDHE+AESGCM:HIGH", ""),
        ("O CipherList=NONSENSE\n", "", "finds no cipher in CipherList"),
        (f"O CipherList={':'.join(['HIGH'] * 300)}\n", "", "too long for a rule"),
    ],
)
def test_the_list_in_force_is_sendmail_s_own_or_openssl_s(cf: str, listed: str, broken: str) -> None:
    made = gathered_tls.ciphers(Host(), cf)
    assert made.listed == listed
    assert broken in made.broken
    assert bool(made.remedy) == bool(broken)
