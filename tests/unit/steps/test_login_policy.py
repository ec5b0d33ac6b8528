"""Who may log in: what the step plans, what it refuses to do, and what its checks make of PAM's answers."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import NOW, bare, file, machine
from wizard.editors.pam_service import Policy, set_policy
from wizard.engine.engine import Engine
from wizard.errors import HostError
from wizard.gather import accounts
from wizard.gather.fail2ban import Bans
from wizard.gather.pam import Pam, PamLine
from wizard.mends.saslauthd import MendPamService
from wizard.model import facts as f
from wizard.model.answers import Answers, Auth, Guess, Login
from wizard.model.facts import Facts, Process
from wizard.model.plan import Outcome, Plan, Sign
from wizard.model.step_facts import Logins, RecentLogin
from wizard.steps import login_policy
from wizard.steps.login_policy import OPTIONAL, LoginPolicy
from wizard.system import pam_account
from wizard.system.host import Host
from wizard.system.pam_account import Answer

USERS = Answers(login=Login("no-system-accounts"))
MEMBERS = Answers(login=Login("groups", ("mail", "staff")))
BOTH = frozenset({"auth", "account"})
GROUPS = {"mail": 8, "staff": 50}
ROOT = RecentLogin("root", NOW, 0, frozenset({0}))
ALICE = RecentLogin("alice", NOW, 1000, frozenset({1000, 50}))
BOB = RecentLogin("bob", NOW, 1001, frozenset({1001}))
CLOUD = RecentLogin("ldap-user", NOW, None)
LINES = Policy(1000).lines


def host(*recent: RecentLogin, **changes: Any) -> Facts:
    logins = Logins(groups=GROUPS, recent=recent, phases=BOTH)
    return machine("13", **({"logins": logins} | changes))


def pam(text: str) -> dict[str, Entry | None]:
    return {f.PAM_SMTP: file(text)}


def text_of(facts: Facts) -> str:
    return facts.text(f.PAM_SMTP) or ""


def plan(facts: Facts, answers: Answers = USERS) -> Plan:
    return LoginPolicy().plan(facts, answers)


def test_nothing_is_planned_unasked() -> None:
    for facts in (host(), bare("13"), host(files={f.PAM_SMTP: None}), host(files=pam("nonsense\n"))):
        made = plan(facts, Answers())
        assert (made.outcome, made.reason, made.changes) == (Outcome.NOT_APPLICABLE, OPTIONAL, ())


def test_what_was_applied_is_not_taken_back_because_nothing_is_asked() -> None:
    made = plan(host(files=pam(set_policy(text_of(host()), Policy(1000)))), Answers())
    assert made.outcome is Outcome.DONE
    assert "`msa-wizard rollback login-policy`" in made.reason


@pytest.mark.parametrize("release", ["11", "12", "13", "14"])
def test_the_file_gets_the_two_lines_and_keeps_mode_and_owner(release: str) -> None:
    facts = machine(release, logins=Logins(phases=BOTH))
    before = dataclasses.replace(file(text_of(facts)), mode=0o640, gid=7)
    made = plan(dataclasses.replace(facts, files={**facts.files, f.PAM_SMTP: before}))
    assert made.outcome is Outcome.PENDING
    (change,) = made.changes
    after = change.after  # type: ignore[attr-defined]
    assert dataclasses.replace(after, content=before.content) == before
    added = set(after.content.decode().splitlines()) - set(text_of(facts).splitlines())
    assert added == {
        *LINES,
        "# Written by msa-wizard (login-policy): all but root and system accounts may log in",
    }
    done = plan(dataclasses.replace(facts, files={**facts.files, f.PAM_SMTP: after}))
    assert done.outcome is Outcome.DONE


def test_uid_min_of_the_host_counts() -> None:
    made = plan(host(logins=Logins(uid_min=500, phases=BOTH)))
    assert "uid >= 500 uid ne 65534" in made.changes[0].describe().diff


def test_a_saslauthd_that_remembers_logins_is_restarted() -> None:
    for argv, changes in ((("saslauthd", "-a", "pam"), 1), (("saslauthd", "-a", "pam", "-c"), 2)):
        daemon = Process(7, "saslauthd", (*argv, "-m", "/var/run/saslauthd"), NOW)
        made = plan(host(processes=(daemon,)))
        assert len(made.changes) == changes
        assert any("8 hours" in note for note in made.notes) is (changes == 2)


@pytest.mark.parametrize(
    ("answers", "recent", "lost"),
    [
        (USERS, [ROOT, ALICE, BOB, CLOUD], ["root"]),
        (USERS, [RecentLogin("nobody", NOW, 65534)], ["nobody"]),
        (USERS, [ALICE, BOB], []),
        (MEMBERS, [ROOT, ALICE, BOB, CLOUD], ["root", "bob", "ldap-user"]),
        (MEMBERS, [ALICE], []),
        (MEMBERS, [], []),
    ],
)
def test_who_logged_in_lately_and_could_not_any_more_is_an_ending(
    answers: Answers, recent: list[RecentLogin], lost: list[str]
) -> None:
    ends = plan(host(*recent), answers).ends
    assert [ending.id for ending in ends] == (["logins-refused"] if lost else [])
    assert [line.partition(",")[0] for ending in ends for line in ending.lines] == lost


def test_whom_the_policy_in_force_refuses_already_loses_nothing() -> None:
    files = pam(set_policy(text_of(host()), Policy(1000)))
    made = plan(host(ROOT, ALICE, BOB, files=files), MEMBERS)
    assert [line.partition(",")[0] for line in made.ends[0].lines] == ["bob"]
    assert "uid >=" not in made.changes[0].after.content.decode()  # type: ignore[attr-defined]
    back = plan(
        host(ROOT, ALICE, BOB, files=pam(set_policy(text_of(host()), Policy(groups=("mail", "staff")))))
    )
    assert back.ends == (), "root was refused before"


def test_who_goes_on_trying_is_banned_with_all_who_share_the_address() -> None:
    logins = Logins(recent=(ROOT,), phases=BOTH)
    for bans in (True, False):
        (ending,) = plan(host(logins=dataclasses.replace(logins, bans=bans))).ends
        assert ("has its address banned by fail2ban" in ending.says) is bans


@pytest.mark.parametrize(
    ("limit", "there", "bans"),
    [(True, None, True), (False, Bans({}), True), (False, None, False)],
)
def test_a_limit_that_is_chosen_or_there_counts(
    monkeypatch: pytest.MonkeyPatch, limit: bool, there: Bans | None, bans: bool
) -> None:
    monkeypatch.setattr(login_policy, "_look", lambda *_, **__: Logins(recent=(ROOT,), phases=BOTH))
    monkeypatch.setattr("wizard.gather.fail2ban.bans", lambda _: there)
    answers = dataclasses.replace(USERS, guess=Guess(limit=limit))
    seen = LoginPolicy().gathered(Host(), host(logins=None), answers).logins
    assert seen is not None
    assert seen.bans is bans


@pytest.mark.parametrize(
    ("method", "listed", "sasldb", "mechanism", "source"),
    [
        ("saslauthd", "LOGIN PLAIN", (), "", ""),
        ("saslauthd", "GSSAPI LOGIN PLAIN", (), "GSSAPI", ""),
        ("saslauthd", "CRAM-MD5 LOGIN PLAIN", ("root@mail",), "CRAM-MD5", ""),
        ("saslauthd", "CRAM-MD5 LOGIN PLAIN", (), "", ""),
        ("saslauthd auxprop", "LOGIN PLAIN", ("root@mail",), "", "sasldb"),
        ("auxprop saslauthd", "LOGIN PLAIN", None, "", "sasldb"),
        ("saslauthd auxprop", "LOGIN PLAIN", (), "", ""),
    ],
)
def test_what_does_not_ask_pam_is_said(
    method: str, listed: str, sasldb: tuple[str, ...] | None, mechanism: str, source: str
) -> None:
    conf = file(f"pwcheck_method: {method}\nmech_list: {listed}\n")
    cf = file(f"O AuthMechanisms={listed}\n")
    facts = host(files={f.SASL_CONF: conf, f.SENDMAIL_CF: cf}, sasldb=sasldb)
    new = {**facts.files, f.PAM_SMTP: file(set_policy(text_of(facts), Policy(1000)))}
    for made in (plan(facts), plan(dataclasses.replace(facts, files=new))):
        says = " ".join((*made.notes, made.reason))
        assert (f"who logs in with {mechanism or '?'} is not refused" in says) is bool(mechanism)
        assert (f"whose password is in {source or '?'} is not refused" in says) is bool(source)
        assert ("not refused" in says) is bool(mechanism or source)


LINK = Entry(Kind.SYMLINK, 0o777, 0, 0, b"/etc/pam.d/other")
FAULTS: dict[str, tuple[Answers, dict[str, Any], str]] = {
    "an unknown group": (
        MEMBERS,
        {"logins": Logins(groups={"mail": 8}, phases=BOTH)},
        "there is no group staff",
    ),
    "no file": (USERS, {"files": {f.PAM_SMTP: None}}, "is missing"),
    "a symbolic link": (USERS, {"files": {f.PAM_SMTP: LINK}}, "not a regular file"),
    "a syntax error": (
        USERS,
        {"files": pam("@include common-auth\nauth need pam_unix.so\n")},
        "line 2: .*not a control",
    ),
    "a carriage return": (USERS, {"files": pam("@include common-auth\r\n")}, "carriage return"),
    "an empty file": (USERS, {"files": pam("# nothing\n")}, "no line"),
    "no line for auth": (
        USERS,
        {"files": pam("@include common-account\n"), "logins": Logins(phases=frozenset({"account"}))},
        "no line for auth",
    ),
    "a broken include": (
        USERS,
        {"logins": Logins(phases=BOTH, broken="no module (x line 3)")},
        "no module .x line 3",
    ),
    "a UID_MIN of 0": (USERS, {"logins": Logins(uid_min=0, phases=BOTH)}, "UID_MIN"),
    "a UID_MIN above nobody": (USERS, {"logins": Logins(uid_min=10**6, phases=BOTH)}, "UID_MIN"),
    "nobody has looked": (MEMBERS, {"logins": None}, "there is no group"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_a_remedy_and_nothing_is_planned(fault: str) -> None:
    answers, changes, why = FAULTS[fault]
    made = plan(host(**changes), answers)
    assert (made.outcome, made.changes) == (Outcome.BLOCKED, ())
    assert re.search(why, made.reason)
    assert made.remedy


@pytest.mark.parametrize("mechanism", ["sasldb", "ldap", "shadow", "getpwent"])
def test_where_pam_is_not_asked_it_does_not_apply(mechanism: str) -> None:
    made = plan(host(), dataclasses.replace(USERS, auth=Auth(mechanism)))
    assert made.outcome is Outcome.NOT_APPLICABLE
    assert mechanism in made.reason


def test_before_the_packages_are_there_it_is_decided_later() -> None:
    facts = dataclasses.replace(bare("13"), planned=frozenset({"install"}))
    assert plan(facts).outcome is Outcome.LATER


def test_lines_of_the_admins_are_kept_and_told() -> None:
    line = "account required pam_listfile.so item=user sense=deny file=/etc/no-mail\n"
    text = text_of(host()) + line
    made = plan(host(files=pam(text)))
    (note,) = made.notes
    assert note.startswith(
        f"line {text.count(chr(10))} of {f.PAM_SMTP} stays, and counts as well: account required pam_listfile.so"
    )
    assert line in made.changes[0].after.content.decode()  # type: ignore[attr-defined]


def test_who_writes_the_service_anew_is_told_that_the_policy_goes() -> None:
    text = set_policy(text_of(host()), Policy(1000))
    for there, told in ((text, True), (text + "nonsense\n", True), ("nonsense\n", False)):
        made = MendPamService().plan(host(files=pam(there)), Answers())
        assert any("`msa-wizard apply login-policy`" in note for note in made.notes) is told


def test_the_engine_looks_further_only_where_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def logged(*_: object) -> tuple[dict[str, float], str]:
        asked.append("log")
        return {"root": 1.0}, "who logged in before yesterday is not known: x"

    monkeypatch.setattr(login_policy, "recent_logins", logged)
    monkeypatch.setattr(
        login_policy, "users_ids", lambda _host, names: dict.fromkeys(names, (0, frozenset({0})))
    )
    monkeypatch.setattr(login_policy, "group_id", lambda _host, name: GROUPS.get(name))
    monkeypatch.setattr(
        "wizard.gather.pam.look",
        lambda _: Pam(f.PAM_SMTP, tuple(PamLine("x", 1, "x", k, "required", "m") for k in BOTH)),
    )
    facts = dataclasses.replace(machine("13"), logins=None)
    for answers, outcome in (
        (Answers(), Outcome.NOT_APPLICABLE),
        (USERS, Outcome.PENDING),
        (MEMBERS, Outcome.PENDING),
    ):
        made = Engine(Host(), answers, lambda _: None).plan_step(LoginPolicy(), facts)
        assert made.outcome is outcome
    assert asked == ["log", "log"]
    assert [ending.id for ending in made.ends] == ["logins-refused"]
    assert "who logged in before yesterday is not known: x" in made.notes


def test_a_directory_that_does_not_answer_blocks_the_step_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hangs(*_: object) -> None:
        raise HostError("getent did not end within 15 s")

    monkeypatch.setattr(login_policy, "group_id", hangs)
    made = Engine(Host(), MEMBERS, lambda _: None).plan_step(
        LoginPolicy(), dataclasses.replace(machine("13"), logins=None)
    )
    assert made.outcome is Outcome.BLOCKED
    assert "getent did not end" in made.reason


def test_a_log_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(host(logins=Logins(unseen="who logged in lately cannot be seen: x", phases=BOTH)))
    assert made.notes == ("who logged in lately cannot be seen: x",)


def looked(
    monkeypatch: pytest.MonkeyPatch, ids: Callable[[Host, Sequence[str]], Any], answers: Answers = MEMBERS
) -> Plan:
    """The plan where 230 users have logged in, the earlier the higher their numbers."""
    logged = {f"u{number}": NOW - number for number in range(230)}
    monkeypatch.setattr(login_policy, "recent_logins", lambda *_: (logged, ""))
    monkeypatch.setattr(login_policy, "group_id", lambda _host, name: GROUPS.get(name))
    monkeypatch.setattr(login_policy, "users_ids", ids)
    monkeypatch.setattr(
        "wizard.gather.pam.look",
        lambda _: Pam(f.PAM_SMTP, tuple(PamLine("x", 1, "x", k, "required", "m") for k in BOTH)),
    )
    monkeypatch.setattr("wizard.gather.fail2ban.bans", lambda _: None)
    facts = dataclasses.replace(machine("13"), logins=None)
    return LoginPolicy().plan(LoginPolicy().gathered(Host(), facts, answers), answers)


def test_all_who_logged_in_lately_are_looked_up_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    def ids(_: Host, names: Sequence[str]) -> dict[str, Any]:
        return {name: (2000, frozenset({50} if int(name[1:]) < 200 else {1})) for name in names}

    (ending,) = looked(monkeypatch, ids).ends
    assert ending.says.startswith("30 users who logged in within 30 days will no longer be able to")
    assert [line.partition(",")[0] for line in ending.lines] == [f"u{number}" for number in range(200, 230)]


@pytest.mark.parametrize("how", ["slow", "dead"])
@pytest.mark.parametrize("answers", [USERS, MEMBERS])
def test_whom_a_directory_does_not_tell_in_time_is_asked_about(
    monkeypatch: pytest.MonkeyPatch, answers: Answers, how: str
) -> None:
    asked = list[str]()

    def ids(_: Host, names: Sequence[str]) -> dict[str, Any]:
        if asked and how == "dead":
            raise HostError("getent did not end")
        asked.extend(names)
        time.sleep(0.02)
        return dict.fromkeys(names, (2000, frozenset({50})))

    monkeypatch.setattr(login_policy, "_PATIENCE", 9 if how == "dead" else 0.01)
    made = looked(monkeypatch, ids, answers)
    (ending,) = made.ends
    assert ending.says == (
        "of 180 users who logged in within 30 days it is not known whether they still may: they could not be looked up"
    )
    assert len(ending.lines) == 180
    why = "getent did not end" if how == "dead" else "0 seconds were not enough for all of them"
    assert made.notes[-1] == f"not all who logged in lately could be looked up: {why}"


def test_one_who_is_slow_to_look_up_leaves_nobody_else_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do many who take too long together, and not one by one."""

    def ids(_: Host, names: Sequence[str]) -> dict[str, Any]:
        if "u60" in names or len(names) > 1:
            raise HostError("getent did not end")
        return dict.fromkeys(names, (2000, frozenset({50})))

    (ending,) = looked(monkeypatch, ids).ends
    assert ending.says.startswith("of 1 user who logged in within 30 days it is not known")
    assert [line.partition(",")[0] for line in ending.lines] == ["u60"]


# --- the checks -----------------------------------------------------------------------------------------------


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Sign]]:
    """Runs verify on a host with root, daemon, alice (in staff) and bob, where PAM answers `codes`."""

    def verify(
        alone: dict[str, int],
        whole: dict[str, int],
        answers: Answers = USERS,
        account: str = "pam_unix.so",
        text: str = "",
    ) -> dict[str, Sign]:
        uids = {"root": (0, {0}), "daemon": (1, {1}), "alice": (1000, {1000, 50}), "bob": (1001, {1001})}
        stack = Pam(
            f.PAM_SMTP, (PamLine("/etc/pam.d/common-account", 1, account, "account", "required", account),)
        )
        monkeypatch.setattr("wizard.gather.pam.look", lambda _: stack)
        monkeypatch.setattr(login_policy, "recent_logins", lambda *_: ({}, ""))
        monkeypatch.setattr(login_policy, "uid_min", lambda _: 1000)
        monkeypatch.setattr(login_policy, "group_id", lambda _host, name: GROUPS.get(name))
        monkeypatch.setattr(
            login_policy, "user_ids", lambda _host, name: (uids[name][0], frozenset(uids[name][1]))
        )
        known = tuple(accounts.LocalAccount(name, uid[0], name == "root") for name, uid in uids.items())
        monkeypatch.setattr(login_policy, "local_accounts", lambda _: known)
        monkeypatch.setattr(
            pam_account,
            "answers_of",
            lambda _host, _line, users: {u: Answer(alone[u], "words") for u in users},
        )
        monkeypatch.setattr(
            pam_account,
            "answers",
            lambda _host, _service, users: {u: Answer(whole[u], "words") for u in users},
        )
        policy = login_policy.policy_of(answers.login, 1000)
        assert policy
        facts = host(files=pam(text or set_policy(text_of(host()), policy)))
        return {check.id: check.sign for check in LoginPolicy().verify(Host(), facts, answers)}

    return verify


GOOD = {"root": 7, "daemon": 7, "alice": 0, "bob": 0}


OTHERS = GOOD | {"bob": 7}
"""Where bob is in no group."""


def test_what_does_not_ask_pam_is_a_warning(
    checked: Callable[..., dict[str, Sign]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_policy, "past_pam", lambda *_: ("x",))
    assert checked(GOOD, GOOD)["past-pam"] is Sign.WARNING


@pytest.mark.parametrize(
    ("alone", "whole", "more", "signs"),
    [
        (GOOD, GOOD, {}, ("ok", "ok", "ok")),
        (OTHERS, OTHERS, {"answers": MEMBERS}, ("ok", "ok", "ok")),
        (GOOD, OTHERS, {"answers": MEMBERS}, ("ok", "failed", "ok")),
        (GOOD, GOOD | {"root": 0}, {}, ("ok", "failed", "ok")),
        (GOOD | {"root": 0}, GOOD, {}, ("ok", "failed", "ok")),
        (GOOD, GOOD | {"alice": 7}, {}, ("ok", "ok", "warning")),
        (GOOD, GOOD | {"alice": 13, "bob": 6}, {}, ("ok", "ok", "warning")),
        (GOOD | {"alice": 7, "bob": 7}, GOOD | {"alice": 7, "bob": 7}, {}, ("ok", "ok", "failed")),
        (GOOD | {"alice": 28}, GOOD, {}, ("ok", "ok", "failed")),
        (GOOD, GOOD, {"text": "@include common-auth\n"}, ("failed", "ok", "ok")),
    ],
)
def test_pam_must_refuse_and_let_in_whom_the_policy_says(
    checked: Callable[..., dict[str, Sign]],
    alone: dict[str, int],
    whole: dict[str, int],
    more: dict[str, Any],
    signs: tuple[str, str, str],
) -> None:
    made = checked(alone, whole, **more)
    assert made == dict(zip(("policy", "refused", "let-in"), map(Sign, signs), strict=True))


def test_modules_that_note_what_they_are_asked_are_not_asked(checked: Callable[..., dict[str, Sign]]) -> None:
    made = checked(GOOD, {}, account="pam_faillock.so")
    assert made == {"policy": Sign.OK, "refused": Sign.OK, "let-in": Sign.OK, "accounts": Sign.UNKNOWN}


def test_a_file_that_pam_does_not_understand_any_more_fails(checked: Callable[..., dict[str, Sign]]) -> None:
    assert checked({}, {}, text="nonsense\n") == {"policy": Sign.FAILED}


# --- what is gathered -----------------------------------------------------------------------------------------


def put(root: Path, path: str, text: str) -> None:
    (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
    (root / path[1:]).write_text(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("UID_MIN\t\t 500\n", 500),
        ("#UID_MIN 5\nSYS_UID_MIN 100\n", 1000),
        ("UID_MIN 1\n UID_MIN 2000 \n", 2000),
        ("", 1000),
    ],
)
def test_uid_min_is_read(tmp_path: Path, text: str, number: int) -> None:
    put(tmp_path, accounts.LOGIN_DEFS, text)
    assert accounts.uid_min(Host(tmp_path)) == number


def test_who_has_a_password_is_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        accounts.PASSWD,
        "root:x:0:0::/root:/bin/sh\na:x:1:1::/:/bin/sh\nb:x:2:2::/:\n+@nis\nc:x:3:3:::\n",
    )
    put(tmp_path, accounts.SHADOW, "root:$y$x:1::::::\na:!$y$x:1::::::\nb:*:1::::::\nc::1::::::\n")
    found = accounts.local_accounts(Host(tmp_path))
    assert [(each.name, each.uid, each.password) for each in found] == [
        ("root", 0, True),
        ("a", 1, False),
        ("b", 2, False),
        ("c", 3, False),
    ]


def test_nss_knows_this_hosts_own_groups_and_users() -> None:
    assert accounts.group_id(Host(), "root") == 0
    assert accounts.group_id(Host(), "no-such-group-here") is None
    assert accounts.group_id(Host(), "0") is None, "a number is no name"
    assert accounts.user_ids(Host(), "root")[0] == 0
    assert 0 in accounts.user_ids(Host(), "root")[1]
    assert accounts.user_ids(Host(), "no-such-user-here") == (None, frozenset())
    names = ["daemon", "no-such-user-here", "root", "0"]
    assert accounts.users_ids(Host(), names) == {name: accounts.user_ids(Host(), name) for name in names}
    assert accounts.users_ids(Host(), ["no-such-user-here"]) == {"no-such-user-here": (None, frozenset())}
