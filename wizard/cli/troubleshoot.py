"""The command `troubleshoot`: which layer fails, why, what fixes it; and with --fix the fix itself (howto section 5)."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wizard.cli import options
from wizard.cli.options import answers_now, answers_of, asks, known, unasked
from wizard.cli.steps import applied, exit_code, guarded, interrupted, readable_store, undecided_text
from wizard.console import clean, data, error, fold, out, width
from wizard.engine.run import Run
from wizard.engine.state_dir import must_be_root, must_not_wait, others_at_work
from wizard.engine.trial import CF_LINES
from wizard.errors import AnswersError, UsageError
from wizard.model.answers import Answers
from wizard.model.events import Event
from wizard.render import as_json
from wizard.sendmail.rulesets import client as one_client
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host
from wizard.troubleshoot import client, report
from wizard.troubleshoot.collect import take
from wizard.troubleshoot.diagnoses.order import DIAGNOSES
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.fix import fixes
from wizard.troubleshoot.verdict import Verdict, judge, mends

if TYPE_CHECKING:
    from wizard.model import documents

ALL = "all"


def troubleshoot(arguments: argparse.Namespace) -> int:
    """0 all is well, 1 something is wrong (after --fix: still, or what was named only a person can fix), 2 bad usage, 3 not root, 4 a fix would end what works."""
    if arguments.list:
        return _listed(arguments)
    if arguments.client is not None:
        return _from(arguments)
    answers = answers_of(arguments, only_looks=not arguments.fix)
    ids = [ALL, *(diagnosis.id for diagnosis in DIAGNOSES)]
    wanted = known(
        "diagnosis", arguments.fix or [], ids, "`msa-wizard troubleshoot` names those that hold here"
    )
    if wanted and not arguments.yes and not asks(arguments):
        raise UsageError(
            f"nothing was changed: {unasked(arguments)}, --fix needs --yes (without --fix, troubleshoot shows what it would fix)"
        )
    must_be_root("look at all of this host", reads=True)
    waits = interrupted()
    if wanted and waits:
        must_not_wait()
    others = others_at_work()
    host, credentials = Host(), _credentials(arguments, answers)
    verdict = judge(take(host, answers, credentials))
    if wanted:
        return _fixed(arguments, host, answers, credentials, verdict, wanted)
    if arguments.json:
        as_json.show(**_json(host, answers, verdict, waits), interrupted=waits)
    else:
        out(report.text(verdict, width()))
        for words in filter(None, (waits, others)):
            error(f"msa-wizard: {clean(words)}")
    return int(verdict.blamed is not None)


def _listed(arguments: argparse.Namespace) -> int:
    """Every diagnosis there is; nothing is looked at."""
    if arguments.json:
        as_json.show(diagnoses=report.catalogue_json(DIAGNOSES))
    else:
        data(report.catalogue_text(DIAGNOSES, width()))
    return 0


def _json(host: Host, answers: Answers, verdict: Verdict, waits: str | None = None) -> documents.Verdict:
    return report.to_json(verdict, fixes(host, answers, verdict.faults, waits, readable_store))


def _from(arguments: argparse.Namespace) -> int:
    """0 nothing turns that client away, 1 something does."""
    address = one_client(arguments.client)
    if address is None:
        raise UsageError(
            "--from takes the IPv4 or IPv6 address of one client, such as 192.0.2.7 or 2001:db8::7"
        )
    if arguments.user or arguments.password_stdin:
        raise UsageError("--from only tells what a client meets: leave out --user and --password-stdin")
    must_be_root("look at all of this host", reads=True)
    visit = client.visit(Host(), address)
    if arguments.json:
        as_json.show(**client.to_json(visit))
    else:
        out(client.text(visit, width()))
    return int(not visit.ok)


def _credentials(arguments: argparse.Namespace, answers: Answers) -> Credentials | None:
    """Those of --user; the user in the answers counts only where a password comes with it.

    Raises AnswersError."""
    user = arguments.user or (answers.test.user if arguments.password_stdin else "")
    if arguments.password_stdin and not user:
        raise AnswersError("--password-stdin needs a --user NAME")
    return options.credentials(user, arguments) if user else None


def _fixed(
    arguments: argparse.Namespace,
    host: Host,
    answers: Answers,
    credentials: Credentials | None,
    before: Verdict,
    wanted: list[str],
) -> int:
    """Fix what was asked for, as far as it holds now, then look again."""
    # `all` is what fails; a warning is fixed where it is named.
    every = ALL in wanted
    faults = [fault for fault in before.faults if fault.id in wanted or (every and fault.sign == "failed")]
    if not arguments.json:
        _not_ours(faults, before, wanted)
    steps = mends(faults)
    events: list[Event] = []
    run: Run | None = None
    shown = _json(host, answers, before) if arguments.json else None
    if steps:
        # Whoever names a fault that is fixed by making sendmail.cf again wants its wrong lines to go; they are listed.
        named = [fault.finding.mend.steps for fault in faults if fault.id in wanted]
        if arguments.yes and any("sendmailconfig" in mend for mend in named):
            answers = dataclasses.replace(answers, accept=(*answers.accept, CF_LINES))
        run, events = applied(host, arguments, lambda: steps, guarded(answers, arguments))
    after = judge(take(host, answers, credentials)) if run is not None else before
    if shown is not None:
        as_json.show(
            **(_json(host, answers, after) if run is not None else shown),
            before=shown,
            run=as_json.run(run, events) if run is not None else None,
        )
    else:
        out("\nLooked again:\n" if run is not None else "")
        out(report.text(after, width()))
        for line in _came_of_it(faults, before, after, every):
            out(line)
    if run is not None and run.undecided:
        error(undecided_text(run, arguments.argv, answered=answers_now(arguments)), whole=True)
        return exit_code(run)
    # Whoever names a fault that only a person can fix is not told that it is done.
    left = any(fault.id in wanted and not fault.finding.mend.steps for fault in faults)
    return int(bool(run is not None and run.stopped) or after.blamed is not None or left)


def _not_ours(faults: Sequence[Fault], before: Verdict, wanted: Sequence[str]) -> None:
    """Say what no step fixes: what a person must do, and what is not there."""
    for fault in faults:
        if fault.finding.mend.text:
            error(f"{fault.id}: a person must act: {clean(fault.finding.mend.text)}")
    for name in wanted:
        if name != ALL and before.fault(name) is None:
            out(f"{name}: does not hold here now, so there is nothing to fix.")


def _came_of_it(faults: Sequence[Fault], before: Verdict, after: Verdict, every: bool) -> Iterator[str]:
    """Which of the faults are fixed, and which are not; where only warnings hold, why `all` fixes none."""
    fixed = [fault.id for fault in faults if after.fault(fault.id) is None]
    still = [fault.id for fault in faults if fault.id not in fixed]
    for word, ids in (("Fixed", fixed), ("Not fixed", still)):
        if ids:
            yield f"{word}: {', '.join(ids)}."
    if every and not faults:
        warned = ", ".join(fault.id for fault in before.faults if fault.finding.mend.steps)
        named = f"; a warning is fixed by its name: {warned}" if warned else ""
        yield from fold(f"Nothing fails, so --fix {ALL} has fixed nothing{named}.")
