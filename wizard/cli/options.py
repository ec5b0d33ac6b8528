"""What commands share: options, questions, and answers to them."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import getpass
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from wizard import log
from wizard.changes.confirm_or_revert import LONGEST
from wizard.console import alone, clean, error, out
from wizard.engine.local_edits import own_edits
from wizard.engine.run import Consent, Decide, Enough, nobody, not_asked
from wizard.errors import AnswersError, Interrupted, UsageError
from wizard.model.answer_checks import ending_id
from wizard.model.answers import Answers
from wizard.model.answers_file import load, saved
from wizard.model.plan import ENDINGS, Ending, Plan, Step
from wizard.model.set_option import with_set
from wizard.render.text import endings_text
from wizard.smtp.server_trust import question
from wizard.smtp.transcript import Credentials
from wizard.steps.order import STEPS
from wizard.system.host import Host
from wizard.system.signals import Interrupt, wait_for_input

if TYPE_CHECKING:
    from snapshots.store import Store
    from wizard.certificates import Certificate


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


_NOT_UTF_8 = (
    "the password is not UTF-8: type it on a terminal of that encoding, or convert the file that holds it"
)


def credentials(user: str, arguments: argparse.Namespace) -> Credentials:
    """The login of `user`: the password from standard input, or asked for on the terminal; never from an argument or
    the environment. Raises AnswersError."""
    if not arguments.password_stdin and not sys.stdin.isatty():
        raise AnswersError("--user needs a password: give --password-stdin, or run it on a terminal")
    try:
        return Credentials(user, _typed_password(arguments, user))
    except UnicodeDecodeError:  # its words hold a byte of the password
        raise AnswersError(_NOT_UTF_8) from None
    except ValueError as error:
        raise AnswersError(str(error)) from error


def _typed_password(arguments: argparse.Namespace, user: str) -> str:
    if not arguments.password_stdin:
        try:
            with _on_a_row_of_its_own(sys.stderr), alone():
                return getpass.getpass(f"Password of {clean(user)}: ")
        except EOFError:
            raise AnswersError("no password was typed") from None
    password = sys.stdin.readline(4096).rstrip("\r\n")
    if "\ufffd" in password:  # as standard input replaces what it cannot decode
        raise AnswersError(_NOT_UTF_8)
    return password


def saved_to_look() -> Answers:
    """The settings of this host for a command that only looks: where they cannot be read it says so, and does without them."""
    try:
        return saved()
    except AnswersError as problem:
        error(f"msa-wizard: {clean(str(problem))}\nmsa-wizard: going on without these settings")
        return Answers()


def answers_of(arguments: argparse.Namespace, *, only_looks: bool = False) -> Answers:
    """The settings of this host, with those of --answers over them, then --set and --accept. Raises AnswersError; not for what is
    saved where it `only_looks`."""
    answers = saved_to_look() if only_looks else saved()
    if arguments.answers:
        answers = load(Path(arguments.answers), answers)
    answers = with_set(answers, arguments.set)
    accept = tuple(dict.fromkeys((*answers.accept, *accepted(arguments))))
    return dataclasses.replace(answers, replace_mta=getattr(arguments, "replace_mta", False), accept=accept)


def accepted(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What --accept names. Raises AnswersError, or UsageError for what never ends."""
    try:
        names = [ending_id(name) for name in getattr(arguments, "accept", [])]
    except ValueError as error:
        raise AnswersError(f"--accept: {error}") from error
    return tuple(known("--accept", names, ENDINGS, "`msa-wizard plan` names what would end"))


def known(kind: str, names: Sequence[str], all_names: Iterable[str], hint: str) -> list[str]:
    """These names, each once. Raises UsageError for one that is not among `all_names`."""
    choices = list(all_names)
    for name in names:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, n=1)
            guess = f"; did you mean {near[0]}?" if near else "."
            raise UsageError(f"there is no {kind} {clean(name)[:60]!r}{guess} {hint}")
    return list(dict.fromkeys(names))


def steps_of(names: list[str]) -> list[str]:
    """These step ids. Raises UsageError for one that does not exist."""
    ids = [step.id for step in STEPS]
    return known("step", names, ids, f"Steps: {', '.join(ids)}")


def asks(arguments: argparse.Namespace) -> bool:
    """Whether somebody is there who can be asked, and sees what about."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json and not arguments.quiet


def answers_now(arguments: argparse.Namespace) -> bool:
    """Whether somebody is asked about each thing, and has answered."""
    return asks(arguments) and not getattr(arguments, "yes", False)


def must_be_asked(arguments: argparse.Namespace, command: str, instead: str = "") -> None:
    """Raises UsageError where nobody can be asked, and `--yes` was not given."""
    if not arguments.yes and not asks(arguments):
        raise UsageError(f"nothing was changed: {unasked(arguments)}, {command} needs --yes{instead}")


def unasked(arguments: argparse.Namespace) -> str:
    """Why nobody can be asked."""
    options = ("--json", arguments.json), ("-q", arguments.quiet)
    return next((f"with {option}" for option, given in options if given), "without a terminal")


def ask(words: str, interrupt: Interrupt | None = None, at_end: str = "no") -> str:
    """What the admin answers, in small letters; `at_end` on Ctrl-D, or once the terminal has gone. While nothing is changed
    a signal raises Interrupted there and then."""
    reply = entered(words, interrupt)
    return at_end if reply is None else reply.lower()


def entered(words: str, interrupt: Interrupt | None = None) -> str | None:
    """What the admin enters, as he typed it; None on Ctrl-D, or once the terminal has gone. Raises as `ask`."""
    reply = None
    at_once = interrupt.at_once() if interrupt is not None else nullcontext()
    with suppress(EOFError), _on_a_row_of_its_own(sys.stdout), alone(), at_once:
        print(words, end="", flush=True)
        wait_for_input(sys.stdin.fileno())
        reply = input().strip()
    log.note(f"asked: {words.strip()} {reply}")
    return reply


@contextmanager
def _on_a_row_of_its_own(stream: TextIO) -> Iterator[None]:
    """What is said next begins a row where a signal or Ctrl-D has ended a question inside."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt, EOFError):
        print(file=stream)
        raise


def agreed(arguments: argparse.Namespace, words: str, interrupt: Interrupt | None = None) -> bool:
    """Whether the admin wants it, before anything is changed: by --yes, or because he says so now. No is the default."""
    if getattr(arguments, "yes", False):
        return True
    with unchanged():
        return yes(words, "do what is shown above", "change nothing", interrupt)


def yes(words: str, if_yes: str, if_no: str, interrupt: Interrupt | None = None) -> bool:
    """Whether the admin answers a question with yes; no is the default. Any other answer is told what these two do."""
    while (reply := ask(words, interrupt)) not in ("", "n", "no", "q", "quit"):
        if reply in ("y", "yes"):
            return True
        out(f"   y  {if_yes}\n   n  {if_no}; Enter does the same")
    return False


@contextmanager
def unchanged() -> Iterator[None]:
    """A signal that comes while inside ends the command before it has changed anything."""
    try:
        yield
    except Interrupted as stopped:
        stopped.next = "Nothing was changed"
        raise


def accept(certificate: Certificate, why: str) -> bool:
    """Ask on the terminal whether the server with this certificate may have the password; no is the default."""
    out("\n" + question(certificate, why))
    words = "Send the password to this server? [y]es, [n]o (the default): "
    return yes(words, "send it, whoever that server is", "end here, without a login")


def say(line: str) -> None:
    """A line of what is being changed."""
    out(f"   | {clean(line)}")


def consent(arguments: argparse.Namespace, interrupt: Interrupt) -> Consent:
    """Whom to ask about what would end: the terminal, unless there is none or `--yes` says not to ask."""
    if getattr(arguments, "yes", False) or not asks(arguments):
        return nobody

    def agrees(_step: Step, _plan: Plan, ends: tuple[Ending, ...]) -> bool:
        for ending in ends:
            out(endings_text((ending,)), whole=True)
            words = f"   may this end ({ending.id})? [y]es, [n]o (the default): "
            if not yes(words, "do the step, and let it end", "stop before the step", interrupt):
                return False
        return True

    return agrees


_REPLIES = """   y  apply this step
   n  leave it out, and go on with the next one; Enter does the same
   a  apply this step and all that follow, without asking again
   q  end here: what was applied stays; Ctrl-D does the same"""
_REPLIES_BEGUN = """   y  apply the rest of this step
   n  undo what is done of it, and go on with the next one; Enter does the same
   a  apply the rest, and all steps that follow, without asking again
   q  undo what is done of it, and end here: earlier steps stay"""


def decide(arguments: argparse.Namespace, host: Host, store: Store, interrupt: Interrupt) -> Decide:
    """Whom to ask before a step's changes: nobody with `--yes`, else the terminal; where there is none the run ends there."""
    if getattr(arguments, "yes", False):
        return lambda _step, _plan: True
    if not asks(arguments):
        return not_asked
    rest = False

    def wants(step: Step, plan: Plan) -> bool:
        nonlocal rest
        edits = own_edits(host, store, plan)
        for edit in edits:
            out(f"   you have changed {clean(edit.path)} since, and this step would write the same lines:")
            out("\n".join(f"   | {clean(line)}" for line in edit.text.splitlines()), whole=True)
        if rest and not edits:
            return True
        words = f"   apply {step.id}? [y]es, [n]o (the default), [a]ll, [q]uit, ?: "
        if plan.begun:
            out(f"   y applies the rest of {step.id}; n, Enter and q undo what is done of it.")
        while (reply := ask(words, interrupt, at_end="q")) not in ("", "n", "no"):
            rest = rest or reply in ("a", "all")
            if reply in ("y", "yes", "a", "all"):
                return True
            if reply in ("q", "quit"):
                raise Enough
            out(_REPLIES_BEGUN if plan.begun else _REPLIES)
        return False

    return wants
