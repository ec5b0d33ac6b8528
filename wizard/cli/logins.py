"""The commands that try a login: `test` as a mail client does, or awaited from another machine; `debug login` by hand on a plain
terminal, each command sent with Enter (howto 5.2); `debug saslauthd` with each line of saslauthd's explained (howto 5.1)."""

from __future__ import annotations

import argparse
import os
import select
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from wizard.changes.confirm_or_revert import SHORTEST
from wizard.cli.options import (
    accept,
    agreed,
    answers_of,
    asks,
    credentials,
    must_be_asked,
    saved_to_look,
    say,
    unchanged,
    within,
)
from wizard.console import alone, clean, error, out
from wizard.debug import (
    PLAINTEXT,
    PLAINTEXT_WITHIN,
    SASLAUTHD,
    SASLAUTHD_WITHIN,
    DebugLine,
    debug,
    debug_line,
    plaintext_offer,
    plaintext_offered,
    talk,
)
from wizard.engine.state_dir import at_work, must_be_root
from wizard.engine.temporary import ForAWhile
from wizard.errors import DONE, AnswersError, Interrupted
from wizard.gather.host import look
from wizard.maillog.correlate import WITHIN, ConversationLine, word
from wizard.maillog.read import LogLine
from wizard.maillog.watched_login import (
    OUTSIDE_WITHIN,
    commands,
    hold_conversation,
    listens_for_clients,
    saslauthd_options,
    target_of,
    verdict,
    wait_for_login,
)
from wizard.model.answers import Answers
from wizard.model.plan import Check, Sign
from wizard.render import as_json
from wizard.render.text import check_text, explained, line_text
from wizard.smtp.connection import Move
from wizard.smtp.login_test import Target
from wizard.smtp.transcript import Credentials, Transcript
from wizard.system.host import Host
from wizard.system.signals import Interrupt

_SIGINT = 2
_SETTLE = 1.0
"""Seconds after a login for saslauthd's last words on it."""


def saslauthd(arguments: argparse.Namespace) -> int:
    """0 when it was ended in order, 1 when it ended by itself, or the login that was asked for was refused."""
    must_be_root()
    must_be_asked(arguments, "debug saslauthd")
    seconds = int(within(arguments, SASLAUTHD_WITHIN, SHORTEST))
    with at_work(work=SASLAUTHD) as (store, journal, interrupt):
        if not arguments.json:
            out(
                f"saslauthd is stopped and runs in the foreground for {seconds} s at most; meanwhile it answers logins. "
                "Ctrl-C ends it; its service is restored whatever happens."
            )
        if not agreed(arguments, "Go on? [y]es, [n]o (the default): ", interrupt):
            out("Nothing was changed.")
            return 0
        login = Login(_user(arguments, interrupt) if arguments.user else None, arguments.json)
        work = ForAWhile(Host(), store, journal, interrupt, (lambda _: None) if arguments.json else say)
        ended = debug(
            work,
            look(Host()),
            seconds,
            login.heard,
            lambda: login.over or interrupt.number is not None,
            restart_sendmail=arguments.restart_sendmail,
        )
    if interrupt.number not in (None, _SIGINT):
        raise Interrupted(interrupt.number or 0)
    bad = ended.by_itself or login.refused or (ended.check is not None and ended.check.sign is Sign.FAILED)
    if arguments.json:
        as_json.show(
            ok=not bad,
            lines=[vars(line) for line in login.lines],
            ended_by_itself=ended.by_itself,
            code=ended.code,
            check=as_json.checks([ended.check])[0] if ended.check is not None else None,
            logged_in=login.over and not login.refused if login.credentials else None,
        )
        return int(bad)
    if ended.by_itself:
        error(f"msa-wizard: saslauthd ended by itself with status {ended.code}: see its last lines")
    if ended.check is not None:
        out(check_text(ended.check))
    return int(bad)


@dataclass
class Login:
    """One login of our own, once saslauthd is ready; without credentials only its lines are shown."""

    credentials: Credentials | None
    silent: bool
    """The lines are only collected."""
    lines: list[DebugLine] = field(default_factory=list)
    over: bool = False
    refused: bool = False

    def __post_init__(self) -> None:
        self._mask = Transcript(self.credentials, None).shown
        self._thread: threading.Thread | None = None

    def heard(self, text: str) -> None:
        """A line of saslauthd."""
        line = debug_line(text, self._mask)
        self.lines.append(line)
        if not self.silent:
            where = f"saslauthd[{line.pid}]: " if line.pid else ""
            out(explained(f"| {clean(where + line.text)}", line.explanation))
        if "listening on socket" in line.text and self.credentials and self._thread is None:
            self._thread = threading.Thread(target=self._try, daemon=True)
            self._thread.start()

    def _try(self) -> None:
        try:
            target = target_of(Host(), "", 587, saved_to_look().certificate, smtp_port=None)
            show = (lambda _: None) if self.silent else tell
            watched = hold_conversation(Host(), target, self.credentials, 1.0, False, show)
            self.refused = not watched.result.ok
        except (ValueError, OSError) as problem:
            self.refused = True
            error(f"msa-wizard: {clean(str(problem))}")
        time.sleep(_SETTLE)
        self.over = True


def login(arguments: argparse.Namespace) -> int:
    """0 when the login was accepted (and the message taken, where one was to be sent), else 1."""
    must_be_root()
    must_be_asked(arguments, "debug login")
    seconds = int(within(arguments, PLAINTEXT_WITHIN, SHORTEST))
    if arguments.loopback_only and not arguments.plaintext:
        raise AnswersError("--loopback-only goes with --plaintext")
    try:
        target = target_of(
            Host(),
            "",
            arguments.port,
            saved_to_look().certificate,
            accepted=arguments.accept_certificate,
            ask=accept if asks(arguments) and not arguments.yes else None,
            send_to=arguments.send_to,
        )
    except ValueError as problem:
        raise AnswersError(str(problem)) from problem
    if not arguments.plaintext:
        return _Terminal(arguments, target, credentials(arguments.user, arguments)).converse(encrypted=True)
    return _plaintext(arguments, target, seconds)


def _user(arguments: argparse.Namespace, interrupt: Interrupt) -> Credentials:
    """Whoever is to log in, asked for while nothing is changed. Raises AnswersError, and Interrupted."""
    with unchanged(), interrupt.at_once():
        return credentials(arguments.user, arguments)


def _plaintext(arguments: argparse.Namespace, target: Target, seconds: int) -> int:
    show = (lambda _: None) if arguments.json else out
    host = Host()
    with at_work(work=PLAINTEXT) as (store, journal, interrupt):
        plain_login = plaintext_offer(look(host), target.port, loopback=arguments.loopback_only)
        if plain_login is None:
            show(
                "AuthOptions in sendmail.cf has no p: a login without TLS is offered as it is. Nothing is changed."
            )
            user = _user(arguments, interrupt)
            return _Terminal(arguments, target, user, interrupt).converse(encrypted=False)
        meanwhile = "a mail client that is set up without TLS may send its password in clear"
        if arguments.loopback_only:
            meanwhile = f"port {target.port} answers only on loopback: mail clients cannot submit"
        show(
            f"AuthOptions is commented out in sendmail.cf for {seconds} s at most, and sendmail is restarted twice.\n"
            f"Meanwhile {meanwhile}. It is restored at the end, whatever happens."
        )
        if not arguments.json:
            out(plain_login.changes[0].describe().diff, whole=True)
        if not agreed(arguments, "Go on? [y]es, [n]o (the default): ", interrupt):
            out("Nothing was changed.")
            return DONE
        user = _user(arguments, interrupt)
        work = ForAWhile(host, store, journal, interrupt, (lambda _: None) if arguments.json else say)
        with plaintext_offered(work, plain_login, target.port, seconds) as end:
            moved = replace(target, host=plain_login.address)
            code = _Terminal(arguments, moved, user, interrupt, end).converse(encrypted=False)
        interrupt()
    return code


@dataclass
class _Terminal:
    """Shows each move, waits for Enter, and counts down where the time is limited."""

    arguments: argparse.Namespace
    target: Target
    credentials: Credentials
    interrupt: Interrupt | None = None
    end: float | None = None
    """When the time is over, as time.monotonic has it."""
    lines: list[ConversationLine] = field(default_factory=list)

    def converse(self, *, encrypted: bool) -> int:
        """Hold the conversation; the exit code."""
        try:
            result = talk(Host(), self.target, self.credentials, self._tell, self._enter, encrypted=encrypted)
        except ValueError as problem:
            raise AnswersError(str(problem)) from problem
        ok = result.accepted and not result.problem
        if self.arguments.json:
            as_json.show(
                ok=ok,
                accepted=result.accepted,
                problem=result.problem,
                lines=[vars(line) for line in self.lines],
                delivery=result.delivery.to_json() if result.delivery is not None else None,
            )
            return int(not ok)
        if result.delivery is not None:
            out(clean(result.delivery.says))
        if result.problem:
            error(f"msa-wizard: {clean(result.problem)}")
        elif ok:
            out("OK: The login was accepted (235).")
        return int(not ok)

    def _tell(self, line: ConversationLine) -> None:
        self.lines.append(line)
        if not self.arguments.json:
            tell(line)

    def _enter(self, move: Move) -> bool:
        """Whether it is to be sent; not when the admin ends it, or the time is over."""
        if self.arguments.yes:
            return self._left() > 0
        with alone():
            return self._agreed(move)

    def _agreed(self, move: Move) -> bool:
        out(f">> {clean(move.shown)}  ({move.why})")
        while True:
            left = self._left()
            if left <= 0:
                out("\nThe time is over: it is restored now.")
                return False
            counted = f"; {left:.0f} s left" if self.end is not None else ""
            # In one row, whatever the width: it is drawn again each second.
            print(f"\r   Enter sends it, q ends{counted} ", end="", flush=True)
            word = self._typed()
            if word is None:
                continue
            if word == "" or word.strip().lower() in ("q", "quit"):
                return False
            if not word.strip():
                return True

    def _left(self) -> float:
        return 1e9 if self.end is None else self.end - time.monotonic()

    def _typed(self) -> str | None:
        """A line of the terminal, None after a second without one, empty when the terminal has gone."""
        with self.interrupt.at_once() if self.interrupt is not None else nullcontext():
            try:
                if not select.select([sys.stdin], [], [], 1.0)[0]:
                    return None
                return os.read(sys.stdin.fileno(), 256).decode("utf-8", "replace")
            except (OSError, ValueError):
                return ""


def test(arguments: argparse.Namespace) -> int:
    """0 when the login (or, without a user, all before it) is as it should be, else 1."""
    answers = answers_of(arguments, only_looks=True)
    chosen = answers.test
    if arguments.from_outside:
        return _from_outside(arguments, answers)
    # Empty is an answer, too: this host, nobody, no message.
    name = chosen.host if arguments.host is None else arguments.host
    user = chosen.user if arguments.user is None else arguments.user
    if arguments.password_stdin and not user:
        raise AnswersError("--password-stdin needs a --user NAME")
    saved_to = chosen.send_to if user else ""
    host = Host()
    try:
        target = target_of(
            host,
            name,
            arguments.port,
            answers.certificate,
            accepted=arguments.accept_certificate,
            store_alone=arguments.verify,
            ask=accept if asks(arguments) else None,
            mechanism=arguments.mechanism,
            family=arguments.family,
            send_to=(saved_to if arguments.send_to is None else arguments.send_to) or None,
            sender=arguments.sender,
            login_only=arguments.login_only,
        )
        limit = within(arguments, WITHIN)
        login = credentials(user, arguments) if user else None
        show = (lambda _: None) if arguments.json else tell
        began = time.time()
        watched = hold_conversation(host, target, login, limit, arguments.watch, show)
    except ValueError as error:
        raise AnswersError(str(error)) from error
    result = watched.result
    cause = None
    bad = not result.ok or any(Sign(finding.state) is Sign.FAILED for finding in result.findings)
    if bad:
        # What it takes is not loaded for a test that succeeds.
        from wizard.troubleshoot.explain import of_login

        cause = of_login(host, answers, target, login, result, began)
    if arguments.json:
        why = as_json.checks([cause])[0] if cause else None
        as_json.show(**result.to_json(), **watched.to_json(), cause=why)
        return int(bad)
    if result.findings:
        out()
    for finding in result.findings:
        out(check_text(Check(finding.id, Sign(finding.state), finding.says)))
    known = cause is not None and cause.sign is Sign.FAILED
    says = result.headline if known else result.verdict
    out(f"\n{'FAILED' if bad else 'OK'}: {clean(says)}")
    if cause is not None:
        out(check_text(cause))
    if login and result.ok and target.server_name and "-c" in saslauthd_options():
        out(
            "note: saslauthd caches logins (-c): a password that was changed, or an account that was locked, is still "
            "accepted for up to 8 hours, unless saslauthd is restarted."
        )
    return int(bad)


def tell(line: ConversationLine) -> None:
    """A line for the terminal."""
    out(line_text(line.who, line.text, line.explanation))


def _from_outside(arguments: argparse.Namespace, answers: Answers) -> int:
    """0 when a client on another machine has logged in, 1 when none did in time.

    A test on this host never meets its firewall: so what comes from one of its own addresses counts for nothing."""
    # The journal shows others nothing, which would look like nobody.
    must_be_root("read the mail log", reads=True)
    limit = within(arguments, OUTSIDE_WITHIN)
    host = Host()
    if not arguments.json and listens_for_clients(host):
        out(commands(host, answers.certificate), whole=True)
        out(f"\nWaiting for it, {limit:.0f} s at most (Ctrl-C ends it) ...")

    def logged(line: LogLine) -> None:
        if not arguments.json:
            where = clean(f"{line.name}[{line.pid}]: {line.text}")
            out(explained(f"| {where}", word(line.name, line.text)))

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
