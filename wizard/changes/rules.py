"""Live rules of a firewall: added beside what others have there, recognised by their mark, and removed without touching the rest.

No firewall is reloaded for it: that would flush the rules of fail2ban and docker (docs/debian.md section Firewalls)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from wizard.changes.confirm_or_revert import Confirmation
from wizard.changes.file import FileChange
from wizard.changes.live_rule import LivePlaces, LiveRule
from wizard.changes.live_rule import look as look_for
from wizard.errors import ChangeError, GateError, HostError
from wizard.model.claim import Claim
from wizard.model.plan import Description
from wizard.system.host import Host, Say

DEADLINE = 30.0
"""Seconds for one command of a firewall."""


@dataclass(frozen=True)
class RulesEffect:
    """Live rules that were added, or with `removed`, removed."""

    rules: tuple[LiveRule, ...]
    removed: bool = False
    confirm: int = 0
    """Seconds in which they had to be confirmed, 0 when they had not."""

    def undo(self, host: Host, say: Say) -> None:
        """Take out what was added, also where the machine was booted since and has it from its files; or add again
        what was taken out. Raises ChangeError."""
        for rule in self.rules if self.removed else reversed(self.rules):
            (_add if self.removed else _remove)(host, rule, say)

    def claim(self, host: Host) -> Claim:
        """No file."""
        return Claim()

    def record(self) -> dict[str, object]:
        """The rules."""
        return {
            "kind": "rules",
            "rules": [rule.record() for rule in self.rules],
            "removed": self.removed,
            "confirm": self.confirm,
        }


@dataclass(frozen=True)
class RulesChange:
    """Add `rules` to what is live, or with `remove`, remove them."""

    rules: tuple[LiveRule, ...]
    remove: bool = False
    first: tuple[FileChange, ...] = field(default=(), compare=False)
    """Files that are written afterwards: their own tools must accept them before anything is done."""
    guard: Confirmation | None = None
    """What removes them again unless somebody confirms that the connection still works."""

    kind = "rules"
    touches: tuple[str, ...] = ()

    def describe(self) -> Description:
        """The commands; the place of a rule in its chain is part of it."""
        title = "remove the live rules" if self.remove else "add live rules, beside what is there"
        if self.guard is not None:
            title += f"; they are removed again unless confirmed within {self.guard.seconds} s"
        return Description(title, commands=tuple(rule.words(remove=self.remove) for rule in self.rules))

    def expect(self, host: Host) -> RulesEffect:
        """The rules."""
        return RulesEffect(self.rules, self.remove, self._seconds())

    def _seconds(self) -> int:
        return self.guard.seconds if self.guard is not None else 0

    def apply(self, host: Host, say: Say) -> RulesEffect:
        """Check the files, then do it rule by rule. Raises ChangeError with what was done by then."""
        for change in self.first:
            _accepted(host, change, say)
        changed: list[LiveRule] = []
        guard = self.guard.arm(host, self.rules, say) if self.guard is not None else None
        try:
            for rule in self.rules:
                (_remove if self.remove else _add)(host, rule, say)
                changed.append(rule)
            if self.guard is not None and guard is not None:
                self.guard.wait(guard, host, say)
        except ChangeError as error:
            error.effect = RulesEffect(tuple(changed), self.remove, self._seconds())
            raise
        return self.expect(host)


def _accepted(host: Host, change: FileChange, say: Say) -> None:
    if change.gate is None or change.after is None:
        return
    try:
        change.gate.check(host, change.after.content, say)
    except GateError as error:
        raise ChangeError(f"{change.path}: {error}. Nothing was changed") from error


def _add(host: Host, rule: LiveRule, say: Say) -> None:
    place = _look(host, rule)
    if place is None:
        raise ChangeError(f"{rule.tool} has no {rule.chain} any more: the firewall was changed or stopped")
    if not place.places:
        _run(host, rule.adding(place), say)


def _remove(host: Host, rule: LiveRule, say: Say) -> None:
    """What is not there any more, with its chain or its program, need not go."""
    place = _look(host, rule)
    for argv in rule.removing(place) if place is not None else ():
        _run(host, argv, say)


def _look(host: Host, rule: LiveRule) -> LivePlaces | None:
    try:
        return look_for(host, rule, DEADLINE)
    except (HostError, ValueError, KeyError) as error:
        raise ChangeError(f"the live rules could not be read: {error}") from error


def _run(host: Host, argv: Sequence[str], say: Say) -> None:
    say("$ " + shlex.join(argv))
    try:
        result = host.run(argv, timeout=DEADLINE)
    except HostError as error:
        raise ChangeError(str(error)) from error
    if result.code != 0:
        raise ChangeError(f"`{result.command}` failed with status {result.code}: {result.tail(4)}")
