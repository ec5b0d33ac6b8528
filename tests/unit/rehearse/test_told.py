"""What a rehearsal shows on the way: the steps, and what commands print only where it is short, or asked for."""

from __future__ import annotations

import pytest

from wizard.cli.rehearse import Told


def told(lines: list[str], capsys: pytest.CaptureFixture[str], *, whole: bool = False) -> list[str]:
    tell = Told(whole)
    for line in lines:
        tell({"event": "text", "line": line})
    tell({"event": "phase", "phase": "login"})
    return capsys.readouterr().out.splitlines()[:-2]


APT = [f"   | Setting up package-{number} ..." for number in range(300)]


def test_long_output_is_counted_and_short_output_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    step = [
        "== install: Install",
        *APT,
        "   [ok]   m4 is there",
        "== restart: Restart",
        "   | $ systemctl restart sendmail",
    ]
    assert told(step, capsys) == [
        "== install: Install",
        "   | ... 300 lines of output: `-v` shows them",
        *step[-3:],
    ]


def test_all_of_it_is_shown_where_it_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(APT, capsys, whole=True) == APT
