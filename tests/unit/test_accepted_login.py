"""What is kept of a login that was accepted."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from wizard.maillog.read import LOG, LogLine
from wizard.maillog.watched_login import _note, wait_for_login
from wizard.model.plan import Sign
from wizard.smtp.login_test import Credentials, Finding, Result, Target
from wizard.system.accepted_login import PATH, accepted_login, note_login
from wizard.system.host import Host
from wizard.system.sockets import Listener


def test_the_last_one_counts_until_the_set_up_changes(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert accepted_login(host, 0) is None
    note_login(host, "alice")  # no folder for it: nothing is kept, and nothing fails
    assert accepted_login(host, 0) is None
    host.path("/var/lib").mkdir(parents=True)
    note_login(host, "alice")
    note_login(host, "bob")
    kept = accepted_login(host, 0)
    assert kept is not None
    assert (kept.user, kept.outdated) == ("bob", False)
    later = accepted_login(host, kept.at + 1)
    assert later is not None
    assert later.outdated


def test_when_a_whole_test_has_passed_is_kept_beside_the_last_login(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.path("/var/lib").mkdir(parents=True)
    passed = []
    for whole in (False, True, False):
        note_login(host, "alice", passed=whole)
        kept = accepted_login(host, 0)
        assert kept is not None
        passed.append((kept.passed, kept.at))
    assert passed[0][0] == 0.0
    assert passed[1][0] == passed[1][1]
    assert passed[2][0] == passed[1][0] < passed[2][1]


def test_the_last_one_from_another_machine_is_kept_until_the_set_up_changes(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.path("/var/lib").mkdir(parents=True)
    note_login(host, "alice", address="203.0.113.9")
    note_login(host, "bob", passed=True)  # a test on this host itself
    login = accepted_login(host, 0)
    assert login is not None
    assert login.outside is not None
    assert (login.user, login.outside.user, login.outside.address) == ("bob", "alice", "203.0.113.9")
    later = accepted_login(host, login.at + 1)
    assert later is not None
    assert (later.outdated, later.outside) == (True, None)


@pytest.mark.parametrize("file", ["", LOG])
def test_a_login_from_outside_is_kept_where_the_daemon_itself_wrote_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """Any user of the host can write to a file."""
    host = Host(tmp_path)
    host.path("/var/lib").mkdir(parents=True)
    line = LogLine(
        0.0, "sm-mta", 7, "AUTH=server, relay=[203.0.113.9], authid=alice, mech=LOGIN, bits=0", file
    )
    log = SimpleNamespace(source="journal", taken=lambda: (line,))
    monkeypatch.setattr("wizard.maillog.watched_login.LogFollower", lambda _: nullcontext(log))
    monkeypatch.setattr(
        "wizard.maillog.watched_login.listeners", lambda _: (Listener("0.0.0.0", 587, "sendmail-mta", 7),)
    )
    wait_for_login(host, 5, lambda _: None, lambda: False)
    login = accepted_login(host, 0)
    who = (login.user, login.outside.address) if login is not None and login.outside is not None else None
    assert who == (None if file else ("alice", "203.0.113.9"))


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.path("/var/lib/msa-wizard").mkdir(parents=True)
    for text in (
        "",
        "[]",
        "{}",
        '{"user": "a", "at": "x"}',
        '{"user": "a", "at": 1, "outside": {"address": "x"}}',
    ):
        host.path(PATH).write_text(text)
        assert accepted_login(host, 0) is None


@pytest.mark.parametrize(
    ("port", "login_only", "state", "passed"),
    [
        (587, False, Sign.WARNING, True),
        (587, False, Sign.FAILED, False),
        (465, False, Sign.OK, False),
        (587, True, Sign.OK, False),
    ],
)
def test_a_test_has_passed_where_nothing_of_what_it_looks_at_is_wrong(
    tmp_path: Path, port: int, login_only: bool, state: Sign, passed: bool
) -> None:
    host = Host(tmp_path)
    host.path("/var/lib").mkdir(parents=True)
    target = Target("127.0.0.1", port=port, login_only=login_only)
    finding = Finding("smtp-auth", state, "Port 25.")
    result = Result(True, None, "accepted", 235, (), (finding,), None, "TLSv1.3", None)
    _note(host, target, result, Credentials("alice", "made-up"), here=True)
    kept = accepted_login(host, 0)
    assert kept is not None
    assert bool(kept.passed) is passed
