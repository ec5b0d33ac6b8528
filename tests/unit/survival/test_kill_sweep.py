"""SIGKILL at the operations of a whole apply, of a whole rollback --all, and of the recovery from either.

After `recover` all is as it was before the run; after `recover --finish` all is as if nobody had killed it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.unit.survival.machine import Wizard, make_machine
from tests.unit.survival.sweep import FINISH, UNDO, End, Sweep

RUNS = {"apply": ("apply", "--yes"), "rollback": ("rollback", "--all", "--yes")}
ENDS: dict[str, End] = {"undo": UNDO, "finish": FINISH}
POINTS, RECOVERIES = 30, 10
CHUNKS = 6
"""Into how many tests a sweep over all points is cut, for several processes."""

each_run = pytest.mark.parametrize("run", RUNS)
each_end = pytest.mark.parametrize("end", ENDS)
Swept = Callable[[str], Sweep]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    """The sweep of a run, made when it is first asked for."""
    with pytest.MonkeyPatch.context() as patch:
        wizard = Wizard(patch)

        @functools.cache
        def make(run: str) -> Sweep:
            folder = tmp_path_factory.mktemp(run)
            machine = make_machine(folder / "machine")
            if run == "rollback":
                assert wizard.run(machine, *RUNS["apply"]) == 0
            return Sweep(wizard, machine, RUNS[run], folder)

        yield make


@each_end
@each_run
def test_a_killed_run_is_taken_back_or_finished(swept: Swept, run: str, end: str) -> None:
    sweep = swept(run)
    assert not [line for point in sweep.spread(POINTS) for line in sweep.wrong(point, ENDS[end])]


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(CHUNKS))
@each_end
@each_run
def test_a_run_killed_anywhere_is_taken_back_or_finished(
    swept: Swept, run: str, end: str, chunk: int
) -> None:
    sweep = swept(run)
    points = sweep.points[chunk::CHUNKS]
    assert not [line for point in points for line in sweep.wrong(point, ENDS[end])]


@each_run
def test_a_recovery_can_be_killed_and_repeated(swept: Swept, run: str) -> None:
    """Also twice, and also by one that goes the other way."""
    sweep = swept(run)
    points = sweep.spread(RECOVERIES // len(RUNS) + 2)[1:-1]
    found = []
    for number, point in enumerate(points):
        first, last = (UNDO, FINISH) if number % 2 else (FINISH, UNDO)
        killed = [(last, (number + 1) / (len(points) + 1)), (first if number > 2 else last, 0.4)]
        found += sweep.wrong(point, last, *killed[: 1 + number % 2])
    assert not found


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(CHUNKS))
@each_end
@each_run
def test_a_recovery_killed_anywhere_can_be_repeated(swept: Swept, run: str, end: str, chunk: int) -> None:
    sweep = swept(run)
    ways = itertools.product(sweep.spread(12), [part / 12 for part in range(1, 12)])
    found = []
    for number, (point, part) in enumerate(list(ways)[chunk::CHUNKS]):
        before = (
            [(UNDO, FINISH)[number // 3 % 2]] if number % 3 == 0 else []
        )  # one more, killed half-way, now and then
        found += sweep.wrong(point, ENDS[end], *((other, 0.5) for other in before), (ENDS[end], part))
    assert not found
