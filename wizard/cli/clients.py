"""What mail clients meet: `certificate` shows, renews and installs the server's certificate (howto 5.3 and 5.4), and
`client-settings` says what they need, for people and as files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from wizard.certificates import MOST_DAYS
from wizard.cli.options import answers_of, asks, must_be_asked
from wizard.cli.steps import applied, exit_code
from wizard.client_settings import ClientSettings, check_dns
from wizard.console import clean, data, error, out
from wizard.engine.state_dir import must_be_root
from wizard.errors import AnswersError, UsageError
from wizard.gather.certificates import details
from wizard.gather.host import look
from wizard.model.answers import Answers
from wizard.model.plan import Sign, Step
from wizard.render import as_json
from wizard.render.text import check_text
from wizard.steps.certificate import own_name, renewed, shown
from wizard.steps.certificate_install import checked_name, installation
from wizard.system.host import Host
from wizard.system.output_file import save


def show(arguments: argparse.Namespace) -> int:
    """0 when clients can use it, 1 when one will refuse it, it ends soon, or sendmail does not present it."""
    must_be_root("look at the server's certificate and key", reads=True)
    report = shown(Host())
    if arguments.json:
        as_json.show(**{**report.to_json(), "checks": as_json.checks(report.checks)})
        return int(report.refused)
    for named in report.named:
        out(f"== {named.option}: {clean(named.path)}")
        for word, value in details(named):
            out(f"   {word:<12} {clean(value)}")
    out("== what a mail client will think of it")
    for check in report.checks:
        out(check_text(check))
    return int(report.refused)


def renew(arguments: argparse.Namespace) -> int:
    """A new self-signed certificate: 0 done, 1 failed and undone, 3 blocked."""
    must_be_root()
    if not 1 <= arguments.days <= MOST_DAYS:
        raise UsageError(f"--days {arguments.days} is not between 1 and {MOST_DAYS}")
    host = Host()
    names = [checked_name(name) for name in arguments.name] or [own_name(host)]
    names = list(dict.fromkeys(names))
    step = partial(renewed, host, names, arguments.days, replace_authority=arguments.self_signed)
    return _apply(host, arguments, "certificate renew", step)


def install(arguments: argparse.Namespace) -> int:
    """A certificate from an authority: 0 done or there already, 1 refused, or failed and undone, 3 blocked."""
    must_be_root()
    host = Host()
    step = partial(installation, host, arguments.cert, arguments.key, arguments.chain, arguments.name)
    return _apply(host, arguments, "certificate install", step)


def _apply(host: Host, arguments: argparse.Namespace, command: str, step: Callable[[], Step]) -> int:
    """Work the step out and do it, while this host is ours."""
    if not arguments.yes and not asks(arguments):
        step()  # what is wrong with what was given is said first
    must_be_asked(arguments, command)
    run, events = applied(host, arguments, lambda: (step(),), Answers())
    if arguments.json:
        as_json.show(**as_json.run(run, events))
    elif run.applied:
        out(f"\nDone. To roll it back:  msa-wizard rollback {next(iter(run.applied))}")
    elif run.skipped or run.enough:
        out("\nNothing was changed.")
    return exit_code(run)


def client_settings(arguments: argparse.Namespace) -> int:
    """`client-settings`: 0; with --check-dns 1 where the DNS says otherwise."""
    if arguments.json and (arguments.output or arguments.format != "table"):
        raise UsageError("--json goes with neither --format nor --output")
    try:
        settings = ClientSettings.of(look(Host()), answers_of(arguments), arguments.imap)
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
        for check in checks:
            out(check_text(check))
    return int(any(check.sign is not Sign.OK for check in checks))
