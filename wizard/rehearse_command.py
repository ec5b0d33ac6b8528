"""The command `rehearse`: everything, for real, on a throwaway clone of this machine."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from wizard import as_json
from wizard.commands import _answers, _steps
from wizard.host import Host
from wizard.interrupt import SIGNALS, Interrupted
from wizard.look import look
from wizard.printing import clean, error, out
from wizard.rehearse.clone import Clone, CloneError
from wizard.rehearse.fetch import NoNetwork
from wizard.rehearse.rehearsal import Rehearsing, wish
from wizard.state_folder import CannotHere, must_be_root, must_not_wait

if TYPE_CHECKING:
    import argparse


def rehearse(arguments: argparse.Namespace) -> int:
    """`rehearse`: 0 the login got its 235 and the way back was clean, 1 it did not, 3 this host cannot."""
    steps, answers = _steps(arguments.steps), _answers(arguments)
    must_be_root()
    must_not_wait()
    host = Host()

    def tell(said: dict[str, Any]) -> None:
        if said["event"] in ("text", "error") and not arguments.json:
            (out if said["event"] == "text" else error)(clean(said["line"]))

    with _at_once():
        try:
            facts = look(host)
            with Clone(wish(host, facts)) as clone:
                made = Rehearsing(answers, steps, tell).run(clone, facts)
        except (CloneError, MemoryError) as problem:
            raise CannotHere(f"{problem}") from problem
        except NoNetwork as problem:
            raise CannotHere(f"{problem}") from problem
    if arguments.json:
        out(as_json.dumps(**made.to_json()))
    else:
        out(json.dumps(made.to_json(), indent=1))
    return int(not made.ok)


@contextmanager
def _at_once() -> Iterator[None]:
    """While inside, a signal raises Interrupted there and then: the clone is thrown away, and nothing else was begun."""

    def handle(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
