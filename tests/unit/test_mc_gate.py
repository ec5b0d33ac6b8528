"""The gate with the real m4 and sendmail's real cf files: what the old file says too is no fault of the new one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from tests.authority import Authority, Signed
from tests.unit.steps.recorded import RECORDED, file, machine
from wizard.changes.command import DialogueChange
from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.engine.edits import at_the_first
from wizard.engine.trial import CF_LINES, EFFECTS, LINKS, lost, tried
from wizard.errors import GateError
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan, after, ids
from wizard.sendmail.cf import option
from wizard.sendmail.cf_needs import without_start, without_tls
from wizard.sendmail.m4 import expand_text
from wizard.sendmail.mc_gate import Gate
from wizard.steps.order import STEPS
from wizard.steps.preflight import Preflight
from wizard.steps.sendmailconfig import Sendmailconfig
from wizard.system.host import Completed, Host

pytestmark = pytest.mark.skipif(
    shutil.which("m4") is None or not Path("/usr/share/sendmail/cf/m4/cf.m4").exists(),
    reason="no m4, or no sendmail cf files (apt-get install m4 sendmail-cf)",
)
P_AND_Y = "define(`confAUTH_OPTIONS', `p y')dnl\n"
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


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signed, Signed]:
    """Two certificates, each with its key."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return authority.leaf(), authority.leaf()


@pytest.fixture
def host(tmp_path: Path, pairs: tuple[Signed, Signed]) -> Bench:
    mail = tmp_path / "etc/mail"
    (mail / "m4").mkdir(parents=True)
    for name in ("dialup", "provider"):
        (mail / f"m4/{name}.m4").write_text("dnl\n")
    for name in ("sasl/sasl.m4", "tls/starttls.m4"):
        (mail / name).parent.mkdir()
        shutil.copy(RECORDED / "debian-13/etc/mail" / name, mail / name)
    shutil.copy(RECORDED / "debian-13/etc/mail/sendmail.mc", tmp_path / "debian.mc")
    (mail / "sendmail.cf").write_text("O A=1\n")
    (tmp_path / "etc/passwd").write_text(
        f"smmta:x:{os.getuid()}:0:::\n"
    )  # whoever runs the tests owns the files
    (tmp_path / "etc/own").mkdir(mode=0o755)
    texts = {
        "crt": pairs[0].certificate,
        "key": pairs[0].key,
        "ca": pairs[0].certificate,
        "other": pairs[1].key,
    }
    for name, text in texts.items():
        (tmp_path / "etc/own" / name).touch(mode=0o600)
        (tmp_path / "etc/own" / name).write_text(text)
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
    assert any("as it does not now either" in note for note in notes)
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
            facts = after(facts, plans[step.id])
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


MACROS = {
    "MASQUERADE_DOMAINS": "MASQUERADE_DOMAIN",
    "RELAY_DOMAINS": "RELAY_DOMAIN",
    "LOCAL_DOMAINS": "LOCAL_DOMAIN",
}


def test_macros_of_an_included_file_are_called_as_they_are(host: Bench) -> None:
    """They look like sendmail's own, misspelt; m4 knows them, and what it makes shows it."""
    defines = "".join(f"define(`{name}', `{own}(`$1')')dnl\n" for name, own in MACROS.items())
    (host.root / "etc/mail/m4/site.m4").write_text(defines)
    calls = "".join(f"{name}(`mine.test')dnl\n" for name in MACROS)
    include = "include(`/etc/mail/m4/site.m4')dnl\n"
    mc = debian(host).replace("MAILER_DEFINITIONS\n", f"{include}{calls}MAILER_DEFINITIONS\n")
    plans = planned(host, facts_of(host, mc))
    assert {name: plan.reason for name, plan in plans.items() if plan.outcome is Outcome.BLOCKED} == {}
    unknown = mc.replace(include, "")
    plan = planned(host, facts_of(host, unknown))["auth-options"]
    assert plan.outcome is Outcome.BLOCKED
    assert "MASQUERADE_DOMAINS" in plan.reason


TO_25 = "DAEMON_OPTIONS(`Family=inet, Name=own-25, Port=25, M=A')dnl\n"
TO_587 = "DAEMON_OPTIONS(`Family=inet, Name=own-587, Port=587, M=Ea')dnl\n"


@pytest.mark.parametrize(
    ("included", "states", "named"),
    [
        (TO_25 + TO_587, {"submission-port": "done", "smtp-port": "done"}, ""),
        (TO_25, {"submission-port": "pending", "smtp-port": "done"}, ""),
        (TO_587, {"submission-port": "done", "smtp-port": "pending"}, ""),
        (
            TO_25 + TO_587.replace("M=Ea", "M=E"),
            {"submission-port": "blocked", "smtp-port": "done"},
            "own-587",
        ),
        (TO_25.replace("M=A", "M=b") + TO_587, {"submission-port": "done", "smtp-port": "blocked"}, "own-25"),
        (
            TO_25 + TO_587 + TO_587.replace("587", "465").replace("Ea", "s"),
            {"submission-port": "blocked", "smtp-port": "done"},
            "own-465",
        ),
    ],
)
def test_listeners_of_an_included_file(
    host: Bench, included: str, states: dict[str, str], named: str
) -> None:
    """They count where they are as they are wanted; else the remedy is said, and no line that is not there."""
    (host.root / "etc/mail/m4/listeners.m4").write_text(included)
    lines = [
        "include(`/etc/mail/m4/listeners.m4')dnl" if "MTA-v4" in line else line
        for line in debian(host).splitlines()
        if not line.startswith("DAEMON_OPTIONS") or "MTA-v4" in line
    ]
    facts = facts_of(host, "\n".join(lines) + "\n")
    facts = replace(facts, files={**facts.files, f.SENDMAIL_CF: file(facts.cf_from_mc or "")})
    plans = planned(host, facts)
    assert {name: plans[name].outcome.value for name in states} == states
    blocked = [plan for plan in plans.values() if plan.outcome is Outcome.BLOCKED]
    assert all(named in plan.reason for plan in blocked)
    assert all("move their lines into sendmail.mc" in plan.remedy[0] for plan in blocked)
    assert all(plans[name].outcome is not Outcome.BLOCKED for name in ("mc-includes", "auth-options"))


@pytest.mark.parametrize(
    ("modifiers", "implicit_tls", "state"),
    [("s", False, "blocked"), ("Eas", False, "pending"), ("s", True, "blocked"), ("Eas", True, "pending")],
)
def test_an_included_listener_of_465_beside_own_lines_that_are_edited(
    host: Bench, modifiers: str, implicit_tls: bool, state: str
) -> None:
    """It counts as m4 gave it, though sendmail.mc has other listeners of 587 by then."""
    include = "include(`/etc/mail/m4/listeners.m4')dnl\n"
    line = TO_587.replace("587", "465").replace("M=Ea", f"M={modifiers}")
    (host.root / "etc/mail/m4/listeners.m4").write_text(line)
    facts = facts_of(host, debian(host).replace("\nDAEMON_OPTIONS", f"\n{include}DAEMON_OPTIONS", 1))
    answers = replace(Answers(), listen=replace(Answers().listen, implicit_tls=implicit_tls))
    plan = planned(host, facts, answers)["submission-port"]
    assert plan.outcome.value == state, plan.reason
    assert state == "pending" or "own-465" in plan.reason
    for change in plan.changes:
        assert isinstance(change, FileChange)
        assert change.after is not None
        assert b"Name=MSP-TLS" not in change.after.content


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

    def with_submit(text: str, submit_cf: str) -> Facts:
        facts = facts_of(host, text, submit_from_mc=made)
        return replace(facts, files={**facts.files, f.SUBMIT_CF: file(submit_cf), f.SUBMIT_MC: file(mc)})

    # Mail of this host is led away from a port that will want a login.
    open_587, by_hand = debian(host).replace("M=Ea", "M=E"), made.replace("A=TCP $h\n", "A=TCP $h 587\n")
    assert made != by_hand
    assert open_587 != debian(host)
    at_first = at_the_first(planned(host, with_submit(open_587, by_hand)))
    assert at_first["mc-includes"].ends == ()
    for text, lines in ((made, ()), (made + "D{Mine}x\n", ("D{Mine}x",))):
        facts = with_submit(debian(host), text)
        ends = tried(host, facts, plan).ends
        assert tuple(line for ending in ends for line in ending.lines) == lines
        at_first = at_the_first(planned(host, facts))
        assert at_first["mc-includes"].ends == ends, "asked about before sendmail.mc is edited"


@pytest.mark.parametrize(
    ("was", "is_now", "line"),
    [
        ("M=Ea", "M=E", "port 587 (MSP-v4) would take mail without a login"),
        ("`p y'", "`y'", "a password would be taken without TLS (AuthOptions without p)"),
        (
            "FEATURE(`no_default_msa",
            "FEATURE(`promiscuous_relay')dnl\nFEATURE(`no_default_msa",
            "anybody could send mail to anywhere (nothing in it denies relaying)",
        ),
    ],
)
def test_what_sendmail_cf_refuses_and_an_edited_sendmail_mc_does_not(
    host: Bench, was: str, is_now: str, line: str
) -> None:
    good = debian(host).replace(", Addr=127.0.0.1')", "')").replace("MAILER_D", f"{P_AND_Y}MAILER_D", 1)
    live = file(expand_text(host, good.encode("latin-1")).text)
    assert was in good
    facts = facts_of(host, good.replace(was, is_now))
    facts = replace(facts, files={**facts.files, f.SENDMAIL_CF: live})
    plan = tried(host, facts, Sendmailconfig().plan(facts, Answers()))
    [ending] = [each for each in plan.ends if each.id == "protection"]
    assert ending.lines == (line,)
    start = Plan.pending("restart", "", ServiceChange("sendmail", "systemd", enable=False, was_running=False))
    assert tried(host, facts, start).ends == (ending,), "it makes a sendmail.cf that is older"
    assert tried(host, replace(facts, cf_newest=True), start).ends == ()
    assert tried(host, replace(facts, planned=frozenset({"sendmailconfig"})), start).ends == ()
    # Where it is so already, or a step puts it right before, nothing ends.
    bad = facts_of(host, good.replace(was, is_now))
    bad = replace(bad, files={**bad.files, f.SENDMAIL_CF: file(bad.cf_from_mc or "")})
    assert not tried(host, bad, Plan.pending("sendmailconfig", "", DialogueChange())).ends
    if "relay" not in is_now:
        assert "protection" not in ids(planned(host, facts)["sendmailconfig"].ends)


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


NEEDS = {
    "no certificate": (
        "define(`confSERVER_CERT', `/etc/own/gone')dnl\n",
        "confSERVER_CERT is /etc/own/gone (there is no such file)",
    ),
    "no key": (
        "define(`confSERVER_KEY', `/etc/own/gone')dnl\n",
        "confSERVER_KEY is /etc/own/gone (there is no such file)",
    ),
    "no authority": (
        "define(`confCACERT', `/etc/own/gone')dnl\n",
        "confCACERT is /etc/own/gone (there is no such file)",
    ),
    "by a macro of one's own": (
        "define(`MINE', `/etc/own')define(`confSERVER_CERT', `MINE/gone')dnl\n",
        "confSERVER_CERT is /etc/own/gone (there is no such file)",
    ),
    "the second of two": (
        "define(`confSERVER_CERT', `/etc/own/crt,/etc/own/gone')dnl\n",
        "is /etc/own/gone (there is no such file)",
    ),
    "another key": (
        "define(`confSERVER_CERT', `/etc/own/crt')define(`confSERVER_KEY', `/etc/own/other')dnl\n",
        "confSERVER_KEY is /etc/own/other (the key is not the key of this certificate)",
    ),
    "relative": (
        "define(`confSERVER_KEY', `own/key')dnl\n",
        "confSERVER_KEY is own/key (it takes absolute paths alone)",
    ),
    "a relative folder": (
        "define(`confCACERT_PATH', `own')dnl\n",
        "confCACERT_PATH is own (it takes absolute paths alone)",
    ),
    "a folder": (
        "define(`confSERVER_CERT', `/etc/own')dnl\n",
        "confSERVER_CERT is /etc/own (it is not a regular file)",
    ),
    "a key for everybody": (
        "define(`confSERVER_KEY', `/etc/own/open')dnl\n",
        "confSERVER_KEY is /etc/own/open (everybody may read it",
    ),
}


@pytest.mark.parametrize("case", NEEDS)
def test_tls_files_that_sendmail_does_not_take_block_the_plan(host: Bench, case: str) -> None:
    """Before anything changes, by the step that would write and by its gate: apply would end in sendmailconfig else."""
    line, why = NEEDS[case]
    (host.path("/etc/own/open")).touch(mode=0o644)
    text = debian(host).replace("MAILER_DEFINITIONS\n", line + "MAILER_DEFINITIONS\n")
    plan = planned(host, facts_of(host, text))["mc-includes"]
    assert plan.outcome is Outcome.BLOCKED
    assert why in plan.reason
    assert "no STARTTLS" in plan.reason
    assert "dnl" in plan.reason


@pytest.mark.parametrize(
    "line",
    [
        "define(`confSERVER_CERT', `/etc/own/crt,/etc/own/crt')define(`confSERVER_KEY', `/etc/own/key, /etc/own/key')dnl\n",
        "define(`confCLIENT_CERT', `gone')define(`confCLIENT_KEY', `/etc/own/gone')dnl\n",
        "define(`confCACERT_PATH', `/etc/own/gone')define(`confDH_PARAMETERS', `5')define(`confCRL', `/etc/own/gone')dnl\n",
    ],
)
def test_tls_files_that_sendmail_does_without_are_no_obstacle(host: Bench, line: str) -> None:
    text = debian(host).replace("MAILER_DEFINITIONS\n", line + "MAILER_DEFINITIONS\n")
    assert planned(host, facts_of(host, text))["mc-includes"].outcome is Outcome.PENDING


def test_what_the_live_sendmail_mc_names_is_said_by_preflight_and_by_sendmailconfig(host: Bench) -> None:
    facts = facts_of(host, debian(host) + "define(`confSERVER_CERT', `/etc/own/gone')dnl\n")
    found = without_tls(host, facts.cf_from_mc or "")
    folder = Preflight().plan(replace(facts, without_start="no such folder"), Answers())
    assert (folder.outcome, folder.reason) == (Outcome.BLOCKED, "no such folder")
    facts = replace(facts, without_tls=found)
    for step in STEPS:
        if step.id in ("preflight", "sendmailconfig"):
            plan = step.plan(facts, Answers())
            assert plan.outcome is Outcome.BLOCKED
            assert "/etc/own/gone (there is no such file)" in plan.reason
            assert "dnl" in " ".join(plan.remedy)


FOREIGN = "OSTYPE(`linux')dnl\nFEATURE(`no_default_msa')dnl\nMAILER_DEFINITIONS\nMAILER(`smtp')dnl\n"
"""A sendmail.mc without Debian's DOMAIN, which names the trusted user."""


def foreign(host: Bench, more: str = "") -> str:
    return "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\n" + FOREIGN.replace("MAILER_D", f"{more}MAILER_D")


def test_the_owner_of_the_maps_is_named_where_nobody_is(host: Bench) -> None:
    """Without DOMAIN(`debian-mta') the first start that makes a map fails: the line is part of the diff."""
    facts = replace(facts_of(host, foreign(host)), mail_owner="smmta")
    plans = planned(host, facts)
    assert [plan.outcome for plan in plans.values()] == [Outcome.PENDING] * len(plans)
    assert [plan.ends for plan in plans.values() if plan.ends] == []
    change = plans["mc-includes"].changes[0]
    assert isinstance(change, FileChange)
    assert option(change.gives or "", "TrustedUser") == "smmta"
    assert "+define(`confTRUSTED_USER', `smmta')dnl" in change.describe().diff
    again = replace(facts_of(host, (change.after or file("")).content.decode()), mail_owner="smmta")
    assert planned(host, again)["mc-includes"].outcome is Outcome.DONE


def test_a_map_in_a_folder_that_is_not_there_blocks_the_plan(host: Bench) -> None:
    """The Makefile that sendmailconfig writes for it ends the start of sendmail, which had got on without the map."""
    maps = (
        "FEATURE(`authinfo', `hash /etc/mail/auth/client-info')dnl\nFEATURE(`virtusertable', `hash -o /etc/mail/no/v')dnl\n"
        "FEATURE(`mailertable', `hash -T<TMPF> -o /etc/mail/no/m')dnl\nFEATURE(`genericstable', `hash -T<TMPF> /etc/mail/g')dnl\n"
    )
    text = debian(host).replace("MAILER_DEFINITIONS\n", maps + "MAILER_DEFINITIONS\n")
    plan = planned(host, facts_of(host, text))["mc-includes"]
    assert plan.outcome is Outcome.BLOCKED
    assert plan.reason.endswith("mkdir -p /etc/mail/auth`")
    assert without_start(host, facts_of(host, text).cf_from_mc or "") == plan.reason
    host.path("/etc/mail/auth").mkdir()
    assert planned(host, facts_of(host, text))["mc-includes"].outcome is Outcome.PENDING


def test_odd_names_of_files_are_no_fault_of_ours(host: Bench) -> None:
    assert without_tls(host, "O ServerCertFile=/etc/own/\0crt\n") == (
        "confSERVER_CERT is /etc/own/\0crt (no file has such a name)",
    )
    assert (
        "confCACERT is /etc/own/crt/ca (it cannot be read"
        in without_tls(host, "O CACertFile=/etc/own/crt/ca\n")[0]
    )
    assert without_start(host, "Kaccess hash /etc/own/\0/a\nKmine hash /etc/no/a\n") == ""
    assert "mkdir -p /etc/own/crt" in without_start(host, "Kaccess hash -T<TMPF> /etc/own/crt/a\n")


def test_another_trusted_user_than_the_owner_of_the_maps_blocks_the_plan(host: Bench) -> None:
    text = foreign(host, "define(`confTRUSTED_USER', `smmsp')dnl\n")
    plan = planned(host, replace(facts_of(host, text), mail_owner="smmta"))["mc-includes"]
    assert plan.outcome is Outcome.BLOCKED
    assert "/etc/mail belongs to smmta" in plan.reason
    assert planned(host, facts_of(host, text))["mc-includes"].outcome is Outcome.PENDING, "root owns it"
