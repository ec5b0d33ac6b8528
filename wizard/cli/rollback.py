"""The commands `rollback` and `recover`: what follows is shown first, then done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wizard.cli.plan_apply import undecided_text
from wizard.console import clean, clean_block, error, out
from wizard.engine.apply import Run
from wizard.engine.in_force import Target
from wizard.engine.journal import Unfinished
from wizard.engine.state_dir import at_work, killed_run, must_be_root
from wizard.engine.temporary import OPERATION
from wizard.errors import NothingToRollBack, UsageError
from wizard.model.events import Event
from wizard.render import as_json
from wizard.render.text import check_text, conflict_text, rollback_text, show
from wizard.rollback.apply import RollbackResult
from wizard.rollback.plan import Rollback
from wizard.rollback.recovery import Recovery
from wizard.rollback.rollback import EVERYTHING, RollbackRun
from wizard.system.host import Host

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from snapshots.merge.three_way import Choice
    from wizard.system.signals import Interrupt

CONFLICT = 4


def rollback(arguments: argparse.Namespace) -> int:
    """`rollback`: 0 done or nothing to do, 1 failed and undone or refused, or something had to stay; 4 a conflict."""
    try:
        return _rollback(arguments)
    except NothingToRollBack as problem:
        words = f"Nothing to take back: {clean(str(problem))}."
        out(as_json.dumps(done=False, nothing=words) if arguments.json else words)
        return 0


def _rollback(arguments: argparse.Namespace) -> int:
    _usage(arguments)
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json
    if not (arguments.yes or arguments.dry_run or terminal):
        raise UsageError(
            "nothing was changed: without a terminal, rollback needs --yes (--dry-run shows what it would do)"
        )
    events: list[Event] = []
    say = (lambda _line: None) if arguments.json else (lambda line: out(f"   | {clean(line)}"))
    with at_work() as (store, journal, interrupt):
        work = RollbackRun(Host(), store, journal, events.append if arguments.json else show)
        made = _decided(work, work.target(arguments.ref or EVERYTHING), arguments, interrupt, terminal)
        if made is None:
            return CONFLICT
        if arguments.dry_run:
            _say(arguments, lambda: out("\nNothing was changed (--dry-run)."))
            return _print_json(arguments, made, None)
        if not arguments.yes and not _agreed(interrupt):
            out("Nothing was changed.")
            return 0
        done = work.do(made, say, interrupt)
    _say(arguments, lambda: _result(made, done))
    _print_json(arguments, made, done)
    return 1 if done.failed or done.left or done.not_undone else 0


def _usage(arguments: argparse.Namespace) -> None:
    if bool(arguments.ref) == arguments.all:
        raise UsageError("say what to take back: a step, a commit (see `msa-wizard history`), or --all")


def _decided(
    work: RollbackRun, target: Target, arguments: argparse.Namespace, interrupt: Interrupt, terminal: bool
) -> Rollback | None:
    """The rollback as shown, its conflicts decided; None when they are not."""
    from snapshots.merge.three_way import Choice

    given = arguments.on_conflict
    made = work.prepared(target, Choice(given) if given in ("keep", "restore") else None)
    _say(arguments, lambda: out(rollback_text(made)))
    if not made.reversal.conflicts:
        return made
    shown = "\n".join(map(conflict_text, made.reversal.conflicts))
    _say(arguments, lambda: error(shown))
    asked = _asked(interrupt) if given == "ask" and terminal and not arguments.dry_run else None
    if asked is None:
        _say(arguments, lambda: error(_UNDECIDED))
        _print_json(arguments, made, None)
        return None
    made = work.prepared(made.target, asked)
    out(rollback_text(made))
    return made


_UNDECIDED = (
    "msa-wizard: both you and the step changed the same (see above); nothing was changed.\n"
    "  --on-conflict=keep leaves yours there, --on-conflict=restore brings back what was before the step"
)


def _asked(interrupt: Interrupt) -> Choice | None:
    from snapshots.merge.three_way import Choice

    words = {"k": Choice.KEEP, "keep": Choice.KEEP, "r": Choice.RESTORE, "restore": Choice.RESTORE}
    while True:
        reply = _prompt(
            interrupt,
            "where both changed the same: [k]eep yours, [r]estore what was before, [c]ancel (the default): ",
        )
        if reply in ("", "c", "cancel"):
            return None
        if reply in words:
            return words[reply]


def _agreed(interrupt: Interrupt) -> bool:
    return _prompt(interrupt, "take this back? [y]es, [n]o (the default): ") in ("y", "yes")


def _prompt(interrupt: Interrupt, words: str) -> str:
    try:
        with interrupt.at_once():
            return input(words).strip().lower()
    except EOFError:
        return ""


def _result(made: Rollback, done: RollbackResult) -> None:
    for check in done.checks:
        out(check_text(check))
    if done.failed:
        error(f"Taking back {made.target.words} failed, and was itself undone: {clean_block(done.failed)}")
        error(f"  undone: {', '.join(map(clean, done.undone)) or 'there was nothing to undo'}")
        for line in done.not_undone:
            error(f"  NOT undone: {clean_block(line)}")
        error("  next: mend the cause, then run the same command again")
        return
    out(f"\nTaken back: {made.target.words}, recorded as {done.commit}.")
    for line in done.left:
        error(f"  left: {clean(line)}")


def recover(arguments: argparse.Namespace) -> int:
    """`recover`: 0 done or nothing to recover, 1 when something could not be, 4 when something that works would end."""
    must_be_root()
    if arguments.show:
        told = killed_run()
        out(_shown(told) if told else "No run was interrupted.")
        return 0
    with at_work(recovering=True) as (store, journal, interrupt):
        told = killed_run()
        if told is None:
            out("No run was interrupted: nothing to recover.")
            return 0
        out(clean(f"{told.words()}."))
        recovery = Recovery(
            Host(), store, journal, told, show, lambda line: out(f"   | {clean(line)}"), interrupt
        )
        if arguments.accept:
            out(f"Accepted as it is, recorded as {recovery.accept()}.")
            return 0
        done = recovery.finish() if arguments.finish else recovery.undo()
    if isinstance(done, Run):
        if done.undecided:
            error(undecided_text(done, ["apply", *_wanted(told)]))
            return CONFLICT
        out(f"Stopped at {done.stopped}." if done.stopped else "Finished.")
        return 1 if done.stopped else 0
    return _recovered(done, "finished" if arguments.finish and told.operation == "rollback" else "taken back")


def _wanted(told: Unfinished) -> list[str]:
    steps = told.request.get("wanted")
    return [str(step) for step in steps] if isinstance(steps, list) else []


def _recovered(done: RollbackResult, word: str) -> int:
    for line in done.undone:
        out(f"  undone: {clean(line)}")
    for line in (*done.left, *done.not_undone, *((done.failed,) if done.failed else ())):
        error(f"  NOT {word}: {clean_block(line)}")
    if done.not_undone or done.failed:
        error(
            "next: put that right, then run `msa-wizard recover` again (or with --finish). To accept the host as it is "
            "instead: msa-wizard recover --accept"
        )
        return 1
    if done.left:
        return 1
    out(f"The interrupted run is {word}: the host is whole.")
    return 0


def _shown(told: Unfinished) -> str:
    lines = [f"{told.words()}.", f"Everything as it was before is commit {told.head[:10]}."]
    if told.step:
        lines.append(f"In hand: {told.step}, with these changes begun:")
        lines += [f"  {_change_words(change)}" for change in told.changes] or ["  none yet"]
    if told.operation == OPERATION:
        return "\n".join([*lines, "`msa-wizard recover` puts back what was changed for a while."])
    return "\n".join([*lines, "`msa-wizard recover` takes it back; `recover --finish` goes on with it."])


def _change_words(change: dict[str, object]) -> str:
    expected = change["expected"]
    assert isinstance(expected, dict)
    match expected["kind"]:
        case "file":
            return clean(f"file {expected['path']}")
        case "command":
            return clean(f"command {' '.join(expected['argv'])}")
        case "service":
            return clean(f"service {expected['name']}")
        case _:
            return "packages, by apt"


def _say(arguments: argparse.Namespace, act: Callable[[], None]) -> None:
    if not arguments.json:
        act()


def _print_json(arguments: argparse.Namespace, made: Rollback, done: RollbackResult | None) -> int:
    if arguments.json:
        out(as_json.dumps(**as_json.rollback(made, done)))
    return 0
