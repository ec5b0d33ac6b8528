"""What each command of the command line does: engine calls, and the result as text or JSON."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wizard.changes.confirm_or_revert import DEFAULT, SHORTEST
from wizard.cli.options import _asks, answers_of, between, consent, decide, must_be_asked, steps_of
from wizard.cli.status_history import _readable_store
from wizard.console import clean, error, out
from wizard.engine.apply import Run
from wizard.engine.engine import Engine
from wizard.engine.state_dir import (
    at_work,
)
from wizard.gather.firewall import ssh_connection
from wizard.model.answers import Answers
from wizard.model.events import Event
from wizard.model.plan import Outcome, Plan
from wizard.render import as_json
from wizard.render.text import endings_text, show
from wizard.system.host import Host

if TYPE_CHECKING:
    import argparse


def plan(arguments: argparse.Namespace) -> int:
    """`plan`: 0, or 10 with --exit-code when something is to be done; 3 when a step is blocked."""
    steps = steps_of(arguments.steps)
    report = (lambda _: None) if arguments.json else show
    engine = Engine(Host(), answers_of(arguments), report, store=_readable_store())
    made = engine.plan(steps)
    if arguments.json:
        out(as_json.dumps(steps=as_json.plans(made)))
    else:
        _planned_endings(made, engine.answers.accept)
    outcomes = {item.outcome for item in made.values()}
    if Outcome.BLOCKED in outcomes:
        return 3
    return 10 if arguments.exit_code and outcomes & {Outcome.PENDING, Outcome.LATER} else 0


def apply(arguments: argparse.Namespace) -> int:
    """`apply`: 0 done or nothing to do, 1 failed and undone, 3 blocked, 4 something that works would end."""
    steps = steps_of(arguments.steps)
    answers = _guarded(answers_of(arguments), arguments)
    must_be_asked(arguments, "apply", " (`msa-wizard plan` shows what it would do)")
    events: list[Event] = []
    engine = Engine(Host(), answers, events.append if arguments.json else show)
    with at_work() as (store, journal, interrupt):
        run = engine.apply(
            store,
            journal,
            steps,
            decide(arguments.yes, store, interrupt),
            interrupt,
            consent=consent(arguments, interrupt),
        )
    if arguments.json:
        out(as_json.dumps(**as_json.run(run, events)))
    else:
        _summary(run)
    if run.undecided:
        error(undecided_text(run, arguments.argv))
    elif not run.stopped and not arguments.json:
        _unused(run.plans, answers.accept)
    return exit_code(run)


def exit_code(run: Run) -> int:
    """What a run came to: 0 done, 1 failed and undone, 3 blocked, 4 something that works would end."""
    return 3 if run.blocked else 4 if run.undecided else 1 if run.failed else 0


def undecided_text(run: Run, command: Sequence[str] = ("apply",)) -> str:
    """Why a run ended before a step: what would end with it, and the command that goes on."""
    names = [part for ending in run.ends for part in ("--accept", ending.id)]
    return "\n".join(
        [
            f"Stopped before {run.undecided}: something that works on this host would end with it.",
            endings_text(run.ends),
            f"Nothing of {run.undecided} was changed. {_applied(run)}",
            f"If that may end:  {clean(shlex.join(['msa-wizard', *command, *names]))}",
        ]
    )


def _planned_endings(made: Mapping[str, Plan], accept: Sequence[str]) -> None:
    """Where `apply` would stop, and what goes on."""
    for name, plan in made.items():
        waits = plan.waits_for(accept)
        if waits:
            names = " ".join(f"--accept {ending.id}" for ending in waits)
            out(f"\n`apply` stops before {name}: something that works would end. If that may: {names}")
    _unused(made, accept)


def _unused(made: Mapping[str, Plan], accept: Sequence[str]) -> None:
    known = {ending.id for plan in made.values() for ending in plan.ends}
    for name in accept:
        if name not in known:
            out(f"note: accepted is {name}, and nothing of that name would end here now")


def _guarded(answers: Answers, arguments: argparse.Namespace) -> Answers:
    """What takes changes back by itself, and when. Raises UsageError for a time that is none."""
    terminal = _asks(arguments)
    seconds = arguments.confirm_within
    if seconds is None:
        seconds = DEFAULT if terminal and ssh_connection() else 0
    between("--confirm-within", seconds, SHORTEST, zero=True)
    watch = arguments.watch_restart
    between("--watch-restart", watch, SHORTEST, zero=True)
    return dataclasses.replace(answers, confirm_within=seconds, confirm_typed=terminal, watch_restart=watch)


def _summary(run: Run) -> None:
    if run.undecided:
        return
    if run.blocked:
        error(f"Stopped at {run.blocked}: see above what is in the way. {_applied(run)}")
    elif run.failed:
        error(f"Step {run.failed} failed. {_applied(run)}")
    elif run.applied:
        out(f"\nDone: {_applied(run)} Now prove a login:  msa-wizard test --user NAME")
    else:
        out(
            "\nNothing to do: no step has anything to change. `msa-wizard test --user NAME` proves a login."
            if not run.skipped
            else f"\nLeft alone: {', '.join(run.skipped)}."
        )


def _applied(run: Run) -> str:
    return (
        f"{len(run.applied)} steps applied ({', '.join(run.applied)})."
        if run.applied
        else "No step was applied."
    )
