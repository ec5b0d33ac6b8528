"""The state of a step in a word: what `apply --json` says became of it, and what follows from one that is left out."""

from __future__ import annotations

import pytest

from tests.unit.steps.recorded import bare
from wizard.engine.engine import Engine
from wizard.engine.run import Run
from wizard.model.answers import Answers
from wizard.model.plan import NOT_NOW, Outcome, Plan
from wizard.render.as_json import run
from wizard.rollback.rollback import needing
from wizard.system.host import Host


def test_a_step_that_was_applied_is_told_from_one_that_is_to_do() -> None:
    names = ("install", "saslauthd-start", "smtp-port", "restart")
    plans: dict[str, Plan] = {name: Plan.pending(name, "it is not so") for name in names}
    plans["auth-test"] = Plan.untested("auth-test", "nobody tried")
    made = Run(plans=plans, applied={"install": "1" * 10}, skipped=["saslauthd-start"], failed="smtp-port")
    assert {step["step"]: step["state"] for step in run(made, [])["steps"]} == {
        "install": "applied",
        "saslauthd-start": "skipped",
        "smtp-port": "failed",
        "restart": "pending",
        "auth-test": "untested",
    }


@pytest.mark.parametrize("release", ["12", "14"])
def test_without_the_packages_nothing_that_needs_them_is_offered_or_called_missing(release: str) -> None:
    engine = Engine(Host(), Answers(), lambda _: None, skipped=frozenset({"install"}))
    plans = engine.plan(facts=bare(release))
    left = {name for name, plan in plans.items() if plan.word == NOT_NOW}
    assert {"saslauthd-config", "mc-includes", "sendmailconfig", "restart", "auth-test"} <= left
    rest = needing(["install"]) & plans.keys() - left
    assert {plans[name].outcome for name in rest} <= {Outcome.NOT_APPLICABLE}
    assert {plans[name].reason for name in left} == {"it needs install, which is left out"}
