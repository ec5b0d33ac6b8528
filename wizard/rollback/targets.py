"""Which commits are in force, and which steps go together: the arithmetic of a rollback. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wizard.engine.in_force import Target, applied, commits_in_force
from wizard.errors import NothingToRollBack
from wizard.mends import extra
from wizard.steps import STEPS

if TYPE_CHECKING:
    from snapshots.store import Commit

REGENERATING_STEPS = frozenset({"sendmailconfig", "restart"})
"""Steps that make things out of what others wrote: when those go, these are done again, not rolled back."""


def needing(steps: Iterable[str]) -> set[str]:
    """The steps that need one of `steps`, directly or through another."""
    named = set(steps)
    while more := {step.id for step in (*STEPS, *extra()) if named & set(step.needs)} - named:
        named |= more
    return named - set(steps)


def everything(history: Sequence[Commit]) -> Target:
    """All that was applied and is in force."""
    commits = tuple(applied(history))
    if not commits:
        raise NothingToRollBack("nothing that msa-wizard applied is in force on this host")
    return Target(commits, _steps(commits), everything=True)


def after(history: Sequence[Commit], commit: Commit) -> Target:
    """All that was applied after the commit and is in force. Raises NothingToRollBack."""
    ids = [each.id for each in history]
    newer = set(ids[: ids.index(commit.id)])
    commits = tuple(each for each in everything(history).commits if each.id in newer)
    if not commits:
        raise NothingToRollBack(f"nothing that was applied after {commit.short} is in force")
    return Target(commits, _steps(commits))


def of_step(history: Sequence[Commit], step: str) -> Target:
    """A step, and the steps applied after it that need it. Raises NothingToRollBack."""
    force = applied(history)
    own = [commit for commit in force if commit.step == step]
    if not own:
        ever = [commit for commit in history if commit.step == step and commit.operation == "apply"]
        by = next(
            (rollback for rollback in history if {each.id for each in ever} & set(rollback.reverts)), None
        )
        raise NothingToRollBack(
            f"{step} was already rolled back, by {by.short} ({by.subject})"
            if by
            else f"{step} was never applied here"
        )
    return _with_dependents(force, own)


def of_commit(history: Sequence[Commit], commit: Commit) -> Target:
    """One commit; where it applied a step, with the steps applied after it that need that step.

    Raises NothingToRollBack."""
    force = commits_in_force(history)
    if commit.operation == "baseline":
        raise NothingToRollBack(
            f"{commit.short} is the host as it was found; `rollback --all` goes back to it"
        )
    if commit.id not in {each.id for each in force}:
        by = next((each for each in history if commit.id in each.reverts), None)
        raise NothingToRollBack(
            f"{commit.short} was already rolled back" + (f", by {by.short} ({by.subject})" if by else "")
        )
    if commit.operation != "apply":
        return Target((commit,), ())
    return _with_dependents(applied(history), [commit])


def _with_dependents(force: Sequence[Commit], own: Sequence[Commit]) -> Target:
    steps = set(_steps(own))
    needing_them = needing(steps)
    if "install" not in steps:
        needing_them -= REGENERATING_STEPS
    later = [commit for commit in force[: force.index(own[-1])] if commit.step in needing_them]
    commits = tuple(commit for commit in force if commit in own or commit in later)
    return Target(commits, _steps(own), _steps(later))


def _steps(commits: Iterable[Commit]) -> tuple[str, ...]:
    """Their steps in the howto's order, then those beyond it, each once."""
    named = {commit.step for commit in commits}
    return tuple(step.id for step in (*STEPS, *extra()) if step.id in named)
