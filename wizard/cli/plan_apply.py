"""What each command of the command line does: engine calls, and the result as text or JSON."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.changes.confirm_or_revert import DEFAULT, LONGEST, SHORTEST
from wizard.engine.apply import Consent, Run, nobody
from wizard.engine.engine import Engine, EngineError
from wizard.engine.local_edits import own_edits
from wizard.engine.overview import plans, state
from wizard.engine.state_dir import (
    LOCK,
    CannotHere,
    InterruptedRun,
    at_work,
    existing_store,
    killed_run,
    lost_history,
    must_be_root,
)
from wizard.gather.firewall import ssh_connection
from wizard.gather.host import look
from wizard.model.answers import Answers, AnswersError, Test, ending_id, load
from wizard.model.events import Event
from wizard.model.plan import Ending, Outcome, Plan, Step
from wizard.render import as_json
from wizard.render.text import clean, effect_lines, endings_text, error, out, reason_text, show, status_lines
from wizard.rollback.targets import applied
from wizard.steps import STEPS
from wizard.system.host import Host
from wizard.system.lock import free
from wizard.system.signals import Interrupt

if TYPE_CHECKING:
    import argparse

    from snapshots.store import Commit, Store


def answers_of(arguments: argparse.Namespace) -> Answers:
    """The answers of --answers, or the defaults, with what --accept adds. Raises AnswersError."""
    answers = load(Path(arguments.answers)) if arguments.answers else Answers()
    try:
        more = [ending_id(name) for name in getattr(arguments, "accept", [])]
    except ValueError as problem:
        raise AnswersError(f"--accept: {problem}") from problem
    accept = tuple(dict.fromkeys((*answers.accept, *more)))
    return dataclasses.replace(answers, replace_mta=getattr(arguments, "replace_mta", False), accept=accept)


def steps_of(names: list[str]) -> list[str]:
    """These step ids. Raises EngineError for one that does not exist."""
    known = [step.id for step in STEPS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise EngineError(
                f"there is no step {clean(name)[:60]!r}{f'; did you mean {near[0]}?' if near else ''} Steps: {', '.join(known)}"
            )
    return names


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


def consent(arguments: argparse.Namespace, interrupt: Interrupt) -> Consent:
    """Whom to ask about what would end: the terminal, unless there is none or `--yes` says not to ask."""
    if arguments.yes or not _asks(arguments):
        return nobody

    def ask(step: Step, plan: Plan, ends: tuple[Ending, ...]) -> bool:
        for ending in ends:
            out(endings_text((ending,)))
            try:
                with interrupt.at_once():
                    reply = input(f"   may this end ({ending.id})? [y]es, [n]o (the default): ")
            except EOFError:
                return False
            if reply.strip().lower() not in ("y", "yes"):
                return False
        return True

    return ask


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


def must_be_asked(arguments: argparse.Namespace, command: str, instead: str = "") -> None:
    """Raises EngineError where nobody can be asked, and `--yes` was not given."""
    if not arguments.yes and not _asks(arguments):
        raise EngineError(f"nothing was changed: without a terminal, {command} needs --yes{instead}")


def _asks(arguments: argparse.Namespace) -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json


def _guarded(answers: Answers, arguments: argparse.Namespace) -> Answers:
    """What takes changes back by itself, and when. Raises EngineError for a time that is none."""
    terminal = _asks(arguments)
    seconds = arguments.confirm_within
    if seconds is None:
        seconds = DEFAULT if terminal and ssh_connection() else 0
    elif seconds and not SHORTEST <= seconds <= LONGEST:
        raise EngineError(
            f"--confirm-within {seconds}: it takes {SHORTEST} to {LONGEST} seconds, or 0. Nothing was changed"
        )
    watch = arguments.watch_restart
    if watch and not SHORTEST <= watch <= LONGEST:
        raise EngineError(
            f"--watch-restart {watch}: it takes {SHORTEST} to {LONGEST} seconds, or 0. Nothing was changed"
        )
    return dataclasses.replace(answers, confirm_within=seconds, confirm_typed=terminal, watch_restart=watch)


def decide(yes: bool, store: Store, interrupt: Interrupt) -> Callable[[Step, Plan], bool]:
    """Whom to ask before a step's changes: nobody with `yes`, else the terminal."""
    if yes:
        return lambda _step, _plan: True
    rest = False

    def ask(step: Step, plan: Plan) -> bool:
        nonlocal rest
        edits = own_edits(store, plan)
        for edit in edits:
            out(f"   you have changed {clean(edit.path)} since, where this step would write again:")
            out("\n".join(f"   | {clean(line)}" for line in edit.text.splitlines()))
        if rest and not edits:
            return True
        while True:
            try:
                with interrupt.at_once():
                    reply = input(f"   apply {step.id}? [y]es, [n]o, [a]ll that remain: ").strip().lower()
            except EOFError:
                return False
            if reply in ("a", "all"):
                rest = True
            if reply in ("y", "yes", "a", "all", "n", "no"):
                return reply[0] != "n"

    return ask


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


def status(arguments: argparse.Namespace) -> int:
    """`status`: 0. A step that a commit says was applied, and that has something to do again, has drifted."""
    host, store = Host(), _readable_store()
    stand = {item.step for item in applied(store.history()) if item.step} if store else set()
    made = plans(host, answers_of(arguments), look(host), store)
    rows = {name: (state(plan, name in stand), reason_text(plan)) for name, plan in made.items()}
    if arguments.json:
        steps = [{"step": name, "state": word, "reason": why} for name, (word, why) in rows.items()]
        out(as_json.dumps(steps=steps, interrupted=interrupted()))
    else:
        out(status_lines(rows))  # first, since a journal that is damaged sends the admin here
        for words in filter(None, (interrupted(), lost_history() if os.geteuid() == 0 else "")):
            error(f"msa-wizard: {words}")
    return 0


def interrupted() -> str | None:
    """What a killed run waits for, in words; a run that is at work is none."""
    told = killed_run() if os.geteuid() == 0 else None
    return str(InterruptedRun(told)) if told and free(LOCK) else None


def _readable_store() -> Store | None:
    """The history; None where there is none, or it is not ours to read."""
    return existing_store() if os.geteuid() == 0 else None


def history(arguments: argparse.Namespace) -> int:
    """`history`: 0."""
    store = _existing_or_say()
    commits = list(store.history())
    if arguments.json:
        out(as_json.dumps(commits=[_commit(item) for item in commits]))
    for item in () if arguments.json else commits:
        out(_line(item))
    return 0


def _line(item: Commit) -> str:
    when = item.time.astimezone().strftime("%F %T")
    return f"{item.short}  {when}  {item.operation:<8}  {clean(item.subject)}  ({clean(item.author.name)})"


def _commit(item: Commit) -> dict[str, object]:
    return {
        "commit": item.id,
        "time": item.time.isoformat(),
        "operation": item.operation,
        "step": item.step,
        "howto": item.howto,
        "run": item.run,
        "subject": item.subject,
        "author": {"name": item.author.name, "email": item.author.email},
    }


def diff(arguments: argparse.Namespace) -> int:
    """`diff`: 0, or 2 when there is no such step or commit."""
    from snapshots.store import StoreError

    store = _existing_or_say()
    try:
        commit = store.find(arguments.ref)
        record = store.record(commit)
        out(f"{_line(commit)}\n")
        for effect in effect_lines(record) if record else ():
            out(effect)
        out(store.diff(commit).rstrip("\n"))
    except StoreError as problem:
        raise EngineError(str(problem)) from problem
    return 0


def answers(arguments: argparse.Namespace) -> int:
    """`answers`: a commented TOML with this host's defaults; it parses to the defaults."""
    from wizard.render.answers_file import as_toml
    from wizard.sendmail.password_source import as_here

    facts = look(Host())
    made = Answers(auth=as_here(facts), test=Test(host=facts.fqdn if facts.fqdn_resolves else ""))
    out(as_toml(made, facts).rstrip("\n"))
    return 0


def test(arguments: argparse.Namespace) -> int:
    """`test`: 0 when all is as it should be, else 1."""
    from wizard.cli import test as login

    return login.test(arguments, answers_of(arguments))


def _existing_or_say() -> Store:
    must_be_root()
    store = existing_store()
    if store is None or store.head() is None:
        raise CannotHere(
            lost_history()
            or "there is no history yet: nothing was ever applied on this host (`msa-wizard plan` shows what would be)"
        )
    return store
