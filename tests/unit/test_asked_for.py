"""What the settings ask for is told from what has drifted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from snapshots.store import Commit, Store
from tests.unit.steps.recorded import file, machine
from tests.unit.test_commits_in_force import commit
from wizard.engine.asked_for import asked_for
from wizard.engine.engine import Engine
from wizard.engine.overview import state
from wizard.model import facts as f
from wizard.model.answers import Answers, Auth, Listen, Login
from wizard.model.plan import Plan
from wizard.steps.order import step
from wizard.system.host import Host

STEP = "saslauthd-config"
SHADOW = Answers(auth=Auth("shadow"))


class Kept:
    """A store with one commit of the step, applied with `answers`; None: by a version that did not keep them."""

    def __init__(self, answers: Answers | None) -> None:
        self.record_ = {"answers": dataclasses.asdict(answers)} if answers else {}

    def history(self) -> Iterator[Commit]:
        yield commit("apply", STEP)

    def record(self, _commit: Commit) -> bytes:
        return json.dumps(self.record_).encode()


def told(
    tmp_path: Path, then: Answers | None, now: Answers, mechanisms: str, store: Kept | None = None
) -> Plan:
    text = f'MECHANISMS="{mechanisms}"\nOPTIONS="-c -m /var/run/saslauthd"\n'
    facts = machine("13", files={f.SASLAUTHD_DEFAULT: file(text)})
    engine = Engine(Host(tmp_path), now, lambda _: None, steps=(step(STEP),))
    return asked_for(engine, facts, engine.plan(facts=facts), cast(Store, store or Kept(then)))[STEP]


def test_settings_that_changed_are_no_drift(tmp_path: Path) -> None:
    plan = told(tmp_path, Answers(), SHADOW, "pam")
    assert state(plan, in_force=True) == "pending"
    assert plan.reason.startswith(
        'your settings ask for [auth] saslauthd_mechanism = "shadow": MECHANISMS is "pam"'
    )


def test_only_the_settings_that_a_step_is_pending_for_are_named(tmp_path: Path) -> None:
    now = dataclasses.replace(SHADOW, login=Login("no-system-accounts"), listen=Listen(implicit_tls=True))
    plan = told(tmp_path, Answers(), now, "pam")
    assert plan.reason.startswith('your settings ask for [auth] saslauthd_mechanism = "shadow": MECHANISMS')


@pytest.mark.parametrize("then", [SHADOW, None])
def test_a_host_that_changed_has_drifted(tmp_path: Path, then: Answers | None) -> None:
    plan = told(tmp_path, then, SHADOW, "pam")
    assert state(plan, in_force=True) == "drifted"
    assert "settings" not in plan.reason


@pytest.mark.parametrize("again", [False, True])
def test_what_its_own_rollback_took_back_in_part_has_not_drifted(tmp_path: Path, again: bool) -> None:
    """Others needed the rest, so the commit is in force; once it was applied again that is over."""
    step_applied = commit("apply", STEP)
    rollback = commit("rollback", None, [commit("apply", "firewall")])
    history = [*([commit("apply", STEP)] if again else []), rollback, step_applied]
    records = {rollback.id: {"in_part": [step_applied.id]}}

    class InPart(Kept):
        def history(self) -> Iterator[Commit]:
            yield from history

        def record(self, commit: Commit) -> bytes:
            return json.dumps(records.get(commit.id, {})).encode()

    plan = told(tmp_path, None, SHADOW, "pam", InPart(None))
    assert state(plan, in_force=True) == ("drifted" if again else "pending")
    assert plan.reason.startswith("rolled back in part: ") is not again
