"""What was done since the screens, or a command, were started: taken from the engine's events, which tell of it even where a
run was broken off."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wizard.model.events import Checked, Event, Failed, Recorded, Report, RolledBack
from wizard.model.plan import Check, Sign


@dataclass(frozen=True)
class TakenBack:
    """A rollback in words, with the steps that it took out of force, and what it left, a sentence each."""

    words: str
    steps: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass
class Session:
    """By step, in the order in which it was done."""

    applied: dict[str, str] = field(default_factory=dict)
    """Step id to commit id."""
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, Failed] = field(default_factory=dict)
    failed_at: dict[str, float] = field(default_factory=dict)
    """When each failed last, in seconds since the epoch."""
    rollbacks: list[TakenBack] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    """Each interrupted run, and whether it was finished, undone, or accepted as it was, in words; and what that left."""
    saved: list[str] = field(default_factory=list)
    """Each time that the settings were saved, in words."""
    debugged: list[str] = field(default_factory=list)
    """Each time that something was changed for a while, in words."""
    half_way: list[str] = field(default_factory=list)
    """Each recovery, rollback or change for a while that failed, in words: what it came to, too."""
    warnings: dict[str, list[Check]] = field(default_factory=dict)
    """By step, what its checks have warned of."""
    looked_at: set[str] = field(default_factory=set)
    """The steps whose checks were made."""
    tested: str = ""
    """The user whose login was tried last."""
    events: int = 0
    """How many things have happened: what was seen of the host before the last one is outdated."""

    @property
    def rolled_back(self) -> list[str]:
        """The rollbacks that still hold, in words, of each what was not applied again, once; and what they left."""
        lines: list[str] = []
        earlier: set[str] = set()
        for each in self.rollbacks:
            out = [step for step in each.steps if step not in self.applied]
            new = [step for step in out if step not in earlier]
            earlier.update(new)
            if new or not each.steps:
                lines.append(each.words if len(new) == len(each.steps) else ", ".join(new))
            if out or not each.steps:
                lines += (f"left: {left}" for left in each.left)
        return list(dict.fromkeys(lines))

    @property
    def out_of_force(self) -> set[str]:
        """The steps that were rolled back, and not applied again."""
        return {step for each in self.rollbacks for step in each.steps if step not in self.applied}

    @property
    def nothing(self) -> bool:
        """Whether nothing was done, nor tried."""
        return not (
            self.applied
            or self.failed
            or self.rollbacks
            or self.recovered
            or self.saved
            or self.debugged
            or self.half_way
        )

    def heard(self, report: Report) -> Report:
        """`report`, with each event noted here first."""

        def take(event: Event) -> None:
            if isinstance(event, Checked):
                self.looked_at.add(event.step.id)
            match event:
                case Recorded(step, commit, _):
                    self.applied[step.id] = commit
                    self.failed.pop(step.id, None)
                    self.skipped.discard(step.id)
                    self.events += 1
                case Checked(step, check) if check.sign is Sign.OK:
                    self.passed(step.id)  # it is looked at anew; where it fails again that follows
                case Checked(step, Check(sign=Sign.WARNING) as check):
                    self.warnings[step.id] = [*self.warnings.get(step.id, ()), check]
                case Failed(step, also=also):
                    self.failed[step.id], self.failed_at[step.id] = event, time.time()
                    for name in also:
                        self.applied.pop(name, None)
                    self.events += 1
                case RolledBack(steps):
                    self.took_back(TakenBack(", ".join(steps), steps))
            report(event)

        return take

    def passed(self, step: str, at: float | None = None) -> None:
        """A step that changes nothing was tested anew, just now or `at` that time: that it failed before is over."""
        before = at is None or self.failed_at.get(step, 0.0) <= at
        if (failed := self.failed.get(step)) and failed.reported and before:
            del self.failed[step]

    def took_back(self, rollback: TakenBack, again: Mapping[str, str] | None = None) -> None:
        """A rollback was done; one of a rollback has brought steps into force `again`, by their ids with their commits."""
        self.events += 1
        self.applied.update(again or {})
        if rollback.left or not again:
            self.rollbacks.append(replace(rollback, steps=()) if again else rollback)
        for step in () if again else rollback.steps:
            self.applied.pop(step, None)

    def recovery(self, words: str, in_force: Collection[str], left: Sequence[str] = ()) -> None:
        """An interrupted run is over, as the words say; these commits are still `in_force`. What could not be undone when it
        failed is undone, or accepted."""
        self.events += 1
        self.half_way.clear()
        self.recovered += [words, *(f"left: {each}" for each in left)]
        holds = tuple(in_force)
        self.applied = {
            step: commit
            for step, commit in self.applied.items()
            if any(each.startswith(commit) for each in holds)
        }
        self.failed = {name: failed for name, failed in self.failed.items() if not failed.not_undone}
