"""The msp line of submit.mc led to port 25 of loopback; the rest of the file stays."""

from __future__ import annotations

import pytest

from wizard.editors import EditError
from wizard.editors.sendmail_mc import on_loopback

HEAD = "divert(0)dnl\ninclude(`/usr/share/sendmail/cf/m4/cf.m4')dnl\nOSTYPE(`debian')dnl\n"
MSP = "FEATURE(`msp', `[127.0.0.1]', `25')dnl"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("FEATURE(`msp', `[127.0.0.1]', `MSA')dnl", MSP),
        ("FEATURE(`msp', `mail.example.test', `MSA')dnl # ours", f"{MSP} # ours"),
        ("FEATURE(msp, [127.0.0.1], MSA)dnl", "FEATURE(msp, [127.0.0.1], `25')dnl"),
        ("FEATURE(`msp',, `MSA')dnl", "FEATURE(`msp',`[127.0.0.1]', `25')dnl"),
        (MSP, MSP),
        ("FEATURE(`msp')dnl", "FEATURE(`msp', `[127.0.0.1]')dnl"),
        ("define(`RELAY_MAILER_ARGS', `TCP $h 587')dnl\n" + MSP, "define(`RELAY_MAILER_ARGS', `TCP $h')dnl\n" + MSP),
    ],
)  # fmt: skip
def test_the_line_alone_changes(line: str, expected: str) -> None:
    assert on_loopback(f"{HEAD}{line}\ndnl # the end") == f"{HEAD}{expected}\ndnl # the end"


@pytest.mark.parametrize(
    "line", ["", "dnl FEATURE(`msp', `[127.0.0.1]', `MSA')", "define(`x', `FEATURE(`msp', `h', `MSA')')x"]
)
def test_what_cannot_be_edited_is_refused(line: str) -> None:
    with pytest.raises(EditError):
        on_loopback(f"{HEAD}{line}\n")
