"""A file system that refuses: ENOSPC, EIO and EROFS at the operations of a whole apply and of a whole rollback --all.

The run ends with an error, undone as far as it had begun; what cannot be undone is named, and recovery repairs it."""

from __future__ import annotations

import errno
import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.killing.operations import operations
from tests.survival.fake_files import State
from tests.survival.faults import can_be_refused, run_refused
from tests.survival.machine import Machine, Wizard, make_machine, not_the_same
from tests.survival.sweep import RUNS
from tests.survival.test_any_sequence import STEPS

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
POINTS, CHUNKS = 9, 4

each_run = pytest.mark.parametrize("run", RUNS)
each_length = pytest.mark.parametrize("lasting", [False, True], ids=["once", "from-then-on"])


@dataclass
class Faulty:
    """One command on one machine, and the states in which it may leave it."""

    wizard: Wizard
    machine: Machine
    command: tuple[str, ...]
    folder: Path
    ends: list[dict[str, State]]
    """What is there when whole steps are done, the first: none."""
    number: int = 0

    def __post_init__(self) -> None:
        self.operations = operations(self.wizard.runs(self._copy(), *self.command))

    def points(self) -> list[tuple[int, int]]:
        """Numbers of operations that may be refused, each with one of the errors."""
        errors = itertools.cycle(ERRORS)
        some = ((number, words, next(errors)) for number, words in enumerate(self.operations, 1))
        return [(number, error) for number, words, error in some if can_be_refused(words, error)]

    def wrong(self, point: int, error: int, *, lasting: bool) -> list[str]:
        """What is not as it should be after the run, after recovery where that is needed, and after a second run."""
        machine = self._copy()
        ended = run_refused(self.wizard.runs(machine, *self.command), point, error, lasting=lasting)
        found = [f"it crashed:\\n{ended.said[-1500:]}"] if ended.crashed else []
        if ended.code not in (0, 1, 3):
            found.append(f"exit code {ended.code}")
        if ended.code and not ended.said.strip():
            found.append("it failed and said nothing")
        if machine.interrupted():
            if lasting is False and ended.code == 0:
                found.append("it said that all is well, and left its journal open")
            found += self._recovered(machine)
        else:
            found += [*machine.whole(), *self._at_an_end(machine)]
        if not found:
            found += self._once_more(machine)
        if found:
            name = (
                f"{errno.errorcode[error]} at {point} of {len(self.operations)}, {self.operations[point - 1]}"
            )
            found = [
                f"{name}: code {ended.code}",
                *(f"  {line}" for line in found),
                f"  said {ended.said[-600:]!r}",
            ]
        machine.forget()
        return found

    def _recovered(self, machine: Machine) -> list[str]:
        code = self.wizard.run(machine, "recover")
        found = [] if code == 0 else [f"recover ended with {code}"]
        return [*found, *machine.whole(), *not_the_same(self.ends[0], machine.picture())]

    def _at_an_end(self, machine: Machine) -> list[str]:
        now = _read_anew(machine.picture())
        differences = [not_the_same(_read_anew(end), now, dates=True) for end in self.ends]
        return [] if [] in differences else min(differences, key=len)

    def _once_more(self, machine: Machine) -> list[str]:
        code = self.wizard.run(machine, *self.command)
        found = [] if code == 0 else [f"the same run once more ended with {code}"]
        found += not_the_same(self.ends[-1], machine.picture(), dates=True)
        return [*found, *machine.whole(), *machine.recorded()]

    def _copy(self) -> Machine:
        self.number += 1
        return self.machine.copy(self.folder / f"machine-{self.number}")


def _read_anew(found: dict[str, State]) -> dict[str, State]:
    """A daemon that was restarted on the way back has read what is there: which it had read before does not matter."""
    return {path: state if "daemons/" not in path else (*state[:4], b"", ()) for path, state in found.items()}


Made = Callable[[str], Faulty]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The run with its states, worked out when it is first asked for."""
    with pytest.MonkeyPatch.context() as patch:
        wizard = Wizard(patch)

        @functools.cache
        def make(run: str) -> Faulty:
            folder = tmp_path_factory.mktemp(f"faults-{run}")
            machine = make_machine(folder / "machine")
            applied = machine.copy(folder / "applied")
            ends = [machine.picture()]
            for step in STEPS:
                assert wizard.run(applied, "apply", step, "--yes") == 0
                ends.append(applied.picture())
            if run == "apply":
                return Faulty(wizard, machine, RUNS[run], folder, ends)
            return Faulty(wizard, applied, RUNS[run], folder, [ends[-1], ends[0]])

        yield make


@each_length
@each_run
def test_an_operation_that_is_refused_undoes_the_run(made: Made, run: str, lasting: bool) -> None:
    faulty = made(run)
    points = faulty.points()
    some = points[:: len(points) // POINTS]
    assert not [line for point, error in some for line in faulty.wrong(point, error, lasting=lasting)]


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(CHUNKS))
@each_length
@each_run
def test_each_operation_that_is_refused_undoes_the_run(
    made: Made, run: str, lasting: bool, chunk: int
) -> None:
    faulty = made(run)
    points = faulty.points()[chunk::CHUNKS]
    assert not [line for point, error in points for line in faulty.wrong(point, error, lasting=lasting)]
