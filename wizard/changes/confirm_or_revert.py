"""Confirm or revert: live firewall rules that nobody confirms in time are removed by a guard.

The rules files are written only after the confirmation, so a reboot reverts the change, too."""

from __future__ import annotations

import os
import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from wizard.console import alone
from wizard.delivery import from_anywhere
from wizard.errors import DeclinedError, UnconfirmedError
from wizard.system.guard import Decision, Guard, Revert, settle_guards
from wizard.system.host import Host, Say

_KIND = "revert"
"""Of its guards (`wizard.system.guard`)."""
DEFAULT = 60
"""Seconds to confirm a change of the firewall that is made over SSH, from a terminal."""
LONGEST = 3600
SHORTEST = 5
_GRACE = 15.0
"""Seconds for the timer to fire late, before the program itself removes the rules."""
_CHOICES = dict.fromkeys(("y", "yes"), Decision.CONFIRMED) | dict.fromkeys(("n", "no"), Decision.REVERTED)
_TOLD = 15
"""Seconds between two messages on how long is left."""
_told_to_end = False
"""Whether the change that waits was given up: nobody has said no to it."""


@dataclass(frozen=True)
class Confirmation:
    """How long a change may wait for its confirmation. `typed`: the terminal may confirm it, too."""

    seconds: int
    typed: bool = False

    def arm(self, host: Host, commands: tuple[str, ...], say: Say) -> Guard:
        """Start the guard that removes the rules by `commands`, for sh. Raises ChangeError; then nothing was started."""
        guard = Guard.arm(host, _KIND, Revert(commands), self.seconds, watch=False)
        say(f"armed: in {self.seconds} s they are removed again unless somebody confirms")
        return guard

    def wait(self, guard: Guard, host: Host, say: Say) -> None:
        """Until somebody has decided. Raises UnconfirmedError unless it was confirmed."""
        global _told_to_end
        _told_to_end = False
        end = time.monotonic() + (guard.time_left() or 0.0)  # making the rules live has taken some of it
        say(
            f"the new rules are active for {end - time.monotonic():.0f} s. Check that you can still log in, ideally from a "
            f"new SSH session, and confirm there with `{from_anywhere('confirm')}`"
        )
        if self.typed:
            say("or type yes here and press Enter; no reverts them at once")
        try:
            with alone():  # for what is typed
                decision = self._decided(guard, end, say)
        finally:
            guard.stop_timer(host)
        if decision is not Decision.CONFIRMED:
            if _told_to_end:
                why = "the session was lost, or msa-wizard was told to end"
                raise UnconfirmedError(f"{why}, so the new rules were reverted at once")
            if time.monotonic() < end - 1:
                raise DeclinedError("somebody said no, so the new rules were reverted")
            raise UnconfirmedError(f"nobody confirmed the firewall's new rules within {self.seconds} s")
        say("confirmed")

    def _decided(self, guard: Guard, end: float, say: Say) -> Decision:
        said_at, listening = time.monotonic(), self.typed
        while (decision := guard.decision()) is None:
            now = time.monotonic()
            if now > end + _GRACE:
                return guard.decide(Decision.REVERTED)
            if now - said_at >= _TOLD and now < end:
                say(f"{end - now:.0f} s left to confirm")
                said_at = now
            word = _typed() if listening else None
            listening = listening and word != ""
            if choice := _CHOICES.get((word or "").strip().lower()):
                return guard.decide(choice)
            if not listening:
                time.sleep(0.1)
        return decision


def decision() -> Decision | None:
    """What was decided of the last such change, None while nobody has."""
    guard = Guard.last(_KIND)
    return guard.decision() if guard is not None else None


def decide(word: Decision) -> Decision:
    """Decide it, unless somebody was faster; returns what holds. Raises OSError."""
    guard = Guard.last(_KIND)
    return guard.decide(word) if guard is not None else Decision.REVERTED


def time_left() -> float | None:
    """Seconds left to confirm the change of a run at work, never below 0; None where none waits."""
    guard = Guard.last(_KIND)
    return guard.time_left() if guard is not None else None


def give_up() -> None:
    """Revert what waits for a confirmation, if anything does: the run is told to end. Raises OSError."""
    global _told_to_end
    if time_left() is not None:
        _told_to_end = True
        decide(Decision.REVERTED)


def settled(host: Host) -> None:
    """Rules of a killed run that wait for a confirmation are recovery's from now on: their timer must not remove what
    somebody accepts, or a later run adds again."""
    if host.root == Path("/"):  # the timers are of this machine
        settle_guards(host, _KIND)


def _typed() -> str | None:
    """A line typed on the terminal, None while there is none, empty when the terminal has gone."""
    try:
        if not select.select([sys.stdin], [], [], 0.1)[0]:
            return None
        return os.read(sys.stdin.fileno(), 256).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
