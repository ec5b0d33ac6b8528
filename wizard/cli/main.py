"""The command line: arguments in, engine calls, text or JSON out; no decisions of its own (docs/manual.md)."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own takes longer to import than `--version` takes
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_FUNCTIONS = {
    "plan": "plan_apply:plan",
    "apply": "plan_apply:apply",
    "confirm": "confirm:confirm",
    "rehearse": "rehearse:rehearse",
    "status": "status_history:status",
    "history": "status_history:history",
    "diff": "status_history:diff",
    "rollback": "rollback:rollback",
    "recover": "rollback:recover",
    "client-settings": "client_settings:client_settings",
    "answers": "status_history:answers",
    "certificate": "certificate:certificate",
    "troubleshoot": "troubleshoot:troubleshoot",
    "debug": "debug:debug_command",
    "test": "test:test",
}
"""What does each command: a file of this folder, and a function that takes the arguments and returns the exit code."""
_ACCEPT = "the server's certificate is accepted by its SHA-256 fingerprint, whoever issued it"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        from wizard import __version__

        print(f"msa-wizard {__version__}")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    os.umask(0o022)
    if not arguments and sys.stdin.isatty() and sys.stdout.isatty():
        from screens.launch import launch

        return launch()
    parsed = _parser().parse_args(arguments or ["status"])
    parsed.argv = arguments
    return _run(parsed)


def _run(arguments: argparse.Namespace) -> int:
    from importlib import import_module

    from snapshots.errors import StoreError
    from wizard.errors import FAILED, Interrupted, WizardError

    module, _, name = str(arguments.run).partition(":")
    try:
        return int(getattr(import_module(f"wizard.cli.{module}"), name)(arguments))
    except WizardError as problem:
        code = 128 + problem.number if isinstance(problem, Interrupted) else problem.exit_code
        return _failed(arguments, problem.sentence, code)
    except (StoreError, OSError) as problem:
        return _failed(arguments, str(problem), FAILED)
    except KeyboardInterrupt:
        return 130


def _failed(arguments: argparse.Namespace, sentence: str, code: int) -> int:
    """Say why, on standard output too where a program reads that; returns the exit code."""
    from wizard.console import clean_block, error, out

    if getattr(arguments, "json", False):
        from wizard.render.as_json import dumps

        out(dumps(error={"message": clean_block(sentence), "exit_code": code}))
    error(f"msa-wizard: {clean_block(sentence)}")
    return code


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        prog="msa-wizard",
        description="Makes Debian's Sendmail a message submission agent: SASL2, STARTTLS, port 587.",
        epilog="Exit codes: 0 done, 1 failed and undone, 2 bad usage or answers, 3 this host cannot, 4 a decision is needed (a conflict, or something that works would end), 5 another msa-wizard "
        "is running, 6 an interrupted run waits for recover, 10 plan --exit-code: changes pending.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        made.set_defaults(run=_FUNCTIONS[name])
        return made

    plan = command("plan", "show what would be done, as diffs and commands; changes nothing")
    plan.add_argument("--exit-code", action="store_true", help="exit 10 when changes are pending")
    apply = command("apply", "do it, step by step, each one a commit")
    apply.add_argument("--yes", action="store_true", help="do not ask before each step")
    apply.add_argument(
        "--confirm-within",
        type=int,
        metavar="SECONDS",
        help="take a change of the firewall back unless `confirm` is said by then (60 over SSH on a terminal; 0: never)",
    )
    apply.add_argument(
        "--watch-restart",
        type=int,
        metavar="SECONDS",
        default=0,
        help="after its restart watch sendmail's listeners so long; one that goes takes the restart back",
    )
    command("confirm", "from any session: the firewall's new rules stay")
    rehearse = command("rehearse", "everything, for real, on a throwaway clone of this machine")
    rehearse.add_argument(
        "--format",
        choices=("text", "md", "html"),
        default="text",
        help="the report as text, Markdown or HTML",
    )
    rehearse.add_argument("--output", metavar="FILE", help="write the report there, readable for you alone")
    rehearse.add_argument("--keep", action="store_true", help="leave the clone up, with a shell in it")
    rehearse.add_argument("--end", action="store_true", help="end clones that were kept")
    for made in (plan, apply, rehearse):
        made.add_argument(
            "steps", nargs="*", metavar="STEP", help="only these steps (see `status` for their names)"
        )
        made.add_argument(
            "--answers", metavar="FILE", help="answers in TOML; `msa-wizard answers` prints a commented one"
        )
        made.add_argument(
            "--replace-mta", action="store_true", help="let apt remove another MTA (Postfix, Exim)"
        )
        made.add_argument(
            "--accept",
            action="append",
            default=[],
            metavar="ID",
            help="this may end, though it works now (`plan` names what would end); may be repeated",
        )
        made.add_argument("--json", action="store_true", help="JSON on standard output")
    status = command("status", "each step: applied, pending, drifted, not applicable, and why")
    status.add_argument("--answers", metavar="FILE", help="answers in TOML")
    history = command("history", "the commits of the snapshot store, newest first")
    for made in (status, history):
        made.add_argument("--json", action="store_true", help="JSON on standard output")
    diff = command("diff", "what a step or a commit changed")
    diff.add_argument("ref", metavar="STEP|COMMIT")
    rollback = command("rollback", "take a step, a commit or everything back, whatever was done since")
    rollback.add_argument("ref", nargs="?", metavar="STEP|COMMIT")
    rollback.add_argument("--all", action="store_true", help="leave the host as it was found")
    rollback.add_argument("--yes", action="store_true", help="do not ask")
    rollback.add_argument("--dry-run", action="store_true", help="only show what would be done")
    rollback.add_argument(
        "--on-conflict",
        choices=("ask", "keep", "restore", "abort"),
        default="ask",
        help="where you and the step changed the same: keep yours, restore what was before, or change nothing",
    )
    rollback.add_argument("--json", action="store_true", help="JSON on standard output")
    recover = command("recover", "after a run was killed: take it back, finish it, or say what it had done")
    which = recover.add_mutually_exclusive_group()
    which.add_argument("--undo", action="store_true", help="take it back (the default)")
    which.add_argument("--finish", action="store_true", help="go on with it")
    which.add_argument(
        "--accept",
        action="store_true",
        help="leave the host as it is, and record that: for what cannot be undone",
    )
    which.add_argument("--show", action="store_true", help="only say what it had done")
    _client_options(command("client-settings", "what a mail client needs, for people and as files"))
    command("answers", "print a commented answers.toml with this host's defaults")
    _certificate_options(command("certificate", "show, renew or install the server's certificate"))
    _troubleshoot_options(
        command("troubleshoot", "which layer fails, why, and what mends it; --fix mends it")
    )
    _debug_options(command("debug", "the howto's own tools: saslauthd talking, a login by hand"))
    _test_options(command("test", "log in as a mail client does, and show the whole conversation"))
    return parser


def _certificate_options(certificate: argparse.ArgumentParser) -> None:
    """Its own commands; `what` says which."""
    asked = certificate.add_subparsers(metavar="COMMAND", required=True, dest="what")
    commands = {
        "show": "names, dates, key, chain, and what a mail client will think of it; 1 when one refuses it",
        "renew": "make a new self-signed one, with the subjectAltName that Debian's script leaves out",
        "install": "put one from an authority in its place, checked first; for certbot's with a renewal hook",
    }
    made = {
        name: asked.add_parser(name, help=words, description=words, allow_abbrev=False)
        for name, words in commands.items()
    }
    made["renew"].add_argument("--days", type=int, default=825, help="how long it holds (825)")
    made["renew"].add_argument(
        "--name",
        action="append",
        default=[],
        metavar="FQDN",
        help="a name that clients know this host by; may be repeated",
    )
    made["renew"].add_argument(
        "--self-signed", action="store_true", help="also in the place of an authority's"
    )
    made["install"].add_argument("cert", metavar="CERT", help="the certificate in PEM format, with its chain")
    made["install"].add_argument("key", metavar="KEY", help="its private key in PEM format, not encrypted")
    made["install"].add_argument("--chain", default="", metavar="FILE", help="the certificates in between")
    made["install"].add_argument(
        "--name", default="", metavar="FQDN", help="the name that clients know this host by"
    )
    for name, parser in made.items():
        if name != "show":
            parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _debug_options(debug: argparse.ArgumentParser) -> None:
    """Its own commands; `what` says which."""
    asked = debug.add_subparsers(metavar="COMMAND", required=True, dest="what")
    words = "saslauthd in the foreground, each line explained (howto 5.1); its service is put back whatever happens"
    saslauthd = asked.add_parser("saslauthd", help=words, description=words, allow_abbrev=False)
    saslauthd.add_argument(
        "--restart-sendmail", action="store_true", help="restart sendmail too, as the howto does"
    )
    saslauthd.add_argument("--user", help="log in as this user meanwhile, then end")
    words = "AUTH LOGIN by hand, as with telnet: Enter sends each command (howto 5.2)"
    login = asked.add_parser("login", help=words, description=words, allow_abbrev=False)
    login.add_argument("--user", required=True, help="login name")
    login.add_argument("--port", type=int, default=587, help="587; 465 has TLS on connect")
    login.add_argument("--send-to", metavar="ADDRESS", help="also submit a message to this address")
    login.add_argument("--accept-certificate", metavar="FINGERPRINT", help=_ACCEPT)
    login.add_argument(
        "--plaintext",
        action="store_true",
        help="without TLS: AuthOptions is commented out in sendmail.cf for a while, and put back",
    )
    login.add_argument(
        "--loopback-only", action="store_true", help="the port is closed to other machines for that while"
    )
    for made, default in ((saslauthd, 600), (login, 120)):
        made.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )
        made.add_argument("--within", type=int, metavar="SECONDS", help=f"for how long at most ({default})")
        made.add_argument("--yes", action="store_true", help="do not ask, and wait for no key")
        made.set_defaults(json=False)


def _client_options(clients: argparse.ArgumentParser) -> None:
    clients.add_argument(
        "--format",
        choices=("table", "text", "autoconfig", "mobileconfig", "srv"),
        default="table",
        help="a table; a text for users; Thunderbird's autoconfig; Apple's profile; DNS SRV records",
    )
    clients.add_argument(
        "--imap", default="", metavar="HOST", help="where users read mail; the two files need it"
    )
    clients.add_argument("--output", metavar="FILE", help="write it there, readable for you alone")
    clients.add_argument(
        "--check-dns", action="store_true", help="ask the DNS for the SRV records; 1 unless they are right"
    )
    clients.add_argument("--answers", metavar="FILE", help="answers in TOML")


def _troubleshoot_options(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--fix",
        nargs="+",
        metavar="ID",
        help="mend these, as recorded steps; `all`: whatever fails; then look again",
    )
    made.add_argument("--yes", action="store_true", help="do not ask before each step of a mend")
    made.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="ID",
        help="this may end with a mend, though it works now",
    )
    made.add_argument("--user", help="log in as this user, to tell account and password from machinery")
    made.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    made.add_argument("--answers", metavar="FILE", help="answers in TOML: what you have chosen is no fault")
    made.add_argument("--json", action="store_true", help="JSON on standard output")


def _test_options(test: argparse.ArgumentParser) -> None:
    test.add_argument("--answers", metavar="FILE", help="answers in TOML; their [test] part is used")
    test.add_argument("--host", help="the mail server (this host)")
    test.add_argument("--port", type=int, default=587, help="587; 465 has TLS on connect")
    test.add_argument("--user", help="login name; without it the conversation ends before the login")
    test.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    test.add_argument("--mechanism", choices=("LOGIN", "PLAIN"), default="LOGIN")
    test.add_argument("--family", choices=("any", "ipv4", "ipv6"), default="any")
    test.add_argument("--send-to", metavar="ADDRESS", help="also submit a message to this address")
    test.add_argument("--sender", metavar="ADDRESS", help="its sender (USER@HOST)")
    test.add_argument(
        "--verify",
        action="store_true",
        help="an untrusted certificate is a failure, also this host's own, and without a login",
    )
    test.add_argument("--accept-certificate", metavar="FINGERPRINT", help=_ACCEPT)
    test.add_argument(
        "--watch", action="store_true", help="the lines of the mail log beside the conversation"
    )
    test.add_argument(
        "--from-outside",
        action="store_true",
        help="wait until a client on another machine has logged in: only that proves the firewall",
    )
    test.add_argument(
        "--within",
        type=int,
        metavar="SECONDS",
        help="how long a message is followed (30), or a client from outside waited for (300)",
    )
    test.add_argument("--json", action="store_true", help="JSON on standard output")
