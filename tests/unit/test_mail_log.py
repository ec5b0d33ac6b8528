"""The mail log where there is no journal: only what the running daemon said counts."""

from __future__ import annotations

from pathlib import Path

from wizard.host import Host
from wizard.mail_log import lines_since

WEDGED = "Nov 22 10:00:01 mail sm-mta[9]: daemon X: problem creating SMTP socket"
START = "Nov 22 10:00:00 mail sm-mta[9]: starting daemon (8.17.1.9): SMTP+queueing@00:10:00"


def test_what_an_earlier_daemon_said_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "var/log/mail.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        "\n".join(
            [START, WEDGED, START, "Nov 22 10:05:00 mail postfix/smtpd[1]: connect", "x sm-mta[9]: fine"]
        )
        + "\n"
    )
    assert lines_since(Host(tmp_path), 0.0) == (START, "x sm-mta[9]: fine")
    log.write_text(f"{START}\n{WEDGED}\n")
    assert lines_since(Host(tmp_path), 0.0) == (START, WEDGED)


def test_without_any_log_nothing_is_claimed(tmp_path: Path) -> None:
    assert lines_since(Host(tmp_path), 0.0) is None
