"""The `test` command: an AUTH LOGIN conversation from the command line (howto 5.2), and its exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wizard.cli.options import accept, answers_of, password, within
from wizard.console import clean, out
from wizard.errors import AnswersError
from wizard.maillog.correlate import WITHIN, Seen
from wizard.maillog.watched_login import _saslauthd_options, held, target_of
from wizard.model.plan import Check, Sign
from wizard.render import as_json
from wizard.render.text import check_text
from wizard.smtp.login_test import Credentials
from wizard.system.host import Host

if TYPE_CHECKING:
    import argparse

SIGNS = {"server": "<", "client": ">", "log": "|"}
"""Before a line of the server, of ours, of the mail log; a remark has `#`."""


def test(arguments: argparse.Namespace) -> int:
    """0 when the login (or, without a user, all before it) is as it should be, else 1."""
    chosen = answers_of(arguments).test
    if arguments.from_outside:
        from wizard.cli import test_from_outside as outside_test

        return outside_test.wait(arguments)
    user = arguments.user or chosen.user
    try:
        target = target_of(
            Host(),
            arguments.host or chosen.host,
            arguments.port,
            accepted=arguments.accept_certificate,
            store_alone=arguments.verify,
            ask=None if arguments.json or not sys.stdin.isatty() else accept,
            mechanism=arguments.mechanism,
            family=arguments.family,
            send_to=arguments.send_to or chosen.send_to or None,
            sender=arguments.sender,
        )
        limit = within(arguments, WITHIN)
        credentials = Credentials(user, password(arguments)) if user else None
        told = held(
            Host(), target, credentials, limit, arguments.watch, (lambda _: None) if arguments.json else tell
        )
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem
    result = told.result
    bad = any(Sign(finding.state) is Sign.FAILED for finding in result.findings)
    if arguments.json:
        out(as_json.dumps(**result.to_json(), **told.to_json()))
        return int(bad or not result.ok)
    out()
    for finding in result.findings:
        out(check_text(Check(finding.id, Sign(finding.state), finding.says)))
    out(f"\n{'OK' if result.ok and not bad else 'FAILED'}: {clean(result.verdict)}")
    if credentials and target.server_name and "-c" in _saslauthd_options():
        out(
            "Note: saslauthd caches logins (-c): a password that was changed, or an account that was locked, is still"
        )
        out("accepted for up to 8 hours, unless saslauthd is restarted.")
    return int(bad or not result.ok)


def tell(item: Seen) -> None:
    """A line for the terminal."""
    beside = f"  {clean(item.explanation)}" if item.explanation else ""
    out(f"{SIGNS.get(item.who, '#')} {clean(item.text):<60}{beside}")
