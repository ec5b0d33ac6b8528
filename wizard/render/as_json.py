"""Plans, runs and checks as JSON, `"schema": 1` (docs/json.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wizard.engine.apply import Run
from wizard.mends.catalogue import find
from wizard.model.events import Event, Failed
from wizard.model.plan import Check, Ending, Plan

if TYPE_CHECKING:
    from wizard.rollback.apply import RollbackResult
    from wizard.rollback.plan import Rollback

SCHEMA = 1


def dumps(**values: object) -> str:
    """One JSON document, ASCII only."""
    return json.dumps({"schema": SCHEMA, **values}, indent=2)


def plan(made: Plan) -> dict[str, object]:
    """A step's plan with its diffs and commands."""
    step = find(made.step)
    return {
        "step": step.id,
        "howto": step.howto,
        "title": step.title,
        "why": step.why,
        "outcome": made.outcome,
        "reason": made.reason,
        "changes": [{"kind": item.kind, **vars(item.describe())} for item in made.changes],
        "notes": list(made.notes),
        "remedy": list(made.remedy),
        "ends": endings(made.ends),
    }


def endings(made: Sequence[Ending]) -> list[dict[str, object]]:
    """What works now and would end."""
    return [{"id": item.id, "says": item.says, "lines": list(item.lines)} for item in made]


def checks(made: Sequence[Check]) -> list[dict[str, str]]:
    """Checks in order."""
    return [vars(item) for item in made]


def run(made: Run, events: Sequence[Event]) -> dict[str, object]:
    """What one apply came to."""
    failures = [
        {
            "step": item.step.id,
            "why": item.why,
            "undone": list(item.undone),
            "not_undone": list(item.not_undone),
        }
        for item in events
        if isinstance(item, Failed)
    ]
    return {
        "run": made.id,
        "steps": [
            {
                **plan(item),
                "commit": made.applied.get(name),
                "skipped": name in made.skipped,
                "checks": checks(made.checks.get(name, [])),
            }
            for name, item in made.plans.items()
        ],
        "failed": made.failed,
        "blocked": made.blocked,
        "undecided": made.undecided,
        "ends": endings(made.ends),
        "failures": failures,
    }


def rollback(made: Rollback, done: RollbackResult | None) -> dict[str, object]:
    """What taking back comes to, and (unless it was only asked for) what came of it."""
    target = made.target
    return {
        "steps": list(target.steps),
        "dependents": list(target.dependents),
        "everything": target.everything,
        "commits": [commit.id for commit in target.commits],
        "changes": [{"kind": item.kind, **vars(item.describe())} for item in made.changes],
        "conflicts": [
            {"path": f"/{item.path}", "what": item.what, "text": item.text}
            for item in made.reversal.conflicts
        ],
        "notes": [*made.reversal.notes, *made.follows()],
        "done": done is not None and done.failed is None,
        "commit": done.commit if done else None,
        "checks": checks(done.checks) if done else [],
        "left": list(done.left if done else made.left),
        "failed": done.failed if done else None,
        "undone": list(done.undone) if done else [],
        "not_undone": list(done.not_undone) if done else [],
    }


def plans(made: Mapping[str, Plan]) -> list[dict[str, object]]:
    """Plans in the howto's order."""
    return [plan(item) for item in made.values()]
