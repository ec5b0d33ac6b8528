"""What mail clients meet: `certificate` shows, renews and installs the server's certificate (howto 5.3 and 5.4), and
`client-settings` says what they need, for people and as files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from wizard.certificates.acme import LETS_ENCRYPT, authority
from wizard.certificates.self_signed import MOST_DAYS
from wizard.changes.lineage import LineageChange
from wizard.cli.options import (
    accepted,
    answers_now,
    answers_of,
    asks,
    entered,
    must_be_asked,
    saved_to_look,
    say,
    yes,
)
from wizard.cli.steps import applied, exit_code, undecided_text, unsaved_note
from wizard.client_settings import ClientSettings, check_dns, not_ready
from wizard.console import clean, data, error, fold, out, terminal_columns
from wizard.engine import in_force
from wizard.engine.engine import Engine
from wizard.engine.run import Run
from wizard.engine.state_dir import existing_store, must_be_root
from wizard.errors import CANNOT, DONE, FAILED, AnswersError, UsageError
from wizard.gather.acme import directory
from wizard.gather.certificates import details
from wizard.gather.host import look
from wizard.model.answers import Answers, Certificate
from wizard.model.answers_file import saved
from wizard.model.events import Event
from wizard.model.plan import Outcome, Sign, Step
from wizard.model.set_option import with_set
from wizard.render import as_json
from wizard.render.text import check_text, collector
from wizard.render.text import show as show_event
from wizard.steps.certificate import own_name, renewed, shown
from wizard.steps.certificate_install import checked_name, installation
from wizard.steps.certificate_obtain import CertificateObtain
from wizard.steps.certificate_trial import trial
from wizard.steps.order import STEPS
from wizard.system.host import Host
from wizard.system.output_file import save


def show(arguments: argparse.Namespace) -> int:
    """0 when clients can use it, 1 when one will refuse it, it ends soon, or sendmail does not present it."""
    must_be_root("look at the server's certificate and key", reads=True)
    report = shown(Host(), saved_to_look().certificate)
    if arguments.json:
        as_json.show(**{**report.to_json(), "checks": as_json.checks(report.checks)})
        return int(report.refused)
    columns = terminal_columns(sys.stdout)
    for named in report.named:
        out(f"== {named.option}: {clean(named.path)}")
        for word, value in details(named):
            head = f"   {word:<12} "
            for line in (
                fold(clean(value), head, " " * len(head), columns) if columns else [head + clean(value)]
            ):
                out(line)
    out("== what sendmail and mail clients make of it")
    for check in report.checks:
        out(check_text(check))
    return int(report.refused)


def renew(arguments: argparse.Namespace) -> int:
    """A new self-signed certificate: 0 done, 1 failed and undone, 3 blocked."""
    must_be_root()
    if not 1 <= arguments.days <= MOST_DAYS:
        raise UsageError(f"--days {arguments.days} is not between 1 and {MOST_DAYS}")
    host = Host()
    names = [checked_name(name) for name in arguments.name] or saved().certificate.names or [own_name(host)]
    names = list(dict.fromkeys(names))
    step = partial(renewed, host, names, arguments.days, replace_authority=arguments.self_signed)
    return _apply(host, arguments, "certificate renew", step)


def install(arguments: argparse.Namespace) -> int:
    """A certificate from an authority: 0 done or there already, 1 refused, or failed and undone, 3 blocked."""
    must_be_root()
    host = Host()
    name = arguments.name or next(iter(saved().certificate.names), "")
    step = partial(installation, host, arguments.cert, arguments.key, arguments.chain, name)
    return _apply(host, arguments, "certificate install", step)


def obtain(arguments: argparse.Namespace) -> int:
    """A certificate from an ACME authority: 0 done or there already, 1 refused, or failed and undone, 3 blocked."""
    must_be_root()
    chosen = _chosen(arguments)
    chosen = _asked(chosen) if asks(arguments) else chosen
    answers = replace(chosen, certificate=chosen.certificate.by_hand)
    host = Host()
    if arguments.dry_run:
        return _tried(host, arguments, answers)
    must_be_asked(arguments, "certificate obtain", " (--dry-run only tries it out)")
    run, events = applied(host, arguments, lambda: STEPS, answers, [CertificateObtain.id])
    if arguments.json:
        as_json.show(**as_json.run(run, events))
    elif run.undecided:
        error(undecided_text(run, arguments.argv, answered=answers_now(arguments)), whole=True)
    elif run.applied:
        say_how_back(run)
        unsaved_note(chosen, saved())
    elif run.skipped or run.enough:
        out("\nNothing was changed.")
    return exit_code(run)


def _chosen(arguments: argparse.Namespace) -> Answers:
    """The settings with what was typed. Raises AnswersError."""
    typed = {
        "name": ",".join(arguments.name),
        "email": arguments.email,
        "agree_tos": "true" if arguments.agree_tos else "",
        "server": arguments.server,
        "challenge": arguments.challenge,
        "webroot": arguments.webroot,
        "credentials": arguments.credentials,
        "auth_hook": arguments.auth_hook,
        "cleanup_hook": arguments.cleanup_hook,
    }
    return _with_typed(answers_of(arguments), typed)


def _with_typed(answers: Answers, typed: Mapping[str, str]) -> Answers:
    """With what was given of the certificate's. Raises AnswersError, which names the option that was typed."""
    try:
        return with_set(answers, [f"certificate.{key}={value}" for key, value in typed.items() if value])
    except AnswersError as error:
        words = str(error).replace("--set certificate.name: ", "NAME: ", 1)
        option, colon, why = words.replace("--set certificate.", "--", 1).partition(": ")
        raise AnswersError(f"{option.replace('_', '-')}{colon}{why}") from error


def _asked(answers: Answers) -> Answers:
    """With what the authority wants to know of the admin, asked on the terminal where it is not given. Raises AnswersError."""
    if not answers.certificate.email and (email := entered("Your e-mail address, for the authority: ")):
        answers = _with_typed(answers, {"email": email})
    if not answers.certificate.agree_tos and _agrees(answers.certificate):
        answers = with_set(answers, ["certificate.agree_tos=true"])
    return answers


def _agrees(wanted: Certificate) -> bool:
    """No is the default."""
    who, seen = authority(wanted.server), directory(wanted.server or LETS_ENCRYPT)
    if seen.unreachable:
        return False  # the plan says so
    out(
        f"{who} gives a certificate only to those who agree to its terms of service{f': {seen.terms}' if seen.terms else ''}"
    )
    return yes("Do you agree to them? [y]es, [n]o (the default): ", "agree to them", "get no certificate")


def _tried(host: Host, arguments: argparse.Namespace, answers: Answers) -> int:
    """--dry-run: the plan, and what the authority says to a trial."""
    events: list[Event] = []
    plan = Engine(host, answers, collector(events) if arguments.json else show_event).plan(
        [CertificateObtain.id]
    )[CertificateObtain.id]
    asks_authority = any(isinstance(change, LineageChange) for change in plan.changes)
    says, good = plan.reason, plan.outcome is not Outcome.BLOCKED
    if asks_authority:
        says, good = trial(host, plan, answers.certificate, (lambda _: None) if arguments.json else say)
    if arguments.json:
        as_json.show(plan=as_json.plan(plan), says=says, ok=good)
    elif asks_authority:
        (out if good else error)(f"\n{says}. Nothing was changed.")
    return DONE if good else CANNOT if plan.outcome is Outcome.BLOCKED else FAILED


def _apply(host: Host, arguments: argparse.Namespace, command: str, step: Callable[[], Step]) -> int:
    """Work the step out and do it, while this host is ours."""
    if not arguments.yes and not asks(arguments):
        step()  # what is wrong with what was given is said first
    must_be_asked(arguments, command)
    wanted = saved()
    answers = replace(wanted, accept=tuple(dict.fromkeys((*wanted.accept, *accepted(arguments)))))
    run, events = applied(host, arguments, lambda: (step(),), answers)
    if arguments.json:
        as_json.show(**as_json.run(run, events))
    elif run.undecided:
        error(undecided_text(run, arguments.argv, answered=answers_now(arguments)), whole=True)
    elif run.applied:
        say_how_back(run)
    elif run.skipped or run.enough:
        out("\nNothing was changed.")
    return exit_code(run)


def say_how_back(run: Run) -> None:
    """By the commit where the step is in force more than once: by its name all of it would go."""
    step, commit = next(iter(run.applied.items()))
    store = existing_store()
    same = [each for each in in_force.applied(store.history()) if each.step == step] if store else []
    out(f"\nDone. To roll it back:  msa-wizard rollback {step if len(same) < 2 else commit[:10]}")


def client_settings(arguments: argparse.Namespace) -> int:
    """`client-settings`: 0; with --check-dns 1 where the DNS says otherwise."""
    if arguments.json and (arguments.output or arguments.format != "table"):
        raise UsageError("--json goes with neither --format nor --output")
    try:
        facts = look(Host())
        settings = ClientSettings.of(facts, answers_of(arguments), arguments.imap)
        text = settings.rendered(arguments.format)
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem
    if arguments.output:
        error(save(Path(arguments.output), text, 0o644, force=arguments.force))
    elif not arguments.json:
        data(text.rstrip("\n"))
    checks = check_dns(settings) if arguments.check_dns else []
    if arguments.json:
        shown = as_json.checks(checks) if arguments.check_dns else None
        as_json.show(**settings.to_json(), checks=shown)
    else:
        if not arguments.output and (words := not_ready(facts, settings.host)):
            error(f"note: {clean(words)}")
        for check in checks:
            out(check_text(check))
    return int(any(check.sign is not Sign.OK for check in checks))
