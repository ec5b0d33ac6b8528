"""The gate with the real m4 and sendmail's real cf files: what the old file says too is no fault of the new one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from snapshots.entry import Entry, Kind
from tests.steps.recorded import RECORDED, file, machine
from wizard import facts as f
from wizard.answers import Answers
from wizard.changes import DialogueChange, FileChange
from wizard.facts import Facts
from wizard.host import Completed, Host
from wizard.m4 import expand_text
from wizard.mc_gate import Gate, GateError
from wizard.plan import Outcome, Plan
from wizard.sendmail_cf import option
from wizard.steps import STEPS
from wizard.trial import CF_LINES, EFFECTS, LINKS, lost, tried

pytestmark = pytest.mark.skipif(
    shutil.which("m4") is None or not Path("/usr/share/sendmail/cf/m4/cf.m4").exists(),
    reason="no m4, or no sendmail cf files (apt-get install m4 sendmail-cf)",
)
BEHIND = "FEATURE(`always_add_domain')dnl\nMASQUERADE_AS(`debian.debian')dnl\n"


@dataclass(frozen=True)
class Bench(Host):
    """A host whose /etc/mail is below its root; `sendmail -bC` answers what the test wants."""

    refuses: list[str] = field(default_factory=list)

    def run(self, argv: Any, **options: Any) -> Completed:
        if argv[0] == "sendmail":
            text = Path(argv[2]).read_text("latin-1")
            bad = [line for line in text.splitlines() if any(word in line for word in self.refuses)]
            return Completed(
                tuple(argv),
                78 if bad else 0,
                "",
                "".join(f"{argv[2]}: line 7: {line}\n" for line in bad),
                0.0,
            )
        if argv[0] == "m4":  # what it includes is below the root
            source = Path(argv[-1])
            text = source.read_text("latin-1").replace("include(`/etc/", f"include(`{self.root}/etc/")
            source.write_text(text, "latin-1")
        return super().run(argv, **options | {"cwd": str(self.root / "etc/mail")})


@pytest.fixture
def host(tmp_path: Path) -> Bench:
    mail = tmp_path / "etc/mail"
    (mail / "m4").mkdir(parents=True)
    for name in ("dialup", "provider"):
        (mail / f"m4/{name}.m4").write_text("dnl\n")
    for name in ("sasl/sasl.m4", "tls/starttls.m4"):
        (mail / name).parent.mkdir()
        shutil.copy(RECORDED / "debian-13/etc/mail" / name, mail / name)
    shutil.copy(RECORDED / "debian-13/etc/mail/sendmail.mc", tmp_path / "debian.mc")
    (mail / "sendmail.cf").write_text("O A=1\n")
    return Bench(tmp_path)


def debian(host: Host) -> str:
    """Debian's own sendmail.mc."""
    return host.path("/debian.mc").read_text("latin-1")


def judged(host: Host, before: str, after: str, **options: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = Gate(before=before.encode("latin-1"), **options).judge(host, after.encode("latin-1"))
    return found.effects, found.notes


def test_a_feature_behind_a_mailer_is_noted_where_it_was_there(host: Bench) -> None:
    before = debian(host) + BEHIND
    effects, notes = judged(host, before, before.replace("dnl # Masq", "dnl # x") + "dnl\n")
    assert not effects
    assert any("FEATURE() should be before MAILER()" in note for note in notes)
    assert not any("m4debug" in note for note in notes)
    with pytest.raises(GateError, match="should be before MAILER"):
        judged(host, debian(host), before)
    with pytest.raises(GateError, match="allmasquerade"):
        judged(host, before, before + "FEATURE(`allmasquerade')dnl\n")


def test_its_place_in_the_file_is_no_difference(host: Bench) -> None:
    before = debian(host) + BEHIND
    effects, _ = judged(host, before, "dnl # three\ndnl # more\ndnl # lines\n" + before)
    assert not effects


def test_a_missing_quote_is_refused(host: Bench) -> None:
    with pytest.raises(GateError, match="does not accept"):
        judged(host, debian(host), debian(host).replace("`use_cw_file')", "`use_cw_file)"))


def test_a_missing_include_that_was_missing_is_noted(host: Bench) -> None:
    before = debian(host) + "include(`/nowhere/mine.m4')dnl\n"
    _, notes = judged(host, before, before + "dnl\n")
    assert any("/nowhere/mine.m4" in note for note in notes)
    with pytest.raises(GateError, match="/nowhere"):
        judged(host, debian(host), before)


def test_a_misspelt_macro_that_was_there_is_noted(host: Bench) -> None:
    before = debian(host).replace("MAILER_DEFINITIONS\n", "DEAMON_OPTIONS(`Port=587')\nMAILER_DEFINITIONS\n")
    with pytest.raises(GateError, match="m4 does not know 'DEAMON_OPTIONS"):
        judged(host, before, before + "dnl\n")  # no daemon runs with it so far
    host.path(f.SENDMAIL_CF).write_text(expand_text(host, before.encode("latin-1")).text, "latin-1")
    _, notes = judged(host, before, before + "dnl\n")
    assert any("DEAMON_OPTIONS" in note for note in notes)
    host.path(f.SENDMAIL_CF).write_text("O A=1\n")
    with pytest.raises(GateError, match="m4 does not know 'DEAMON_OPTIONS"):
        judged(host, debian(host), before)


def test_what_sendmail_refused_before_is_noted(host: Bench) -> None:
    host.refuses.append("debian.test")
    before = debian(host).replace(
        "MAILER_DEFINITIONS\n", "MASQUERADE_AS(`debian.test')dnl\nMAILER_DEFINITIONS\n"
    )
    with pytest.raises(GateError, match="status 78"):
        judged(host, before, before + "dnl\n")  # the daemon runs with another
    host.path(f.SENDMAIL_CF).write_text(expand_text(host, before.encode("latin-1")).text, "latin-1")
    _, notes = judged(host, before, before + "dnl\n")
    assert any("as it does not now" in note for note in notes)
    host.path(f.SENDMAIL_CF).write_text("O A=1\n")
    with pytest.raises(GateError, match="status 78"):
        judged(host, debian(host), before)


@pytest.mark.parametrize(
    ("line", "effect"),
    [
        ("MASQUERADE_AS(`mine.test')dnl", "+DMmine.test"),
        ("define(`SMART_HOST', `hub.test')dnl", "+DShub.test"),
        ("define(`confMAX_MESSAGE_SIZE', `5000')dnl", "+O MaxMessageSize=5000"),
        ("LOCAL_DOMAIN(`mine.test')dnl", "+C{w}mine.test"),
        ("FEATURE(`virtusertable')dnl", "+Kvirtuser hash /etc/mail/virtusertable"),
        ("INPUT_MAIL_FILTER(`m', `S=local:/run/m')dnl", "+Xm, S=local:/run/m"),
        ("LOCAL_CONFIG\nKmine hash /etc/mail/mine", "+Kmine hash /etc/mail/mine"),
        ("LOCAL_RULESETS\nSLocal_check_mail\nR$*\t\t$: $1", "+R$*\t\t$: $1"),
    ],
)
def test_every_kind_of_line_is_compared_both_ways(host: Bench, line: str, effect: str) -> None:
    with_line = debian(host).replace("MAILER_DEFINITIONS\n", f"{line}\nMAILER_DEFINITIONS\n")
    assert effect in judged(host, debian(host), with_line)[0]
    assert effect.replace("+", "-", 1) in judged(host, with_line, debian(host))[0]


def facts_of(host: Bench, mc: str, **more: Any) -> Facts:
    files = {f.SENDMAIL_MC: file(mc)}
    made = machine("13", files=files, cf_from_mc=expand_text(host, mc.encode("latin-1")).text, **more)
    return replace(made, tools=frozenset({"m4", "sendmail", "sendmailconfig"}))


def planned(host: Bench, facts: Facts, answers: Answers | None = None) -> dict[str, Plan]:
    """Each step's plan, tried out, as if those before it were done."""
    plans = {}
    for step in STEPS:
        if step.id in ("mc-includes", "submission-port", "auth-options", "smtp-port", "sendmailconfig"):
            plans[step.id] = tried(host, facts, step.plan(facts, answers or Answers()))
            facts = facts.after(plans[step.id])
    return plans


OWN = {
    "nothing of one's own": "",
    "certificate": "define(`confCACERT_PATH', `/etc/own')dnl\ndefine(`confCACERT', `/etc/own/ca')dnl\n"
    "define(`confSERVER_CERT', `/etc/own/crt')dnl\ndefine(`confSERVER_KEY', `/etc/own/key')dnl\n",
    "certificate without an authority": "define(`confSERVER_CERT', `/etc/own/crt')dnl\n"
    "define(`confSERVER_KEY', `/etc/own/key')dnl\n",
    "revoked certificates": "define(`confCRL', `/etc/own/crl')dnl\n",
    "client certificate": "define(`confCLIENT_CERT', `/etc/own/c')dnl\ndefine(`confCLIENT_KEY', `/etc/own/k')dnl\n",
    "mechanisms": "define(`confAUTH_MECHANISMS', `GSSAPI DIGEST-MD5')dnl\n",
    "mechanisms and trust": "TRUST_AUTH_MECH(`GSSAPI')dnl\ndefine(`confAUTH_MECHANISMS', `GSSAPI PLAIN')dnl\n",
    "trust": "TRUST_AUTH_MECH(`LOGIN PLAIN')dnl\n",
    "realm": "define(`confAUTH_REALM', `mine.test')dnl\n",
    "smart host": "define(`SMART_HOST', `hub.test')dnl\ndefine(`confAUTH_MECHANISMS', `LOGIN PLAIN CRAM-MD5')dnl\n"
    "FEATURE(`authinfo', `hash /etc/mail/authinfo')dnl\n",
    "two on a line": "define(`confCRL', `/etc/own/crl')define(`confAUTH_REALM', `mine.test')dnl\n",
    "a value over two lines": "define(`confSERVER_CERT',\n`/etc/own/crt')dnl\n",
    "flags": "define(`confDONT_BLAME_SENDMAIL', `GroupReadableKeyFile,safe')dnl\n",
    "flags behind a revocation list": "define(`confCRL', `/etc/own/crl')dnl\ndefine(`confDONT_BLAME_SENDMAIL', `safe')dnl\n",
    "flags that take over": "define(`confCRL', `/etc/own/crl')dnl\n"
    "define(`confDONT_BLAME_SENDMAIL', defn(`confDONT_BLAME_SENDMAIL')`,NonRootSafeAddr')dnl\n",
    "masquerading and tables": "MASQUERADE_AS(`mine.test')dnl\nFEATURE(`virtusertable')dnl\nFEATURE(`mailertable')dnl\n",
    "milters and rules": "INPUT_MAIL_FILTER(`m', `S=local:/run/m')dnl\nLOCAL_CONFIG\nKmine hash /etc/mail/mine\n",
}


@pytest.mark.parametrize("place", ["before MAILER_DEFINITIONS", "behind the mailers", "before the features"])
@pytest.mark.parametrize("own", OWN)
def test_settings_of_ones_own_go_through_every_step(host: Bench, own: str, place: str) -> None:
    """No line changes but those that are planned, and none of the admin's is lost."""
    text = debian(host)
    if place == "behind the mailers":
        text += OWN[own]
    else:
        anchor = "MAILER_DEFINITIONS\n" if place.endswith("DEFINITIONS") else "FEATURE(`use_cw_file')dnl\n"
        text = text.replace(anchor, OWN[own] + anchor)
    facts = facts_of(host, text)
    facts = replace(facts, files={**facts.files, f.SENDMAIL_CF: file(facts.cf_from_mc or "")})
    plans = planned(host, facts)
    assert {name: plan.outcome for name, plan in plans.items() if plan.outcome is Outcome.BLOCKED} == {}
    assert {name: plan.ends for name, plan in plans.items() if plan.ends} == {}, own
    after = next(
        change.gives
        for plan in reversed(plans.values())
        for change in plan.changes
        if isinstance(change, FileChange)
    )
    assert after is not None
    if "ServerKeyFile=/etc/mail/tls" in after:
        assert "GroupReadableKeyFile" in (option(after, "DontBlameSendmail") or ""), (
            "sendmail would refuse the key"
        )
    for value in (
        "/etc/own/crt",
        "/etc/own/key",
        "/etc/own/crl",
        "/etc/own/c",
        "/etc/own/k",
        "GSSAPI",
        "mine.test",
        "hub.test",
    ):
        if value in OWN[own]:
            assert value in after.partition("### end")[0], f"{value} of the admin's is gone"


def test_what_an_include_would_override_elsewhere_is_an_ending(host: Bench) -> None:
    """Settings in a file that sendmail.mc includes cannot be stepped round: they are asked about."""
    (host.root / "etc/mail/m4/provider.m4").write_text("define(`confAUTH_REALM', `mine.test')dnl\n")
    plan = planned(host, facts_of(host, debian(host)))["mc-includes"]
    assert [ending.id for ending in plan.ends] == [EFFECTS]
    assert "-O AuthRealm=mine.test" in plan.ends[0].lines


def test_a_gate_that_refuses_blocks_the_plan(host: Bench) -> None:
    host.refuses.append("ServerCertFile")
    plan = planned(host, facts_of(host, debian(host)))["mc-includes"]
    assert plan.outcome is Outcome.BLOCKED
    assert "status 78" in plan.reason


def test_lines_of_a_sendmail_cf_edited_by_hand_are_all_listed(host: Bench) -> None:
    facts = facts_of(host, debian(host))
    cf = (
        (facts.cf_from_mc or "")
        .replace("\nDS\n", "\nDShub.test\n")
        .replace("\nCwlocalhost\n", "\nCwlocalhost\nCwmine.test\n")
    )
    assert cf.count("hub.test") == cf.count("mine.test") == 1
    facts = replace(facts, files={**facts.files, f.SENDMAIL_CF: file(cf)})
    plans = planned(host, facts)
    for name in ("mc-includes", "sendmailconfig"):
        assert [(ending.id, ending.lines) for ending in plans[name].ends] == [
            (CF_LINES, ("Cwmine.test", "DShub.test"))
        ], name
    assert [name for name, plan in plans.items() if plan.ends] == ["mc-includes", "sendmailconfig"]
    assert lost(replace(facts, cf_from_mc=cf)) == ()
    assert lost(replace(facts, cf_from_mc="", cf_earlier=(cf, ""))) == ()
    assert lost(replace(facts, cf_from_mc=None)) == ()


def test_lines_of_submit_cf_edited_by_hand_are_listed(host: Bench) -> None:
    mc = "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\nOSTYPE(`debian')dnl\nFEATURE(`msp', `[127.0.0.1]', `25')dnl\n"
    made = expand_text(host, mc.encode()).text
    plan = Plan.pending("sendmailconfig", "differs", DialogueChange())
    for text, lines in ((made, ()), (made + "D{Mine}x\n", ("D{Mine}x",))):
        facts = facts_of(host, debian(host), submit_from_mc=made)
        ends = tried(host, replace(facts, files={**facts.files, f.SUBMIT_CF: file(text)}), plan).ends
        assert tuple(line for ending in ends for line in ending.lines) == lines


def test_links_that_sendmailconfig_replaces_are_told_of(host: Bench) -> None:
    link = Entry(Kind.SYMLINK, 0o777, 0, 0, b"/srv/conf/access")
    facts = facts_of(host, debian(host))
    assert not any(plan.ends for plan in planned(host, facts).values())
    plans = planned(host, replace(facts, files={**facts.files, f.ACCESS: link}))
    found = {name: [(end.id, end.lines) for end in plan.ends] for name, plan in plans.items() if plan.ends}
    wanted = [(LINKS, ("/etc/mail/access -> /srv/conf/access",))]
    assert found == {"mc-includes": wanted, "sendmailconfig": wanted}


def test_who_is_not_root_is_told_so(host: Bench) -> None:
    facts = replace(facts_of(host, debian(host)), euid=1000)
    plan = planned(host, facts)["mc-includes"]
    assert plan.outcome is Outcome.PENDING
    assert any("root alone" in note for note in plan.notes)
