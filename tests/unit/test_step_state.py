"""What `apply --json` says became of a step."""

from __future__ import annotations

from wizard.engine.engine import Run
from wizard.model.plan import Plan
from wizard.render.as_json import run


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
