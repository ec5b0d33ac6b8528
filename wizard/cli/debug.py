"""The command `debug`: the howto's own tools (5.1 and 5.2), under the wizard."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from wizard.changes.confirm_or_revert import SHORTEST
from wizard.cli.options import agreed, must_be_asked, password, say, within
from wizard.cli.test import tell
from wizard.console import clean, error, out
from wizard.debug.saslauthd import WITHIN, debug, said
from wizard.engine.state_dir import at_work, must_be_root
from wizard.engine.temporary import ForAWhile
from wizard.errors import Interrupted, UsageError
from wizard.gather.host import look
from wizard.maillog.correlate import Seen
from wizard.maillog.watched_login import held, target_of
from wizard.model.plan import Sign
from wizard.render.text import check_text
from wizard.smtp.login_test import Credentials
from wizard.smtp.transcript import Transcript
from wizard.system.host import Host

if TYPE_CHECKING:
    import argparse

_SIGINT = 2
_SETTLE = 1.0
"""Seconds after a login for saslauthd's last words on it."""


def debug_command(arguments: argparse.Namespace) -> int:
    """`debug`: what was asked for decides the exit code."""
    must_be_root()
    return {"saslauthd": _saslauthd, "login": _login}[arguments.what](arguments)


def _login(arguments: argparse.Namespace) -> int:
    from wizard.cli.debug_login import by_hand

    return by_hand(arguments)


def _saslauthd(arguments: argparse.Namespace) -> int:
    """0 when it was ended in order, 1 when it ended by itself, or the login that was asked for was refused."""
    must_be_asked(arguments, "debug saslauthd")
    seconds = int(within(arguments, WITHIN, SHORTEST))
    try:
        credentials = Credentials(arguments.user, password(arguments)) if arguments.user else None
    except ValueError as problem:
        raise UsageError(str(problem)) from problem
    host = Host()
    with at_work() as (store, journal, interrupt):
        out(
            f"saslauthd is stopped, and runs in the foreground for {seconds} s at most; logins are answered by it then. "
            "Ctrl-C ends it; its service is put back whatever happens."
        )
        if not agreed(interrupt, arguments, "Go on? [y/N] "):
            out("Nothing was changed.")
            return 0
        login = Login(credentials)
        work = ForAWhile(host, store, journal, interrupt, say)
        ended = debug(
            work,
            look(host),
            seconds,
            login.heard,
            lambda: login.over or interrupt.number is not None,
            restart_sendmail=arguments.restart_sendmail,
        )
    if interrupt.number not in (None, _SIGINT):
        raise Interrupted(interrupt.number or 0)
    if ended.by_itself:
        error(f"msa-wizard: saslauthd ended by itself with status {ended.code}: see its last lines")
    if ended.check is not None:
        out(check_text(ended.check))
    bad = ended.by_itself or (ended.check is not None and ended.check.sign is Sign.FAILED)
    return int(bad or login.refused)


class Login:
    """One login of our own, once saslauthd is ready; without credentials only its lines are shown."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials
        self._mask = Transcript(credentials, None).shown
        self._thread: threading.Thread | None = None
        self.over = False
        self.refused = False

    def heard(self, line: str) -> None:
        """A line of saslauthd."""
        made = said(line, self._mask)
        where = f"saslauthd[{made.pid}]: " if made.pid else ""
        out(f"| {clean(where + made.text):<60}  {made.explanation}".rstrip())
        sys.stdout.flush()
        if "listening on socket" in made.text and self._credentials and self._thread is None:
            self._thread = threading.Thread(target=self._try, daemon=True)
            self._thread.start()

    def _try(self) -> None:
        try:
            target = target_of(Host(), "", 587, smtp_port=None)
            self.refused = not held(Host(), target, self._credentials, 1.0, False, self._tell).result.ok
        except (ValueError, OSError) as problem:
            self.refused = True
            error(f"msa-wizard: {clean(str(problem))}")
        time.sleep(_SETTLE)
        self.over = True

    def _tell(self, line: Seen) -> None:
        tell(line)
