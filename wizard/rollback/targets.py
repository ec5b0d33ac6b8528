"""Which commits stand, and which steps go together: the arithmetic of taking back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wizard.engine.in_force import Target, applied, standing
from wizard.errors import NothingToRollBack
from wizard.mends.catalogue import extra
from wizard.steps import STEPS

if TYPE_CHECKING:
    from snapshots.store import Commit

FOLLOWING = frozenset({"sendmailconfig", "restart"})
"""Steps that make things out of what others wrote: when those go, these are done again, not taken back."""


def needing(steps: Iterable[str]) -> set[str]:
    """The steps that need one of `steps`, directly or through another."""
    found = set(steps)
    while more := {step.id for step in (*STEPS, *extra()) if found & set(step.needs)} - found:
        found |= more
    return found - set(steps)


def everything(history: Sequence[Commit]) -> Target:
    """All that was applied and stands."""
    commits = tuple(applied(history))
    if not commits:
        raise NothingToRollBack("nothing that msa-wizard applied stands on this host")
    return Target(commits, _steps(commits), everything=True)


def after(history: Sequence[Commit], commit: Commit) -> Target:
    """All that was applied after the commit and stands. Raises NothingToRollBack."""
    ids = [item.id for item in history]
    newer = set(ids[: ids.index(commit.id)])
    commits = tuple(item for item in everything(history).commits if item.id in newer)
    if not commits:
        raise NothingToRollBack(f"nothing that was applied after {commit.short} stands")
    return Target(commits, _steps(commits))


def of_step(history: Sequence[Commit], step: str) -> Target:
    """A step, and the steps applied after it that need it. Raises NothingToRollBack."""
    force = applied(history)
    own = [commit for commit in force if commit.step == step]
    if not own:
        ever = [commit for commit in history if commit.step == step and commit.operation == "apply"]
        by = next((item for item in history if {each.id for each in ever} & set(item.reverts)), None)
        raise NothingToRollBack(
            f"{step} is taken back already, by {by.short} ({by.subject})"
            if by
            else f"{step} was never applied here"
        )
    return _with_dependents(force, own)


def of_commit(history: Sequence[Commit], commit: Commit) -> Target:
    """One commit; where it applied a step, with the steps applied after it that need that step.

    Raises NothingToRollBack."""
    force = standing(history)
    if commit.operation == "baseline":
        raise NothingToRollBack(
            f"{commit.short} is the host as it was found; `rollback --all` goes back to it"
        )
    if commit.id not in {item.id for item in force}:
        by = next((item for item in history if commit.id in item.reverts), None)
        raise NothingToRollBack(
            f"{commit.short} is taken back already" + (f", by {by.short} ({by.subject})" if by else "")
        )
    if commit.operation != "apply":
        return Target((commit,), ())
    return _with_dependents(applied(history), [commit])


def _with_dependents(force: Sequence[Commit], own: Sequence[Commit]) -> Target:
    steps = set(_steps(own))
    needing_them = needing(steps)
    if "install" not in steps:
        needing_them -= FOLLOWING
    later = [commit for commit in force[: force.index(own[-1])] if commit.step in needing_them]
    commits = tuple(commit for commit in force if commit in own or commit in later)
    return Target(commits, _steps(own), _steps(later))


def _steps(commits: Iterable[Commit]) -> tuple[str, ...]:
    """Their steps in the howto's order, then those beyond it, each once."""
    named = {commit.step for commit in commits}
    return tuple(step.id for step in (*STEPS, *extra()) if step.id in named)
