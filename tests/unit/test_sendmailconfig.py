"""The dialogue's faults, which the real sendmailconfig does not make: a stand-in speaks in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from wizard.errors import HostError
from wizard.sendmail import sendmailconfig
from wizard.sendmail.sendmailconfig import converse
from wizard.system.host import Host


@pytest.fixture
def speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Have `sendmailconfig` be a shell script, on a root that has a sendmail.mc."""
    mail = tmp_path / "etc/mail"
    mail.mkdir(parents=True)
    (mail / "sendmail.mc").write_text("divert(0)dnl\n")

    def script(text: str) -> Host:
        program = tmp_path / "sendmailconfig"
        program.write_text("#!/bin/sh\n" + text)
        program.chmod(0o755)
        monkeypatch.setattr(sendmailconfig, "ARGV", (str(program),))
        return Host(tmp_path)

    return script


REAL = """
printf 'Configure sendmail with the existing /etc/mail/sendmail.conf? [Y] '; read a
printf 'Configure sendmail with the existing /etc/mail/sendmail.mc? [Y] '; read b
echo "Updating ..."
printf 'Reload the running sendmail now with the new configuration? [Y] '; read c
echo "answers $a $b $c"
"""


def test_each_question_gets_its_answer(speak) -> None:  # type: ignore[no-untyped-def]
    heard: list[str] = []
    text = converse(speak(REAL), heard.append)
    assert "answers Y Y N" in text
    assert "Updating ..." in heard


def test_an_unknown_question_stops_it(speak) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(HostError, match="asked something unknown") as caught:
        converse(
            speak("printf 'Mail name? [mail.example.org] '; read a; echo $a > /dev/null; sleep 30"),
            lambda _: None,
        )
    assert "Mail name? [mail.example.org]" in str(caught.value)


def test_the_questionnaire_is_stopped(speak) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(HostError, match="asked something unknown"):
        converse(speak("printf 'Press [ENTER] '; read a; sleep 30"), lambda _: None)


def test_silence_meets_a_deadline(speak, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sendmailconfig, "PROMPT_DEADLINE", 0.5)
    with pytest.raises(HostError, match="printed nothing"):
        converse(speak("echo begun; sleep 60"), lambda _: None)


def test_a_bad_exit_status_is_told(speak) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(HostError, match="status 3") as caught:
        converse(speak("echo 'no room'; exit 3"), lambda _: None)
    assert "no room" in str(caught.value)


def test_without_a_sendmail_mc_it_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="twenty questions"):
        converse(Host(tmp_path), lambda _: None)


def test_the_file_is_an_entry() -> None:
    """The stand-in relies on Host.entry seeing plain files."""
    assert Entry(Kind.FILE, 0o644, 0, 0, b"").kind == "file"
