"""The command `rehearse`: everything, for real, on a throwaway clone of this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from wizard.cli.options import answers_of, steps_of
from wizard.console import clean, error, out
from wizard.engine.state_dir import must_be_root
from wizard.errors import Interrupted, UsageError
from wizard.rehearse.clone import Clone
from wizard.rehearse.kept_clones import end_kept
from wizard.rehearse.rehearsal import rehearsed
from wizard.rehearse.report import shown
from wizard.render import as_json
from wizard.system.host import environment
from wizard.system.output_file import check_output, save
from wizard.system.signals import SIGNALS

if TYPE_CHECKING:
    import argparse

PHASES = {
    "fetch": "packages are fetched for the clone; this host's apt does not notice",
    "boot": "a clone of this host begins to live, cut off from the network",
    "apply": "the set-up, for real, in the clone",
    "login": "a made-up user logs in",
    "rollback": "everything is taken back",
}


def rehearse(arguments: argparse.Namespace) -> int:
    """`rehearse`: 0 the login got its 235 and the way back was clean, 1 it did not, 3 this host cannot."""
    steps, answers = steps_of(arguments.steps), answers_of(arguments)
    if arguments.json and (arguments.keep or arguments.format != "text"):
        raise UsageError("--json goes with neither --keep nor --format")
    if arguments.end:
        must_be_root()
        ended = end_kept()
        out(f"Ended: {ended} clone{'' if ended == 1 else 's'}." if ended else "No clone is up.")
        return 0
    if arguments.output:
        check_output(Path(arguments.output))
    quiet = arguments.json or (arguments.format != "text" and not arguments.output)

    def tell(said: dict[str, Any]) -> None:
        if not quiet:
            _print(said)

    with _at_once():
        made = rehearsed(answers, steps, tell, keep=_keep if arguments.keep else None)
    if made.refused:
        raise UsageError(made.refused)
    if arguments.json:
        out(as_json.dumps(**made.to_json()))
    elif arguments.format == "text":
        out(shown(made, "text").rstrip("\n"))
    if arguments.output:
        text = as_json.dumps(**made.to_json()) if arguments.json else shown(made, arguments.format)
        error(save(Path(arguments.output), text))
    elif arguments.format != "text":
        out(shown(made, arguments.format).rstrip("\n"))
    return int(not made.ok)


def _print(said: dict[str, Any]) -> None:
    match said["event"]:
        case "phase":
            out(f"\n#### {PHASES[said['phase']]}")
        case "settled":
            for note in said["notes"]:
                out(f"   note: {clean(note)}")
            if said["expected"]:
                error(f"   `apply` would stop at preflight on this host: {clean(said['expected'])}")
        case "text":
            out(clean(said["line"]))
        case "error":
            error(clean(said["line"]))


def _keep(clone: Clone) -> None:
    """Leave it up: with a shell where there is a terminal, and with the words that end it."""
    entering = " ".join([*clone.entering(), "bash -l"])
    out("\nThe clone stays up, cut off from the network, as the rollback left it.")
    out(f"   a shell in it:  {entering}")
    out("   end it:         msa-wizard rehearse --end")
    clone.keep()
    if sys.stdin.isatty() and sys.stdout.isatty():
        out("A shell in the clone; `exit` leaves it, and the clone stays up.")
        signal.signal(signal.SIGINT, lambda *_: None)  # it is for the shell
        subprocess.run(
            [*clone.entering(), "bash", "-l"],
            env={**environment(), "TERM": "xterm", "debian_chroot": "clone"},
            check=False,
        )


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
