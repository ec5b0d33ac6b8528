"""What `--json` prints, `"schema": 1` (wizard.model.documents, schema.json)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wizard.console import data
from wizard.engine.run import Run
from wizard.mends.order import find
from wizard.model.events import Event, Failed
from wizard.model.plan import Change, Check, Ending, Plan

if TYPE_CHECKING:
    from snapshots.store import Commit
    from wizard.model import documents
    from wizard.rollback.apply import RollbackResult
    from wizard.rollback.plan import Rollback

SCHEMA = 1


def dumps(**values: Any) -> str:
    """One JSON document, ASCII only."""
    return json.dumps({"schema": SCHEMA, **values}, indent=2)


def show(**values: Any) -> None:
    """Print one document."""
    data(dumps(**values))


def plan(plan: Plan) -> documents.Plan:
    """A step's plan with its diffs and commands."""
    step = find(plan.step)
    return {
        "step": step.id,
        "howto": step.howto,
        "title": step.title,
        "why": step.why,
        "outcome": plan.outcome.value,
        "reason": plan.reason,
        "changes": changes(plan.changes),
        "notes": list(plan.notes),
        "remedy": list(plan.remedy),
        "ends": endings(plan.ends),
    }


def changes(changes: Iterable[Change]) -> list[documents.Change]:
    """What each change shows before it is made."""
    return [{"kind": change.kind, **vars(change.describe())} for change in changes]  # type: ignore[typeddict-item]


def endings(endings: Iterable[Ending]) -> list[documents.Ending]:
    """What works now and would end."""
    return [{"id": ending.id, "says": ending.sentence, "lines": list(ending.lines)} for ending in endings]


def checks(checks: Iterable[Check]) -> list[documents.Check]:
    """Checks in order."""
    return [{**vars(check), "state": check.sign.value} for check in checks]  # type: ignore[typeddict-item]


def run(run: Run, events: Sequence[Event]) -> documents.Run:
    """What one apply came to."""
    return {
        "outcome": run_outcome(run),
        "run": run.id,
        "steps": [
            {
                **plan(each),
                "state": step_state(run, each),
                "commit": run.applied.get(name),
                "skipped": name in run.skipped,
                "checks": checks(run.checks.get(name, [])),
            }
            for name, each in run.plans.items()
        ],
        "failed": run.failed,
        "blocked": run.blocked,
        "undecided": run.undecided,
        "ends": endings(run.ends),
        "rolled_back": list(run.rolled_back),
        "failures": [
            {
                "step": event.step.id,
                "why": event.why,
                "undone": list(event.undone),
                "not_undone": list(event.not_undone),
            }
            for event in events
            if isinstance(event, Failed)
        ],
    }


def step_state(run: Run, plan: Plan) -> documents.RunStepState:
    """What became of a step in this run, in a word."""
    became = {run.failed: "failed", run.blocked: "blocked", run.undecided: "undecided"}
    if plan.step in run.applied:
        return "applied"
    if plan.step in run.skipped:
        return "skipped"
    return became.get(plan.step, plan.word or plan.outcome.value)  # type: ignore[return-value]


def run_outcome(run: Run) -> documents.RunOutcome:
    """What one apply came to, in a word."""
    if run.blocked:
        return "blocked"
    if run.undecided:
        return "undecided"
    if run.failed:
        return "failed"
    return "done" if run.applied else "nothing"


def rollback(
    rollback: Rollback, result: RollbackResult | None, *, conflict: bool = False
) -> documents.Rollback:
    """What a rollback would do, and (unless it was only asked for) what came of it."""
    target = rollback.target
    came_to = undone(result)
    return {
        "outcome": "conflict" if conflict else rollback_outcome(result) if result else "planned",
        "steps": list(target.steps),
        "dependents": list(target.dependents),
        "everything": target.everything,
        "commits": [commit.id for commit in target.commits],
        "changes": changes(rollback.changes),
        "conflicts": [
            {"path": f"/{conflict.path}", "what": conflict.what, "text": conflict.text}
            for conflict in rollback.reversal.conflicts
        ],
        "notes": [*rollback.warnings, *rollback.reversal.notes, *rollback.follows()],
        **came_to,
        "left": came_to["left"] if result else list(rollback.left),
    }


def rollback_outcome(result: RollbackResult) -> documents.UndoOutcome:
    """What came of a rollback, in a word."""
    if result.failed:
        return "failed"
    return "incomplete" if result.left or result.not_undone else "done"


def undone(result: RollbackResult | None) -> documents.RollbackResult:
    """What came of a rollback; None: it was not done."""
    return {
        "done": result is not None and result.failed is None,
        "commit": result.commit if result else None,
        "checks": checks(result.checks) if result else [],
        "left": list(result.left) if result else [],
        "failed": result.failed if result else None,
        "undone": list(result.undone) if result else [],
        "not_undone": list(result.not_undone) if result else [],
    }


def commit(commit: Commit) -> documents.Commit:
    """A commit of the snapshot store."""
    return {
        "commit": commit.id,
        "time": commit.time.isoformat(),
        "operation": commit.operation,
        "step": commit.step,
        "howto": commit.howto,
        "run": commit.run,
        "subject": commit.subject,
        "author": {"name": commit.author.name, "email": commit.author.email},
        "reverts": list(commit.reverts),
    }
