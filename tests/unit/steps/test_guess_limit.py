"""A limit on guessing: what the step plans, and what it refuses to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from snapshots.live.entry import Entry, Kind
from tests.unit.steps.recorded import NOW, bare, file, machine
from wizard.changes.file import FileChange
from wizard.changes.install_packages import PackagesChange
from wizard.changes.service import ServiceChange
from wizard.editors.fail2ban import Jail
from wizard.editors.pam_service import Policy, set_policy
from wizard.errors import GateError
from wizard.maillog.read import Logged, LogLine
from wizard.model import facts as f
from wizard.model.answers import Answers, Guess, Listen, Login
from wizard.model.facts import Facts
from wizard.model.plan import Check, Outcome, Plan, Sign
from wizard.model.step_facts import Fail2ban
from wizard.steps import guess_limit
from wizard.steps.guess_limit import CHOOSE, ENDS, OPTIONAL, RECIDIVE, GuessLimit, jail_file, ports
from wizard.system.host import Completed, Host

LIMIT = Answers(guess=Guess(limit=True))
JAIL = Jail("systemd", "5", "10m", "1h", actions=("nftables",))
ALL = ("fail2ban", "python3-systemd", "nftables")
HERE = Fail2ban("journal", jails={"sshd": Jail()}, stock=JAIL, wanted=JAIL, runs=True, enabled=True)
ABSENT = Fail2ban("journal", missing=ALL)


def host(seen: Fail2ban = HERE, text: str | None = None, **changes: Any) -> Facts:
    files: dict[str, Entry | None] = {f.JAIL: None if text is None else file(text)}
    return machine("13", **({"fail2ban": seen, "files": files} | changes))


def plan(facts: Facts, answers: Answers = LIMIT) -> Plan:
    return GuessLimit().plan(facts, answers)


def written(made: Plan) -> str:
    (change,) = (each for each in made.changes if isinstance(each, FileChange))
    assert change.after is not None
    return change.after.content.decode()


def option(text: str, key: str) -> str:
    return next(line.partition(" = ")[2] for line in text.splitlines() if line.startswith(f"{key} = "))


def test_nothing_is_planned_unasked() -> None:
    for facts in (host(), bare("13"), machine("12")):
        made = plan(facts, Answers())
        assert (made.outcome, made.reason, made.changes) == (Outcome.NOT_APPLICABLE, OPTIONAL, ())
    assert "guess.limit=true" in CHOOSE


def test_what_was_applied_is_not_taken_back_because_nothing_is_asked() -> None:
    made = plan(host(text="[sendmail-auth]\n"), Answers())
    assert made.outcome is Outcome.DONE
    assert "`msa-wizard rollback guess-limit`" in made.reason


def test_on_a_bare_host_packages_file_and_daemon() -> None:
    made = plan(host(ABSENT))
    packages, change, service = made.changes
    assert isinstance(packages, PackagesChange)
    assert packages.names == ALL
    assert isinstance(change, FileChange)
    assert change.path == f.JAIL
    assert service == ServiceChange("fail2ban", "systemd", enable=False, was_running=False)
    text = written(made)
    assert option(text, "backend") == "systemd"
    assert option(text, "journalmatch") == "_SYSTEMD_UNIT=sendmail.service _UID=0"
    assert [option(text, key) for key in ("maxretry", "findtime", "bantime")] == ["5", "10m", "1h"]
    assert option(text, "banaction") == "nftables[type=multiport]"
    assert option(text, "ignoreip") == "127.0.0.0/8 ::1"
    assert any("Debian's own jail for sshd" in note for note in made.notes)
    assert made.notes[0].startswith(
        "fail2ban bans an address for 1h after 5 wrong passwords within 10m: no connection"
    )


def test_it_is_done_once_the_jail_is_at_work() -> None:
    text = jail_file(host(), HERE, LIMIT)
    assert plan(host(dataclasses.replace(HERE, up=True), text)).outcome is Outcome.DONE
    stopped = plan(host(dataclasses.replace(HERE, runs=False), text))
    assert stopped.changes == (ServiceChange("fail2ban", "systemd", enable=False, was_running=False),)
    disabled = plan(host(dataclasses.replace(HERE, up=True, enabled=False), text))
    assert disabled.changes == (ServiceChange("fail2ban", "systemd", enable=True, was_running=True),)


def test_who_is_never_banned() -> None:
    own = dataclasses.replace(JAIL, ignored=("10.0.0.0/8", "mail.example.test"))
    seen = dataclasses.replace(HERE, stock=own, connection="198.51.100.7")
    answers = Answers(guess=Guess(limit=True, never=("192.0.2.0/24",)))
    text = written(plan(host(seen), answers))
    networks = "127.0.0.0/8 ::1 10.0.0.0/8 mail.example.test 198.51.100.7 192.0.2.0/24"
    assert option(text, "ignoreip") == networks
    # From another connection, or from none, there is nothing to do; with another change the present one counts.
    for peer in ("203.0.113.5", ""):
        later = dataclasses.replace(seen, connection=peer, up=True)
        assert plan(host(later, text), answers).outcome is Outcome.DONE
        longer = dataclasses.replace(answers, guess=dataclasses.replace(answers.guess, ban="2h"))
        made = option(written(plan(host(later, text), longer)), "ignoreip")
        assert made == networks.replace("198.51.100.7", peer or "198.51.100.7")


def test_a_file_that_was_applied_from_no_connection_is_not_drifted_from_one() -> None:
    text = jail_file(host(), HERE, LIMIT)
    assert (
        plan(host(dataclasses.replace(HERE, connection="198.51.100.7", up=True), text)).outcome
        is Outcome.DONE
    )


def test_a_jail_that_counts_bans_closes_more_and_that_is_a_question() -> None:
    jail = Jail(attempts="5", window="1d", ban="1w", actions=("iptables-allports",))
    seen = dataclasses.replace(HERE, jails={"recidive": jail, "sshd": Jail()}, recidive=("recidive",))
    made = plan(host(seen))
    (ending,) = made.ends
    assert ending.id == RECIDIVE
    assert ending.lines == ("recidive: bans for 1w after 5 bans within 1d, by iptables-allports",)
    assert r"ignoreregex = \[sendmail-auth\]" in ending.says
    assert made.notes[0].endswith("all else stay open to it until it is banned by recidive as well")
    text = jail_file(host(), HERE, LIMIT)
    longer = dataclasses.replace(LIMIT, guess=Guess(limit=True, ban="2h"))
    assert plan(host(seen, text), longer).ends == (), "they are counted already"
    done = plan(host(dataclasses.replace(seen, up=True), text))
    assert (done.outcome, done.notes[-1].startswith("each ban")) == (
        Outcome.DONE,
        True,
    )
    assert plan(host()).notes[0].endswith("all else stay open to it")


def test_the_ports_are_those_that_sendmail_serves() -> None:
    assert ports(host(), LIMIT) == (587,)
    assert ports(host(), dataclasses.replace(LIMIT, listen=Listen(implicit_tls=True))) == (465, 587)
    cf = file("O DaemonPortOptions=Name=T, Port=465, M=s\nO DaemonPortOptions=Name=MTA, Port=25\n")
    assert ports(host(files={f.SENDMAIL_CF: cf}), LIMIT) == (465, 587)
    more = "O DaemonPortOptions=Port=2525, M=a\nO DaemonPortOptions=Port=26, M=A\nO DaemonPortOptions=Port=27, Addr=127.0.0.1\n"
    assert ports(host(files={f.SENDMAIL_CF: file(more)}), LIMIT) == (587, 2525)


@pytest.mark.parametrize(
    ("listener", "planned", "there"),
    [
        ("Port=smtp", (), True),
        ("Port=smtp, M=A", (), False),
        ("Port=smtp, Addr=127.0.0.1", (), False),
        ("Port=smtp", ("smtp-port",), False),
    ],
)
def test_where_a_login_is_offered_at_port_25_a_ban_does_not_reach_it(
    listener: str, planned: tuple[str, ...], there: bool
) -> None:
    cf = file(f"O DaemonPortOptions=Name=MTA, {listener}\n")
    made = plan(host(files={f.SENDMAIL_CF: cf}, planned=frozenset(planned)))
    assert any("offered at port 25" in note for note in made.notes) is there


def test_whom_a_policy_refuses_counts_as_a_guesser_and_that_is_said() -> None:
    chosen = dataclasses.replace(LIMIT, login=Login("no-system-accounts"))
    there = host(files={f.PAM_SMTP: file(set_policy("@include common-auth\n", Policy(1000)))})
    for made, says in ((plan(host()), False), (plan(host(), chosen), True), (plan(there), True)):
        assert any("login-policy" in note for note in made.notes) is says


@pytest.mark.parametrize(("value", "there"), [("5s", True), ("0", False), ("0s", False)])
def test_who_hides_behind_ident_is_told_of(value: str, there: bool) -> None:
    made = plan(host(files={f.SENDMAIL_CF: file(f"O Timeout.ident={value}\n")}))
    assert any("confTO_IDENT" in note for note in made.notes) is there
    assert r"relay=[^\s@\[\],]+@\[(?:IPv6:<IP6>|<IP4>)\]" in written(made)


def test_jails_that_begin_with_fail2ban_are_named() -> None:
    (note,) = (each for each in plan(host()).notes if "jails" in each)
    assert note == "the other jails of fail2ban stay as they are: sshd"
    (note,) = (each for each in plan(host(dataclasses.replace(HERE, runs=False))).notes if "jails" in each)
    assert note.startswith("fail2ban does not run now; with it these jails begin as well: sshd (sshd bans")
    unread = dataclasses.replace(HERE, runs=False, sshd_unread=True)
    assert any("told to read the journal" in note for note in plan(host(unread)).notes)


def test_a_log_file_is_read_where_there_is_no_journal() -> None:
    made = plan(host(dataclasses.replace(ABSENT, log="/var/log/mail.log")))
    text = written(made)
    assert (option(text, "backend"), option(text, "logpath")) == ("auto", "/var/log/mail.log")
    assert "journalmatch" not in text
    assert any("any user of this host can write such a line" in note for note in made.notes)


@pytest.mark.parametrize(
    ("release", "seen", "there"),
    [
        ("12", dataclasses.replace(ABSENT, sshd_unread=True), True),
        ("12", ABSENT, False),
        ("13", dataclasses.replace(ABSENT, sshd_unread=True), False),
        ("13", dataclasses.replace(HERE, sshd_unread=True), True),
        ("12", HERE, False),
    ],
)
def test_sshd_is_told_where_to_read_only_where_fail2ban_would_not_start(
    release: str, seen: Fail2ban, there: bool
) -> None:
    text = jail_file(machine(release, fail2ban=seen), seen, LIMIT)
    assert ("[sshd]" in text) is there


def test_the_admins_own_jail_is_not_touched() -> None:
    for names in (("sendmail-auth",), ("mail",)):
        made = plan(host(dataclasses.replace(HERE, theirs=names)))
        assert (made.outcome, made.changes) == (Outcome.DONE, ())
        assert names[0] in made.reason
    ended = plan(host(dataclasses.replace(HERE, theirs=("sendmail-auth",), runs=False)))
    assert ended.outcome is Outcome.BLOCKED
    assert "it does not run" in ended.reason


def test_the_admins_own_way_to_ban_stays() -> None:
    seen = dataclasses.replace(HERE, stock=dataclasses.replace(JAIL, actions=("ufw",)))
    made = plan(host(seen))
    assert "banaction" not in written(made)
    assert any("banned by ufw" in note for note in made.notes)
    mails = dataclasses.replace(
        HERE, stock=dataclasses.replace(JAIL, actions=("iptables-multiport", "sendmail"))
    )
    assert "banaction = nftables" in written(plan(host(mails))), (
        "that is Debian's, and the mail is still sent"
    )


def test_an_action_that_debian_has_too_stays_where_the_admin_chose_it() -> None:
    actions = ("nftables",)
    seen = dataclasses.replace(
        HERE, stock=dataclasses.replace(JAIL, actions=actions), banaction="nftables[type=allports]"
    )
    assert "banaction" not in written(plan(host(seen)))
    assert seen.needs_nft


def gated(monkeypatch: pytest.MonkeyPatch, now: Fail2ban, made_with: Fail2ban = ABSENT) -> str:
    """What the gate says of a file that was made with the one, where there is the other now."""
    monkeypatch.setattr("wizard.gather.fail2ban.configured", lambda *_: now)
    monkeypatch.setattr("wizard.gather.fail2ban.tried", lambda *_: ("", {"sendmail-auth": JAIL}))
    (change,) = (each for each in plan(host(made_with)).changes if isinstance(each, FileChange))
    assert change.gate is not None
    try:
        change.gate.check(Host(), b"", lambda _: None)
    except GateError as error:
        return str(error)
    return ""


def test_what_came_with_fail2ban_must_be_what_the_file_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gated(monkeypatch, HERE) == ""
    office = dataclasses.replace(HERE, stock=dataclasses.replace(JAIL, ignored=("192.0.2.0/24",)))
    assert gated(monkeypatch, office, office) == ""
    says = gated(monkeypatch, office)
    assert says.startswith("your own configuration of fail2ban never bans 192.0.2.0/24. Nothing was written")
    assert "apt-get install fail2ban" in says
    assert "has a jail for this (mail)" in gated(monkeypatch, dataclasses.replace(HERE, theirs=("mail",)))
    assert "bans by ufw" in gated(monkeypatch, dataclasses.replace(HERE, banaction="ufw"))
    assert gated(monkeypatch, dataclasses.replace(HERE, broken="it is broken")).startswith("it is broken")


def test_what_the_admin_sets_for_the_jail_counts_and_is_said() -> None:
    seen = dataclasses.replace(HERE, wanted=dataclasses.replace(JAIL, attempts="2"))
    assert (
        "maxretry = 2 in your own configuration of fail2ban counts more than 5 in the settings"
        in plan(host(seen)).notes
    )


BROKEN: dict[str, tuple[Facts, str]] = {
    "broken": (
        host(dataclasses.replace(HERE, broken="fail2ban's own configuration is broken: x")),
        "is broken: x",
    ),
    "a configuration that waits for fail2ban": (
        host(dataclasses.replace(ABSENT, own=("/etc/fail2ban/jail.local",))),
        "fail2ban is not installed, but will read /etc/fail2ban/jail.local",
    ),
    "refused": (host(dataclasses.replace(HERE, refused="bad")), "would not take"),
    "disabled": (host(dataclasses.replace(HERE, wanted=None)), "disables the jail sendmail-auth"),
    "no log": (host(Fail2ban()), "keeps no log of mail"),
    "nft": (host(dataclasses.replace(HERE, without_nft="Operation not permitted")), "nft does not work"),
    "quiet": (host(files={f.SENDMAIL_CF: file("O LogLevel=8\n")}), "logs no wrong password with LogLevel=8"),
    "link": (
        host(files={f.JAIL: Entry(Kind.SYMLINK, 0o777, 0, 0, b"mine.conf")}),
        "is not a regular file but a symlink",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_in_the_way_is_said_with_what_to_do(name: str) -> None:
    facts, says = BROKEN[name]
    made = plan(facts)
    assert made.outcome is Outcome.BLOCKED
    assert says in made.reason
    assert made.remedy


def test_who_would_have_been_banned_is_asked_about() -> None:
    seen = dataclasses.replace(HERE, lost=("198.51.100.9: banned 2026-11-30 05:00, but bob logged in",))
    (ending,) = plan(host(seen)).ends
    assert (ending.id, ending.lines) == (ENDS, seen.lost)
    assert "logins from 1 address would" in ending.says


def test_what_the_log_does_not_tell_of_them_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.gather.fail2ban.look", lambda *_: ABSENT)
    monkeypatch.setattr(guess_limit, "apt_simulation", lambda *_: None)
    monkeypatch.setattr(guess_limit, "recent", lambda *_: Logged(lacks="x"))
    facts = dataclasses.replace(host(), fail2ban=None, euid=0)
    seen = GuessLimit().gathered(Host(), facts, LIMIT).fail2ban
    assert seen is not None
    assert "who logged in lately cannot be seen: x" in plan(host(seen, euid=0)).notes


def test_whom_another_limit_would_have_banned_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "6AU5Ww61000576: AUTH failure (LOGIN): x (-13) SASL(-13): x, user=bob, relay=[198.51.100.9]"
    log = [LogLine(NOW + at, "sm-mta", 7, wrong) for at in range(4)]
    log.append(LogLine(NOW + 9, "sm-mta", 7, "AUTH=server, relay=[198.51.100.9], authid=bob, mech=LOGIN"))
    monkeypatch.setattr(guess_limit, "recent", lambda *_: Logged(tuple(log)))
    monkeypatch.setattr("wizard.gather.fail2ban.in_force", lambda _: JAIL.limit)

    def asked(**guess: Any) -> list[str]:
        answers = Answers(guess=dataclasses.replace(LIMIT.guess, **guess))
        new = dataclasses.replace(JAIL, attempts=str(answers.guess.attempts))
        seen = dataclasses.replace(HERE, up=True, wanted=new)
        monkeypatch.setattr("wizard.gather.fail2ban.look", lambda *_: seen)
        monkeypatch.setattr("wizard.gather.fail2ban.tried", lambda *_: ("", {"sendmail-auth": new}))
        facts = dataclasses.replace(host(text=jail_file(host(), HERE, LIMIT)), fail2ban=None, euid=0)
        found = GuessLimit().gathered(Host(), facts, answers)
        return [ending.id for ending in plan(found, answers).ends]

    assert asked() == [], "it is the limit that there is"
    assert asked(attempts=6) == []
    assert asked(attempts=3) == [ENDS]


class Banning(Host):
    """A host whose fail2ban and nft answer, and what they were asked."""

    def __init__(self, actions: str, *, nft: bool = True, lifts: bool = True) -> None:
        super().__init__()
        object.__setattr__(self, "asked", list[str]())
        object.__setattr__(self, "said", (actions, nft, lifts))

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        """As fail2ban-client and nft do."""
        actions, nft, lifts = self.said  # type: ignore[attr-defined]
        asked: list[str] = self.asked  # type: ignore[attr-defined]
        asked.append(" ".join(argv[1:]))
        out = ""
        if "actions" in argv:
            out = f"The jail sendmail-auth has the following actions:\n{actions}\n"
        elif argv[0] == "nft" and nft:
            there = any("banip" in each.split() for each in asked)
            gone = lifts and any("unbanip" in each for each in asked)
            out = "elements = { 192.0.2.1 }" if there and not gone else ""
        elif "fail2ban-regex" in argv[0]:
            out = "Lines: 2 lines, 0 ignored, 2 matched, 0 missed"
        return Completed(tuple(argv), 0, out, "", 0.0)


def checks(
    host: Banning, monkeypatch: pytest.MonkeyPatch, *, logs: bool = True, place: str = "journal"
) -> dict[str, Check]:
    monkeypatch.setattr(guess_limit, "_BANS_WITHIN", 0.3)
    monkeypatch.setattr(guess_limit, "arrives", lambda *_: logs)
    monkeypatch.setattr(guess_limit, "where", lambda _: place)
    return {check.id: check for check in GuessLimit().verify(host, machine("13"), LIMIT)}


def test_a_ban_is_tried_and_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Banning("nftables")
    found = checks(host, monkeypatch)
    assert {check.sign for check in found.values()} == {Sign.OK}
    assert [each for each in host.asked if "banip" in each] == [  # type: ignore[attr-defined]
        "set sendmail-auth banip 192.0.2.1",
        "set sendmail-auth unbanip 192.0.2.1",
    ]
    assert GuessLimit().verify(host, machine("13"), Answers()) == []


def test_a_log_to_which_nothing_comes_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    made = checks(Banning("nftables"), monkeypatch, logs=False)["log"]
    assert made.sign is Sign.FAILED
    assert made.says == "mail is not logged to the journal, which fail2ban reads"
    assert "systemd-journald" in made.remedy


def test_a_log_file_may_be_for_sendmails_lines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """rsyslog can choose by program, and then ours proves nothing."""
    made = checks(Banning("nftables"), monkeypatch, logs=False, place="/var/log/mail.log")["log"]
    assert made.sign is Sign.WARNING
    assert made.says.startswith("a line of our own does not come to /var/log/mail.log, which fail2ban reads;")
    assert "tail /var/log/mail.log" in made.remedy


def test_a_ban_that_does_not_reach_nft_is_a_failure_and_is_lifted_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Banning("nftables", nft=False)
    assert checks(host, monkeypatch)["ban"].sign is Sign.FAILED
    assert "set sendmail-auth unbanip 192.0.2.1" in host.asked  # type: ignore[attr-defined]
    stays = checks(Banning("nftables", lifts=False), monkeypatch)["ban"]
    assert (stays.sign, "stays in the packet filter" in stays.says) == (Sign.FAILED, True)


@pytest.mark.parametrize("actions", ["cloudflare", "nftables, sendmail-whois-lines", "ufw"])
def test_an_action_of_the_admins_own_is_not_tried(monkeypatch: pytest.MonkeyPatch, actions: str) -> None:
    host = Banning(actions)
    found = checks(host, monkeypatch)
    assert found["ban"].sign is Sign.UNKNOWN
    assert not [each for each in host.asked if "banip" in each]  # type: ignore[attr-defined]
