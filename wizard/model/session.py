"""What was done since the screens, or a command, were started: taken from the engine's events, which tell of it even where a
run was broken off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from wizard.model.events import Event, Failed, Recorded, Report


@dataclass
class Session:
    """By step, in the order in which it was done."""

    applied: dict[str, str] = field(default_factory=dict)
    """Step id to commit id."""
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, Failed] = field(default_factory=dict)
    rollbacks: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Each in words, with its steps."""
    recovered: list[str] = field(default_factory=list)
    """Each interrupted run that was finished, undone, or accepted as it was, in words."""
    saved: list[str] = field(default_factory=list)
    """Each time that the settings were saved, in words."""
    debugged: list[str] = field(default_factory=list)
    """Each time that something was changed for a while, in words."""
    half_way: list[str] = field(default_factory=list)
    """Each recovery, rollback or change for a while that failed and has left something changed, in words."""
    events: int = 0
    """How many things have happened: what was seen of the host before the last one is outdated."""

    @property
    def rolled_back(self) -> list[str]:
        """The rollbacks that still hold, in words: one whose steps were all applied again does not."""
        hold = (words for words, steps in self.rollbacks if not steps or not steps <= self.applied.keys())
        return list(dict.fromkeys(hold))

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
            match event:
                case Recorded(step, commit, _):
                    self.applied[step.id] = commit
                    self.failed.pop(step.id, None)
                    self.skipped.discard(step.id)
                    self.events += 1
                case Failed(step, also=also):
                    self.failed[step.id] = event
                    for name in also:
                        self.applied.pop(name, None)
                    self.events += 1
            report(event)

        return take

    def took_back(self, steps: Collection[str], words: str, again: Mapping[str, str] | None = None) -> None:
        """A rollback was done; one of a rollback has brought steps into force `again`, by their ids with their commits."""
        self.events += 1
        if again:
            self.applied.update(again)
            return
        self.rollbacks.append((words, frozenset(steps)))
        for step in steps:
            self.applied.pop(step, None)
