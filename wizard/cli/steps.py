"""The commands for the steps and for what was done: `plan`, `apply`, `confirm`, `status`, `history`, `diff`, `answers`; and what
every run of the engine has in common on the command line."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from wizard import log
from wizard.changes import confirm_or_revert
from wizard.changes.confirm_or_revert import DEFAULT, SHORTEST
from wizard.cli.options import (
    answers_now,
    answers_of,
    asks,
    between,
    consent,
    decide,
    known,
    must_be_asked,
    steps_of,
)
from wizard.console import clean, count, data, error, fold, out, own_command, page, terminal_columns
from wizard.engine import in_force
from wizard.engine.edits import may_be_left_out
from wizard.engine.engine import Engine
from wizard.engine.overview import overview, plans, state
from wizard.engine.run import Run
from wizard.engine.state_dir import (
    InterruptedRun,
    alone,
    at_work,
    existing_store,
    lost_history,
    must_be_root,
    others_at_work,
    store_to_add_to,
    waiting_run,
)
from wizard.errors import (
    CANNOT,
    CONFLICT,
    DONE,
    FAILED,
    PENDING,
    CannotHere,
    Interrupted,
    NotRoot,
    UsageError,
    WizardError,
)
from wizard.gather.firewall import ssh_connection
from wizard.gather.host import look
from wizard.model.answer_checks import unknown_groups, unused_groups
from wizard.model.answers import Answers, Auth
from wizard.model.answers_file import SAVED, saved
from wizard.model.events import Event
from wizard.model.facts import Facts
from wizard.model.plan import UNKNOWN, UNTESTED, Outcome, Plan, Sign, Step, ids
from wizard.model.session import Session
from wizard.model.set_option import as_options
from wizard.render import as_json
from wizard.render.progress import Shown
from wizard.render.text import (
    collector,
    commit_changes,
    commit_text,
    endings_text,
    event_text,
    history_lines,
    notes_once,
    reason_text,
    rolled_back_text,
    show,
    status_lines,
    summary_text,
)
from wizard.render.waiting import watched
from wizard.sendmail.own_address import not_here
from wizard.steps.order import STEPS
from wizard.steps.restart import AuthTest
from wizard.system.guard import Decision
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Store
    from wizard.model import documents


def plan(arguments: argparse.Namespace) -> int:
    """`plan`: 0, or 10 with --exit-code when something is to be done; 3 when a step is blocked, and with --exit-code where only root
    can see whether anything is to be done: then it raises NotRoot, but for --json, which has said so of each step."""
    steps = steps_of(arguments.steps)
    events: list[Event] = []
    paged = not arguments.json and terminal_columns(sys.stdout) is not None
    report = collector(events) if arguments.json or paged else show
    engine = Engine(Host(), answers_of(arguments), notes_once(report), store=readable_store())
    plans = engine.plan(steps)
    outcomes, words = {plan.outcome for plan in plans.values()}, {plan.word for plan in plans.values()}
    to_do = any(
        plan.outcome in (Outcome.PENDING, Outcome.LATER) and plan.word not in (UNTESTED, UNKNOWN)
        for plan in plans.values()
    )
    unknown = arguments.exit_code and UNKNOWN in words and not to_do and Outcome.BLOCKED not in outcomes
    if arguments.json:
        stops = [ending for plan in plans.values() for ending in plan.waits_for(engine.answers.accept)]
        rows = [as_json.plan(plan) for plan in plans.values()]
        as_json.show(steps=rows, interrupted=interrupted(), ends=as_json.endings(stops))
    else:
        if paged:
            page("\n".join(map(event_text, events)))
            for name, plan in plans.items():
                if plan.outcome is Outcome.BLOCKED:
                    error(f"`apply` stops at {name}: {clean(plan.reason)}")
        _planned_endings(plans, engine.answers.accept, arguments.accept)
        for line in filter(None, (interrupted(), at_work_now())):  # what is begun looks like done here
            error(f"msa-wizard: {line}")
    if unknown and not arguments.json:
        raise NotRoot("see whether anything is left to do", reads=True)
    if unknown or Outcome.BLOCKED in outcomes:
        return CANNOT
    return PENDING if arguments.exit_code and to_do else DONE


def apply(arguments: argparse.Namespace) -> int:
    """`apply`: see exit_code."""
    wanted = steps_of(arguments.steps)
    must_be_root()
    answers = guarded(answers_of(arguments), arguments)
    must_be_asked(arguments, "apply", " (`msa-wizard plan` shows what it would do)")
    run, events = applied(Host(), arguments, lambda: STEPS, answers, wanted)
    if arguments.json:
        as_json.show(**as_json.run(run, events))
    elif not run.undecided:
        _summary(run, answers, arguments)
    if run.undecided:
        error(undecided_text(run, arguments.argv, answered=answers_now(arguments)), whole=True)
    elif not run.stopped and not arguments.json:
        _unused(run.plans, arguments.accept)
        if run.applied:
            unsaved_note(answers, saved())
    return exit_code(run)


def applied(
    host: Host,
    arguments: argparse.Namespace,
    steps: Callable[[], Sequence[Step]],
    answers: Answers,
    wanted: Sequence[str] = (),
) -> tuple[Run, list[Event]]:
    """Apply `steps`, worked out while this host is ours; asked about on the terminal, shown unless --json collects them."""
    events: list[Event] = []
    with at_work() as (store, journal, interrupt):
        report = watched(collector(events) if arguments.json else Shown(whole=arguments.verbose).report)
        session, chosen = Session(), steps()
        engine = Engine(host, answers, session.heard(report), chosen, unattended=bool(arguments.yes))
        wants, may_end = decide(arguments, host, store, interrupt), consent(arguments, interrupt)
        try:
            run = engine.apply(store, journal, wanted, wants, interrupt, consent=may_end)
        except Interrupted as stopped:
            if session.applied:
                stays = fold(f"{_applied_text(session.applied)} That stays.")
                error("\n".join([*stays, *(_goes_on(arguments.argv) if chosen is STEPS else ())]), whole=True)
            if not session.failed:  # nothing else was begun
                stopped.next = "" if session.applied else "Nothing was changed"
            raise
        if run.failed == AuthTest.id:
            from wizard.troubleshoot.explain import of_run  # not loaded for a run that succeeds

            of_run(engine, run)
    return run, events


def exit_code(run: Run) -> int:
    """What a run came to: 0 done, 1 failed and undone, 3 blocked, 4 something that works would end."""
    codes = {"blocked": CANNOT, "undecided": CONFLICT, "failed": FAILED}
    return codes.get(as_json.run_outcome(run), DONE)


def undecided_text(run: Run, command: Sequence[str] = ("apply",), *, answered: bool = False) -> str:
    """Why a run ended before a step: what would end with it, unless it was just shown and `answered`, and the command that
    goes on; empty where nobody knows it."""
    names = [part for name in ids(run.ends) for part in ("--accept", name)]
    first = "If that may end" if names else "To go on"
    if command:
        goes_on = _goes_on([*command, *names], first)
    else:
        accepted = f", with {clean(shlex.join(names))}" if names else "."
        goes_on = fold(f"{first}: run the command that was interrupted again{accepted}")
    done = f"Nothing of {run.undecided} was changed. {rolled_back_text(run.rolled_back)}{_applied_text(run.applied)}"
    if not run.ends:
        why = f"Stopped before {run.undecided}: the interrupted run had not come to it."
        return "\n".join([*fold(why), *fold(done), *goes_on])
    if later := may_be_left_out(run.ends):
        done += f" To leave out {later}, press s on it on the screens (`msa-wizard`)."
    after = "\n".join(fold(done))
    by = ", ".join(dict.fromkeys(ending.step or "it" for ending in run.ends))
    shown = "" if answered else f"{endings_text(run.ends)}\n"
    return (
        f"Stopped before {run.undecided}: something that works on this host would end with {by}.\n"
        f"{shown}{after}\n"
    ) + "\n".join(goes_on)


def _planned_endings(plans: Mapping[str, Plan], accept: Sequence[str], typed: Sequence[str]) -> None:
    """Where `apply` would stop, and what goes on; what of --accept is `typed` for nothing."""
    for name, plan in plans.items():
        waits = plan.waits_for(accept)
        if waits:
            names = " ".join(f"--accept {each}" for each in ids(waits))
            out(f"\n`apply` stops before {name}: something that works would end. If that may: {names}")
    _unused(plans, typed)


def _unused(plans: Mapping[str, Plan], accept: Sequence[str]) -> None:
    """What was typed for nothing: in the settings a name may wait for its day."""
    endings = {ending.id for plan in plans.values() for ending in plan.ends}
    for name in accept:
        if name not in endings:
            out(f"note: {name} is accepted, but nothing of that name would end here now")


def unsaved_note(answers: Answers, kept: Answers) -> None:
    """How the settings of one run are saved, by which later commands go. What was accepted has ended."""
    if options := as_options(dataclasses.replace(answers, accept=kept.accept), kept):
        says = "`status` and later runs do not know the settings that were given to this one. To save them:"
        keeps = own_command(["answers", "--save", *options], "   ", "     ")
        out("\n".join([*fold(says, "note: "), *keeps]), whole=True)


def guarded(answers: Answers, arguments: argparse.Namespace) -> Answers:
    """What reverts changes by itself, and when. Raises UsageError for a time out of bounds."""
    terminal, seconds = asks(arguments), arguments.confirm_within
    watch = getattr(arguments, "watch_restart", 0)  # of `apply` alone
    if seconds is None:
        seconds = DEFAULT if terminal and ssh_connection() else 0
    between("--confirm-within", seconds, SHORTEST, zero=True)
    between("--watch-restart", watch, SHORTEST, zero=True)
    return dataclasses.replace(answers, confirm_within=seconds, confirm_typed=terminal, watch_restart=watch)


def _summary(run: Run, answers: Answers, arguments: argparse.Namespace) -> None:
    if run.blocked or run.failed:
        error(stopped_text(run))
    elif run.enough:
        out(f"\n{ended_text(run, arguments.argv)}", whole=True)
    elif run.applied or run.skipped:
        if not arguments.quiet:  # it takes its time
            out(f"\n{ending(run, answers)}")
    else:
        out("\nNothing to do: no step has anything to change. `msa-wizard test --user NAME` proves a login.")


def ended_text(run: Run, command: Sequence[str]) -> str:
    """Before which step somebody has ended a run, and the command that goes on; empty where nobody knows it."""
    done = fold(f"Ended before {run.enough}. {_applied_text(run.applied)}")
    return "\n".join([*done, *(_goes_on(command) if command else ())])


def _goes_on(command: Sequence[str], first: str = "To go on") -> list[str]:
    return own_command(command, f"{first}:  ")


def stopped_text(run: Run) -> str:
    """Where a run was blocked or failed, and what stays of it."""
    where = (
        f"Stopped at {run.blocked}: the problem is shown above."
        if run.blocked
        else f"Step {run.failed} failed."
    )
    return f"{where} {rolled_back_text(run.rolled_back)}{_applied_text(run.applied)}"


def ending(run: Run, answers: Answers) -> str:
    """What was done and skipped, and what mail clients still need; a look at the host that fails does not fail the run."""
    from wizard.engine.summary import summary
    from wizard.rollback.rollback import needing

    seen = None
    with suppress(WizardError, StoreError, OSError):
        store = readable_store()
        history = store.history() if store else ()
        seen = overview(Host(), answers, history, store=store, skipped=frozenset(run.skipped))
    session = Session(dict(run.applied), set(run.skipped))
    session.warnings |= {
        name: [check for check in checks if check.sign is Sign.WARNING] for name, checks in run.checks.items()
    }
    return summary_text(summary(seen, session, needing))


def _applied_text(applied: Collection[str]) -> str:
    if not applied:
        return "No step was applied."
    return f"{count(len(applied), 'step')} applied ({', '.join(applied)})."


def confirm(arguments: argparse.Namespace) -> int:
    """`confirm`, from any session while `apply` waits: 0 confirmed, or nothing waits; 1 when it came too late."""
    must_be_root()
    late, waits = confirm_or_revert.decision() is Decision.REVERTED, confirm_or_revert.time_left() is not None
    if waits:
        late = confirm_or_revert.decide(Decision.CONFIRMED) is not Decision.CONFIRMED
    outcome = "late" if late else "confirmed" if waits else "nothing"
    log.note(f"confirm: {outcome}")
    if arguments.json:
        as_json.show(outcome=outcome)
    elif late:
        error("msa-wizard: too late: the firewall change was already reverted. Apply it again")
    else:
        out("Confirmed: the new firewall rules stay." if waits else "Nothing is waiting for a confirmation.")
    return FAILED if late else DONE


def status(arguments: argparse.Namespace) -> int:
    """`status`: 0. A step that a commit says was applied, and that has something to do again, has drifted."""
    host, store = Host(), readable_store()
    commits = in_force.applied(store.history()) if store else ()
    names = {commit.step for commit in commits if commit.step}
    rows: list[documents.StatusRow] = [
        {
            "step": name,
            "state": state(plan, name in names),  # type: ignore[typeddict-item]
            "outcome": plan.outcome.value,
            "reason": reason_text(plan),
        }
        for name, plan in plans(host, answers_of(arguments), look(host, shipped=True), store).items()
    ]
    if arguments.json:
        waits = confirm_or_revert.time_left() if os.geteuid() == 0 else None
        as_json.show(steps=rows, interrupted=interrupted(), confirmation=waits)
    else:
        out(status_lines(rows))  # first, since a journal that is damaged sends the admin here
        lost = lost_history() if os.geteuid() == 0 else ""
        for words in filter(None, (interrupted(), at_work_now(), lost)):
            error(f"msa-wizard: {words}")
    return 0


def interrupted() -> str | None:
    """What a killed run waits for, in words; None where none was killed, and while a run is at work."""
    waits = waiting_run() if os.geteuid() == 0 else None
    return str(InterruptedRun(waits)) if waits else None


def at_work_now() -> str:
    """A sentence on another session that is at work; "" without one, and where only root can know."""
    return clean(others_at_work()) if os.geteuid() == 0 else ""


def readable_store() -> Store | None:
    """The history; None where there is none, or it is not ours to read."""
    return existing_store() if os.geteuid() == 0 else None


def history(arguments: argparse.Namespace) -> int:
    """`history`: 0, or 2 when there is no such step."""
    number, ref = arguments.number, arguments.ref
    if number is not None and number < 1:
        raise UsageError(f"-n {number}: it takes a number of commits, from 1 on")
    commits = whole = list(_existing_store().history())
    if ref:
        from wizard.mends.order import extra

        steps = sorted({commit.step for commit in commits if commit.step})
        others = (step.id for step in (*STEPS, *extra()))
        known("step", [ref], [*steps, *others], f"The history has {', '.join(steps) or 'none'}")
        commits = [commit for commit in commits if commit.step == ref]
    commits = commits[:number]
    if arguments.json:
        as_json.show(commits=[as_json.commit(commit) for commit in commits])
    elif not commits:
        out(f"{ref} was never applied on this host.")
    else:
        page("\n".join(history_lines(commits, whole, terminal_columns(sys.stdout))))
    return 0


def diff(arguments: argparse.Namespace) -> int:
    """`diff`: 0, or 2 when there is no such step or commit."""
    store = _existing_store()
    try:
        commit = store.find(arguments.ref)
        effects, text = commit_changes(store, commit)
    except StoreError as problem:
        raise UsageError(str(problem)) from problem
    if arguments.json:
        as_json.show(commit=as_json.commit(commit), effects=effects, diff=text)
    else:
        head = commit_text(commit, list(store.history()), terminal_columns(sys.stdout))
        parts = [f"{head}\n", *effects, *([text] if text else [])]
        page("\n".join(parts))
    return 0


def answers(arguments: argparse.Namespace) -> int:
    """`answers`: the settings as a commented TOML, with what this host has where nothing was chosen; or saved for all
    commands, as they were chosen. It parses to the settings."""
    from wizard.engine.settings import save_settings
    from wizard.render.files import as_toml
    from wizard.system.output_file import save

    chosen = answers_of(arguments)
    if arguments.save:
        if arguments.output:
            raise UsageError("--save and --output are two places: give one of them")
        with alone("save the settings"):
            host = Host()
            facts = look(host)
            error(save_settings(host, SAVED, chosen, as_toml(chosen, facts), store_to_add_to))
            unknown = unknown_groups(chosen.login, facts.local_groups)
            for words in filter(None, (not_here(facts, chosen.listen), unused_groups(chosen.login), unknown)):
                error(f"note: {clean(words)}")
        return 0
    facts = look(Host())
    text = as_toml(as_this_host(chosen, facts), facts)
    if arguments.output:
        error(save(Path(arguments.output), text, 0o644, force=arguments.force))
    else:
        data(text.rstrip("\n"))
    return 0


def as_this_host(chosen: Answers, facts: Facts) -> Answers:
    """The settings, with what this host has where nothing was chosen."""
    from wizard.sendmail.password_source import as_here

    here = as_here(facts)
    auth = Auth(
        chosen.auth.saslauthd_mechanism or here.saslauthd_mechanism, chosen.auth.mechanisms or here.mechanisms
    )
    return dataclasses.replace(chosen, auth=auth)


def _existing_store() -> Store:
    """The history there must be. Raises CannotHere."""
    must_be_root("read the history", reads=True)
    store = existing_store()
    if store is None or store.head() is None:
        raise CannotHere(
            lost_history()
            or "there is no history yet: nothing was ever applied on this host (`msa-wizard plan` shows what would be)"
        )
    return store
