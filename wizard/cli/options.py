"""What commands share: options, questions, and answers to them."""

from __future__ import annotations

import dataclasses
import difflib
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.certificates.peer_certificate import Certificate
from wizard.changes.confirm_or_revert import LONGEST
from wizard.console import clean, out
from wizard.engine.apply import Consent, nobody
from wizard.engine.local_edits import own_edits
from wizard.errors import AnswersError, UsageError
from wizard.model.answers import Answers, ending_id, load
from wizard.model.plan import Ending, Plan, Step
from wizard.render.text import endings_text
from wizard.smtp.server_trust import question
from wizard.steps import STEPS
from wizard.system.signals import Interrupt

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from snapshots.store import Store


def between(option: str, seconds: float, shortest: int, *, zero: bool = False) -> None:
    """Raises UsageError for a time that is neither `shortest` to LONGEST seconds nor, where that is allowed, none."""
    if not (shortest <= seconds <= LONGEST or (zero and seconds == 0)):
        allowed = f"{shortest} to {LONGEST} seconds{', or 0' if zero else ''}"
        raise UsageError(f"{option} {seconds}: it takes {allowed}. Nothing was changed")


def within(arguments: argparse.Namespace, default: float, shortest: int = 1) -> float:
    """--within, in seconds. Raises UsageError."""
    if arguments.within is None:
        return default
    between("--within", arguments.within, shortest)
    return float(arguments.within)


def password(arguments: argparse.Namespace) -> str:
    """From standard input, or asked for on the terminal; never from an argument or the environment."""
    if arguments.password_stdin:
        return sys.stdin.readline(4096).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise AnswersError("--user needs a password: give --password-stdin, or run it on a terminal")
    return getpass.getpass("Password: ")


def accept(seen: Certificate, why: str) -> bool:
    """Ask on the terminal whether the server with this certificate may have the password; no is the default."""
    out("\n" + question(seen, why))
    try:
        return input("Send the password to this server? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def agreed(interrupt: Interrupt, arguments: argparse.Namespace, question: str) -> bool:
    """Whether the admin wants it."""
    if arguments.yes:
        return True
    try:
        with interrupt.at_once():
            return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def say(line: str) -> None:
    """A line of what is being changed."""
    out(f"   | {clean(line)}")


def answers_of(arguments: argparse.Namespace) -> Answers:
    """The answers of --answers, or the defaults, with what --accept adds. Raises AnswersError."""
    answers = load(Path(arguments.answers)) if arguments.answers else Answers()
    try:
        more = [ending_id(name) for name in getattr(arguments, "accept", [])]
    except ValueError as problem:
        raise AnswersError(f"--accept: {problem}") from problem
    accept = tuple(dict.fromkeys((*answers.accept, *more)))
    return dataclasses.replace(answers, replace_mta=getattr(arguments, "replace_mta", False), accept=accept)


def steps_of(names: list[str]) -> list[str]:
    """These step ids. Raises UsageError for one that does not exist."""
    known = [step.id for step in STEPS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"there is no step {clean(name)[:60]!r}{f'; did you mean {near[0]}?' if near else ''} Steps: {', '.join(known)}"
            )
    return names


def consent(arguments: argparse.Namespace, interrupt: Interrupt) -> Consent:
    """Whom to ask about what would end: the terminal, unless there is none or `--yes` says not to ask."""
    if arguments.yes or not _asks(arguments):
        return nobody

    def ask(step: Step, plan: Plan, ends: tuple[Ending, ...]) -> bool:
        for ending in ends:
            out(endings_text((ending,)))
            try:
                with interrupt.at_once():
                    reply = input(f"   may this end ({ending.id})? [y]es, [n]o (the default): ")
            except EOFError:
                return False
            if reply.strip().lower() not in ("y", "yes"):
                return False
        return True

    return ask


def must_be_asked(arguments: argparse.Namespace, command: str, instead: str = "") -> None:
    """Raises UsageError where nobody can be asked, and `--yes` was not given."""
    if not arguments.yes and not _asks(arguments):
        raise UsageError(f"nothing was changed: without a terminal, {command} needs --yes{instead}")


def _asks(arguments: argparse.Namespace) -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json


def decide(yes: bool, store: Store, interrupt: Interrupt) -> Callable[[Step, Plan], bool]:
    """Whom to ask before a step's changes: nobody with `yes`, else the terminal."""
    if yes:
        return lambda _step, _plan: True
    rest = False

    def ask(step: Step, plan: Plan) -> bool:
        nonlocal rest
        edits = own_edits(store, plan)
        for edit in edits:
            out(f"   you have changed {clean(edit.path)} since, where this step would write again:")
            out("\n".join(f"   | {clean(line)}" for line in edit.text.splitlines()))
        if rest and not edits:
            return True
        while True:
            try:
                with interrupt.at_once():
                    reply = input(f"   apply {step.id}? [y]es, [n]o, [a]ll that remain: ").strip().lower()
            except EOFError:
                return False
            if reply in ("a", "all"):
                rest = True
            if reply in ("y", "yes", "a", "all", "n", "no"):
                return reply[0] != "n"

    return ask
