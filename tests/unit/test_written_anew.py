"""What sendmailconfig writes anew, whom it takes rights from, and whom it lets in: what of that is the admin's, and would end."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.steps.recorded import RECORDED, file, machine
from wizard.changes.capture import Capture
from wizard.changes.command import CommandChange, DialogueChange
from wizard.engine import rewritten as rewriting
from wizard.engine.trial import tried
from wizard.model import facts as f
from wizard.model.plan import Change, Ending, Plan
from wizard.sendmail.m4 import Expansion
from wizard.sendmail.rights import Rights, set_by_scripts, taken_away, takes_away
from wizard.sendmail.written_anew import crontab_as_written, edits, transition
from wizard.steps.sendmail_auth import UPDATE_AUTH
from wizard.system.host import Host
from wizard.system.tcp_wrappers import names_sendmail, refusing

SCRIPTS = RECORDED / "debian-13/usr/share/sendmail"
M4 = {"sasl/sasl.m4": "update_authm4", "tls/starttls.m4": "update_tlsm4"}
CRONTAB = (RECORDED / "debian-12/etc/cron.d/sendmail").read_text()
CONF = (RECORDED / "debian-12/etc/mail/sendmail.conf").read_text()
OWN = "define(`confCIPHER_LIST', `HIGH')dnl\n"
MAIL = Rights(101, 103, 0)


@pytest.mark.parametrize("release", ["12", "13", "14"])
@pytest.mark.parametrize("name", M4)
def test_debians_own_m4_files_are_as_its_scripts_write_them(release: str, name: str) -> None:
    script = (SCRIPTS / M4[name]).read_text("latin-1")
    text = (RECORDED / f"debian-{release}/etc/mail" / name).read_text("latin-1")
    assert edits(text, script) == ()
    assert edits(text + "dnl a remark\n", script) == ()
    assert edits(text.replace("# <= EDIT", "# mine"), script) == ()
    assert edits("", script) == (), "what was lost is no work of anybody's"
    assert edits(text.rpartition("\n')')dnl")[0] + "\n", script) == ()
    assert edits(text + OWN, script) == (f"+{OWN.strip().removesuffix('dnl')}",)
    assert edits(text, "")
    if name == "tls/starttls.m4":
        assert edits(text.replace("`2m'", "`3m'"), script) == (), "the value is taken over"
        assert edits(text.replace("`2m'", "`2m,x'"), script), "parse_mc finds its first word alone"


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("sasl/sasl.m4", "TRUST_AUTH_MECH(`EXTERNAL')\n", "", "TRUST_AUTH_MECH(`EXTERNAL')"),
        ("sasl/sasl.m4", "TRUST_AUTH_MECH(`DIG", "dnl TRUST_AUTH_MECH(`DIG", "TRUST_AUTH_MECH("),
        ("sasl/sasl.m4", "`2m'", "`3m'", "define(`confTO_AUTH'"),
        ("sasl/sasl.m4", ",GroupWritableSASLDBFile", "", "defn(`confDONT_BLAME_SENDMAIL')`,GroupR"),
        ("tls/starttls.m4", "define(`confCLIENT_CERT'", "dnl define(`confCLIENT_CERT'", "define(`confCLIENT_CERT'"),
        ("tls/starttls.m4", "common.prm", "mine.prm", "define(`confDH_PARAMETERS'"),
    ],
)  # fmt: skip
def test_what_was_taken_out_of_them_comes_back(name: str, old: str, new: str, line: str) -> None:
    """And a value that parse_mc does not look for."""
    text = (RECORDED / "debian-13/etc/mail" / name).read_text("latin-1")
    assert text.count(old) == 1
    script = (SCRIPTS / M4[name]).read_text("latin-1")
    assert edits(text.replace(old, new), script)[0].startswith(f"-{line}")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("auto_transition: false\n", ("auto_transition: false",)),
        (
            "auto_transition:no\n auto_transition:\tfalse\n",
            ("auto_transition:no", " auto_transition:\tfalse"),
        ),
        ("auto_transition: no\n#auto_transition: false\n", ()),
    ],
)
def test_a_transition_that_is_switched_on_again(text: str, lines: tuple[str, ...]) -> None:
    assert transition(text) == lines


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("", "", True),
        ("*/20", "*/05", False),
        ("MAILTO=root", "MAILTO=me", False),
        ("*/20", "#*/20", False),
        ("# No queue", "5 * * * * root true\n# No queue", False),
    ],
)
def test_a_crontab_that_was_edited(old: str, new: str, same: bool) -> None:
    assert crontab_as_written(CRONTAB.replace(old, new, 1), CONF) is same
    assert not crontab_as_written(CRONTAB, CONF.replace('MSP_INTERVAL="20m"', 'MSP_INTERVAL="1h"'))


@pytest.mark.parametrize(
    ("path", "now", "then", "ends"),
    [
        ("/etc/mail/virtusertable", Rights(0, 50, 0o664), Rights(0, 50, 0o644), True),
        ("/etc/mail/virtusertable", Rights(33, 33, 0o660), Rights(33, 33, 0o640), True),
        ("/etc/mail/virtusertable", Rights(0, 103, 0o664), Rights(0, 103, 0o644), False),
        ("/etc/mail/virtusertable", Rights(33, 33, 0o640), Rights(33, 33, 0o640), False),
        ("/etc/mail/virtusertable", Rights(0, 0, 0o666), Rights(0, 0, 0o644), True),
        ("/etc/mail", Rights(0, 50, 0o2775), Rights(101, 103, 0o2755), True),
        ("/etc/mail", Rights(0, 0, 0o755), Rights(101, 103, 0o2755), False),
        ("/etc/mail/smrsh", Rights(1000, 103, 0o755), Rights(101, 103, 0o2755), True),
        ("/etc/sasldb2", Rights(0, 8, 0o640), Rights(0, 45, 0o640), True),
        ("/etc/sasldb2", Rights(0, 45, 0o660), Rights(0, 45, 0o660), False),
        ("/etc/sasldb2", Rights(0, 0, 0o640), Rights(0, 45, 0o640), False),
        ("/etc/sasldb2", Rights(107, 0, 0o640), Rights(0, 45, 0o640), True),
        ("/etc/sasldb2", Rights(107, 8, 0o600), Rights(0, 45, 0o600), True),
        ("/etc/sasldb2", Rights(107, 45, 0o640), Rights(107, 45, 0o640), False),
        ("/etc/mail/access", Rights(0, 33, 0o640), Rights(0, 33, 0o600), True),
        ("/etc/mail/authinfo", Rights(0, 33, 0o640), Rights(0, 33, 0o640), False),
        ("/etc/mail/tls/sendmail-common.key", Rights(0, 50, 0o640), Rights(0, 103, 0o640), True),
        ("/etc/mail/access", Rights(0, 0, 0o644), Rights(0, 0, 0o600), True),
        ("/etc/mail/access", Rights(0, 0, 0o600), Rights(0, 0, 0o600), False),
        ("/etc/mail/sasl/Sendmail.conf.2", Rights(101, 103, 0o644), Rights(101, 103, 0o640), False),
        ("/etc/mail/sasl/Sendmail.conf.2", Rights(0, 0, 0o644), Rights(101, 103, 0o640), False),
        ("/etc/mail/sasl/Sendmail.conf.2", Rights(0, 0, 0o646), Rights(101, 103, 0o640), True),
        ("/etc/mail/sasl/Sendmail.conf.2", Rights(33, 0, 0o644), Rights(101, 103, 0o640), True),
        ("/etc/mail/sasl/Sendmail.conf.2", Rights(0, 33, 0o644), Rights(101, 103, 0o640), True),
        ("/etc/mail/default-auth-info", Rights(0, 0, 0o644), Rights(101, 103, 0o640), False),
        ("/etc/sasldb2", Rights(0, 45, 0o644), Rights(0, 45, 0o640), True),
        ("/etc/mail/access.db", Rights(0, 103, 0o644), Rights(101, 103, 0o640), True),
        ("/etc/mail/access.db", Rights(0, 103, 0o640), Rights(101, 103, 0o640), False),
        ("/etc/mail/mine.db", Rights(0, 33, 0o640), Rights(0, 103, 0o640), True),
        ("/etc/mail/other.db", Rights(0, 33, 0o644), Rights(0, 33, 0o644), False),
        ("/etc/mail/sendmail.cf", Rights(0, 33, 0o640), Rights(0, 103, 0o644), False),
        ("/etc/mail/sendmail.cf", Rights(33, 33, 0o644), Rights(0, 103, 0o644), True),
        ("/etc/mail/sasl/sasl.m4", Rights(0, 0, 0o644), Rights(0, 0, 0o744), False),
        ("/etc/mail/access", Rights(0, 0, 0o640, acl=True), Rights(0, 0, 0o600, acl=True), True),
        ("/etc/mail/access.db", Rights(101, 103, 0o640, acl=True), Rights(101, 103, 0o640), True),
        ("/etc/mail/sendmail.cf", Rights(0, 103, 0o644, acl=True), Rights(0, 103, 0o644), False),
        (
            "/etc/mail/sasl/Sendmail.conf.2",
            Rights(101, 103, 0o640, acl=True),
            Rights(101, 103, 0o640, acl=True),
            False,
        ),
    ],
)
def test_who_may_do_less(path: str, now: Rights, then: Rights, ends: bool) -> None:
    cf = "Kaccess hash -T<TMPF> /etc/mail/access\nKmine hash -o /etc/mail/mine\n"
    assert set_by_scripts(path, now, MAIL, cf, 45) == then
    assert takes_away(path, now, then, MAIL) is ends


def test_what_update_auth_itself_leaves_behind_where_it_switches_the_transition(host: Bench) -> None:
    """A new file, which all may read: it does chmod 0640 before, and 0644 behind that."""
    conf = host.path(f.SASL_CONF)
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("auto_transition: false\n")
    conf.chmod(0o646)
    here = f"{os.getuid()}:{os.getgid()}"
    assert taken_away(host, [f.SASL_CONF], "") == (f"{f.SASL_CONF}: 0646 {here} -> 0644 smmta:smmsp",)
    conf.write_text("auto_transition: true\n")
    assert taken_away(host, [f.SASL_CONF], "") == (f"{f.SASL_CONF}: 0646 {here} -> 0640 smmta:smmsp",)
    conf.chmod(0o644)
    assert taken_away(host, [f.SASL_CONF], "") == ()


@pytest.mark.parametrize(
    ("allow", "deny", "named", "rules"),
    [
        ("ALL: 10.0.0.0/8\n", "ALL: ALL\n", False, ("ALL: ALL",)),
        ("sendmail: all\n", "ALL: ALL\n", True, ()),
        ("sendmail: 10.\n", "ALL: ALL\n", True, ("ALL: ALL",)),
        ("# sendmail: all\n", "", False, ()),
        ("sshd: ALL\n", "sshd: ALL\n", False, ()),
        ("ALL: .bad.test: deny\n", "", False, ("ALL: .bad.test: deny",)),
    ],
)
def test_clients_that_tcp_wrappers_turn_away(
    allow: str, deny: str, named: bool, rules: tuple[str, ...]
) -> None:
    assert names_sendmail(allow) is named
    assert refusing(allow, deny) == rules


class Bench(Host):
    """A host whose /etc is below its root, and that has no files in memory."""

    @staticmethod
    @contextlib.contextmanager
    def in_memory(content: bytes) -> Iterator[str]:
        yield "/memory"


@pytest.fixture
def host(tmp_path: Path) -> Bench:
    for path, text in {
        "etc/mail/sendmail.mc": f"include(`{f.STARTTLS_M4}')dnl\n",
        "etc/mail/tls/starttls.m4": (RECORDED / "debian-13/etc/mail/tls/starttls.m4").read_text("latin-1"),
        "etc/mail/virtusertable": "",
        "usr/share/sendmail/update_mc": "",
        "usr/share/sendmail/update_tlsm4": (SCRIPTS / "update_tlsm4").read_text("latin-1"),
        "etc/passwd": "smmta:x:98765:0:::\n",
        "etc/group": "smmsp:x:98766:\n",
        "etc/hosts.allow": "ALL: LOCAL\n",
        "etc/hosts.deny": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "latin-1")
    return Bench(tmp_path)


DIALOGUE = DialogueChange()


def planned(
    host: Host, step: str = "sendmailconfig", change: Change = DIALOGUE, cf_from_mc: str | None = None
) -> Plan:
    """The plan of a step with this change, where sendmail.mc makes this sendmail.cf."""
    tools = frozenset({"m4", "sendmail", "sendmailconfig"})
    facts = machine("13", tools=tools, files={f.SENDMAIL_CONF: file(CONF)}, cf_from_mc=cf_from_mc)
    return tried(host, facts, Plan.pending(step, "x", change))


def ends(host: Host, step: str = "sendmailconfig", change: Change = DIALOGUE) -> tuple[Ending, ...]:
    """What the plan of a step with this change lists."""
    return planned(host, step, change).ends


def test_what_is_written_anew_is_asked_about(host: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    cf = "O A=1\n" * 5_000
    before = host.entry(f.STARTTLS_M4)
    (host.root / f.STARTTLS_M4[1:]).write_text(f"{before.content.decode()}{OWN}" if before else "")
    crontab = host.root / rewriting.CRONTAB[1:]
    crontab.parent.mkdir()
    crontab.write_text(CRONTAB.replace("*/20", "*/05"))
    ran: list[Any] = []

    def captured(_host: Host, act: Any, _say: Any, *, sealed: bool) -> Capture:
        assert sealed

        class View:
            def run(self, argv: Any, **_: Any) -> Any:
                ran.append(argv[0])
                return type("Completed", (), {"stdout": cf})

        writes = {
            f.STARTTLS_M4: (host.entry(f.STARTTLS_M4), before),
            rewriting.CRONTAB: (host.entry(rewriting.CRONTAB), file(CRONTAB)),
        }
        return Capture(act(View()), writes, {})

    monkeypatch.setattr(rewriting, "captured", captured)
    monkeypatch.setattr(rewriting, "expand_text", lambda *_: Expansion(0, f"{cf}O CipherList=HIGH\n", ""))
    monkeypatch.setattr(rewriting, "may_rewrite", lambda *_: False)
    (ending,) = ends(host)
    assert ending.id == rewriting.EDITS
    assert ending.lines[:2] == (f"{f.STARTTLS_M4}: -{OWN.strip()}", "sendmail.cf: -O CipherList=HIGH")
    assert [line.split()[1] for line in ending.lines[2:]] == ["-*/05", "+*/20"]
    assert "/usr/share/sendmail/update_tlsm4" in ran
    assert "/usr/share/sendmail/update_mc" not in ran


def test_update_auth_by_itself_is_asked_about_what_it_writes_alone(
    host: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.root / "etc/hosts.deny").write_text("ALL: ALL\n")
    (host.root / "etc/mail/virtusertable").chmod(0o666)
    starttls = host.root / f.STARTTLS_M4[1:]
    starttls.write_text(starttls.read_text("latin-1") + OWN)
    monkeypatch.setattr(rewriting, "captured", lambda *_, **__: pytest.fail("nothing is to be tried"))
    update_auth = CommandChange((UPDATE_AUTH,), "makes what is missing")
    assert ends(host, "sendmail-auth", update_auth) == ()

    cf = "O A=1\n" * 5_000
    written = file((RECORDED / "debian-13/etc/mail/sasl/sasl.m4").read_text("latin-1"))
    for path, text in {
        f.SASL_M4: f"{written.content.decode()}{OWN}",
        f"/usr/share/sendmail/{M4['sasl/sasl.m4']}": (SCRIPTS / "update_authm4").read_text("latin-1"),
        f.SENDMAIL_MC: f"include(`{f.SASL_M4}')dnl\n",
        f.SASL_CONF: "",
    }.items():
        host.path(path).parent.mkdir(exist_ok=True)
        host.path(path).write_text(text, "latin-1")
    host.path(f.SASL_CONF).chmod(0o666)
    ran: list[Any] = []

    def captured(_host: Host, act: Any, _say: Any, *, sealed: bool) -> Capture:
        class View:
            def run(self, argv: Any, **_: Any) -> Any:
                ran.append(argv[0])
                return type("Completed", (), {"stdout": cf})

        return Capture(act(View()), {f.SASL_M4: (host.entry(f.SASL_M4), written)}, {})

    monkeypatch.setattr(rewriting, "captured", captured)
    monkeypatch.setattr(rewriting, "expand_text", lambda *_: Expansion(0, f"{cf}O CipherList=HIGH\n", ""))
    rights, edits = ends(host, "sendmail-auth", update_auth)
    assert [line.split(":")[0] for line in rights.lines] == [f.SASL_CONF]
    assert edits.lines == (f"{f.SASL_M4}: -{OWN.strip()}", "sendmail.cf: -O CipherList=HIGH")
    assert ran == ["/usr/share/sendmail/update_authm4", "m4"]
    assert ends(host, "mend-sasl-m4", update_auth) == ()


def test_in_a_file_that_is_still_to_be_made_nothing_was_changed_by_hand(
    host: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With mechanisms of one's own in sendmail.mc the scripts make another sasl.m4 than Debian's."""
    cf = "O A=1\n" * 5_000
    lines = "".join(f"include(`{path}')dnl\n" for path in (f.SASL_M4, f.STARTTLS_M4))
    host.path(f.SENDMAIL_MC).write_text(f"{lines}TRUST_AUTH_MECH(`DIGEST-MD5')dnl\n")

    def captured(_host: Host, act: Any, _say: Any, *, sealed: bool) -> Capture:
        ran: list[str] = []

        class View:
            def run(self, argv: Any, **_: Any) -> Any:
                ran.append(argv[0])
                with_list = rewriting._M4[f.SASL_M4] in ran
                return type("Completed", (), {"stdout": cf + "C{TrustAuthMech}DIGEST-MD5\n" * with_list})

        return Capture(act(View()), {f.SASL_M4: (None, file("made"))}, {})

    monkeypatch.setattr(rewriting, "captured", captured)
    monkeypatch.setattr(rewriting, "expand_text", lambda *_: Expansion(0, cf, ""))
    monkeypatch.setattr(rewriting, "may_rewrite", lambda *_: False)
    assert ends(host) == ()
    assert ends(host, "sendmail-auth", CommandChange((UPDATE_AUTH,), "makes what is missing")) == ()


def test_what_was_taken_out_and_comes_back_is_asked_about(
    host: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cf, line = "O A=1\n" * 5_000, "define(`confCLIENT_CERT', "
    path, before = host.path(f.STARTTLS_M4), host.entry(f.STARTTLS_M4)
    path.write_text(path.read_text().replace(line, f"dnl {line}"))
    host.path(f.SASL_CONF).parent.mkdir()
    host.path(f.SASL_CONF).write_text("auto_transition: false\n")
    host.path(f.SASL_CONF).chmod(0o640)

    def captured(_host: Host, act: Any, _say: Any, *, sealed: bool) -> Capture:
        class View:
            def run(self, *_: Any, **__: Any) -> Any:
                return type("Completed", (), {"stdout": f"{cf}O ClientCertFile=x\n"})

        return Capture(act(View()), {f.STARTTLS_M4: (host.entry(f.STARTTLS_M4), before)}, {})

    monkeypatch.setattr(rewriting, "captured", captured)
    monkeypatch.setattr(rewriting, "expand_text", lambda *_: Expansion(0, cf, ""))
    monkeypatch.setattr(rewriting, "may_rewrite", lambda *_: False)
    transition = (f"{f.SASL_CONF}: -auto_transition: false", f"{f.SASL_CONF}: +auto_transition: true")
    (ending,) = ends(host)
    assert ending.id == rewriting.EDITS
    assert ending.lines[1].startswith(f"{f.STARTTLS_M4}: +{line}")
    assert ending.lines[2:] == ("sendmail.cf: +O ClientCertFile=x", *transition)
    monkeypatch.setattr(rewriting, "captured", lambda *_, **__: pytest.fail("nothing is to be tried"))
    (alone,) = ends(host, "sendmail-auth", CommandChange((UPDATE_AUTH,), "makes what is missing"))
    assert alone.lines == transition


def test_a_program_that_users_may_run_then_is_told_and_not_asked_about(
    host: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have come after sendmail, or our own rollback has taken out the link again."""
    monkeypatch.setattr(rewriting, "may_rewrite", lambda *_: False)
    folder, programs = host.path("/etc/mail/smrsh"), host.path("/usr/bin")
    programs.mkdir(parents=True)
    for name in ("vacation", "procmail"):
        (programs / name).touch()
    folder.mkdir()
    (folder / "vacation").symlink_to(programs / "vacation")
    runs = "Mprog, P=/usr/libexec/sendmail/smrsh, F=lsDFMoqeu9\n"
    (note,) = planned(host, cf_from_mc=runs).notes
    assert note.startswith(
        "sendmailconfig makes /etc/mail/smrsh/procmail: users may then run what is behind it"
    )
    assert planned(host, cf_from_mc=runs).ends == ()
    assert planned(host).notes == (), "no mailer asks smrsh"
    (folder / "procmail").symlink_to(programs / "procmail")
    assert planned(host, cf_from_mc=runs).notes == ()


def test_a_second_trust_in_sendmail_mc_is_tried(host: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both parse_mc finds the last alone, and sasl.m4 gets that: the mechanisms of its own line are trusted no more."""
    cf, own = "O A=1\n" * 5_000, "C{TrustAuthMech}DIGEST-MD5 PLAIN\n"
    host.path(f.SENDMAIL_MC).write_text(f"include(`{f.SASL_M4}')dnl\nTRUST_AUTH_MECH(`LOGIN')dnl\n")
    host.path(f.SASL_M4).parent.mkdir()
    host.path(f.SASL_M4).write_text("TRUST_AUTH_MECH(`DIGEST-MD5 PLAIN')dnl\n")

    def captured(_host: Host, act: Any, _say: Any, *, sealed: bool) -> Capture:
        class View:
            def run(self, *_: Any, **__: Any) -> Any:
                return type("Completed", (), {"stdout": f"{cf}C{{TrustAuthMech}}LOGIN\n"})

        return Capture(act(View()), {}, {})

    monkeypatch.setattr(rewriting, "captured", captured)
    monkeypatch.setattr(
        rewriting, "expand_text", lambda *_: Expansion(0, f"{cf}{own}C{{TrustAuthMech}}LOGIN\n", "")
    )
    monkeypatch.setattr(rewriting, "may_rewrite", lambda *_: False)
    update_auth = CommandChange((UPDATE_AUTH,), "makes what is missing")
    for step, change in (("sendmailconfig", DIALOGUE), ("sendmail-auth", update_auth)):
        (ending,) = ends(host, step, change)
        assert ending.lines == (f"sendmail.cf: -{own.strip()}",)


def test_what_is_debians_own_costs_no_time(host: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "may_rewrite", lambda *_: False)
    monkeypatch.setattr(rewriting, "captured", lambda *_, **__: pytest.fail("nothing is to be tried"))
    assert ends(host) == ()


def test_rights_and_rules_that_end_are_asked_about(host: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "may_rewrite", lambda *_: False)
    (host.root / "etc/hosts.deny").write_text("ALL: ALL\n")
    (host.root / "etc/mail/virtusertable").chmod(0o666)
    found = {ending.id: ending.lines for ending in ends(host)}
    assert found.keys() == {rewriting.RIGHTS, rewriting.LET_IN}
    assert "/etc/mail/virtusertable: 0666" in found[rewriting.RIGHTS][0]
    assert found[rewriting.LET_IN] == ("ALL: ALL",)
    host.path("/etc/sasldb2").touch()
    host.path("/etc/sasldb2").chmod(0o646)
    assert "/etc/sasldb2: 0646" in "".join(taken_away(host, ["/etc/sasldb2"], ""))
    (host.root / "etc/passwd").write_text("")
    assert taken_away(host, ["/etc/mail/virtusertable"], "") == ()


def test_whom_an_acl_names_is_seen(host: Bench) -> None:
    access = host.path(f.ACCESS)
    access.touch(mode=0o640)
    entries = ((0x01, 6, -1), (0x02, 4, 65534), (0x04, 0, -1), (0x10, 4, -1), (0x20, 0, -1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(access, "system.posix_acl_access", acl)
    except OSError as error:
        pytest.skip(f"no ACL here: {error}")
    assert taken_away(host, [f.ACCESS], f"Kaccess hash {f.ACCESS}\n") == (
        f"{f.ACCESS}: 0640+ 0:0 -> 0600+ 0:0",
    )


@pytest.mark.parametrize("whole", [True, False])
def test_a_key_that_others_share_by_a_link(host: Bench, whole: bool) -> None:
    """update_tls gives it to sendmail's group, but not where one of Debian's own files is missing."""
    tls, key = host.root / "etc/mail/tls", host.root / "etc/ssl/private/mail.key"
    key.parent.mkdir(parents=True)
    key.write_text("")
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(key, 98767, -1)
    (tls / "sendmail-common.key").symlink_to("../../ssl/private/mail.key")
    for name in ("server.crt", "client.crt", *(("common.prm",) if whole else ())):
        (tls / f"sendmail-{name}").touch()
    lines = taken_away(host, [f.COMMON_KEY], "")
    assert [line.split(":")[0] for line in lines] == ["/etc/ssl/private/mail.key"] * whole
