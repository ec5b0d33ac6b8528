"""What a step plans, and the lines of its diffs."""

from __future__ import annotations

from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome, Plan, after
from wizard.steps.order import STEPS, step

HOWTO = Answers()


def plan(step_id: str, facts: Facts, answers: Answers = HOWTO) -> Plan:
    return step(step_id).plan(facts, answers)


def added(edit: Plan) -> list[str]:
    lines = [line for change in edit.changes for line in change.describe().diff.splitlines()]
    return [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")]


def removed(edit: Plan) -> list[str]:
    lines = [line for change in edit.changes for line in change.describe().diff.splitlines()]
    return [line[1:] for line in lines if line.startswith("-") and not line.startswith("---")]


def sequence(facts: Facts, answers: Answers = HOWTO) -> dict[str, Plan]:
    plans = {}
    for item in STEPS:
        plans[item.id] = item.plan(facts, answers)
        facts = after(facts, plans[item.id])
    return plans


def mc(facts: Facts, answers: Answers, *step_ids: str) -> str:
    for step_id in step_ids:
        step_plan = plan(step_id, facts, answers)
        assert step_plan.outcome in (Outcome.PENDING, Outcome.DONE), step_plan.reason
        facts = after(facts, step_plan)
    return facts.text(f.SENDMAIL_MC) or ""
