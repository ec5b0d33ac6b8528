"""`troubleshoot --fix ID` of what only a person can fix."""

from __future__ import annotations

import pytest

from tests.unit.troubleshoot.pictures import picture
from wizard.cli import troubleshoot as command
from wizard.cli.main import main
from wizard.troubleshoot.verdict import judge


def test_it_is_not_told_to_be_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = picture(log=None)
    by_hand = [fault for fault in judge(seen).faults if not fault.finding.mend.steps]
    assert by_hand, "what a person must fix"
    monkeypatch.setattr(command, "take", lambda *_: seen)
    monkeypatch.setattr(command, "must_be_root", lambda *_, **__: None)
    monkeypatch.setattr(command, "interrupted", lambda: None)
    assert main(["troubleshoot", "--fix", by_hand[0].id, "--yes"]) == 1
    assert f"{by_hand[0].id}: a person must act" in capsys.readouterr().err
