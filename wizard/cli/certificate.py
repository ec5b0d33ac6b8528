"""The command `certificate`: show, renew and install the server's certificate (howto 5.3 and 5.4)."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from wizard.certificates.pem import MOST_DAYS
from wizard.cli.options import must_be_asked
from wizard.cli.plan_apply import applied, exit_code
from wizard.console import clean, out
from wizard.engine.state_dir import must_be_root
from wizard.errors import UsageError
from wizard.gather.certificates import details
from wizard.model.answers import Answers
from wizard.model.plan import Step
from wizard.render import as_json
from wizard.render.text import check_text
from wizard.steps.certificate import own_name, renewed, shown
from wizard.steps.certificate_install import checked_name, installation
from wizard.system.host import Host


def show(arguments: argparse.Namespace) -> int:
    """0 when clients can use it, 1 when one will refuse it, it ends soon, or sendmail does not present it."""
    must_be_root()
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
    return _apply(
        host,
        arguments,
        "certificate renew",
        lambda: renewed(
            host, list(dict.fromkeys(names)), arguments.days, replace_authority=arguments.self_signed
        ),
    )


def install(arguments: argparse.Namespace) -> int:
    """A certificate from an authority: 0 done or there already, 1 refused, or failed and undone, 3 blocked."""
    must_be_root()
    host = Host()
    return _apply(
        host,
        arguments,
        "certificate install",
        lambda: installation(host, arguments.cert, arguments.key, arguments.chain, arguments.name),
    )


def _apply(host: Host, arguments: argparse.Namespace, command: str, step: Callable[[], Step]) -> int:
    """Work the step out and do it, while this host is ours."""
    must_be_asked(arguments, command)
    run, events = applied(host, arguments, lambda: (step(),), Answers())
    if arguments.json:
        as_json.show(**as_json.run(run, events))
    elif run.applied:
        out(f"\nDone. To roll it back:  msa-wizard rollback {next(iter(run.applied))}")
    elif run.skipped:
        out("\nNothing was changed.")
    return exit_code(run)
