"""Confirm or revert: live firewall rules that nobody confirms in time are removed by a system timer.

The rules files are written only after the confirmation: so a reboot reverts the change, too."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from dataclasses import dataclass
from enum import StrEnum

from snapshots.errors import StoreError
from snapshots.git.private_folder import make_private_folder
from templates import render
from wizard.changes.live_rule import LiveRule
from wizard.errors import ChangeError, UnconfirmedError
from wizard.system.delayed_script import FOLDER, new_file, start_timer, started, stop_timer
from wizard.system.host import Host, Say

UNIT = "msa-wizard-revert"
DEFAULT = 60
"""Seconds to confirm a change of the firewall that is made over SSH, from a terminal."""
LONGEST = 3600
SHORTEST = 5
_GRACE = 15.0
"""Seconds for the timer to fire late, before the program itself removes the rules."""
_TOLD = 15
"""Seconds between two messages on how long is left."""


class Decision(StrEnum):
    """What became of it."""

    CONFIRMED = "confirmed"
    REVERTED = "reverted"


@dataclass(frozen=True)
class Confirmation:
    """The guard of one change: armed before it, waited for after it. `typed`: the terminal may confirm it, too."""

    seconds: int
    typed: bool = False

    def arm(self, host: Host, rules: tuple[LiveRule, ...], say: Say) -> None:
        """Start the timer with the script that removes `rules`. Raises ChangeError; then nothing was started."""
        try:
            make_private_folder(FOLDER)
            for old in FOLDER.iterdir():  # a timer of an earlier change finds no script any more
                old.unlink()
            path = FOLDER / f"revert-{os.getpid()}-{time.monotonic_ns()}"
            commands = [rule.shell_removal() for rule in reversed(rules)]
            script = render("firewall_revert.sh.j2", decision=FOLDER / "decision", commands=commands)
            new_file(path, script)
            waiting = {
                "pid": os.getpid(),
                "started": started(os.getpid()),
                "until": time.time() + self.seconds,
            }
            new_file(FOLDER / "waiting", json.dumps(waiting))
        except (OSError, StoreError) as error:
            raise ChangeError(f"the timer that reverts the rules could not be created: {error}") from error
        start_timer(host, UNIT, str(path), self.seconds)
        say(f"armed: in {self.seconds} s they are removed again unless somebody confirms")

    def wait(self, host: Host, say: Say) -> None:
        """Until somebody has decided. Raises UnconfirmedError unless it was confirmed."""
        end = time.monotonic() + (time_left() or 0.0)  # making the rules live has taken some of it
        say(
            f"the new rules are active for {end - time.monotonic():.0f} s. Check that you can still log in, ideally from a new SSH session, and "
            "confirm there with: msa-wizard confirm"
        )
        if self.typed:
            say("or type yes here and press Enter; no reverts them at once")
        try:
            verdict = self._decided(end, say)
        finally:
            (FOLDER / "waiting").unlink(missing_ok=True)
            stop_timer(host, UNIT)
        if verdict is not Decision.CONFIRMED:
            if time.monotonic() < end - 1:
                raise UnconfirmedError("it was reverted before anyone confirmed it")
            raise UnconfirmedError(f"nobody confirmed the firewall's new rules within {self.seconds} s")
        say("confirmed")

    def _decided(self, end: float, say: Say) -> Decision:
        reported, listening = time.monotonic(), self.typed
        while (verdict := decision()) is None:
            now = time.monotonic()
            if now > end + _GRACE:
                return decide(Decision.REVERTED)
            if now - reported >= _TOLD and now < end:
                say(f"{end - now:.0f} s left to confirm")
                reported = now
            typed = _typed() if listening else None
            listening = listening and typed != ""
            if typed is not None and typed.strip().lower() in ("y", "yes"):
                return decide(Decision.CONFIRMED)
            if typed is not None and typed.strip().lower() in ("n", "no"):
                return decide(Decision.REVERTED)
            if not listening:
                time.sleep(0.1)
        return verdict


def decision() -> Decision | None:
    """What was decided, None while nobody has."""
    try:
        text = (FOLDER / "decision").read_text().strip()
    except OSError:
        return None
    return Decision(text) if text else None


def decide(word: Decision) -> Decision:
    """Decide it, unless somebody was faster; returns what holds. Raises OSError."""
    try:
        with (FOLDER / "decision").open("x") as file:
            file.write(f"{word}\n")
    except FileExistsError:
        while (verdict := decision()) is None:  # just being written
            time.sleep(0.01)
        return verdict
    return word


def time_left() -> float | None:
    """Seconds left to confirm the change of a run at work, never below 0; None where none waits."""
    try:
        waiting = json.loads((FOLDER / "waiting").read_text())
        if started(waiting["pid"]) != waiting["started"] or decision() is not None:
            return None
        return max(0.0, float(waiting["until"]) - time.time())
    except (OSError, ValueError, KeyError):
        return None


def give_up() -> None:
    """Revert what waits for a confirmation, if anything does, and end the run. Raises OSError."""
    if time_left() is not None:
        decide(Decision.REVERTED)


def _typed() -> str | None:
    """A line typed on the terminal, None while there is none, empty when the terminal has gone."""
    try:
        if not select.select([sys.stdin], [], [], 0.1)[0]:
            return None
        return os.read(sys.stdin.fileno(), 256).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
