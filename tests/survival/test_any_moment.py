"""Another admin at work at any moment of any sequence of runs, in the middle of them, killed or not.

Nothing of his is lost unsaid, and after `rollback --all` nothing of ours stays but what is named."""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.survival.admin import Edit
from tests.survival.fake_files import State
from tests.survival.machine import Machine, Wizard, make_machine, not_the_same
from tests.survival.sweep import KEEP_EDITS
from tests.survival.test_any_sequence import STEPS
from tests.survival.visitor import Visit, beside_apt, diary, visited
from tests.survival.visits import FRESH, looks
from tests.survival.work import Work, prepare
from wizard.engine.in_force import commits_in_force

EXAMPLES = 25
LENGTH = {"apply": 1150, "step": 200, "rollback": 250, "all": 560, "recover": 500, "finish": 600}
"""How many operations each run has, at most or so; what is due later is done after it."""
PURGED = ("etc/mail/", "etc/nullmailer/", "etc/default/saslauthd")
"""What apt itself removes: what comes into it while apt is at that goes with it (docs/provenance.md)."""
LATER = (0, 1, 2, 3, 5, 8, 13, 21, 40, 90)
"""So many operations after an editor has read, it writes."""


@dataclass(frozen=True)
class Deed:
    """One of the things in `looks`, at this part of the run, and finished so many operations later."""

    what: str
    at: float
    later: int


@dataclass(frozen=True)
class Running:
    """One run; `which` chooses the step, or the commit; killed at that part of it, or not."""

    what: str
    which: int
    deeds: tuple[Deed, ...]
    kill: float | None

    def arguments(self, machine: Machine) -> tuple[str, ...]:
        """The command."""
        match self.what:
            case "apply":
                return ("apply", "--yes")
            case "step":
                return ("apply", STEPS[self.which % len(STEPS)], "--yes")
            case "rollback":
                found = commits_in_force(machine.store.history()) if machine.store.head() else []
                names = [commit.id for commit in found if commit.operation == "apply"] or ["install"]
                return ("rollback", names[self.which % len(names)], "--yes", "--on-conflict=keep")
            case "all":
                return KEEP_EDITS
            case "recover":
                return ("recover",)
        return ("recover", "--finish")


deeds = st.builds(Deed, st.sampled_from(sorted(looks(0))), st.floats(0, 1), st.sampled_from(LATER))
runs = st.builds(
    Running,
    st.sampled_from(["apply", "apply", "step", "rollback", "all", "recover", "finish"]),
    st.integers(0, 30),
    st.lists(deeds, min_size=1, max_size=5).map(tuple),
    st.one_of(st.none(), st.floats(0, 1)),
)


@functools.cache
def _machines() -> tuple[Machine, Machine, Machine]:
    """To copy: before a whole apply, after it, and one whose apply was killed."""
    folder = Path(tempfile.mkdtemp(prefix="any-moment-"))
    atexit.register(shutil.rmtree, folder)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        wizard = Wizard(patch)
        fresh = make_machine(folder / "fresh")
        prepare(fresh.root)
        applied, cut = fresh.copy(folder / "applied"), fresh.copy(folder / "cut")
        assert wizard.run(applied, "apply", "--yes") == 0
        visited(cut, wizard.runs(cut, "apply", "--yes"), (), 520)
        assert cut.interrupted()
    return fresh, applied, cut


@dataclass
class Trial:
    """One example on one machine."""

    machine: Machine
    wizard: Wizard
    said: str = ""
    moments: int = 0

    def run(self, running: Running, number: int) -> None:
        """The run with his visits, and what he had not done by its end."""
        length = LENGTH[running.what]
        visits = [
            Visit(1 + int(deed.at * length), deed.later, looks(number * 10 + at)[deed.what])
            for at, deed in enumerate(running.deeds)
        ]
        kill = None if running.kill is None else 1 + int(running.kill * length)
        arguments = running.arguments(self.machine)
        ended = visited(self.machine, self.wizard.runs(self.machine, *arguments), visits, kill)
        self.said += f"$ {' '.join(arguments)}  -> {ended.code}\n{ended.said}"
        self.moments += ended.moments

    def end(self) -> None:
        """Recovered, accepted where that is asked for, and all rolled back."""
        for command in (("recover",), ("recover", "--accept"), KEEP_EDITS):
            if (command[0] == "recover") == self.machine.interrupted() or command == KEEP_EDITS:
                self._plain(*command)
        if self.machine.interrupted():
            self._plain("recover", "--accept")

    def _plain(self, *command: str) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = self.wizard.run(self.machine, *command)
        self.said += f"$ {' '.join(command)}  -> {code}\n{out.getvalue()}"

    def lost(self) -> list[Edit]:
        """What does not hold, and that nobody said."""
        made = [edit for edit in diary(self.machine) if edit.what != "saved"]
        last = {(edit.path, edit.what.removeprefix("no ")): edit for edit in made}
        kept = [edit for edit in made if edit.what not in ("package", "no package", "mode", "owner", "link")]
        kept += [edit for edit in last.values() if edit not in kept]
        purged = [edit for edit in beside_apt(self.machine) if edit.path.startswith(PURGED)]
        return [
            edit
            for edit in kept
            if not edit.holds(self.machine.root)
            and edit not in purged
            and not self._overwritten(edit)
            and not self._went(edit)
        ]

    def _went(self, edit: Edit) -> bool:
        """A mode goes with a file of ours, or of a package's, that is said to go."""
        gone = not (self.machine.root / edit.path).exists()
        return edit.what == "mode" and gone and f"/{edit.path}" in self.said

    def _overwritten(self, edit: Edit) -> bool:
        """By himself: he saved what he had read before."""
        later = diary(self.machine)
        later = later[later.index(edit) + 1 :]
        return any(each.path == edit.path and _goes_over(each, edit) for each in later)

    def stays(self, base: Machine) -> list[str]:
        """What of ours is there, unsaid."""
        work = Work(self.machine, [edit for edit in diary(self.machine) if edit.what != "saved"])
        wanted, now = (_what_daemons_run(each.picture()) for each in (base, self.machine))
        found = not_the_same(work.without(wanted, wanted), work.without(now, wanted), dates=True)
        saved = {edit.path for edit in diary(self.machine) if edit.what == "saved"}
        return [line for line in found if not self._excused(line.partition(": ")[0], saved)]

    def _excused(self, path: str, saved: set[str]) -> bool:
        return path in saved or f"/{path}" in self.said


def _goes_over(later: Edit, edit: Edit) -> bool:
    if later.what == "saved":
        return (edit.value in str(later.value).splitlines()) != (edit.what == "line")
    if {later.what, edit.what} == {"line", "no line"} and later.value == edit.value:
        return True
    return later.what in ("absent", "link") or (later.what == "line" and later.path in FRESH)


def _what_daemons_run(found: dict[str, State]) -> dict[str, State]:
    """What they have read is his as well."""
    return {
        path: (*state[:4], b"runs", state[5]) if path.startswith("run/daemons/") else state
        for path, state in found.items()
    }


@settings(
    max_examples=EXAMPLES * (20 if settings().max_examples >= 1000 else 1),
    deadline=None,
    phases=[
        Phase.explicit,
        Phase.generate,
    ],  # to make a finding smaller takes minutes, and all that was said is printed with it
    suppress_health_check=list(HealthCheck),
)
@example(  # in a recovery, between its first look and the purge of the packages
    start=2,
    sequence=[
        Running(
            "step", 18, (Deed("vim etc/mail/access", 0, 90), Deed("nano etc/mail/access", 0.35, 21)), 0.65
        ),
        Running("recover", 0, (Deed("new etc/mail/sasl/mine", 0.45, 8),), None),
    ],
)
@given(start=st.integers(0, 2), sequence=st.lists(runs, min_size=1, max_size=3))
def test_what_another_admin_does_at_any_moment_is_not_lost(start: int, sequence: list[Running]) -> None:
    base = _machines()[0]
    folder = Path(tempfile.mkdtemp(prefix="any-moment-"))
    with pytest.MonkeyPatch.context() as patch:
        try:
            trial = Trial(_machines()[start].copy(folder / "machine"), Wizard(patch))
            for number, running in enumerate(sequence, 1):
                trial.run(running, number)
            trial.end()
            assert not trial.lost(), trial.said
            assert not trial.machine.whole(), trial.said
            assert not trial.stays(base), trial.said
        finally:
            shutil.rmtree(folder)
