"""SIGKILL at the operations of a whole apply, of a whole rollback --all, and of the recovery from either.

After `recover` all is as it was before the run; after `recover --finish` all is as if nobody had killed it."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.survival.admin import rewrite_with
from tests.survival.machine import Wizard, make_machine
from tests.survival.sweep import FINISH, RUNS, UNDO, End, Sweep

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
def test_a_killed_run_is_rolled_back_or_finished(swept: Swept, run: str, end: str) -> None:
    sweep = swept(run)
    assert not [line for point in sweep.spread(POINTS) for line in sweep.wrong(point, ENDS[end])]


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(CHUNKS))
@each_end
@each_run
def test_a_run_killed_anywhere_is_rolled_back_or_finished(
    swept: Swept, run: str, end: str, chunk: int
) -> None:
    sweep = swept(run)
    points = sweep.points[chunk::CHUNKS]
    assert not [line for point in points for line in sweep.wrong(point, ENDS[end])]


@each_run
def test_what_the_admin_did_since_a_run_was_killed_is_not_lost(swept: Swept, run: str) -> None:
    """It stays; only what apt, or a command that was cut short, may have written as well is said to be as before."""
    sweep = swept(run)
    found = []
    for point in sweep.spread(RECOVERIES):
        machine = sweep.killed(point)[0]
        rewrite_with(machine.root / "etc/plain", "the admin's\n")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = sweep.wizard.run(machine, "recover")
        if code or not (
            (machine.root / "etc/plain").read_text() == "the admin's\n" or "etc/plain" in said.getvalue()
        ):
            found.append(f"killed at {point}: {code}, {said.getvalue()}")
    assert not found


WAYS: tuple[tuple[End, End, End], ...] = (
    (UNDO, UNDO, UNDO),
    (FINISH, FINISH, FINISH),
    (UNDO, FINISH, FINISH),
    (FINISH, UNDO, UNDO),
    (FINISH, FINISH, UNDO),
    (UNDO, FINISH, UNDO),
)
"""Two recoveries that are killed, and the one that is not."""


def _killed_twice(sweep: Sweep, points: list[int], parts: int, which: slice) -> list[str]:
    """What is wrong after recoveries of each way, killed at so many parts of theirs."""
    found = []
    for number, (point, way) in list(enumerate(itertools.product(points, WAYS)))[which]:
        for part in range(1 + number % 3, parts, 3):
            first, second, last = way
            found += sweep.wrong(
                point, last, (first, part / parts), (second, (part * 7 % parts + 0.5) / parts)
            )
    return found


@each_run
def test_a_recovery_can_be_killed_and_repeated(swept: Swept, run: str) -> None:
    """Also twice, and also by one that goes the other way."""
    sweep = swept(run)
    points = sweep.spread(RECOVERIES // len(RUNS) + 2)[1:-1]
    assert not _killed_twice(sweep, points, 3, slice(0, None, len(WAYS) + 1))


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(CHUNKS))
@each_run
def test_a_recovery_killed_anywhere_can_be_repeated(swept: Swept, run: str, chunk: int) -> None:
    sweep = swept(run)
    assert not _killed_twice(sweep, sweep.spread(10), 10, slice(chunk, None, CHUNKS))
