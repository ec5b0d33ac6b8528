"""`troubleshoot --fix ID` of what only a person can fix."""

from __future__ import annotations

import pytest

from tests.unit.troubleshoot.pictures import CF, picture
from wizard.cli import troubleshoot as command
from wizard.cli.main import main
from wizard.model.plan import Sign
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
    shown = capsys.readouterr()
    assert f"{by_hand[0].id}: a person must act" in shown.err
    assert shown.out.endswith(f"\nNot fixed: {by_hand[0].id}.\n")


def test_warnings_alone_are_named_where_all_that_fails_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = picture(facts={"cf_from_mc": CF + "O X=1\n"})
    assert [(fault.id, fault.sign) for fault in judge(seen).faults] == [("cf-differs", Sign.WARNING)]
    monkeypatch.setattr(command, "take", lambda *_: seen)
    monkeypatch.setattr(command, "must_be_root", lambda *_, **__: None)
    monkeypatch.setattr(command, "interrupted", lambda: None)
    assert main(["troubleshoot", "--fix", "all", "--yes"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith(
        "Nothing fails, so --fix all has fixed nothing; a warning is fixed by its name: cf-differs."
    )
