"""Changes made one by one, each in the journal before it is made (docs/recovery.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wizard.changes.command import CommandEffect
from wizard.changes.records import intent
from wizard.errors import ChangeError, StaleError
from wizard.model.plan import Change, Effect
from wizard.system.host import Say

if TYPE_CHECKING:
    from wizard.engine.journal import Journal
    from wizard.system.host import Host

ROUNDS = 3
"""How often a command is run again whose files somebody changes before they are written."""


@dataclass
class Done:
    """What was done so far: the effects in order."""

    effects: list[Effect] = field(default_factory=list)


def carry_out(
    changes: Sequence[Change],
    done: Done,
    host: Host,
    journal: Journal,
    say: Say,
    interrupt: Callable[[], None],
) -> None:
    """Apply `changes`; what was begun is in `done`, also when it ends half-way.

    Raises what a change raises, OSError where the journal cannot be written, and what `interrupt` raises."""
    for change in changes:
        for last in (*(False,) * (ROUNDS - 1), True):
            effect = _begun(change, done, host, journal, say, interrupt)
            if not isinstance(effect, CommandEffect):
                break
            try:  # what it would write is written by changes of their own
                carry_out(effect.follow_up, done, host, journal, say, interrupt)
                effect.must_still_hold(host)
                break
            except StaleError as error:
                if last:
                    raise
                say(f"{error}: once more")


def _begun(
    change: Change, done: Done, host: Host, journal: Journal, say: Say, interrupt: Callable[[], None]
) -> Effect:
    interrupt()
    expected = change.expect(host)
    journal.change(change.touches, intent(expected))
    try:
        effect = change.apply(host, say)
    except ChangeError as error:
        if error.effect is not None:
            done.effects.append(error.effect)
        raise
    except Exception:  # nobody knows how far it came
        done.effects.append(expected)
        raise
    done.effects.append(effect)
    return effect
