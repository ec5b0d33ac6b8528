"""The commands `rollback` and `recover`: what follows is shown first, then done."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshots.merge.three_way import Choice
from wizard.cli.options import agreed, answers_now, ask, asks, consent, decide, must_be_asked, unchanged
from wizard.cli.steps import ended_text, ending, exit_code, stopped_text, undecided_text
from wizard.console import clean, clean_block, error, fold, out, own_command
from wizard.engine.in_force import Target
from wizard.engine.journal import Unfinished
from wizard.engine.run import AGAIN, BY_HAND, Run
from wizard.engine.state_dir import (
    at_work,
    existing_store,
    has_history,
    killed_run,
    lost_history,
    must_be_root,
    others_at_work,
)
from wizard.engine.temporary import OPERATION
from wizard.errors import CONFLICT, DONE, FAILED, NothingToRollBack, UsageError
from wizard.model.answers import answers_from
from wizard.model.answers_file import saved
from wizard.model.events import Event
from wizard.model.set_option import of_apply
from wizard.render import as_json
from wizard.render.progress import Shown
from wizard.render.text import (
    begun_text,
    check_text,
    collector,
    conflict_text,
    rollback_summary,
    rollback_text,
)
from wizard.render.waiting import waits_for, watched
from wizard.rollback.apply import RollbackResult
from wizard.rollback.plan import Rollback
from wizard.rollback.recovery import Recovery
from wizard.rollback.rollback import EVERYTHING, RollbackRun, must_exist
from wizard.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snapshots.store import Commit, Store
    from wizard.model import documents
    from wizard.system.signals import Interrupt

_UNDO = "undo this run? [y]es, [n]o (the default): "
_UNDECIDED = "msa-wizard: what is rolled back has been changed since (see above); nothing was changed."


def rollback(arguments: argparse.Namespace) -> int:
    """`rollback`: 0 done or nothing to do, 1 failed and undone or refused, or something had to stay; 4 a conflict."""
    if arguments.ref and arguments.all:
        raise UsageError(
            f"--all rolls back everything, {clean(arguments.ref)[:60]} included: name one of them alone. "
            "Nothing was changed"
        )
    if arguments.to and (arguments.ref or arguments.all):
        raise UsageError(
            f"--to {clean(arguments.to)[:60]} says already what is rolled back: name nothing besides. Nothing was changed"
        )
    if not arguments.ref and not arguments.all and not arguments.to:
        raise UsageError(
            "say what to roll back: a step, a commit (see `msa-wizard history`), --to a commit, or --all"
        )
    if arguments.dry_run:
        must_be_root("read the history", reads=True)
    else:
        must_be_root()
        named = arguments.ref or arguments.to
        if named and not arguments.yes and not asks(arguments) and (store := existing_store()):
            must_exist(store, named)  # said before how to agree
        must_be_asked(arguments, "rollback", " (--dry-run shows what it would do)")
    try:
        # A look begins no history; one that is damaged is healed first, as by any other rollback.
        if arguments.dry_run and not has_history() and killed_run() is None:
            raise NothingToRollBack(lost_history().rstrip(".") or "nothing was ever applied on this host")
        return _rollback(arguments)
    except NothingToRollBack as problem:
        return _nothing(arguments, f"Nothing to roll back: {clean(str(problem))}.")


def _rollback(arguments: argparse.Namespace) -> int:
    events: list[Event] = []
    shown = Shown(whole=arguments.verbose)
    with at_work() as (store, journal, interrupt):
        report = watched(collector(events) if arguments.json else shown.report)
        work = RollbackRun(Host(), store, journal, report)
        target = work.back_to(arguments.to) if arguments.to else work.target(arguments.ref or EVERYTHING)
        plan = _decided(work, target, arguments, interrupt)
        if plan is None:
            return CONFLICT
        if arguments.dry_run:
            _show(arguments, plan, None)
            return DONE
        if not arguments.yes:
            out(f"\n{rollback_summary(plan)}")
        if not agreed(arguments, "roll this back? [y]es, [n]o (the default): ", interrupt):
            out("Nothing was changed.")
            return DONE
        waits_for("rolling back")
        result = work.do(plan, (lambda _line: None) if arguments.json else shown.say, interrupt)
        shown.end()
    _show(arguments, plan, result)
    return FAILED if result.failed or result.left or result.not_undone else DONE


def _decided(
    work: RollbackRun, target: Target, arguments: argparse.Namespace, interrupt: Interrupt
) -> Rollback | None:
    """The rollback as shown, its conflicts decided; None when they are not."""
    given = arguments.on_conflict
    plan = work.prepared(target, Choice(given) if given in ("keep", "restore") else None)
    if not arguments.json:
        out(_text(arguments, plan), whole=True)
    if not plan.reversal.conflicts:
        return plan
    choice = None
    if arguments.json:
        as_json.show(**as_json.rollback(plan, None, conflict=True))
    else:
        error("\n".join(map(conflict_text, plan.reversal.conflicts)), whole=True)
        if given == "ask" and asks(arguments) and not arguments.dry_run:
            choice = _choice(plan, interrupt)
        if choice is None:
            error("\n".join([_UNDECIDED, *_ways(arguments.argv)]), whole=True)
    if choice is None:
        return None
    paths, conflicts = _in_conflict(plan), plan.reversal.conflicts
    plan = work.prepared(plan.target, choice)
    out(_text(arguments, plan), whole=True)
    if choice is Choice.RESTORE:
        gone = {f"/{path}" for path, (_, after) in plan.reversal.targets.items() if after is None}
        lost = ", ".join(
            f"{'the lines above, of ' * all(each.hunks for each in conflicts if f'/{each.path}' == path)}"
            f"{clean(path)}{' (removed)' * (path in gone)}"
            for path in paths
        )
        out("\n".join(["", *fold(f"Changes since that go: {lost}. The history keeps them.")]))
    return plan


def _in_conflict(plan: Rollback) -> list[str]:
    return list(dict.fromkeys(f"/{conflict.path}" for conflict in plan.reversal.conflicts))


def _ways(command: Sequence[str]) -> Iterator[str]:
    """The commands that decide."""
    for choice, does in (
        ("keep", "To leave it as it is"),
        ("restore", "To have what was there before, if anything"),
    ):
        yield from own_command([*command, f"--on-conflict={choice}"], f"  {does}:  ", "    ")


def _text(arguments: argparse.Namespace, plan: Rollback) -> str:
    """All of it where nobody is asked afterwards; else what matters most is in the summary above the question."""
    told = arguments.dry_run or arguments.yes
    return rollback_text(plan, warn=told, whole=arguments.dry_run or arguments.verbose)


def _replies(plan: Rollback) -> str:
    lines = ["   k  leave what was changed since as it is now"]
    if any(conflict.hunks for conflict in plan.reversal.conflicts):
        lines.append("   r  restore the lines between ======= and >>>>>>>; the rest of the file stays")
    if not all(conflict.hunks for conflict in plan.reversal.conflicts):
        lines.append("   r  restore what was there before; where nothing was, the file is removed")
    return "\n".join([*lines, "   c  change nothing; Enter does the same"])


def _choice(plan: Rollback, interrupt: Interrupt) -> Choice | None:
    keep, restore = dict.fromkeys(("k", "keep"), Choice.KEEP), dict.fromkeys(("r", "restore"), Choice.RESTORE)
    choices = {**keep, **restore, **dict.fromkeys(("", "no", "c", "cancel"))}
    out("\n".join(["", *fold(f"Changed since: {', '.join(map(clean, _in_conflict(plan)))}.")]))
    words = "[k]eep as is, [r]estore what was before, [c]ancel (the default), ?: "
    with unchanged():
        while (reply := ask(words, interrupt)) not in choices:
            out(_replies(plan))
    return choices[reply]


def _show(arguments: argparse.Namespace, plan: Rollback, result: RollbackResult | None) -> None:
    if arguments.json:
        as_json.show(**as_json.rollback(plan, result))
        return
    if result is None:
        out("\nNothing on the host was changed (--dry-run).")
        return
    for check in result.checks:
        out(check_text(check))
    if result.failed:
        error(
            f"Rolling back {plan.target.words} failed; what it had done was undone{' in part' * bool(result.not_undone)}: "
            f"{clean_block(result.failed)}"
        )
        error(f"  undone: {', '.join(map(clean, result.undone)) or 'there was nothing to undo'}")
        for line in result.not_undone:
            error(f"  NOT undone: {clean_block(line)}")
        error(f"  next: {BY_HAND if result.not_undone else AGAIN}")
        return
    out(f"\nRolled back: {plan.target.words}, recorded as {result.commit}.")
    for line in result.left:
        error(f"  left: {clean(line)}")


def recover(arguments: argparse.Namespace) -> int:
    """`recover`: 0 done or nothing to recover, 1 when something could not be, 4 when something that works would end, or
    nobody can be asked about what follows."""
    if arguments.show:
        must_be_root("read what an interrupted run had done", reads=True)
    must_be_root()
    if arguments.show:
        if others := others_at_work():  # its journal is that of a run at work
            return _nothing(arguments, f"{clean(others)}.")
        killed = killed_run()
        if killed is None:
            return _nothing(arguments, "No run was interrupted.")
        if arguments.json:
            _show_recovery("shown", killed)
        else:
            out(_killed_text(killed, _commits_of(killed, existing_store())))
        return DONE
    events: list[Event] = []
    shown = Shown(whole=arguments.verbose)
    with at_work(recovering=True) as (store, journal, interrupt):
        killed = killed_run()
        if killed is None:
            return _nothing(arguments, "No run was interrupted: nothing to recover.")
        if arguments.json:
            recovery = Recovery(Host(), store, journal, killed, collector(events), lambda _: None, interrupt)
        else:
            undoes = not (arguments.finish or arguments.accept)
            words = (
                _killed_text(killed, _commits_of(killed, store)) if undoes else f"{clean(killed.words())}."
            )
            out(words)
            if undoes and asks(arguments) and not agreed(arguments, _UNDO, interrupt):
                out("Nothing was changed.")
                return DONE
            recovery = Recovery(Host(), store, journal, killed, watched(shown.report), shown.say, interrupt)
        if arguments.accept:
            commit = recovery.accept()
            if arguments.json:
                _show_recovery("accepted", killed, commit=commit)
            else:
                out(f"Accepted as it is, recorded as {commit}.")
            return DONE
        waits_for(f"{'finishing' if arguments.finish else 'undoing'} the interrupted run")
        if arguments.finish:
            asked = decide(arguments, recovery.host, store, interrupt), consent(arguments, interrupt)
            result: RollbackResult | Run = recovery.finish(*asked)
        else:
            result = recovery.undo()
        shown.end()
    if isinstance(result, Run):
        return _finished(arguments, killed, result, events)
    if arguments.json:
        _show_recovery(as_json.rollback_outcome(result), killed, undone=as_json.undone(result))
    else:
        finished = arguments.finish and killed.operation == "rollback"
        _recovered(result, "finished" if finished else "undone")
    return FAILED if result.not_undone or result.failed or result.left else DONE


def _nothing(arguments: argparse.Namespace, words: str) -> int:
    if arguments.json:
        as_json.show(outcome="nothing", done=False, nothing=words)
    else:
        out(words)
    return DONE


def _finished(arguments: argparse.Namespace, killed: Unfinished, run: Run, events: list[Event]) -> int:
    """An `apply` that was finished."""
    if arguments.json:
        _show_recovery(as_json.run_outcome(run), killed, finished=as_json.run(run, events))
    if run.undecided:
        error(undecided_text(run, _goes_on(killed), answered=answers_now(arguments)), whole=True)
        return exit_code(run)
    if not arguments.json:
        if run.stopped:
            error("\n".join([*fold(stopped_text(run)), *_then(killed)]), whole=True)
        else:
            out(ended_text(run, _goes_on(killed)) if run.enough else _finished_text(killed, run), whole=True)
    return FAILED if run.stopped else DONE


def _finished_text(killed: Unfinished, run: Run) -> str:
    """How it ends, as one that nobody has interrupted."""
    if killed.of_the_howto:
        commits = reversed(_commits_of(killed, existing_store()))
        before = {commit.step: commit.id for commit in commits if commit.step and commit.operation == "apply"}
        whole = replace(run, applied={**before, **run.applied})
        return f"Finished.\n\n{ending(whole, answers_from(killed.request['answers']))}"
    from wizard.engine.summary import follows
    from wizard.rollback.rollback import needing

    left = (f"Left out: {name}: {follows(name, needing)}." for name in run.skipped)
    return "\n".join(["Finished.", *(line for words in left for line in fold(words))])


def _then(killed: Unfinished) -> list[str]:
    """What to do once the cause is fixed: a run that is over is not recovered again."""
    first = "Fix the cause, then:  "
    if killed_run() is not None:
        return [f"{first}msa-wizard recover --finish"]
    if not (goes_on := _goes_on(killed)):
        return fold("That run is over. Fix the cause, then run the command that was interrupted again.")
    return own_command(goes_on, first)


def _goes_on(killed: Unfinished) -> list[str]:
    """The `apply` that goes on where a run of the howto's steps has stopped, by its own settings; empty for any other run."""
    if not killed.of_the_howto:
        return []
    steps, answers, kept = killed.request["wanted"], answers_from(killed.request["answers"]), saved()
    accepted = [part for each in answers.accept if each not in kept.accept for part in ("--accept", each)]
    options = of_apply(replace(answers, accept=kept.accept), kept)
    return ["apply", *(map(str, steps) if isinstance(steps, list) else ()), *options, *accepted]


def _recovered(result: RollbackResult, word: str) -> None:
    for line in result.undone:
        out(f"  undone: {clean(line)}")
    for line in (*result.left, *result.not_undone, *((result.failed,) if result.failed else ())):
        error(f"  NOT {word}: {clean_block(line)}")
    if result.not_undone or result.failed:
        error(
            "next: fix that, then run `msa-wizard recover` again (or with --finish). To accept the host as it is "
            "instead: `msa-wizard recover --accept`"
        )
    elif not result.left:
        out(f"The interrupted run was {word}; the host is consistent again.")


def _show_recovery(
    outcome: str,
    killed: Unfinished,
    *,
    commit: str | None = None,
    finished: documents.Run | None = None,
    undone: documents.RollbackResult | None = None,
) -> None:
    as_json.show(
        outcome=outcome,
        interrupted={
            "operation": killed.operation,
            "run": killed.run,
            "who": killed.who,
            "since": killed.since,
            "commit": killed.head,
            "step": killed.step,
            "changes": [begun_text(change) for change in killed.changes],
            "says": killed.words(),
        },
        commit=commit or (undone["commit"] if undone else None),
        finished=finished,
        undone=undone,
    )


def _commits_of(killed: Unfinished, store: Store | None) -> list[Commit]:
    return [commit for commit in store.history() if commit.run == killed.run] if store else []


def _killed_text(killed: Unfinished, commits: Sequence[Commit]) -> str:
    lines = [f"{killed.words()}.", f"Everything as it was before is commit {killed.head[:10]}."]
    steps = [commit.step for commit in reversed(commits) if commit.step and commit.operation == "apply"]
    if steps:
        lines += fold(f"Applied before that: {', '.join(steps)}.")
    if killed.step:
        lines.append(f"In hand: {killed.step}, with these changes begun:")
        lines += [f"  {begun_text(change)}" for change in killed.changes] or ["  none yet"]
    if killed.declined:
        lines += fold(f"Left out: {', '.join(killed.declined)}.")
    then = f"undoes {'all of that' if steps else 'it'}; `recover --finish` finishes it"
    if killed.operation == OPERATION:
        then = "restores what was changed for a limited time"
    return "\n".join([*lines, f"`msa-wizard recover` {then}."])
