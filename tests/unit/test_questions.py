"""What `apply` asks before a step, and says of each reply."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from snapshots.store import Store
from wizard.cli import options
from wizard.model.plan import Plan
from wizard.steps.order import STEPS
from wizard.system.host import Host
from wizard.system.signals import Interrupt


@pytest.mark.parametrize("begun", [False, True])
def test_who_is_asked_for_the_rest_of_a_step_learns_that_a_no_undoes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], begun: bool
) -> None:
    replies = iter(["?", ""])
    monkeypatch.setattr(options, "asks", lambda _: True)
    monkeypatch.setattr(options, "ask", lambda *_, **__: next(replies))
    store = Store.open(tmp_path / "etc.git", root=tmp_path)
    wants = options.decide(argparse.Namespace(yes=False), Host(tmp_path), store, Interrupt())
    step = STEPS[0]
    assert not wants(step, replace(Plan.pending(step.id, "missing"), begun=begun))
    shown = capsys.readouterr().out
    assert (f"y applies the rest of {step.id}; n, Enter and q undo what is done of it." in shown) is begun
    assert ("n  undo what is done of it, and go on with the next one; Enter does the same" in shown) is begun
    assert ("n  leave it out, and go on with the next one; Enter does the same" in shown) is not begun
