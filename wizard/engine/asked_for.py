"""Told apart: a step that has something to do because the host has drifted, because the settings ask for something else than
when it was applied, or because its own rollback could take it back in part only."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.engine.in_force import applied, commits_in_force
from wizard.engine.planner import Planner
from wizard.model.answers import Answers, answers_from
from wizard.model.facts import Facts
from wizard.model.plan import ASKED_FOR, Outcome, Plan

if TYPE_CHECKING:
    from snapshots.store import Store

_SECTIONS = ("listen", "auth", "login", "guess", "tls", "certificate", "firewall")
"""Of the answers those that steps carry out."""


def asked_for(planner: Planner, facts: Facts, plans: Mapping[str, Plan], store: Store) -> dict[str, Plan]:
    """The plans, where those that only the settings make pending say so. Raises HostError, StoreError."""
    told = dict(plans)
    by_answers: dict[str, list[str]] = {}
    for step, then in _applied_with(store):
        if step in plans and plans[step].outcome is Outcome.PENDING:
            by_answers.setdefault(json.dumps(then), []).append(step)
    for text, steps in by_answers.items():
        then = _with(planner.answers, json.loads(text))
        if then is None or not (sections := _differing(then, planner.answers)):
            continue
        quiet = replace(planner, report=lambda _: None)
        before = replace(quiet, answers=then).plan(facts=facts)
        asked = [step for step in steps if before[step].outcome is not Outcome.PENDING]
        # Where several differ, those count with which, as they were, there is nothing to do. What is behind takes its time.
        last = max((at for at, each in enumerate(quiet.steps) if each.id in asked), default=-1)
        quiet = replace(quiet, steps=quiet.steps[: last + 1])
        alone = {
            name: replace(quiet, answers=_with_section(planner.answers, name, then)).plan(facts=facts)
            for name in (sections if len(sections) > 1 else ())
        }
        for step in asked:
            because = [name for name in alone if alone[name][step].outcome is not Outcome.PENDING]
            words = _differ(then, planner.answers, because or sections)
            reason = f"your settings ask for {words}: {plans[step].reason}"
            told[step] = replace(plans[step], reason=reason, word=ASKED_FOR)
    pending = {step for step, plan in told.items() if plan.outcome is Outcome.PENDING}
    for step in pending & _in_part(store, pending):
        told[step] = replace(told[step], reason=f"rolled back in part: {told[step].reason}", word=ASKED_FOR)
    return told


def _in_part(store: Store, steps: Collection[str]) -> set[str]:
    """Those of the steps whose newest commit in force a rollback took back in part, for others needed the rest."""
    newest: dict[str, str] = {}
    force = commits_in_force(store.history())
    for commit in force:
        if commit.operation == "apply" and commit.step in steps:
            newest.setdefault(str(commit.step), commit.id)
    ids: set[str] = set()
    for rollback in (commit for commit in force if newest and commit.operation == "rollback"):
        with suppress(StoreError, ValueError):
            ids.update(json.loads(store.record(rollback) or b"{}").get("in_part", ()))
    return {step for step, commit in newest.items() if commit in ids}


def _applied_with(store: Store) -> Iterator[tuple[str, object]]:
    """Each step in force with the answers that its newest commit has; none of older versions."""
    seen: set[str] = set()
    for commit in applied(store.history()):
        if commit.step and commit.step not in seen:
            seen.add(commit.step)
            try:
                record = json.loads(store.record(commit) or b"{}")
            except (StoreError, ValueError):
                continue
            if "answers" in record:
                yield commit.step, record["answers"]


def _with(now: Answers, then: object) -> Answers | None:
    """The answers now, with what steps carry out as it was then."""
    try:
        kept = answers_from(then)
    except (AttributeError, KeyError, TypeError):
        return None
    return replace(now, **{name: getattr(kept, name) for name in _SECTIONS})


def _with_section(now: Answers, name: str, then: Answers) -> Answers:
    return replace(now, **{name: getattr(then, name)})


def _differing(then: Answers, now: Answers) -> list[str]:
    """The sections that are not as they were."""
    return [name for name in _SECTIONS if getattr(then, name) != getattr(now, name)]


def _differ(then: Answers, now: Answers, sections: Sequence[str]) -> str:
    """What these sections of the settings say now that they did not say then, as the file has it."""
    lines = []
    for section in sections:
        old, new = getattr(then, section), getattr(now, section)
        for each in fields(new):
            value = getattr(new, each.name)
            if value != getattr(old, each.name):
                lines.append(f"[{section}] {each.name} = {json.dumps(value)}")
    return ", ".join(lines)
