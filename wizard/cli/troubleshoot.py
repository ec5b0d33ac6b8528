"""The `troubleshoot` command: which layer fails, why, what mends it; and with --fix the mend itself (howto section 5)."""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wizard.cli.options import answers_of, consent, decide, password
from wizard.cli.plan_apply import exit_code, undecided_text
from wizard.cli.status_history import interrupted
from wizard.console import clean, error, out
from wizard.engine.apply import Run
from wizard.engine.engine import Engine
from wizard.engine.state_dir import at_work, must_not_wait
from wizard.engine.trial import CF_LINES
from wizard.errors import AnswersError, CannotHere, UsageError
from wizard.model.answers import Answers
from wizard.model.events import Event
from wizard.render import as_json
from wizard.render.text import show
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host
from wizard.troubleshoot import report
from wizard.troubleshoot.collect import take
from wizard.troubleshoot.diagnoses import DIAGNOSES
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.selection import mends
from wizard.troubleshoot.verdict import Verdict, judge

if TYPE_CHECKING:
    import argparse

ALL = "all"


def troubleshoot(arguments: argparse.Namespace) -> int:
    """0 all is well, 1 something is wrong (after --fix: still), 2 bad usage, 3 not root, 4 a mend would end what works."""
    answers = answers_of(arguments)
    wanted = _known(arguments.fix or [])
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json
    if wanted and not arguments.yes and not terminal:
        raise UsageError(
            "nothing was changed: without a terminal, --fix needs --yes (without --fix, troubleshoot shows what it would mend)"
        )
    if os.geteuid() != 0:
        raise CannotHere("only root can look at all of this host: run it with sudo. Nothing was changed")
    waits = interrupted()
    if wanted and waits:
        must_not_wait()
    host, credentials = Host(), _credentials(arguments, answers)
    verdict = judge(take(host, answers, credentials))
    if not wanted:
        shown = {**report.to_json(verdict), "interrupted": waits}
        out(as_json.dumps(**shown) if arguments.json else report.text(verdict))
        if waits and not arguments.json:
            error(f"msa-wizard: {clean(waits)}")
        return int(verdict.blamed is not None)
    return _fixed(arguments, host, answers, credentials, verdict, wanted)


def _known(names: Sequence[str]) -> list[str]:
    known = [item.id for item in DIAGNOSES]
    for name in names:
        if name != ALL and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"there is no diagnosis {clean(name)[:60]!r}{f'; did you mean {near[0]}?' if near else ''} "
                "`msa-wizard troubleshoot` names those that hold here"
            )
    return list(dict.fromkeys(names))


def _credentials(arguments: argparse.Namespace, answers: Answers) -> Credentials | None:
    """Those of --user; the user in the answers counts only where a password comes with it.

    Raises AnswersError."""
    user = arguments.user or (answers.test.user if arguments.password_stdin else "")
    if arguments.password_stdin and not user:
        raise AnswersError("--password-stdin needs a --user NAME")
    if not user:
        return None
    try:
        return Credentials(user, password(arguments))
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem


def _fixed(
    arguments: argparse.Namespace,
    host: Host,
    answers: Answers,
    credentials: Credentials | None,
    before: Verdict,
    wanted: list[str],
) -> int:
    """Mend what was asked for, as far as it holds now, then look again."""
    faults = _chosen(before, wanted)
    for item in [] if arguments.json else faults:
        if item.seen.mend.text:
            error(f"{item.id}: a person must act: {clean(item.seen.mend.text)}")
    for name in wanted:
        if name != ALL and before.fault(name) is None and not arguments.json:
            out(f"{name}: does not hold here now, so there is nothing to mend.")
    steps = mends(faults)
    events: list[Event] = []
    run: Run | None = None
    if steps:
        if arguments.yes:
            answers = _accepting(answers, [item for item in faults if item.id in wanted])
        engine = Engine(host, answers, events.append if arguments.json else show, steps)
        with at_work() as (store, journal, interrupt):
            run = engine.apply(
                store,
                journal,
                (),
                decide(arguments.yes, store, interrupt),
                interrupt,
                consent=consent(arguments, interrupt),
            )
    after = judge(take(host, answers, credentials)) if run is not None else before
    if arguments.json:
        out(
            as_json.dumps(
                **report.to_json(after),
                before=report.to_json(before),
                run=as_json.run(run, events) if run is not None else None,
            )
        )
    else:
        out("\nLooked again:\n" if run is not None else "")
        out(report.text(after))
    if run is not None and run.undecided:
        error(undecided_text(run, arguments.argv))
        return exit_code(run)
    return int(bool(run is not None and run.stopped) or after.blamed is not None)


def _accepting(answers: Answers, faults: Sequence[Fault]) -> Answers:
    """Whoever names a fault that is fixed by making sendmail.cf again wants its wrong lines to go; they are listed."""
    again = any("sendmailconfig" in item.seen.mend.steps for item in faults)
    return dataclasses.replace(answers, accept=(*answers.accept, CF_LINES)) if again else answers


def _chosen(verdict: Verdict, wanted: Sequence[str]) -> list[Fault]:
    """`all` is what fails; a warning is mended where it is named."""
    return [item for item in verdict.faults if item.id in wanted or (ALL in wanted and item.sign == "failed")]
