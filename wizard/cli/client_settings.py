"""The command `client-settings`: what a mail client needs, for people and as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wizard.client_settings import ClientSettings, check_dns
from wizard.console import error, out
from wizard.errors import AnswersError
from wizard.gather.host import look
from wizard.model.answers import Answers, load
from wizard.model.plan import Sign
from wizard.render.text import check_text
from wizard.system.host import Host
from wizard.system.output_file import save

if TYPE_CHECKING:
    import argparse


def client_settings(arguments: argparse.Namespace) -> int:
    """`client-settings`: 0; with --check-dns 1 where the DNS says otherwise."""
    answers = load(Path(arguments.answers)) if arguments.answers else Answers()
    try:
        settings = ClientSettings.of(look(Host()), answers, arguments.imap)
        made = settings.rendered(arguments.format)
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem
    if arguments.output:
        error(save(Path(arguments.output), made))
    else:
        out(made.rstrip("\n"))
    if not arguments.check_dns:
        return 0
    checks = check_dns(settings)
    for check in checks:
        out(check_text(check))
    return int(any(check.sign is not Sign.OK for check in checks))
