"""`debug login`: the AUTH LOGIN conversation by hand on a plain terminal, each command sent with Enter (howto 5.2)."""

from __future__ import annotations

import os
import select
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from wizard.changes.confirm_or_revert import SHORTEST
from wizard.cli.options import accept, agreed, must_be_asked, password, say, within
from wizard.cli.test import tell
from wizard.console import clean, error, out
from wizard.debug.login import talk
from wizard.debug.plaintext_login import WITHIN, held, plain
from wizard.engine.state_dir import at_work
from wizard.engine.temporary import ForAWhile
from wizard.errors import AnswersError
from wizard.gather.host import look
from wizard.maillog.watched_login import target_of
from wizard.smtp.login_test import Credentials, Target
from wizard.smtp.stepwise import Move
from wizard.system.host import Host
from wizard.system.signals import Interrupt

if TYPE_CHECKING:
    import argparse


def by_hand(arguments: argparse.Namespace) -> int:
    """0 when the login was accepted (and the message taken, where one was to be sent), else 1."""
    must_be_asked(arguments, "debug login")
    seconds = int(within(arguments, WITHIN, SHORTEST))
    if arguments.loopback_only and not arguments.plaintext:
        raise AnswersError("--loopback-only goes with --plaintext")
    try:
        target = target_of(
            Host(),
            "",
            arguments.port,
            accepted=arguments.accept_certificate,
            ask=accept if sys.stdin.isatty() and not arguments.yes else None,
            send_to=arguments.send_to,
        )
        credentials = Credentials(arguments.user, password(arguments))
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem
    if not arguments.plaintext:
        return _Terminal(arguments, target, credentials, None).converse(encrypted=True)
    return _plaintext(arguments, target, credentials, seconds)


def _plaintext(arguments: argparse.Namespace, target: Target, credentials: Credentials, seconds: int) -> int:
    host = Host()
    with at_work() as (store, journal, interrupt):
        made = plain(look(host), target.port, loopback=arguments.loopback_only)
        if made is None:
            out(
                "AuthOptions in sendmail.cf has no p: a login without TLS is offered as it is. Nothing is changed."
            )
            return _Terminal(arguments, target, credentials, interrupt).converse(encrypted=False)
        where = (
            f"port {target.port} answers on loopback alone meanwhile: mail clients cannot submit"
            if arguments.loopback_only
            else "a mail client that is set up without TLS may send its password in clear meanwhile"
        )
        out(
            f"AuthOptions is commented out in sendmail.cf for {seconds} s at most, and sendmail restarted, twice;"
        )
        out(f"{where}. It is put back at the end, whatever happens.")
        out(made.changes[0].describe().diff)
        if not agreed(interrupt, arguments, "Go on? [y/N] "):
            out("Nothing was changed.")
            return 0
        with held(ForAWhile(host, store, journal, interrupt, say), made, target.port, seconds) as end:
            moved = replace(target, host=made.address)
            code = _Terminal(arguments, moved, credentials, interrupt, end).converse(encrypted=False)
        interrupt()
    return code


class _Terminal:
    """Shows each move, waits for Enter, and counts down where the time is limited."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        target: Target,
        credentials: Credentials,
        interrupt: Interrupt | None,
        end: float | None = None,
    ) -> None:
        self._all = arguments.yes
        self._target, self._credentials = target, credentials
        self._interrupt = interrupt
        self._end = end

    def converse(self, *, encrypted: bool) -> int:
        """Hold the conversation; the exit code."""
        try:
            made = talk(Host(), self._target, self._credentials, tell, self._enter, encrypted=encrypted)
        except ValueError as problem:
            raise AnswersError(str(problem)) from problem
        if made.delivery is not None:
            out(clean(made.delivery.says))
        if made.problem:
            error(f"msa-wizard: {clean(made.problem)}")
        elif made.accepted:
            out("OK: The login was accepted (235).")
        return int(not made.accepted or bool(made.problem))

    def _enter(self, move: Move) -> bool:
        """Whether it is to be sent; not when the admin ends it, or the time is over."""
        if self._all:
            return self._left() > 0
        while True:
            left = self._left()
            if left <= 0:
                out("\nThe time is over: it is put back now.")
                return False
            counted = f"; {left:.0f} s left" if self._end is not None else ""
            sys.stdout.write(
                f"\r\x1b[K>> {clean(move.shown)}  ({move.why})  Enter sends it, q ends{counted} "
            )
            sys.stdout.flush()
            word = self._typed()
            if word is not None:
                return word != "" and word.strip().lower() not in ("q", "quit")

    def _left(self) -> float:
        return 1e9 if self._end is None else self._end - time.monotonic()

    def _typed(self) -> str | None:
        """A line of the terminal, None after a second without one, empty when the terminal has gone."""
        if self._interrupt is None:
            return _line()
        with self._interrupt.at_once():
            return _line()


def _line() -> str | None:
    try:
        if not select.select([sys.stdin], [], [], 1.0)[0]:
            return None
        return os.read(sys.stdin.fileno(), 256).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
