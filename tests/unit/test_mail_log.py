"""The one reader of the mail log: the daemon's own lines in the journal, and what a file can never prove."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from wizard.errors import HostError
from wizard.maillog.read import LOG, UNPROVED, Journal, LogLine, file_line, lines, where
from wizard.model.plan import Sign
from wizard.steps.restart import _log, since_start
from wizard.system.host import Completed, Host

WEDGED = "Nov 22 10:00:01 mail sm-mta[9]: daemon X: problem creating SMTP socket"
START = "Nov 22 10:00:00 mail sm-mta[9]: starting daemon (8.17.1.9): SMTP+queueing@00:10:00"
LOGIN = "AUTH=server, relay=pc.example [203.0.113.9], authid=alice, mech=LOGIN, bits=0"
REAL = {
    "MESSAGE": LOGIN,
    "SYSLOG_IDENTIFIER": "sm-mta",
    "SYSLOG_PID": "77",
    "_PID": "1097",
    "_UID": "0",
    "_EXE": "/usr/libexec/sendmail/sendmail",
    "_TRANSPORT": "syslog",
    "_SOURCE_REALTIME_TIMESTAMP": "1795412303340699",
    "__REALTIME_TIMESTAMP": "1795412303340700",
}
"""As Debian 12 and 13 record a line of the daemon's child."""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/:/bin/sh\nsmmta:x:101:102::/:\nbob:x:1001:1001::/:/bin/sh\n"
    )
    return Journal(Host(tmp_path))


def read(journal: Journal, **changes: Any) -> LogLine | None:
    """The line with fields changed, or taken out where they are None."""
    entry = {name: value for name, value in (REAL | changes).items() if value is not None}
    return journal.line(json.dumps(entry))


def test_the_daemons_own_line_counts_with_the_journals_pid_and_time(journal: Journal) -> None:
    assert read(journal) == LogLine(1795412303.340699, "sm-mta", 1097, LOGIN)
    assert read(journal, _SOURCE_REALTIME_TIMESTAMP=None) == LogLine(1795412303.3407, "sm-mta", 1097, LOGIN)


@pytest.mark.parametrize(
    "changes",
    [
        {"_EXE": None},  # a child that had ended
        {"_UID": "101"},  # RunAsUser=smmta
        {"SYSLOG_IDENTIFIER": "sendmail"},
        {"SYSLOG_IDENTIFIER": "saslauthd", "_EXE": "/usr/sbin/saslauthd"},
        {"MESSAGE": list(LOGIN.encode())},
        {"_SYSTEMD_UNIT": "session-1.scope"},  # started by its init script, by hand
    ],
)
def test_real_lines_are_believed(journal: Journal, changes: dict[str, Any]) -> None:
    found = read(journal, **changes)
    assert found is not None
    assert (found.text, found.pid, found.file) == (LOGIN, 1097, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"_UID": "1001", "_EXE": "/usr/bin/logger"},
        {"_UID": "1001", "_EXE": None},  # logger, which ends at once
        {"_UID": "1001"},  # sendmail itself, run by a user
        {"_UID": "1001", "_SYSTEMD_UNIT": "sendmail.service"},  # a program of a user's .forward
        {"_UID": None},
        {"_UID": ["0", "1001"]},
        {"_EXE": "/usr/bin/su"},
        {"_EXE": "/usr/sbin/saslauthd"},
        {"_EXE": ["/usr/libexec/sendmail/sendmail"]},
        {"_TRANSPORT": "journal"},  # sd_journal_send
        {"_TRANSPORT": "stdout"},  # systemd-cat
        {"_TRANSPORT": None},
        {"SYSLOG_IDENTIFIER": "logger"},
        {"SYSLOG_IDENTIFIER": ["sm-mta", "x"]},
        {"_PID": "x"},
        {"_PID": "9" * 5000},
        {"MESSAGE": None},
        {"MESSAGE": [1, 999]},
        {"MESSAGE": [True, "x"]},
    ],
)
def test_forged_and_odd_lines_are_not(journal: Journal, changes: dict[str, Any]) -> None:
    assert read(journal, **changes) is None


@pytest.mark.parametrize("text", ["", "-- Boot --", "[]", "null", "{", "[" * 100_000, '{"MESSAGE": 1e999}'])
def test_what_is_no_line_at_all(journal: Journal, text: str) -> None:
    assert journal.line(text) is None


def test_the_journal_is_asked_for_trusted_fields_alone(journal: Journal) -> None:
    argv = journal.argv(12.9)
    assert {"_TRANSPORT=syslog", "_UID=0", "_UID=101", "--since=@12"} <= set(argv)
    assert "_UID=1001" not in argv


def test_of_a_file_what_an_earlier_daemon_said_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / LOG[1:]
    log.parent.mkdir(parents=True)
    log.write_text(
        "\n".join(
            [
                START,
                WEDGED,
                START,
                "Nov 22 10:05:00 mail postfix/smtpd[1]: connect",
                "2020-11-22T10:05:00+00:00 mail sm-mta[9]: of last year",
                "Nov 22 10:05:00 x sm-mta[9]: fine",
            ]
        )
        + "\n"
    )
    found = lines(Host(tmp_path), 1.7e9, ("sm-mta",))
    assert found is not None
    assert [item.text.split(" ")[0] for item in since_start(found)] == ["starting", "fine"]
    assert all(UNPROVED in item.source for item in found)


def test_without_any_log_nothing_is_claimed(tmp_path: Path) -> None:
    assert lines(Host(tmp_path), 0.0) is None


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_log_file_is_neither_waited_for_nor_missing(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "var/log").mkdir(parents=True)
    make(tmp_path / LOG.lstrip("/"))
    assert where(Host(tmp_path)) is None
    with pytest.raises(HostError, match=r"mail.log cannot be read: it is not a file"):
        lines(Host(tmp_path), 0.0)


def test_a_huge_log_of_no_text_is_read_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "var/log").mkdir(parents=True)
    with (tmp_path / LOG.lstrip("/")).open("wb") as file:
        file.truncate(1 << 36)
        file.seek(0, os.SEEK_END)
        file.write(b"\xff\x00\n" + START.encode() + b"\xfe\n")
    assert [line.text[:15] for line in lines(Host(tmp_path), 0.0) or ()] == ["starting daemon"]


def test_a_journal_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("run/systemd/journal/socket", "var/log/journal/abc/system.journal"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("")
    failed = Completed(("journalctl",), 1, "", "Failed to open files: Bad message\n", 0.1)
    monkeypatch.setattr(Host, "run", lambda *_, **__: failed)
    with pytest.raises(HostError, match="status 1: Failed to open files: Bad message"):
        lines(Host(tmp_path), 0.0)
    check = _log(Host(tmp_path), 0.0, "")
    assert check.sign is Sign.UNKNOWN
    assert "Bad message" in check.says


@pytest.mark.parametrize("entry", ["", "Nov 29 10:00:00 mail sshd[1]: hello\n"])
def test_one_corrupted_file_of_a_journal_is_no_journal_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    for path in ("run/systemd/journal/socket", "var/log/journal/abc/system.journal"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("")
    complaint = "Journal file /var/log/journal/abc/system@1.journal is truncated, ignoring file.\n"

    def run(_: Host, argv: Sequence[str], **__: object) -> Completed:
        return Completed(tuple(argv), 0, "" if "json" in argv else entry, complaint, 0.1)

    monkeypatch.setattr(Host, "run", run)
    if entry:
        assert lines(Host(tmp_path), 0.0) == ()
    else:
        with pytest.raises(HostError, match="is truncated"):
            lines(Host(tmp_path), 0.0)


def test_dates_of_files() -> None:
    made = file_line("2026-11-23T05:38:22.297452+00:00 mail sm-mta[1097]: AUTH=server", 5.0)
    assert made is not None
    assert made.time == pytest.approx(1795412302.297452)
    old = file_line("Nov 23 05:38:22 mail sm-mta[1097]: AUTH=server", 5.0)
    assert old == LogLine(5.0, "sm-mta", 1097, "AUTH=server", LOG)
    assert file_line("nonsense", 5.0) is None
