"""The `test` command: an AUTH LOGIN conversation from the command line (howto 5.2), and its exit code."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

from wizard import as_json, sendmail_cf
from wizard.answers import Answers, AnswersError, host_name
from wizard.editors import EditError, shell_defaults
from wizard.facts import SASLAUTHD_DEFAULT, SENDMAIL_CF
from wizard.host import Host, HostError
from wizard.look import qualified_name
from wizard.plan import Check, Sign
from wizard.printing import check_text, clean, out
from wizard.smtp import Credentials, Line, Target, converse

if TYPE_CHECKING:
    import argparse


def test(arguments: argparse.Namespace, answers: Answers) -> int:
    """0 when the login (or, without a user, all before it) is as it should be, else 1."""
    chosen = answers.test
    user = arguments.user or chosen.user

    def tell(line: Line) -> None:
        sign = {"server": "<", "client": ">"}.get(line.who, "#")
        out(f"{sign} {clean(line.text):<60}" + (f"  {line.explanation}" if line.explanation else ""))

    try:
        address, name = reachable(arguments.host or chosen.host, arguments.port)
        target = Target(
            host=address,
            server_name=name,
            port=arguments.port,
            mechanism=arguments.mechanism,
            family=arguments.family,
            send_to=arguments.send_to or chosen.send_to or None,
            sender=arguments.sender,
            verify=arguments.verify,
        )
        credentials = Credentials(user, password(arguments)) if user else None
        result = converse(target, credentials, None if arguments.json else tell)
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem
    bad = any(Sign(finding.state) is Sign.FAILED for finding in result.findings)
    if arguments.json:
        out(as_json.dumps(**result.to_json()))
        return int(bad or not result.ok)
    out()
    for finding in result.findings:
        out(check_text(Check(finding.id, Sign(finding.state), finding.says)))
    out(f"\n{'OK' if result.ok and not bad else 'FAILED'}: {clean(result.verdict)}")
    if credentials and name and "-c" in _saslauthd_options():
        out(
            "Note: saslauthd caches logins (-c): a password that was changed, or an account that was locked, is still"
        )
        out("accepted for up to 8 hours, unless saslauthd is restarted.")
    return int(bad or not result.ok)


def password(arguments: argparse.Namespace) -> str:
    """From standard input, or asked for on the terminal; never from an argument or the environment."""
    if arguments.password_stdin:
        return sys.stdin.readline(4096).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise AnswersError("--user needs a password: give --password-stdin, or run it on a terminal")
    return getpass.getpass("Password: ")


def reachable(host: str, port: int) -> tuple[str, str | None]:
    """The address to test, and on this host itself (an empty `host`) the name that clients know it by. Raises ValueError.

    This host is reached where its own sendmail.cf says that it listens: behind a NAT its name leads elsewhere."""
    if host:
        return host_name(host), None
    own = Host()
    try:
        entry = own.entry(SENDMAIL_CF)
    except (PermissionError, HostError):
        entry = None
    found = (
        [item for item in sendmail_cf.daemons(entry.content.decode("latin-1")) if item.port == port]
        if entry
        else []
    )
    name, resolves = qualified_name(own)
    return found[0].reachable_at if found else "127.0.0.1", name if resolves else None


def _saslauthd_options() -> list[str]:
    entry = Host().entry(SASLAUTHD_DEFAULT)
    try:
        return (
            (shell_defaults.value(entry.content.decode("latin-1"), "OPTIONS") or "").split() if entry else []
        )
    except EditError:
        return []
