"""A run of msa-wizard killed at a point, and what recovery makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.killing.operations import kill_at, operations
from tests.survival.fake_files import State
from tests.survival.machine import Machine, Wizard, not_the_same

RUNS = {"apply": ("apply", "--yes"), "rollback": ("rollback", "--all", "--yes")}
KEEP_EDITS = ("rollback", "--all", "--yes", "--on-conflict=keep")
"""Everything back but what others have changed since."""
UNDO, FINISH = ("recover",), ("recover", "--finish")
End = tuple[str, ...]


@dataclass
class Sweep:
    """One command on one machine: what was before it, what is after it, and the operations it takes."""

    wizard: Wizard
    machine: Machine
    """As it is before; never run itself."""
    command: tuple[str, ...]
    folder: Path
    number: int = 0

    def __post_init__(self) -> None:
        self.before = self.machine.picture()
        done = self._copy()
        assert self.wizard.run(done, *self.command) == 0
        assert not done.whole()
        self.after = done.picture()
        done.forget()
        self.operations = self._operations(self.machine, self.command)

    @property
    def points(self) -> range:
        """Their numbers. When the clock ticks changes how often a file is read, so there may be a few more."""
        return range(1, len(self.operations) + 5)

    def spread(self, points: int) -> list[int]:
        """So many of them, evenly over the whole range; those that only ask git for something are passed by."""
        some = [
            number for number, name in enumerate(self.operations, 1) if not name.startswith("write pipe:")
        ]
        return sorted({some[round(index * (len(some) - 1) / (points - 1))] for index in range(points)})

    def wrong(self, point: int, end: End, *recoveries: tuple[End, float]) -> list[str]:
        """What is not as it should be, once the run was killed at the point, each of the recoveries at that part of
        its way, and then the machine was recovered."""
        machine, name = self.killed(point, *recoveries)
        interrupted = machine.interrupted()
        try:
            code = self.wizard.run(machine, *end)
            found = [] if code == 0 else [f"exit code {code}"]
            found += [
                *machine.whole(),
                *self._compared(machine.picture(), end, interrupted),
                *machine.recorded(),
            ]
        except Exception as error:  # each is a finding, and the sweep goes on
            found = [f"{type(error).__name__}: {error}"]
        machine.forget()
        return (
            [f"killed at {point} of {len(self.operations)} ({name}):", *(f"  {line}" for line in found)]
            if found
            else []
        )

    def killed(self, point: int, *recoveries: tuple[End, float]) -> tuple[Machine, str]:
        """A machine whose run was killed there, and then the recoveries; and that in words."""
        machine = self._copy()
        words = [kill_at(point, self.wizard.runs(machine, *self.command)) or "it ended before"]
        for end, part in recoveries:
            if not machine.interrupted():
                break
            names = self._operations(machine, end)
            at = max(1, round(part * len(names)))
            kill_at(at, self.wizard.runs(machine, *end))
            words.append(f"{' '.join(end)} at {at} of {len(names)}: {names[at - 1]}")
        return machine, "; then ".join(words)

    def _compared(self, now: dict[str, State], end: End, interrupted: bool) -> list[str]:
        """Where nothing waits for recovery, nothing was begun, or all was done."""
        before, after = not_the_same(self.before, now), not_the_same(self.after, now, dates=True)
        if not interrupted:
            return before if before and after else []
        return before if end == UNDO else after

    def _operations(self, machine: Machine, command: tuple[str, ...]) -> tuple[str, ...]:
        copy = self._copy(machine)
        found = operations(self.wizard.runs(copy, *command))
        copy.forget()
        return found

    def _copy(self, machine: Machine | None = None) -> Machine:
        self.number += 1
        return (machine or self.machine).copy(self.folder / f"machine-{self.number}")
