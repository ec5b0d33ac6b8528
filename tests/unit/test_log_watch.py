"""The mail log of a test: which lines belong to it, what they mean, what became of the message."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wizard.maillog.correlate import ConversationLine, Matching, Watch, delivery, refused_because, word
from wizard.maillog.read import LOG, UNPROVED, LogFollower, LogLine, Tail, arrives, where
from wizard.smtp.transcript import Line
from wizard.system.host import Completed, Host
from wizard.system.sockets import server_process

ID = "6AN5cMqL001097"
FROM = f"{ID}: from=<alice@mail.example.test>, size=436, class=0, nrcpts=1, proto=ESMTPSA, daemon=MSP-v4, relay=localhost [127.0.0.1]"
TO = f"{ID}: to=<alice@mail.example.test>, ctladdr=<alice@mail.example.test> (1000/1000), delay=00:00:01, mailer=local, pri=30743"
SENT = f"{TO}, dsn=2.0.0, stat=Sent"
QUEUED = (
    f"{ID}: to=<bob@nowhere.example.org>, delay=00:00:00, mailer=esmtp, pri=30437, dsn=4.4.3, stat=queued"
)
REFUSED = (
    f"{ID}: to=<bob@x.test>, delay=00:00:09, mailer=esmtp, relay=x.test. [192.0.2.1], dsn=4.0.0, "
    "stat=Deferred: Connection refused by x.test., at last"
)
UNKNOWN = f"{ID}: to=<bob@x.test>, relay=x.test. [192.0.2.1], dsn=5.1.1, stat=User unknown"
SPF = f"{ID}: to=<bob@x.test>, delay=00:00:00, relay=x.test. [192.0.2.1], dsn=5.7.26, reply=550-5.7.26 blocked, and why, stat=User unknown"
ALIASED = f"{ID}: to=staff, ctladdr=<a@b.c> (1/1), dsn=2.0.0, stat=aliased"


def lines(*texts: str) -> list[LogLine]:
    return [LogLine(float(at), "sm-mta", 1097, text) for at, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "state", "words"),
    [
        ((FROM, SENT), "delivered", "Delivered to <alice@mail.example.test> by way of local: Sent."),
        ((FROM, SPF), "failed", "<bob@x.test> by way of x.test. [192.0.2.1]: 550-5.7.26 blocked, and why."),
        ((FROM, QUEUED), "deferred", "<bob@nowhere.example.org> by way of esmtp: queued"),
        ((FROM, REFUSED), "deferred", "Connection refused by x.test., at last"),
        ((FROM, REFUSED, UNKNOWN), "failed", "is returned to its sender"),
        ((FROM, UNKNOWN, SENT), "failed", "User unknown"),
        ((FROM, ALIASED), "unknown", "not tried to deliver"),
        ((FROM,), "unknown", "not tried to deliver"),
        ((SENT.replace(ID, "6AN5cMqL009999"),), "unknown", "nothing is logged about it"),
    ],
)
def test_what_became_of_a_message(texts: tuple[str, ...], state: str, words: str) -> None:
    made = delivery(ID, lines(*texts))
    assert (made.state, words in made.says) == (state, True), made
    assert made.accepted is (FROM in texts)


def test_what_a_file_says_of_a_message_is_not_proved() -> None:
    made = delivery(ID, [LogLine(0.0, "sm-mta", 1, FROM, LOG), LogLine(0.0, "sm-mta", 1, SENT, LOG)])
    assert (made.state, made.file, UNPROVED in made.says) == ("delivered", LOG, True)
    assert UNPROVED not in delivery(ID, lines(FROM, SENT)).says


def test_the_latest_word_on_a_recipient_counts() -> None:
    made = delivery(ID, lines(FROM, QUEUED, QUEUED.replace("4.4.3, stat=queued", "2.0.0, stat=Sent (ok)")))
    assert made.state == "delivered"
    assert len(made.attempts) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sm-mta", "AUTH=server, relay=localhost [127.0.0.1], authid=alice, mech=LOGIN, bits=0", "the login is accepted"),
        ("sm-mta", f"{ID}: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): x", "login refused: password, or account"),
        ("sm-mta", f"{ID}: AUTH failure (LOGIN): generic failure (-1) SASL(-1): x", "login refused: saslauthd does not answer"),
        ("sm-mta", f"{ID}: localhost [127.0.0.1] did not issue MAIL/EXPN/VRFY/ETRN during connection to X", "it ended without a message"),
        ("sm-mta", FROM, "the message is accepted"),
        ("sm-mta", FROM.replace("nrcpts=1", "nrcpts=0"), "no recipient was accepted: there is no message"),
        ("sm-mta", SENT, "delivered"),
        ("sm-mta", QUEUED, "it waits in the queue"),
        ("sm-mta", UNKNOWN, "it cannot be delivered"),
        ("saslauthd", "auth success (cached): [user=alice] [service=smtp]", "yes, from its cache: PAM was not asked"),
        ("saslauthd", "auth failure: [user=alice] [reason=PAM auth error]", "no, and the reason"),
        ("saslauthd", "something new", ""),
    ],
)  # fmt: skip
def test_a_line_in_a_word(name: str, text: str, said: str) -> None:
    assert word(name, text) == said


NOT_TAKEN = LogLine(0, "sm-mta", 1, "AUTH failure (LOGIN): authentication failure (-13) SASL(-13): x")
SILENT = LogLine(0, "sm-mta", 1, "AUTH failure (LOGIN): generic failure (-1) SASL(-1): x")
WRONG = LogLine(0, "saslauthd", 1, "pam_unix(smtp:auth): authentication failure;  user=alice")
ACCOUNT = LogLine(0, "saslauthd", 1, "auth failure: [user=alice] [reason=PAM acct error]")


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ((WRONG, NOT_TAKEN), "PAM: the password is wrong or locked, or there is no such user"),
        ((SILENT,), "login refused: saslauthd does not answer"),
        ((NOT_TAKEN,), "login refused: password, or account"),
        ((WRONG, ACCOUNT, NOT_TAKEN), "login refused: password, or account"),
        ((WRONG, SILENT), ""),
        ((replace(WRONG, file=LOG),), ""),
        ((), ""),
    ],
)
def test_the_cause_of_a_refusal_that_the_log_names(lines: tuple[LogLine, ...], cause: str) -> None:
    assert refused_because(lines) == (f"The mail log says: {cause}." if cause else "")


def test_lines_belong_by_process_by_message_and_by_user() -> None:
    match = Matching("alice")
    match.pids.add(1097)
    assert match.takes(LogLine(0, "sm-mta", 1097, FROM))
    assert match.takes(LogLine(0, "sm-mta", 2000, SENT)), "another process delivers it: the queue id tells"
    assert not match.takes(LogLine(0, "sm-mta", 2000, "STARTTLS=server, relay=localhost [127.0.0.1]"))
    assert not match.takes(LogLine(0, "sm-mta", 2001, FROM.replace(ID, "6AN5cMqL002001")))
    assert match.takes(LogLine(0, "saslauthd", 5, "auth failure: [user=alice] [service=smtp]"))
    assert match.takes(LogLine(0, "saslauthd", 5, "pam_unix(smtp:auth): authentication failure;  user=alice"))
    assert not match.takes(LogLine(0, "saslauthd", 5, "auth failure: [user=alicette] [service=smtp]"))
    assert not Matching(None).takes(LogLine(0, "saslauthd", 5, "auth failure: [user=] [service=smtp]"))


def test_hostile_lines_cannot_reach_the_terminal() -> None:
    seen = Matching("alice").seen(LogLine(0, "sm-mta", 1, "evil\x1b[2J\u202e"))
    assert seen.text == "sm-mta[1]: evil\\x1b[2J\\u202e"


def test_a_log_file_is_followed_over_half_lines_and_rotation(tmp_path: Path) -> None:
    log = tmp_path / "var/log/mail.log"
    log.parent.mkdir(parents=True)
    log.write_text("Nov 23 05:00:00 mail sm-mta[1]: before\n")
    tail = Tail(Host(tmp_path), "/var/log/mail.log")
    assert tail.lines() == []
    with log.open("a") as file:
        file.write("Nov 23 05:00:01 mail sm-mta[1]: one\nNov 23 05:00:02 mail sm-")
    assert [line.text for line in tail.lines()] == ["one"]
    with log.open("a") as file:
        file.write("mta[1]: two\n")
    log.rename(log.with_suffix(".log.1"))
    log.write_text("Nov 23 05:00:03 mail sm-mta[1]: three\n")
    assert [line.text for line in tail.lines()] == ["two"]
    assert [line.text for line in tail.lines()] == ["three"]
    os.truncate(log, 0)
    tail.lines()
    with log.open("a") as file:
        file.write("Nov 23 05:00:04 mail sm-mta[1]: four\n")
    assert [line.text for line in tail.lines()] == ["four"]


def test_where_the_log_is(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert where(host) is None
    with LogFollower(host) as nothing:
        assert nothing.taken() == []
    (tmp_path / "var/log/journal").mkdir(parents=True)
    (tmp_path / "var/log/mail.log").write_text("")
    assert where(host) == "/var/log/mail.log", "a journal's folder without a journal"
    (tmp_path / "var/log/journal/abc").mkdir()
    (tmp_path / "var/log/journal/abc/system.journal").write_text("")
    assert where(host) == "/var/log/mail.log", "a journal that nobody writes any more"
    (tmp_path / "run/systemd/journal").mkdir(parents=True)
    (tmp_path / "run/systemd/journal/socket").write_text("")
    assert where(host) == "journal"


@pytest.mark.parametrize(
    ("files", "alive"),
    [
        ({"etc/systemd/journald.conf": "[Journal]\n#Storage=none\nCompress=yes\n"}, True),
        ({"etc/systemd/journald.conf": "[Journal]\nStorage=none\n"}, False),
        ({"etc/systemd/journald.conf": "[Journal]\nMaxLevelStore=warning\n"}, False),
        ({"usr/lib/systemd/journald.conf": "[Journal]\n MaxLevelStore = 5\n"}, False),
        ({"etc/systemd/journald.conf": "[Journal]\nMaxLevelStore=info\nStorage=some\n"}, True),
        ({"etc/systemd/journald.conf": "[Other]\nStorage=none\n"}, True),
        ({"etc/systemd/journald.conf.d/no.conf": "[Journal]\nStorage=none\n"}, False),
        ({"etc/systemd/journald.conf.d/no.old": "[Journal]\nStorage=none\n"}, True),
        (
            {
                "etc/systemd/journald.conf": "[Journal]\nStorage=none\n",
                "usr/lib/systemd/journald.conf.d/10.conf": "[Journal]\nStorage=none\n",
                "run/systemd/journald.conf.d/20.conf": "[Journal]\nStorage=persistent\n",
            },
            True,
        ),
        (
            {
                "usr/lib/systemd/journald.conf.d/10.conf": "[Journal]\nStorage=none\n",
                "etc/systemd/journald.conf.d/10.conf": "",
            },
            True,
        ),
    ],
)
def test_a_journal_that_stores_no_mail_is_none_whatever_is_left_of_it(
    tmp_path: Path, files: dict[str, str], alive: bool
) -> None:
    left = {
        "var/log/mail.log": "",
        "var/log/journal/abc/system.journal": "",
        "run/systemd/journal/socket": "",
    }
    for path, text in (left | files).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert where(Host(tmp_path)) == ("journal" if alive else "/var/log/mail.log")
    (tmp_path / "var/log/mail.log").unlink()
    assert where(Host(tmp_path)) == ("journal" if alive else None)


class Logging(Host):
    """A host whose logger(1) writes to `to`: the log file, or the journal."""

    to = ""
    journal = ""

    def run(self, argv: Sequence[str], **_: Any) -> Completed:
        """As logger and journalctl do."""
        if argv[0] == "logger" and self.to == "journal":
            object.__setattr__(self, "journal", argv[-1])
        elif argv[0] == "logger" and self.to:
            self.path(self.to).write_text(f"2026-11-30T05:33:00+00:00 mail msa-wizard: {argv[-1]}\n")
        out = self.journal if argv[0] == "journalctl" else ""
        return Completed(tuple(argv), 0, out, "", 0.0)


@pytest.mark.parametrize("to", ["", "journal", "/var/log/mail.log"])
@pytest.mark.parametrize("read", ["journal", "/var/log/mail.log"])
def test_whether_what_is_logged_comes_to_where_it_is_read(tmp_path: Path, to: str, read: str) -> None:
    files = ["var/log/mail.log"]
    if read == "journal":
        files += ["var/log/journal/abc/system.journal", "run/systemd/journal/socket"]
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("2026-11-30T05:32:00+00:00 mail sm-mta[7]: before\n")
    host = Logging(tmp_path)
    object.__setattr__(host, "to", to)
    assert arrives(host, 0.1) is (to == read)


def test_both_sides_are_told_in_the_order_of_time(tmp_path: Path) -> None:
    log = tmp_path / "var/log/mail.log"
    log.parent.mkdir(parents=True)
    log.write_text("")
    told: list[ConversationLine] = []
    with Watch(Host(tmp_path), "alice", told.append) as watch:
        for number in range(3):
            watch.line(Line("client", f"said {number}"))
            with log.open("a") as file:
                file.write(f"Nov 23 05:00:04 mail saslauthd[9]: auth success: [user=alice] {number}\n")
                file.write("Nov 23 05:00:04 mail saslauthd[9]: auth success: [user=bob] of others\n")
            time.sleep(0.15)
    assert [item.text.split(" ")[-1] for item in told] == ["0", "0", "1", "1", "2", "2"], told
    assert [item.who for item in told] == ["client", "log"] * 3
    assert [item.time for item in told] == sorted(item.time for item in told)


def test_the_message_is_followed_until_its_end_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "var/log/mail.log"
    log.parent.mkdir(parents=True)
    log.write_text("")

    def append(text: str) -> None:
        with log.open("a") as file:
            file.write(f"Nov 23 05:00:04 mail sm-mta[9]: {text}\n")

    with Watch(Host(tmp_path), "alice", lambda _: None) as watch:
        append(FROM)
        threading.Timer(0.3, append, [SENT]).start()
        began = time.monotonic()
        assert watch.delivery(ID, 10).state == "delivered"
        assert time.monotonic() - began < 5
        began = time.monotonic()
        assert watch.delivery("6AN5cMqL005555", 1).state == "unknown"
        assert 1 <= time.monotonic() - began < 2


def test_the_server_process_of_a_connection_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            near, far = client.getsockname(), client.getpeername()
            # Both ends are ours: so the one asked for must be found by its own row.
            assert server_process(Host(), near, far, "") == os.getpid()
            assert server_process(Host(), near, far) is None, "that is no sendmail"
            assert server_process(Host(), ("127.0.0.1", 1), far, "") is None
