"""What a run says on the command line while it is at work: of sendmailconfig what matters, of apt no commit of etckeeper's, else all."""

from __future__ import annotations

import pytest

from wizard import log
from wizard.model.events import Output, Recorded
from wizard.render.progress import Shown
from wizard.sendmail import sendmailconfig
from wizard.steps.order import step

CRONTAB = ["#" * 30, "*/20 * * * * smmsp test -x /etc/init.d/sendmail && sendmail cron-msp"] * 40
SAID = [
    "$ sendmailconfig",
    "Configure sendmail with the existing /etc/mail/sendmail.mc? [Y] Y",
    "Reading configuration from /etc/mail/sendmail.conf.",
    "",
    "*** *** *** WARNING *** WARNING *** WARNING *** WARNING *** *** ***",
    "/etc/mail/sendmail.cf: m4: error: 3",
    *CRONTAB,
    "/etc/mail/sendmail.cf: m4: error: 3",
    "Creating /etc/mail/sendmail.cf...",
    "Reload the running sendmail now with the new configuration? [Y] N",
]
"""Without an /etc/cron.d it prints the crontab, each time that it looks at its configuration."""
THEN = ["wrote /etc/mail/sendmail.cf", "Creating this is no routine"]
SHORT = [
    "   | $ sendmailconfig",
    "   | Configure sendmail with the existing /etc/mail/sendmail.mc? [Y] Y",
    "   | /etc/mail/sendmail.cf: m4: error: 3",
    "   | Reload the running sendmail now with the new configuration? [Y] N",
    "   | ... 84 more lines of its output: `-v` shows them, the log has them",
]


def shown(capsys: pytest.CaptureFixture[str], *, whole: bool = False, lines: list[str]) -> list[str]:
    """What an apply prints, and the same in a rollback."""
    at_work = step("sendmailconfig")
    events, says = Shown(whole=whole), Shown(whole=whole)
    for line in lines:
        events.report(Output(at_work, line))
    events.report(Recorded(at_work, "abcdef", 1.0))
    printed = capsys.readouterr().out.replace(str(log.PATH), "the log").splitlines()
    for line in filter(None, lines):
        says.say(line)
    says.end()
    assert capsys.readouterr().out.replace(str(log.PATH), "the log").splitlines() == printed[:-1]
    assert printed[-1] == "   sendmailconfig done in 1.0 s, recorded as abcdef"
    return printed[:-1]


def test_what_matters_of_sendmailconfig_is_shown_and_the_rest_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(capsys, lines=[*SAID, *THEN]) == [*SHORT, *(f"   | {line}" for line in THEN)]
    assert shown(capsys, lines=SAID) == SHORT


def test_all_of_it_is_shown_where_it_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, whole=True, lines=SAID) == [f"   | {line}" for line in SAID if line]


def test_other_commands_are_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    other = ["$ apt-get install -y sendmail", *(f"Setting up package-{number} ..." for number in range(50))]
    assert shown(capsys, lines=other) == [f"   | {line}" for line in other]


def test_the_files_that_etckeeper_commits_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    before = ["$ apt-get install -y sendmail", "The following NEW packages will be installed:", "  sendmail"]
    commit = ["[master 3b2c1d0] saving uncommitted changes in /etc prior to apt run", " 90 files changed"]
    files = [" create mode 100644 motd", " rename a => b (100%)", "Auto packing the repository ..."] * 30
    after = ["0 upgraded, 12 newly installed", "E: Sub-process /usr/bin/dpkg returned an error code (1)"]
    assert shown(capsys, lines=[*before, *commit, *files, *after]) == [
        *(f"   | {line}" for line in (*before, *commit, *after)),
        "   | ... 90 more lines of its output: `-v` shows them, the log has them",
    ]


def test_the_log_has_all_that_sendmailconfig_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(log, "_say", lambda _words, output="": said.append(output))
    monkeypatch.setattr(log, "_verbose", True)
    log.started(["sendmailconfig"], sendmailconfig.LOGGED)(0, "\n".join(CRONTAB * 4))
    assert said[-1] == "\n".join(CRONTAB * 4)
    log.started(["apt-get"])(0, "\n".join(CRONTAB * 4))
    assert "characters left out" in said[-1]
