"""Whether the fix of a fault can be applied now: by the plans of its steps, which `--fix` would begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard.engine.engine import Engine
from wizard.errors import HostError
from wizard.model.answers import Answers
from wizard.model.plan import Outcome, Plan
from wizard.system.host import Host
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.verdict import mends

if TYPE_CHECKING:
    from snapshots.store import Store


@dataclass(frozen=True)
class Fix:
    """What is known of a fix before it is asked for."""

    can_be_applied: bool
    why_not: str = ""
    """Why no step can be applied now; empty where one can."""
    blocked: bool = False
    """Whether --fix would fail over it: a step of it is blocked, or it cannot be planned."""
    ends: tuple[str, ...] = ()
    """Ids of what works now and would end: `--accept` takes them."""


def fixes(
    host: Host,
    answers: Answers,
    faults: Sequence[Fault],
    waits: str | None,
    history: Callable[[], Store | None],
) -> dict[str, Fix]:
    """By the id of each fault; `waits` says what a killed run waits for. Changes nothing."""
    steps = mends(faults)
    known = {fault.id: Fix(False, "only a person can do it") for fault in faults}
    mended = [fault for fault in faults if fault.finding.mend.steps]
    if waits or not mended:
        return known | {fault.id: Fix(False, waits or "") for fault in mended}
    try:
        engine = Engine(host, answers, lambda _: None, steps, history())
        facts = engine.look()
        for fault in mended:
            plans = replace(engine, steps=mends([fault])).plan(facts=facts)
            known[fault.id] = of_plans(plans.values(), answers.accept)
    except (HostError, StoreError) as error:
        known |= {fault.id: Fix(False, str(error), blocked=True) for fault in mended}
    return known


def of_plans(plans: Iterable[Plan], accepted: Sequence[str]) -> Fix:
    """What the plans of a fix's steps come to together."""
    plans = tuple(plans)
    for plan in plans:
        if plan.outcome is Outcome.BLOCKED:
            return Fix(False, f"{plan.step} is blocked: {plan.reason}", blocked=True)
    if all(plan.outcome in (Outcome.DONE, Outcome.NOT_APPLICABLE) for plan in plans):
        return Fix(False, "; ".join(f"{plan.step}: {plan.reason}" for plan in plans))
    ends = dict.fromkeys(ending.id for plan in plans for ending in plan.ends if ending.id not in accepted)
    return Fix(True, ends=tuple(ends))
