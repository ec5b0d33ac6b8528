"""Who logged in lately: by whole logs, and by such that hold less than was logged."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wizard.editors.fail2ban import Limit
from wizard.errors import HostError
from wizard.maillog import guessing, read, recent
from wizard.maillog.read import LOG
from wizard.model.step_facts import HandedIn
from wizard.system.host import Completed, Host

CF = "O LogLevel=9\n"
NOW = time.time()
DAY = 86400.0
GUESSER, OFFICE = "198.51.100.2", "192.0.2.7"
LOGIN = "AUTH=server, relay=pc.example [{}], authid={}, mech=LOGIN, bits=0"
TLS = "STARTTLS=server, relay=pc.example [{}], version={}, verify=NOT, cipher=X, bits=256/256"
WRONG = (
    "6AU5W: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): x, user=bob, relay=pc.example [{}]"
)


class Journal(Host):
    """A host whose journal holds lines, a pair of when and what each, and began at `begin`."""

    logged: list[tuple[float, str]]
    begin: float
    code: int
    complaint: str
    asked: list[str]

    def run(self, argv: Sequence[str], *, say: Callable[[str], None] | None = None, **_: Any) -> Completed:
        """As journalctl does."""
        first = [f'{{"__REALTIME_TIMESTAMP" : "{self.begin * 1e6:.0f}"}}']
        if "-g" not in argv:
            lines = first
        elif self.code < 0:
            raise HostError("journalctl did not end within 8 s and was stopped")
        else:
            words, most = argv[list(argv).index("-g") + 1], int(argv[list(argv).index("-n") + 1])
            self.asked.append(words)
            found = [entry(at, text) for at, text in reversed(self.logged) if re.search(words, text)]
            lines = found[:most]
        for line in lines:
            if say:
                say(line)
        code = self.code or int(not lines)
        return Completed(tuple(argv), code, "\n".join(lines), self.complaint if "-g" in argv else "", 0.0)


def entry(at: float, text: str, pid: int = 7) -> str:
    stamp = f"{at * 1e6:.0f}"
    fields = {"SYSLOG_IDENTIFIER": "sm-mta", "_PID": str(pid), "_UID": "0", "_TRANSPORT": "syslog"}
    return json.dumps({"MESSAGE": text, "_SOURCE_REALTIME_TIMESTAMP": stamp, **fields})


def journal(
    root: Path,
    *logged: tuple[float, str],
    begin: float = NOW - 90 * DAY,
    code: int = 0,
    complaint: str = "",
) -> Journal:
    for path in ("run/systemd/journal/socket", "var/log/journal/abc/system.journal"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")
    made = Journal(root)
    values = {"logged": [*logged], "begin": begin, "code": code, "complaint": complaint, "asked": []}
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def day(at: float) -> str:
    return time.strftime("%F %R", time.localtime(at))


def test_a_whole_journal_leaves_nothing_unknown(tmp_path: Path) -> None:
    host = journal(tmp_path, (NOW - DAY, LOGIN.format(OFFICE, "alice@x")), (NOW, LOGIN.format(OFFICE, "bob")))
    found, unknown = recent.recent_logins(host, CF)
    assert (sorted(found), unknown) == (["alice", "bob"], "")
    assert recent.recent_logins(journal(tmp_path), CF) == ({}, ""), "status 1: nothing matched"


def test_where_more_was_logged_than_is_read_it_says_since_when_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "_MOST", 2)
    logged = [(NOW - at * DAY, LOGIN.format(OFFICE, f"u{at}")) for at in (3, 2, 1)]
    found, unknown = recent.recent_logins(journal(tmp_path, *logged), CF)
    assert sorted(found) == ["u1", "u2"]
    assert (
        unknown
        == f"who logged in before {day(NOW - 2 * DAY)} is not known: there are more than the 2 newest lines"
    )


def test_where_the_time_does_not_do_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Journal):
        def run(
            self, argv: Sequence[str], *, over: Callable[[], bool] | None = None, **rest: Any
        ) -> Completed:
            """Ended by who asked."""
            result = super().run(argv, **rest)
            if over and "-g" in argv:
                time.sleep(0.02)
                assert over()
                return Completed(result.argv, -15, result.stdout, "", 0.0)
            return result

    monkeypatch.setattr(recent, "_PATIENCE", 0.01)
    made = journal(tmp_path, (NOW - DAY, LOGIN.format(OFFICE, "alice")))
    slow = Slow(tmp_path)
    slow.__dict__.update(made.__dict__)
    found, unknown = recent.recent_logins(slow, CF)
    assert [*found] == ["alice"]
    assert unknown.startswith(f"who logged in before {day(NOW - DAY)} is not known: ")


def test_a_journal_that_begins_later_says_when(tmp_path: Path) -> None:
    unknown = recent.recent_logins(journal(tmp_path, begin=NOW - 2 * DAY), CF)[1]
    assert (
        unknown == f"who logged in before {day(NOW - 2 * DAY)} is not known: the journal goes back no further"
    )


@pytest.mark.parametrize(
    ("code", "complaint", "says"),
    [
        (1, "Failed to open files: Bad message\n", "status 1: Failed to open files: Bad message"),
        (0, "Journal file x.journal is truncated, ignoring file.\n", "x.journal is truncated"),
        (2, "", "status 2"),
        (-1, "", "did not end within 8 s"),
    ],
)
def test_a_journal_that_cannot_be_read_is_not_nobody(
    tmp_path: Path, code: int, complaint: str, says: str
) -> None:
    unknown = recent.recent_logins(journal(tmp_path, code=code, complaint=complaint), CF)[1]
    assert unknown.startswith("who logged in lately cannot be seen: ")
    assert says in unknown


def test_what_is_not_logged_at_all_is_not_nobody(tmp_path: Path) -> None:
    low = recent.recent_logins(journal(tmp_path), "O LogLevel=8\n")[1]
    assert low == "who logged in lately cannot be seen: sendmail logs no login with LogLevel=8 (sendmail.cf)"
    none = recent.recent_logins(Host(tmp_path / "none"), CF)[1]
    assert none == "who logged in lately cannot be seen: this host keeps no log of mail that can be read"
    assert recent.recent_logins(Host(tmp_path / "none"), "") == ({}, ""), "no sendmail lets anybody in"


def test_servers_that_bring_mail_push_no_login_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST", 10)
    logged = [
        (NOW - 9 * DAY, TLS.format(OFFICE, "TLSv1")),
        (NOW - 9 * DAY + 1, LOGIN.format(OFFICE, "alice")),
    ]
    logged += [(NOW - at, TLS.format(GUESSER, "TLSv1.2")) for at in range(99, 0, -1)]
    found, unknown = recent.recent_tls(journal(tmp_path, *logged), CF, lambda version, _: version == "TLSv1")
    assert ([each.user for each in found], unknown) == (["alice"], "")


def test_who_guesses_pushes_no_login_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST", 10)
    six = "IPv6:2001:db8::7"
    logged = [(NOW - 9 * DAY + at, WRONG.format(peer)) for at in range(3) for peer in (OFFICE, six)]
    logged += [(NOW - 9 * DAY + 9, LOGIN.format(peer, "bob")) for peer in (OFFICE, six)]
    logged += [(NOW - at, WRONG.format(GUESSER)) for at in range(99, 0, -1)]
    made = guessing.recent(journal(tmp_path, *logged), CF)
    assert recent.unknown(made) == ""
    assert [ban.address for ban in guessing.bans(made.lines, Limit(3, 600, 3600))] == [OFFICE, "2001:db8::7"]


def test_of_very_many_who_logged_in_all_lines_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "_ADDRESSES", 1)
    logged = [(NOW - DAY, LOGIN.format(peer, "bob")) for peer in (OFFICE, GUESSER)]
    host = journal(tmp_path, *logged, (NOW, WRONG.format("203.0.113.1")))
    assert len(guessing.recent(host, CF).lines) == 3
    assert host.asked[-1] == guessing._WORDS


def logfile(root: Path, *lines: str) -> Host:
    path = root / LOG.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return Host(root)


def stamped(at: float, text: str) -> str:
    return f"{time.strftime('%FT%T+00:00', time.gmtime(at))} mail sm-mta[7]: {text}"


def test_a_log_file_says_how_far_back_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [stamped(NOW - 40 * DAY, "x"), stamped(NOW - DAY, LOGIN.format(OFFICE, "alice"))]
    assert recent.recent_logins(logfile(tmp_path, *lines), CF)[1] == ""
    found, unknown = recent.recent_logins(logfile(tmp_path, *lines[1:]), CF)
    assert [*found] == ["alice"]
    assert unknown == f"who logged in before {day(NOW - DAY)} is not known: {LOG} goes back no further"
    monkeypatch.setattr(read, "_FILE_END", len(lines[1]) + 10)
    assert f"only the end of {LOG} is read" in recent.recent_logins(logfile(tmp_path, *lines), CF)[1]


def test_dates_without_a_year_are_said_to_tell_nothing(tmp_path: Path) -> None:
    line = f"Nov 30 05:00:00 mail sm-mta[7]: {LOGIN.format(OFFICE, 'alice')}"
    found, unknown = recent.recent_logins(logfile(tmp_path, line), CF)
    assert found == {"alice": 0.0}
    assert (
        unknown
        == f"who logged in lately may not be all that there is to see: the dates in {LOG} have no year"
    )


def test_a_log_file_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = logfile(tmp_path, "x")
    monkeypatch.setattr(recent, "where", lambda _: LOG)
    (tmp_path / LOG.lstrip("/")).unlink()
    assert "mail.log cannot be read: No such file" in recent.recent_logins(host, CF)[1]


MAIL = (
    "6AUDaFNq000915: from=<{}>, size=14, class=0, nrcpts={}, msgid=<202611301336.6AUDaFNq000915@mail.example.test>, "
    "proto={}, daemon={}, relay=pc.example [{}]"
)
"""What sendmail 8.17 and 8.18 log of mail that comes in."""


def came_in(address: str, proto: str, daemon: str, *, sender: str = "a@x", receivers: int = 1) -> str:
    return MAIL.format(sender, receivers, proto, daemon, address)


def brought(made: tuple[tuple[HandedIn, ...], str]) -> list[tuple[str, str, str, str, bool]]:
    return [(each.user, each.mechanism, each.address, each.listener, each.encrypted) for each in made[0]]


@pytest.mark.parametrize("place", ["journal", "file"])
def test_mail_belongs_to_the_login_of_its_process(tmp_path: Path, place: str) -> None:
    then = int(NOW - 2 * DAY)
    logged = [
        (then, LOGIN.format(OFFICE, "bob@x")),
        (then + 1, came_in(OFFICE, "ESMTPA", "MTA-v4")),
        (then + 3000, came_in(OFFICE, "ESMTPA", "MTA-v4")),
        (
            then + 6000,
            came_in(OFFICE, "ESMTPA", "MTA-v4"),
        ),  # one session, of which each mail is not an hour old
        (then + 7000, LOGIN.format(OFFICE, "alice").replace("LOGIN", "PLAIN")),
        (then + 7001, came_in(OFFICE, "ESMTPSA", "MSP-v4")),
        (then + 7002, came_in(OFFICE, "ESMTP", "MTA-v4")),
        (
            then + 20000,
            came_in(OFFICE, "ESMTPA", "MTA-v4"),
        ),  # another process, of whose login nothing is known
    ]
    if place == "journal":
        host: Host = journal(tmp_path, *logged)
    else:
        host = logfile(tmp_path, stamped(NOW - 40 * DAY, "x"), *(stamped(*line) for line in logged))
    made = recent.mail_after_login(host, CF)
    assert brought(made) == [
        ("alice", "PLAIN", OFFICE, "MSP-v4", True),
        ("bob", "LOGIN", OFFICE, "MTA-v4", False),
    ]
    assert [round(each.at - then) for each in made[0]] == [7001, 6000]
    assert made[1] == ""


class Long(Host):
    """A host with a long journal, whose lines come as fast as they are read."""

    lines: ClassVar[list[str]] = []

    def run(
        self, argv: Sequence[str], *, say: Callable[[str], None] | None = None, **options: Any
    ) -> Completed:
        def counted(line: str) -> None:
            self.lines.append(line)
            assert say is not None
            say(line)

        writes = """yes '{"__REALTIME_TIMESTAMP" : "7000000"}' | head -n 20000"""
        return super().run(["sh", "-c", writes], say=counted, **options)


def test_the_begin_of_a_journal_takes_no_look_at_its_end() -> None:
    assert read.journal_begin(Long()) == 7.0
    assert len(Long.lines) == 1


def test_a_log_of_the_run_has_no_failure_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = list[str]()
    monkeypatch.setattr("wizard.log.note", notes.append)
    read.journal_begin(Long())
    assert [note.rpartition(": ")[2] for note in notes] == ["its first line is all that was asked for"]


def test_the_steps_of_a_plan_read_the_log_once_for_each_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = journal(
        tmp_path,
        (NOW - 9, LOGIN.format(OFFICE, "bob")),
        (NOW - 8, came_in(OFFICE, "ESMTPA", "MTA-v4")),
        (NOW - 7, came_in(GUESSER, "SMTP", "web")),
        (NOW - 6, came_in(GUESSER, "SMTP", "MTA-v4")),
    )

    def looked() -> list[int]:
        """How many are found, and how often the journal was asked until then."""
        without = recent.mail_without_login(host, CF, {"web"})[0]
        after = [recent.mail_after_login(host, CF)[0] for _ in range(2)]
        return [len(without), *map(len, after), len(host.asked)]

    assert looked() == [1, 1, 1, 2]
    assert looked() == [1, 1, 1, 2]
    other = host.logged[3][1]
    assert not any(re.search(words, other) for words in host.asked), "mail of other servers may be any number"
    monkeypatch.setattr(recent, "_KEPT_FOR", -1.0)
    assert looked() == [1, 1, 1, 5]


def test_mail_without_a_login_pushes_no_login_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST", 10)
    logged = [
        (NOW - 9 * DAY, LOGIN.format(OFFICE, "alice")),
        (NOW - 9 * DAY + 1, came_in(OFFICE, "ESMTPA", "MTA-v4")),
    ]
    logged += [(NOW - at, came_in(GUESSER, "ESMTP", "web")) for at in range(99, 0, -1)]
    host = journal(tmp_path, *logged)
    recent.mail_without_login(host, CF, {"web"})
    found, unknown = recent.mail_after_login(host, CF)
    assert ([each.user for each in found], unknown) == (["alice"], "")


def test_mail_without_a_login_counts_at_the_listeners_asked_for(tmp_path: Path) -> None:
    tail = f"proto=ESMTP, daemon=web, relay=[{GUESSER}]"
    logged = [
        (NOW - 9, came_in(OFFICE, "SMTP", "web")),
        (NOW - 8, came_in("127.0.0.1", "ESMTPS", "web")),
        (NOW - 7, came_in(GUESSER, "ESMTP", "MTA-v4")),
        (NOW - 6, came_in(GUESSER, "ESMTPSA", "web")),
        (NOW - 5, came_in(GUESSER, "ESMTP", "web", receivers=0)),  # refused
        (NOW - 4, came_in("203.0.113.1", "ESMTP", "MTA-v4", sender=f"x>, nrcpts=1, {tail}")),
        (NOW - 3, came_in(OFFICE, "SMTP", "web")),
    ]
    made = recent.mail_without_login(journal(tmp_path, *logged), CF, {"web"})
    assert brought(made) == [("", "", "127.0.0.1", "web", True), ("", "", OFFICE, "web", False)]
    assert (round(NOW - made[0][1].at), made[1]) == (3, "")
    low = recent.mail_without_login(journal(tmp_path), "O LogLevel=4\n", {"web"})
    says = "who sent mail without a login lately cannot be seen: sendmail logs no mail with LogLevel=4 (sendmail.cf)"
    assert low == ((), says)
