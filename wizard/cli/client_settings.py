"""The command `client-settings`: what a mail client needs, for people and as files."""

from __future__ import annotations

import argparse
from pathlib import Path

from wizard.cli.options import answers_of
from wizard.client_settings import ClientSettings, check_dns
from wizard.console import data, error, out
from wizard.errors import AnswersError, UsageError
from wizard.gather.host import look
from wizard.model.plan import Sign
from wizard.render import as_json
from wizard.render.text import check_text
from wizard.system.host import Host
from wizard.system.output_file import save


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
        error(save(Path(arguments.output), text))
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
