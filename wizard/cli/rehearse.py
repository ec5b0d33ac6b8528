"""The command `rehearse`: everything, for real, on a throwaway clone of this machine."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from wizard import log
from wizard.cli.options import answers_of, steps_of
from wizard.console import clean, command, count, data, error, out, page
from wizard.engine.state_dir import must_be_root
from wizard.errors import Interrupted, UsageError
from wizard.rehearse.clone import Clone, end_kept
from wizard.rehearse.outcome import shown
from wizard.rehearse.rehearsal import rehearsed
from wizard.render import as_json
from wizard.render.text import explained
from wizard.system.host import environment
from wizard.system.output_file import check_output, save
from wizard.system.signals import SIGNALS, handled

PHASES = {
    "fetch": "packages are fetched for the clone; this host's apt does not notice",
    "boot": "a clone of this host boots, cut off from the network",
    "apply": "the set-up, for real, in the clone",
    "login": "a made-up user logs in",
    "rollback": "everything is rolled back",
}


def rehearse(arguments: argparse.Namespace) -> int:
    """`rehearse`: 0 the login got its 235 and the rollback was clean, 1 it did not, 3 this host cannot."""
    steps, answers = steps_of(arguments.steps), answers_of(arguments)
    if arguments.json and (arguments.keep or arguments.end or arguments.format != "text"):
        raise UsageError("--json goes with neither --keep nor --end nor --format")
    if arguments.end:
        must_be_root()
        ended = end_kept()
        out(f"Ended: {count(ended, 'clone')}." if ended else "No clone is up.")
        return 0
    if arguments.output:
        check_output(Path(arguments.output), force=arguments.force)
    silent = arguments.json or (arguments.format != "text" and not arguments.output)
    tell = _log if silent else Told(whole=arguments.verbose)
    try:
        with handled(_at_once):
            rehearsal = rehearsed(answers, steps, tell, keep=_keep if arguments.keep else None)
    except Interrupted as stopped:
        gone = "" if arguments.keep else "Nothing is left of the clone. "
        stopped.next = f"{gone}This host was not changed"
        raise
    log.note(f"rehearsal: {rehearsal.verdict}")
    if rehearsal.refused:
        raise rehearsal.refused
    if arguments.json:
        text = as_json.dumps(**rehearsal.to_json())
    else:
        text = shown(rehearsal, arguments.format).rstrip("\n")
    if silent:
        data(text)
    elif arguments.format == "text":
        page(text, whole=False)
    if arguments.output:
        error(save(Path(arguments.output), f"{text}\n", force=arguments.force))
    return int(not rehearsal.ok)


_OUTPUT = "   | "
"""Before what a command prints."""
_FEW = 8
"""Lines of a command that are shown as they are."""


@dataclass
class Told:
    """Shows what happens in the clone as it happens. Of what commands print it counts the lines, unless it is to show the
    `whole`: what apt says of its packages, and sendmailconfig of its files, would hide the steps."""

    whole: bool
    _lines: list[str] = field(default_factory=list)

    def __call__(self, message: dict[str, Any]) -> None:
        """One message of the clone."""
        _log(message)
        line = str(message.get("line", ""))
        if message["event"] == "text" and line.startswith(_OUTPUT) and not self.whole:
            self._lines.append(line)
            return
        self._printed()
        match message["event"]:
            case "phase":
                out(f"\n#### {PHASES[message['phase']]}")
            case "settled":
                for note in message["notes"]:
                    out(f"   note: {clean(note)}")
                if message["expected"]:
                    error(f"   `apply` would stop at preflight on this host: {clean(message['expected'])}")
            case "text":
                out(explained(clean(line), message.get("explanation", "")))
            case "error":
                error(clean(line))

    def _printed(self) -> None:
        """What a command has printed, now that it is over."""
        lines, self._lines = self._lines, []
        if len(lines) > _FEW:
            lines = [f"{_OUTPUT}... {count(len(lines), 'line')} of output: `-v` shows them"]
        for line in lines:
            out(clean(line))


def _log(message: dict[str, Any]) -> None:
    """What happens in the clone is of no use later; how far it came, and what failed, is."""
    match message["event"]:
        case "phase":
            log.note(f"rehearsal: {PHASES[message['phase']]}")
        case "error":
            log.note(f"rehearsal: error: {message['line']}")


def _keep(clone: Clone) -> None:
    """Leave it running: with a shell where there is a terminal, and with the command that ends it."""
    entering = " ".join([*clone.entering(), "bash -l"])
    out("\nThe clone keeps running, cut off from the network, as the rollback left it.")
    out("\n".join(command(entering, first="   a shell in it:  ", then=" " * 6)), whole=True)
    out("   end it:         msa-wizard rehearse --end")
    clone.keep()
    if sys.stdin.isatty() and sys.stdout.isatty():
        out("A shell in the clone; `exit` leaves it, and the clone keeps running.")
        signal.signal(signal.SIGINT, lambda *_: None)  # it is for the shell
        own = {**environment(), "TERM": "xterm", "debian_chroot": "clone"}
        subprocess.run([*clone.entering(), "bash", "-l"], env=own, check=False)


def _at_once(number: int, _frame: FrameType | None) -> None:
    """A signal raises Interrupted there and then: the clone is thrown away, and nothing else was begun."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)
