"""The command `test`: an AUTH LOGIN conversation from here, or one awaited from another machine (howto 5.2)."""

from __future__ import annotations

import argparse
import sys

from wizard.cli.options import accept, answers_of, credentials, within
from wizard.console import clean, out
from wizard.engine.state_dir import must_be_root
from wizard.errors import AnswersError
from wizard.maillog.correlate import WITHIN, ConversationLine
from wizard.maillog.explain import word
from wizard.maillog.read import LogLine
from wizard.maillog.watched_login import (
    OUTSIDE_WITHIN,
    commands,
    hold_conversation,
    saslauthd_options,
    target_of,
    verdict,
    wait_for_login,
)
from wizard.model.plan import Check, Sign
from wizard.render import as_json
from wizard.render.text import check_text, line_text
from wizard.system.host import Host


def test(arguments: argparse.Namespace) -> int:
    """0 when the login (or, without a user, all before it) is as it should be, else 1."""
    chosen = answers_of(arguments).test
    if arguments.from_outside:
        return _from_outside(arguments)
    user = arguments.user or chosen.user
    host = Host()
    try:
        target = target_of(
            host,
            arguments.host or chosen.host,
            arguments.port,
            accepted=arguments.accept_certificate,
            store_alone=arguments.verify,
            ask=accept if sys.stdin.isatty() and not (arguments.json or arguments.quiet) else None,
            mechanism=arguments.mechanism,
            family=arguments.family,
            send_to=arguments.send_to or chosen.send_to or None,
            sender=arguments.sender,
        )
        limit = within(arguments, WITHIN)
        login = credentials(user, arguments) if user else None
        show = (lambda _: None) if arguments.json else tell
        watched = hold_conversation(host, target, login, limit, arguments.watch, show)
    except ValueError as error:
        raise AnswersError(str(error)) from error
    result = watched.result
    bad = not result.ok or any(Sign(finding.state) is Sign.FAILED for finding in result.findings)
    if arguments.json:
        as_json.show(**result.to_json(), **watched.to_json())
        return int(bad)
    out()
    for finding in result.findings:
        out(check_text(Check(finding.id, Sign(finding.state), finding.says)))
    out(f"\n{'FAILED' if bad else 'OK'}: {clean(result.verdict)}")
    if login and target.server_name and "-c" in saslauthd_options():
        out(
            "Note: saslauthd caches logins (-c): a password that was changed, or an account that was locked, is still\n"
            "accepted for up to 8 hours, unless saslauthd is restarted."
        )
    return int(bad)


def tell(line: ConversationLine) -> None:
    """A line for the terminal."""
    out(line_text(line.who, line.text, line.explanation))


def _from_outside(arguments: argparse.Namespace) -> int:
    """0 when a client on another machine has logged in, 1 when none did in time.

    A test on this host never meets its firewall: so what comes from one of its own addresses counts for nothing."""
    must_be_root()  # the journal shows others nothing, which would look like nobody
    limit = within(arguments, OUTSIDE_WITHIN)
    host = Host()
    if not arguments.json:
        out(commands(host))
        out(f"\nWaiting for it, {limit:.0f} s at most (Ctrl-C ends it) ...")

    def logged(line: LogLine) -> None:
        if not arguments.json:
            where = clean(f"{line.name}[{line.pid}]: {line.text}")
            out(f"| {where:<60}  {word(line.name, line.text)}".rstrip())

    outside = wait_for_login(host, limit, logged, lambda: False)
    check = verdict(outside, limit)
    ok = check.sign is Sign.OK
    if arguments.json:
        proved = None if outside.file else outside.logged_in
        who = dict(zip(("address", "user"), proved, strict=True)) if proved else None
        as_json.show(ok=ok, verdict=check.says, logged_in=who, addresses=sorted(outside.came))
    else:
        out()
        out(check_text(check))
    return int(not ok)
