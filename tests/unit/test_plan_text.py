"""A step's plan as text: what its state is, and why."""

from __future__ import annotations

import pytest

from wizard.model.plan import Plan
from wizard.render.text import plan_text
from wizard.steps.order import step


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan.untested("restart", "no login was accepted yet"), "   to test: no login was accepted yet"),
        (Plan.unseen("restart", "only root can see it"), "   unknown: only root can see it"),
        (Plan.later("restart", "decided by apt"), "   decided later: decided by apt"),
    ],
)
def test_the_state_is_a_word_with_a_colon(plan: Plan, says: str) -> None:
    assert says in plan_text(step("restart"), plan).splitlines()
