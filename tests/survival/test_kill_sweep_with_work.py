"""SIGKILL at the operations of a run; then another admin's whole set of work; then the recovery, and the rollback.

Nothing of his is lost, and all the rest is as it was before the run, or as if nobody had killed it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.survival.fake_files import State
from tests.survival.machine import Wizard, make_machine, not_the_same
from tests.survival.sweep import FINISH, KEEP_EDITS, RUNS, UNDO, End, Sweep
from tests.survival.work import BESIDE, WITHIN, Deed, Work, prepare

ENDS: dict[str, End] = {"undo": UNDO, "finish": FINISH}
DEEDS = {"beside": BESIDE, "within": WITHIN}
UNKNOWN = ("etc/mail/access", "etc/mail/sendmail.mc")
"""What scripts of packages make, and no list of dpkg's has the bytes of: until the step is recorded an edit in it cannot
be told from what they wrote where nobody watched apt, as on this root (docs/provenance.md)."""
POINTS, RECOVERIES, CHUNKS = 6, 3, 6

each_run = pytest.mark.parametrize("run", RUNS)
each_end = pytest.mark.parametrize("end", ENDS)
each_deeds = pytest.mark.parametrize("deeds", DEEDS)


@dataclass
class Trial:
    """The sweep of a run, and what was before anything was done to the machine."""

    sweep: Sweep
    base: dict[str, State]
    moments: int = 0
    edits: int = 0
    lost: int = 0
    unknown: int = 0
    """Edits in UNKNOWN that could not be told apart."""

    def wrong(
        self, point: int, end: End, deeds: tuple[Deed, ...], *recoveries: tuple[End, float]
    ) -> list[str]:
        """What is not as it should be once he was at work behind the kill at the point."""
        machine, where = self.sweep.killed(point, *recoveries)
        try:
            found = self._wrong(Work(machine), end, deeds)
        except Exception as error:  # each is a finding, and the sweep goes on
            found = [f"{type(error).__name__}: {error}"]
        machine.forget()
        return (
            [f"killed at {point} ({where}), {' '.join(end)}:", *(f"  {line}" for line in found)]
            if found
            else []
        )

    def _wrong(self, work: Work, end: End, deeds: tuple[Deed, ...]) -> list[str]:
        machine, wizard = work.machine, self.sweep.wizard
        if not machine.interrupted():
            return []
        work.day(deeds)
        self.moments += 1
        self.edits += work.count
        recorded = "install" in {commit.step for commit in machine.store.history()}
        code = wizard.run(machine, *end)
        accepted = code == 1 and machine.interrupted() and deeds is not BESIDE
        if accepted:
            code = wizard.run(machine, "recover", "--accept")
        found = [] if code == 0 else [f"exit code {code}"]
        found += machine.whole()
        if not accepted:
            found += self._rest(work, self.sweep.before if end == UNDO else self.sweep.after)
        lost = work.lost
        if machine.store.head() and not found:
            code = wizard.run(machine, *KEEP_EDITS)
            found += [] if code in (0, 2) else [f"rollback --all: exit code {code}"]
            found += [f"rollback --all: {line}" for line in machine.whole()]
            lost += [f"{each} (rollback --all)" for each in work.lost]
            if deeds is BESIDE:
                found += [f"rollback --all: {line}" for line in self._rest(work, self.base)]
        if not recorded:
            unknown = [each for each in lost if any(repr(path) in each for path in UNKNOWN)]
            self.unknown += len(unknown)
            lost = [each for each in lost if each not in unknown]
        self.lost += len(lost)
        return [*found, *(f"lost: {each}" for each in lost)]

    def _rest(self, work: Work, wanted: dict[str, State]) -> list[str]:
        now = work.without(work.machine.picture(), wanted)
        return not_the_same(work.without(wanted, wanted), now, dates=True)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Trial]]:
    """That of a run, made when it is first asked for."""
    with pytest.MonkeyPatch.context() as patch:
        wizard = Wizard(patch)

        @functools.cache
        def make(run: str) -> Trial:
            folder = tmp_path_factory.mktemp(run)
            machine = make_machine(folder / "machine")
            prepare(machine.root)
            base = machine.picture()
            if run == "rollback":
                assert wizard.run(machine, *RUNS["apply"]) == 0
            return Trial(Sweep(wizard, machine, RUNS[run], folder), base)

        yield make


def told(trial: Trial) -> None:
    print(
        f"so far: {trial.moments} moments, {trial.edits} edits, {trial.lost} lost, {trial.unknown} not told apart"
    )


@each_deeds
@each_end
@each_run
def test_work_after_a_kill_is_not_lost(
    trials: Callable[[str], Trial], run: str, end: str, deeds: str
) -> None:
    trial = trials(run)
    wrong = [
        line for point in trial.sweep.spread(POINTS) for line in trial.wrong(point, ENDS[end], DEEDS[deeds])
    ]
    told(trial)
    assert not wrong, "\n".join(wrong)


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(CHUNKS))
@each_deeds
@each_end
@each_run
def test_work_after_a_kill_anywhere_is_not_lost(
    trials: Callable[[str], Trial], run: str, end: str, deeds: str, chunk: int
) -> None:
    trial = trials(run)
    points = trial.sweep.points[chunk::CHUNKS]
    wrong = [line for point in points for line in trial.wrong(point, ENDS[end], DEEDS[deeds])]
    told(trial)
    assert not wrong, "\n".join(wrong)


@each_end
@pytest.mark.parametrize("run", ["apply"])
def test_work_after_a_killed_recovery_is_not_lost(trials: Callable[[str], Trial], run: str, end: str) -> None:
    trial = trials(run)
    points = trial.sweep.spread(RECOVERIES + 2)[1:-1]
    wrong = [line for point in points for line in trial.wrong(point, ENDS[end], BESIDE, (ENDS[end], 0.5))]
    told(trial)
    assert not wrong, "\n".join(wrong)
