"""The options of every command."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NoReturn

from wizard.console import fold, width
from wizard.delivery import version_line
from wizard.errors import EXIT_CODES, UsageError

Add = Callable[[str, str, str], "Parser"]
"""Adds a command: its name, the file of its function, what it does."""
SHELLS = ("bash", "zsh", "fish")
"""Those that complete our command line."""
_CONFIRM = (
    "revert a firewall change unless `msa-wizard confirm` is run within SECONDS (default: 60 over SSH on a "
    "terminal, else 0, which means never)"
)
_VERSION, _HELP = "print the version, how it was installed, and its commit", "show the options of a command"
_REF = "a step's id, or the beginning of a commit's id (`history` has both)"
_PORT = "the port (default 587); 465 uses TLS on connect"
_ACCEPT = "accept the server's certificate by its SHA-256 fingerprint, whoever issued it"


class _Formatter(argparse.HelpFormatter):
    """Help is folded like all that is printed."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=width())

    def _split_lines(self, text: str, width: int) -> list[str]:
        return fold(text, columns=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (fold(line, indent, "     " if line[:1] == " " else "", width) for line in text.splitlines())
        return "\n".join(part for parts in lines for part in parts)


_CHOICE = re.compile(r"argument .*: invalid choice: '(.*)' \(choose from (.*)\)", re.DOTALL)
"""What argparse says of a word that is none of those that may be there."""


class Parser(argparse.ArgumentParser):
    """Wrong arguments end like any other error: as a sentence, or as JSON."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **options)
        self.commands: Iterable[str] = ()
        """Of a group, which needs one of them."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        wrong = _CHOICE.match(message)
        typed, choices = (wrong[1], re.findall(r"[\w-]+", wrong[2])) if wrong else ("", [])
        begun = [choice for choice in choices if choice.startswith(typed)]
        near = begun if len(begun) == 1 else difflib.get_close_matches(typed, choices, n=1, cutoff=0.7)
        if message.endswith(": COMMAND"):
            message += f" ({', '.join(self.commands)})"
        guess = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"{message}{guess} Run `{self.prog} --help`")


def parser() -> Parser:
    """The parser of the whole command line; `run` of what it returns names the file and the function of the command."""
    whole = Parser(
        prog="msa-wizard",
        usage="msa-wizard [-h] [-V] [COMMAND] ...",
        description="Makes Debian's Sendmail a message submission agent: SASL2, STARTTLS, port 587.\n"
        "Without a COMMAND it shows its screens; where there is no terminal, it does what `status` does.",
        epilog="\n".join(["exit codes:", *(f"  {code} {words}" for code, words in EXIT_CODES.items())]),
    )
    whole.add_argument("-V", "--version", action="version", version=version_line(), help=_VERSION)
    commands = whole.add_subparsers(title="commands", prog="msa-wizard", metavar="COMMAND", required=False)
    add = partial(_command, commands)
    _set_up(add)
    _history(add)
    _client_settings(add)
    _settings(add)
    _export(_group(commands, "export", "the same set-up for many hosts"))
    _certificate(_group(commands, "certificate", "show, renew, install or obtain the server's certificate"))
    _troubleshoot(add)
    _debug(_group(commands, "debug", "debugging tools: saslauthd in debug mode, a manual login"))
    _test(add)
    _remove(add)
    completion = add(
        "completion", "completion", "print the script by which a shell completes our command line"
    )
    completion.add_argument(
        "shell", metavar="SHELL", choices=SHELLS, help="the shell that is to read it: bash, zsh or fish"
    )
    asked = commands.add_parser("help", help=_HELP, description=_HELP)
    asked.add_argument("command", nargs="*", metavar="COMMAND", help="the command; without one, all of them")
    return whole


def _command(commands: argparse._SubParsersAction[Parser], name: str, file: str, words: str) -> Parser:
    """A command with what all of them take. Its function in this `file` of our folder returns the exit code."""
    command = commands.add_parser(name, help=words, description=words)
    command.set_defaults(run=f"{file}:{name.replace('-', '_')}", prog=command.prog, json=False)
    if name not in ("answers", "completion"):
        _flag(command, "--json", "JSON on standard output")
    _flag(command, "--verbose", "show each command that is run, on standard error; long output in full", "-v")
    _flag(
        command,
        "--quiet",
        "print only errors, and what is for a program or a file (JSON, TOML, client settings)",
        "-q",
    )
    return command


def _group(commands: argparse._SubParsersAction[Parser], name: str, words: str) -> Add:
    """A command that has commands of its own."""
    group = commands.add_parser(name, help=words, description=words)
    commands = group.add_subparsers(metavar="COMMAND", required=True)
    group.commands = commands.choices
    return partial(_command, commands)


def _flag(command: argparse._ActionsContainer, option: str, words: str, *short: str) -> None:
    command.add_argument(*short, option, action="store_true", help=words)


def _yes(command: Parser, words: str = "do not ask") -> None:
    _flag(command, "--yes", words)


def _answers(command: Parser) -> None:
    words = "settings in TOML, over those in /etc/msa-wizard/answers.toml"
    command.add_argument("--answers", metavar="FILE", help=words)
    words = "one setting, such as listen.ipv6=true, over those of all files; several values with commas; may be repeated"
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=words)


def _accept(command: Parser) -> None:
    command.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="NAME",
        help="agree that what has this name ends, though it works now (`plan` lists it); may be repeated",
    )


def _user(command: Parser, words: str, *, required: bool = False) -> None:
    command.add_argument("--user", required=required, help=words)
    _flag(command, "--password-stdin", "read the password from standard input")


def _number(text: str) -> int:
    """Argparse's own words for what is none are Python's."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not a whole number") from None


def _seconds(command: Parser, option: str, words: str, default: int | None = None) -> None:
    command.add_argument(option, type=_number, metavar="SECONDS", default=default, help=words)


def _choice(command: Parser, option: str, words: str, *choices: str) -> None:
    """The first is the default."""
    command.add_argument(option, choices=choices, default=choices[0], help=words)


def _set_up(add: Add) -> None:
    plan = add("plan", "steps", "show what would be done, as diffs and commands; changes nothing")
    _flag(plan, "--exit-code", "exit with 10 if something is to do")
    apply = add("apply", "steps", "carry out the plan, step by step; each step is one commit")
    _yes(apply, "do not ask before each step")
    _seconds(apply, "--confirm-within", _CONFIRM)
    words = "watch sendmail's listeners for SECONDS after the restart; if one disappears, revert"
    _seconds(apply, "--watch-restart", words, 0)
    add("confirm", "steps", "keep the new firewall rules while `apply` waits for it, from any session")
    rehearse = add(
        "rehearse", "rehearse", "carry out the plan for real, on a throwaway clone of this machine"
    )
    _choice(rehearse, "--format", "the report as text, Markdown or HTML (default text)", "text", "md", "html")
    _output(rehearse, "write the report to FILE, readable only by you")
    _flag(rehearse, "--keep", "leave the clone running at the end, and open a shell in it")
    _flag(rehearse, "--end", "end the clones that --keep left running")
    for command in (plan, apply, rehearse):
        words = "only these steps (see `status` for their names)"
        command.add_argument("steps", nargs="*", metavar="STEP", help=words)
        _answers(command)
        _flag(command, "--replace-mta", "let apt remove another MTA (Postfix, Exim)")
        _accept(command)


def _history(add: Add) -> None:
    words = "the state of each step (applied, to do, drifted, n/a), and why"
    _answers(add("status", "steps", words))
    history = add("history", "steps", "what was done: the commits of the snapshot store, newest first")
    history.add_argument("ref", nargs="?", metavar="STEP", help="only the commits of this step")
    words = "only the newest NUMBER commits"
    history.add_argument("-n", "--number", type=_number, metavar="NUMBER", help=words)
    diff = add("diff", "steps", "what a step or a commit changed")
    diff.add_argument("ref", metavar="STEP|COMMIT", help=_REF)
    words = "roll back a step, a commit or everything, whatever was done since"
    rollback = add("rollback", "rollback", words)
    rollback.add_argument("ref", nargs="?", metavar="STEP|COMMIT", help=_REF)
    words = "go back to this commit: roll back all that was applied after it, and is in force"
    rollback.add_argument("--to", default="", metavar="COMMIT", help=words)
    _flag(rollback, "--all", "leave the host as it was found")
    _yes(rollback)
    _flag(rollback, "--dry-run", "only show what would be done")
    words = (
        "where what is rolled back has been changed since: ask (the default), keep it as it is, restore what was there "
        "before, or abort, which changes nothing"
    )
    _choice(rollback, "--on-conflict", words, "ask", "keep", "restore", "abort")
    recover = add(
        "recover", "rollback", "after a run was killed: undo it, finish it, or show what it had done"
    )
    which = recover.add_mutually_exclusive_group()
    _flag(which, "--undo", "undo the interrupted run (the default)")
    _flag(which, "--finish", "finish the interrupted run")
    _flag(which, "--accept", "keep the host as it is now, and close the run: for what cannot be undone")
    _flag(which, "--show", "only show what it had done")
    _yes(recover)


def _remove(add: Add) -> None:
    remove = add("remove", "remove", "remove msa-wizard from this host; the mail server stays as it is")
    _yes(remove)
    _flag(remove, "--forget-history", "remove the history, too: after that nothing can be rolled back")


def _client_settings(add: Add) -> None:
    clients = add("client-settings", "clients", "what to enter in a mail client, as text or as a file for it")
    words = "a table (the default), a text for users, Thunderbird's autoconfig, Apple's profile, or DNS SRV records"
    _choice(clients, "--format", words, "table", "text", "autoconfig", "mobileconfig", "srv")
    words = "the IMAP server, where users read mail; autoconfig and mobileconfig need it"
    clients.add_argument("--imap", default="", metavar="HOST", help=words)
    _output(clients, "write to FILE, readable for everybody")
    _flag(
        clients,
        "--check-dns",
        "ask the DNS for the name's address and the SRV records; exit with 1 if one is missing or wrong",
    )
    _answers(clients)


def _settings(add: Add) -> None:
    answers = add("answers", "steps", "print the settings as a commented answers.toml, or save them")
    _answers(answers)
    _output(answers, "write to FILE")
    _flag(answers, "--save", "save them to /etc/msa-wizard/answers.toml, which every command reads")


def _export(add: Add) -> None:
    words = "write a folder for Ansible: a collection with the program, playbooks, and these settings as an inventory"
    ansible = add("ansible", "export", words)
    ansible.add_argument("folder", metavar="DIR", help="the folder; it is made where it is not there")
    words = "the program for the hosts, of this version; not needed where this is msa-wizard.pyz itself"
    ansible.add_argument("--program", metavar="FILE", help=words)
    words = "replace the collection and the playbooks when they are there already; the inventory stays"
    _flag(ansible, "--force", words)
    _answers(ansible)


def _file(name: str) -> str:
    if name == "-":
        raise argparse.ArgumentTypeError(
            "without --output it is printed; for a file of that name: --output ./-"
        )
    return name


def _output(command: Parser, words: str) -> None:
    command.add_argument("--output", metavar="FILE", type=_file, help=words)
    _flag(command, "--force", "replace the file of --output when it is there already")


def _certificate(add: Add) -> None:
    words = (
        "show its names, dates, key and chain, and judge it as mail clients do; exit with 1 if they refuse it"
    )
    add("show", "clients", words)
    words = "make a new self-signed certificate, with the subjectAltName that Debian's script leaves out"
    renew = add("renew", "clients", words)
    renew.add_argument("--days", type=_number, default=825, help="validity in days (default 825)")
    words = (
        "a name that clients know this host by (default: that of the settings, else its own); may be repeated"
    )
    renew.add_argument("--name", action="append", default=[], metavar="FQDN", help=words)
    _flag(renew, "--self-signed", "also replace a CA-issued certificate")
    words = "install a CA-issued certificate after checking it (with a renewal hook for certbot)"
    install = add("install", "clients", words)
    install.add_argument("cert", metavar="CERT", help="the certificate in PEM format, with its chain")
    install.add_argument("key", metavar="KEY", help="its private key in PEM format, not encrypted")
    install.add_argument("--chain", default="", metavar="FILE", help="the intermediate certificates")
    install.add_argument(
        "--name",
        default="",
        metavar="FQDN",
        help="the name that clients know this host by (default: that of the settings, else its own)",
    )
    for command in (renew, install):
        _accept(command)
        _yes(command)
    _obtain(add)


def _obtain(add: Add) -> None:
    """An option that is not given is as the settings have it."""
    words = "get a certificate that clients trust from Let's Encrypt, or another ACME authority, by Debian's certbot"
    obtain = add("obtain", "clients", words)
    words = "a name that clients know this host by (default: those of the settings, else its own); the first is the one that they are told"
    obtain.add_argument("name", nargs="*", default=[], metavar="NAME", help=words)
    obtain.add_argument("--email", default="", metavar="ADDRESS", help="where the authority may write to")
    _flag(obtain, "--agree-tos", "agree to the authority's terms of service")
    words = "the authority's ACME directory (default: Let's Encrypt)"
    obtain.add_argument("--server", default="", metavar="URL", help=words)
    words = (
        "how the name is proved: standalone (the default), by certbot itself on port 80; webroot, by the web server that is "
        "there; manual, by a hook of yours that writes into the DNS; or a plug-in of certbot for the DNS, such as dns-rfc2136"
    )
    obtain.add_argument("--challenge", default="", metavar="HOW", help=words)
    words = "with --challenge webroot: the folder that the web server serves for the name"
    obtain.add_argument("--webroot", default="", metavar="DIR", help=words)
    words = "with a plug-in for the DNS: the file with its credentials"
    obtain.add_argument("--credentials", default="", metavar="FILE", help=words)
    words = "with --challenge manual: the program that writes certbot's record into the DNS (it finds it in $CERTBOT_VALIDATION)"
    obtain.add_argument("--auth-hook", default="", metavar="FILE", help=words)
    words = "with --challenge manual: the program that takes the record out again"
    obtain.add_argument("--cleanup-hook", default="", metavar="FILE", help=words)
    _flag(
        obtain,
        "--dry-run",
        "only try it out, where certbot is installed: no certificate is kept, and nothing is changed",
    )
    _answers(obtain)
    _accept(obtain)
    _yes(obtain)


def _troubleshoot(add: Add) -> None:
    words = "find out why users cannot send mail: which layer fails, why, and what fixes it"
    command = add("troubleshoot", "troubleshoot", words)
    words = (
        "fix the faults with these ids, or `all` that fail, each fix a step with its commit; then look again"
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("--fix", nargs="+", metavar="ID", help=words)
    _flag(
        which,
        "--list",
        "list every fault that it can find (what users say, the cause, the fix), and do nothing else",
    )
    _seconds(command, "--confirm-within", _CONFIRM)
    _yes(command, "do not ask before each step of a fix")
    _accept(command)
    _user(command, "log in as this user, to tell an account or password problem from the rest")
    _answers(command)
    words = (
        "say what a mail client with this IPv4 or IPv6 address would meet on this host; nothing is sent to it"
    )
    which.add_argument("--from", dest="client", metavar="ADDRESS", help=words)


def _debug(add: Add) -> None:
    saslauthd = add(
        "saslauthd",
        "logins",
        "run saslauthd in the foreground and explain each of its lines (howto 5.1); its service is restored afterwards",
    )
    _flag(saslauthd, "--restart-sendmail", "restart sendmail too, as the howto does")
    _user(saslauthd, "log in as this user, and end after that")
    login = add("login", "logins", "log in by hand, as with telnet: Enter sends each command (howto 5.2)")
    _user(login, "login name", required=True)
    login.add_argument("--port", type=_number, default=587, help=_PORT)
    login.add_argument("--send-to", metavar="ADDRESS", help="also submit a message to this address")
    login.add_argument("--accept-certificate", metavar="FINGERPRINT", help=_ACCEPT)
    words = "log in without TLS: for a limited time AuthOptions is commented out in sendmail.cf"
    _flag(login, "--plaintext", words)
    _flag(login, "--loopback-only", "with --plaintext: meanwhile the port answers this host alone")
    for command, seconds in ((saslauthd, 600), (login, 120)):
        _seconds(command, "--within", f"end after SECONDS (default {seconds})")
        _yes(command, "do not ask, and wait for no key")


def _test(add: Add) -> None:
    test = add("test", "logins", "log in as a mail client does, and show the whole conversation")
    _answers(test)
    test.add_argument(
        "--host", help="the mail server (default: that of the settings, else this host; empty: this host)"
    )
    test.add_argument("--port", type=_number, default=587, help=_PORT)
    _user(
        test, "login name (default: that of the settings); without one the conversation ends before the login"
    )
    _choice(test, "--mechanism", "how the login is sent (default LOGIN)", "LOGIN", "PLAIN")
    _choice(test, "--family", "connect over IPv4 or IPv6 alone (default any)", "any", "ipv4", "ipv6")
    words = "also submit a message to this address (default: that of the settings; empty: none)"
    test.add_argument("--send-to", metavar="ADDRESS", help=words)
    test.add_argument("--sender", metavar="ADDRESS", help="the sender of that message (default USER@HOST)")
    _flag(
        test,
        "--verify",
        "exit with 1 if this system does not trust the certificate, also where it is this host's own, or nobody logs in",
    )
    test.add_argument("--accept-certificate", metavar="FINGERPRINT", help=_ACCEPT)
    _flag(
        test, "--login-only", "one connection, without the checks before the login: servers count connections"
    )
    _flag(test, "--watch", "show the lines of the mail log beside the conversation")
    words = (
        "wait until a client on another machine has logged in: only that proves that the firewall lets it in"
    )
    _flag(test, "--from-outside", words)
    words = "how long to follow a message (default 30), or to wait for a client from outside (default 300)"
    _seconds(test, "--within", words)
