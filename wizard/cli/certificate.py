"""The command `certificate`: show, renew and install the server's certificate (howto 5.3 and 5.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wizard.certificates.self_signed import MOST_DAYS
from wizard.cli.options import decide, must_be_asked
from wizard.cli.plan_apply import exit_code
from wizard.console import clean, out
from wizard.engine.engine import Engine
from wizard.engine.state_dir import at_work, must_be_root
from wizard.errors import UsageError
from wizard.gather.certificates import CertificateReport, details
from wizard.model.answers import Answers
from wizard.model.events import Event
from wizard.model.plan import Step
from wizard.render import as_json
from wizard.render.text import check_text, show
from wizard.steps.certificate_actions import checked_name, installation, own_name, shown
from wizard.steps.certificate_renew import renewed
from wizard.system.host import Host

if TYPE_CHECKING:
    import argparse


def certificate(arguments: argparse.Namespace) -> int:
    """`certificate`: what was asked for decides the exit code."""
    must_be_root()
    return {"show": _show, "renew": _renew, "install": _install}[arguments.what](arguments)


def _show(arguments: argparse.Namespace) -> int:
    """0 when clients can use it, 1 when one will refuse it, it ends soon, or sendmail does not present it."""
    made = shown(Host())
    if arguments.json:
        out(as_json.dumps(**made.to_json()))
    else:
        _print(made)
    return int(made.refused)


def _renew(arguments: argparse.Namespace) -> int:
    """A new self-signed certificate: 0 done, 1 failed and undone, 3 blocked."""
    if not 1 <= arguments.days <= MOST_DAYS:
        raise UsageError(f"--days {arguments.days} is not between 1 and {MOST_DAYS}")
    host = Host()
    names = [checked_name(name) for name in arguments.name] or [own_name(host)]
    names = list(dict.fromkeys(names))
    return _apply(
        host,
        arguments,
        lambda: renewed(host, names, arguments.days, replace_authority=arguments.self_signed),
    )


def _install(arguments: argparse.Namespace) -> int:
    """A certificate from an authority: 0 done or there already, 1 refused, or failed and undone, 3 blocked."""
    host = Host()
    return _apply(
        host,
        arguments,
        lambda: installation(host, arguments.cert, arguments.key, arguments.chain, arguments.name),
    )


def _apply(host: Host, arguments: argparse.Namespace, work_out: Callable[[], Step]) -> int:
    """Work the step out and do it, while this host is ours."""
    must_be_asked(arguments, f"certificate {arguments.what}")
    events: list[Event] = []
    with at_work() as (store, journal, interrupt):
        step = work_out()
        engine = Engine(host, Answers(), events.append if arguments.json else show, (step,))
        run = engine.apply(store, journal, (), decide(arguments.yes, store, interrupt), interrupt)
    if arguments.json:
        out(as_json.dumps(**as_json.run(run, events)))
    elif run.applied:
        out(f"\nDone. Taken back by:  msa-wizard rollback {step.id}")
    elif run.skipped:
        out("\nNothing was changed.")
    return exit_code(run)


def _print(made: CertificateReport) -> None:
    for item in made.named:
        out(f"== {item.option}: {clean(item.path)}")
        for word, value in details(item):
            out(f"   {word:<12} {clean(value)}")
    out("== what a mail client will think of it")
    for check in made.checks:
        out(check_text(check))
