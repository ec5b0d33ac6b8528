"""What apt would bring is shown before it is installed, also where nobody is asked; apt is asked once."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

import pytest

from snapshots.store import Store
from tests.unit.steps.recorded import bare
from wizard.cli import steps
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Plan, Step
from wizard.model.step_facts import AptPlan
from wizard.steps.order import step
from wizard.system.host import Host
from wizard.system.signals import Interrupt

APT = AptPlan(("Inst sendmail (8 Debian:12 [all])",), {"sendmail": (1_000_000, 2_000_000)})


def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, list[bool]]:
    """A bare one, and whether each look at it asked apt."""
    asked: list[bool] = []

    def look(_host: Host, *, ask_apt: bool = False, **_: object) -> Facts:
        asked.append(ask_apt)
        return bare("12", apt_plan=APT if ask_apt else None)

    monkeypatch.setattr("wizard.engine.planner.look", look)
    (tmp_path / "etc").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    return Store.open(tmp_path / "state/etc.git", root=tmp_path), asked


@pytest.mark.parametrize("known", [None, APT])
def test_the_packages_are_shown_before_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: AptPlan | None
) -> None:
    store, asked = machine(tmp_path, monkeypatch)
    seen: list[str] = []

    def decide(_step: Step, plan: Plan) -> bool:
        seen.extend(plan.changes[0].describe().details)
        return False

    engine = Engine(Host(tmp_path), Answers(), lambda _: None, (step("install"),), apt_plan=known)
    run = engine.apply(store, Journal(tmp_path / "state/journal"), (), decide, lambda: None)
    assert run.skipped == ["install"]
    assert seen[0] == "1 package: 1.0 MB to download, 2.0 MB on the disk"
    assert asked == [known is None]


def test_where_nobody_is_asked_the_packages_are_shown_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`apply --yes`, with or without --json."""
    store, asked = machine(tmp_path, monkeypatch)
    monkeypatch.setattr(
        steps, "at_work", lambda: nullcontext((store, Journal(tmp_path / "journal"), Interrupt()))
    )
    arguments = argparse.Namespace(yes=True, json=True, quiet=False)
    monkeypatch.setattr(steps, "decide", lambda *_: lambda _step, _plan: False)
    run, _ = steps.applied(Host(tmp_path), arguments, lambda: (step("install"),), Answers())
    assert run.plans["install"].changes[0].describe().details[0].startswith("1 package: 1.0 MB")
    assert asked == [True]
