"""`debug saslauthd`: saslauthd in the foreground, each line explained (howto 5.1)."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wizard.changes.confirm_or_revert import SHORTEST
from wizard.cli.options import agreed, credentials, must_be_asked, say, within
from wizard.cli.test import tell
from wizard.console import clean, error, out
from wizard.debug.saslauthd import WITHIN, DebugLine, debug, debug_line
from wizard.engine.state_dir import at_work, must_be_root
from wizard.engine.temporary import ForAWhile
from wizard.errors import Interrupted
from wizard.gather.host import look
from wizard.maillog.correlate import ConversationLine
from wizard.maillog.watched_login import hold_conversation, target_of
from wizard.model.plan import Sign
from wizard.render import as_json
from wizard.render.text import check_text
from wizard.smtp.transcript import Credentials, Transcript
from wizard.system.host import Host

if TYPE_CHECKING:
    import argparse

_SIGINT = 2
_SETTLE = 1.0
"""Seconds after a login for saslauthd's last words on it."""


def saslauthd(arguments: argparse.Namespace) -> int:
    """0 when it was ended in order, 1 when it ended by itself, or the login that was asked for was refused."""
    must_be_root()
    must_be_asked(arguments, "debug saslauthd")
    seconds = int(within(arguments, WITHIN, SHORTEST))
    login = Login(credentials(arguments.user, arguments) if arguments.user else None, arguments.json)
    with at_work() as (store, journal, interrupt):
        if not arguments.json:
            out(
                f"saslauthd is stopped and runs in the foreground for {seconds} s at most; meanwhile it answers logins. "
                "Ctrl-C ends it; its service is restored whatever happens."
            )
        if not agreed(arguments, "Go on? [y/N] ", interrupt):
            out("Nothing was changed.")
            return 0
        ended = debug(
            ForAWhile(Host(), store, journal, interrupt, (lambda _: None) if arguments.json else say),
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
            out(f"| {clean(where + line.text):<60}  {line.explanation}".rstrip())
            sys.stdout.flush()
        if "listening on socket" in line.text and self.credentials and self._thread is None:
            self._thread = threading.Thread(target=self._try, daemon=True)
            self._thread.start()

    def _try(self) -> None:
        try:
            target = target_of(Host(), "", 587, smtp_port=None)
            self.refused = not hold_conversation(
                Host(), target, self.credentials, 1.0, False, self._tell
            ).result.ok
        except (ValueError, OSError) as problem:
            self.refused = True
            error(f"msa-wizard: {clean(str(problem))}")
        time.sleep(_SETTLE)
        self.over = True

    def _tell(self, line: ConversationLine) -> None:
        if not self.silent:
            tell(line)
