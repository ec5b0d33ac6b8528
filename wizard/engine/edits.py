"""The edits of sendmail.mc are asked about together, at the first that is carried out, and sendmailconfig with them. Debian's start of
sendmail makes a sendmail.cf again that is older than sendmail.mc (tried on 12 and 13), so a run must not stop between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from wizard.changes.records import dates_before
from wizard.engine.in_force import applied
from wizard.model.facts import SENDMAIL_CF, SENDMAIL_MC, Facts
from wizard.model.plan import Ending, Outcome, Plan, Step, after, ids
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.m4 import expand_text
from wizard.steps.order import STEPS
from wizard.steps.sendmailconfig import EDITS, Sendmailconfig

if TYPE_CHECKING:
    from snapshots.store import Commit, Store
    from wizard.system.host import Host

_MC = SENDMAIL_MC.lstrip("/")
"""As the store names it."""


def at_the_first(plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """The plans, of which the first edit that is pending has what would end with those behind it, and these have it no more;
    and what would end with sendmailconfig alone, which goes on naming it."""
    edits = [plan for name, plan in plans.items() if name in EDITS and plan.outcome is Outcome.PENDING]
    if not edits:
        return dict(plans)
    first, *behind = edits
    ends = dict.fromkeys(
        (*first.ends, *(replace(each, step=plan.step) for plan in behind for each in plan.ends))
    )
    if dialogue := plans.get(Sendmailconfig.id):
        ends |= dict.fromkeys(replace(each, step=dialogue.step) for each in dialogue.waits_for(ids(ends)))
    moved = {plan.step: replace(plan, ends=()) for plan in edits}
    moved[first.step] = replace(first, ends=tuple(ends))
    return {name: moved.get(name, plan) for name, plan in plans.items()}


def may_be_left_out(ends: Iterable[Ending]) -> str:
    """The later steps that some of these come with, and that a login can do without, as words; empty where there are none."""
    later = {ending.step for ending in ends}
    return " or ".join(step.id for step in STEPS if step.id in later and step.without)


def would_go(done: Iterable[str], step: str | None, left_out: Collection[str]) -> tuple[str, ...]:
    """Of the steps that a run has done, the edits of sendmail.mc that are rolled back if it ends at `step`: sendmailconfig is
    still to come."""
    order = [each.id for each in STEPS]
    cf = order.index(Sendmailconfig.id)
    to_come = Sendmailconfig.id not in left_out and step in order[: cf + 1]
    return tuple(name for name in done if name in EDITS) if to_come else ()


def edits_behind(step: Step, steps: Sequence[Step]) -> Iterator[Step]:
    """Those of the steps that edit sendmail.mc after this one, and sendmailconfig."""
    return (each for each in steps[steps.index(step) + 1 :] if each.id in EDITS | {Sendmailconfig.id})


def half_edited(host: Host, store: Store, run: str) -> list[Commit]:
    """The steps of the run that have written sendmail.mc since sendmail.cf was last made of it, whoever did that: by their
    commits, newest first. A sendmail.cf that was only edited is made of none of them. Raises StoreError, HostError."""
    of_run = takewhile(lambda commit: commit.run == run, applied(store.history()))
    of_mc = {commit.id for commit in store.history(path=_MC)}
    mc_date, cf_date = host.dated(SENDMAIL_MC), host.dated(SENDMAIL_CF)
    edits = []
    for commit in (commit for commit in of_run if commit.id in of_mc):
        older = mc_date is not None and cf_date is not None and mc_date <= cf_date
        if older and _made_of(host, store, commit):
            break
        edits.append(commit)
        mc_date = dates_before(store, [commit]).get(_MC, (None, None))[1]
    return edits


def _made_of(host: Host, store: Store, commit: Commit) -> bool:
    """Whether the sendmail.cf of now is what m4 makes of the sendmail.mc that the commit has. Raises StoreError, HostError."""
    mc, cf = store.entry(commit.id, _MC), host.entry(SENDMAIL_CF)
    if mc is None or cf is None:
        return False
    return sendmail_cf.same(expand_text(host, mc.content).text, cf.content.decode("latin-1"))


def looking_ahead(
    plan: Plan, facts: Facts, behind: Iterable[Step], plan_of: Callable[[Step, Facts], Plan]
) -> Plan:
    """The plan of an edit, with what would end with those `behind` it."""
    plans = {plan.step: plan}
    for step in behind:
        facts = after(facts, plan)
        plans[step.id] = plan = plan_of(step, facts)
    return at_the_first(plans)[next(iter(plans))]
