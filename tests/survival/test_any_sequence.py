"""Any sequence of runs and of an admin's own work: nothing of the admin's is lost without a word, and everything can be rolled back."""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snapshots.store import Commit
from tests.survival import admin
from tests.survival.admin import Edit, metadata
from tests.survival.fake_host import FakeHost
from tests.survival.fake_steps import steps
from tests.survival.machine import Machine, Wizard, make_machine, not_the_same
from wizard.engine.in_force import commits_in_force

DONE, FAILED, USAGE, CANNOT, CONFLICT = 0, 1, 2, 3, 4
GENERATED = ("etc/mail/sendmail.cf", "etc/mail/access.db", "etc/mail/databases")
REPLACED = ("etc/firewall/old", "etc/firewall/opened", "etc/firewall/opened/587", "etc/firewall/closed")
"""What steps put their own in the place of, whatever it is: their plan says so."""
BROUGHT = {"install": None, "sendmail-auth": "etc/mail/sasl/Sendmail.conf.2"}
"""Steps that bring a file again that is gone: this one, or any."""
ALL = steps(FakeHost(Path()))
STEPS = tuple(step.id for step in ALL)
IDLE = ("preflight", "saslauthd-init", "smtp-port")
"""Those that have nothing to do here."""
CHOICES = ("ask", "abort", "keep", "restore")

choices = st.sampled_from(CHOICES)
numbers = st.integers(0, 59)


@functools.cache
def _model() -> tuple[Machine, Machine, dict[str, set[tuple[object, ...]]]]:
    """Machines to copy, before and after a whole apply, and all metadata that packages and steps give to files."""
    folder = Path(tempfile.mkdtemp(prefix="any-sequence-"))
    atexit.register(shutil.rmtree, folder)
    with pytest.MonkeyPatch.context() as patch:
        wizard = Wizard(patch)
        machine = make_machine(folder / "fresh")
        applied = machine.copy(folder / "applied")
        pictures = [machine.picture()]
        for step in STEPS:
            with contextlib.redirect_stdout(io.StringIO()):
                assert wizard.run(applied, "apply", step, "--yes") == DONE
            pictures.append(applied.picture())
    return machine, applied, metadata(pictures)


class AnySequence(RuleBasedStateMachine):
    """One machine, one admin."""

    admin_at_work: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.wizard = Wizard(self.patch)
        fresh, _, said = _model()
        self.folder = Path(tempfile.mkdtemp(prefix="any-sequence-"))
        self.machine = fresh.copy(self.folder / "machine")
        self.said = {path: set(fields) for path, fields in said.items()}
        self.baseline = self.machine.picture()
        self.edits: list[Edit] = []
        self.unrecorded: set[str] = set()
        """What the admin touched since a commit was made."""
        self.number = 0
        self.history: list[Commit] = []

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.folder)

    @property
    def root(self) -> Path:
        return self.machine.root

    @property
    def stands(self) -> list[str]:
        """The steps that are applied, each once."""
        found = (commit.step for commit in commits_in_force(self.history) if commit.operation == "apply")
        return list(dict.fromkeys(filter(None, found)))

    @property
    def ready(self) -> list[str]:
        """The steps that are not, and whose needs are there."""
        stands = {*self.stands, *IDLE}
        return [step.id for step in ALL if step.id not in stands and stands.issuperset(step.needs)]

    @initialize(applied=st.sampled_from([True, True, False]))
    def begin(self, applied: bool) -> None:
        """Most of the time all is applied already."""
        if applied:
            self.machine.forget()
            _model()[1].copy(self.machine.folder)
            self.history = list(self.machine.store.history())

    # Three rules, not a dozen: hypothesis leaves rules out of an example by chance.

    @precondition(lambda self: self.ready or self.unrecorded)
    @rule(number=numbers)
    def apply(self, number: int) -> None:
        """A step whose needs are there, or everything."""
        self._apply(*([self.ready[number % len(self.ready)]] if self.ready and number % 3 else []))

    @precondition(lambda self: len(self.history) > 1)
    @rule(what=st.sampled_from(["step", "step", "commit", "rollback", "all"]), number=numbers, choice=choices)
    def roll_back(self, what: str, number: int, choice: str) -> None:
        """A step, any commit, the newest rollback, or everything."""
        rollbacks = [commit.id for commit in self.history if commit.operation == "rollback"]
        if what == "step" and self.stands:
            self._roll_back(self.stands[number % len(self.stands)], choice)
        elif what == "rollback" and rollbacks:
            self._roll_back(rollbacks[0], choice)
        elif what == "all" and self.stands:
            code = self._roll_back("--all", choice)
            assert self.admin_at_work or code == DONE
            assert self.admin_at_work or not not_the_same(self.baseline, self.machine.picture())
        else:
            self._roll_back(self.history[number % len(self.history)].id, choice)

    @precondition(lambda self: self.admin_at_work)
    @rule(deed=st.sampled_from(sorted(admin.DEEDS)), number=numbers)
    def work(self, deed: str, number: int) -> None:
        """The admin does something to a path that it can be done to, if there is one."""
        act, paths = admin.DEEDS[deed]
        self.number += 1
        for path in (*paths[number % len(paths) :], *paths):
            edit = act(self.root, path, self.number)
            if edit is not None:
                break
        else:
            return
        self.edits = [one for one in self.edits if one.path != path or one.holds(self.root)] + [edit]
        for name, fields in metadata([self.machine.picture()]).items():
            self.said.setdefault(name, set()).update(fields)
        self.unrecorded |= {path, path.rpartition("/")[0]}

    # --- what always holds ----------------------------------------------------------------------------------

    @invariant()
    def nothing_is_half_done(self) -> None:
        assert not self.machine.whole()

    @invariant()
    def all_metadata_is_what_somebody_said(self) -> None:
        found = metadata([self.machine.picture()])
        strange = {path: fields - self.said.get(path, set()) for path, fields in found.items()}
        assert not {path: fields for path, fields in strange.items() if fields}

    # --- how ------------------------------------------------------------------------------------------------

    def _run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            code = self.wizard.run(self.machine, *arguments, "--yes", "--json")
        self.history = list(self.machine.store.history()) if (self.machine.home / "etc.git").exists() else []
        text = said.getvalue()
        return code, json.loads(text) if text.startswith("{") else {}

    def _apply(self, *step: str) -> None:
        before = self.machine.picture()
        code, said = self._run("apply", *step)
        applied = [item["step"] for item in said.get("steps", []) if item["commit"]]
        assert code in (DONE, USAGE, CANNOT), said  # steps that cannot be done are blocked; none fails
        if not applied:
            assert not not_the_same(before, self.machine.picture())
        rules = metadata([self.machine.picture()]).get("etc/firewall/rules.v4", set())
        for path in (
            REPLACED if "firewall" in applied else ()
        ):  # whose they are follows from whose the rules are
            self.said[path] |= {field for field in rules if field[0] != "mode"}
        gone = [edit.path for edit in self.edits if edit.what == "absent"]
        brought = [path for step in applied for path in gone if BROUGHT.get(step, "") in (None, path)]
        self._look((*GENERATED, *REPLACED, *brought) if applied else (), recorded=bool(applied))

    def _roll_back(self, what: str, choice: str) -> int:
        before = self.machine.picture()
        code, said = self._run("rollback", what, f"--on-conflict={choice}")
        changed = not_the_same(before, self.machine.picture())
        reported = [item["path"] for item in said.get("conflicts", [])]
        if code == CONFLICT:
            assert reported
            assert choice in ("ask", "abort")
        if code == CONFLICT or not said or not said["done"]:
            assert not changed
        else:
            assert not reported, "what is decided is no conflict any more"
            assert not self._stale(), "a daemon has not read what is there"
        # What an admin has written may be no sendmail.mc any more without a step's lines: then nothing is done.
        assert not said.get("failed") or (self.admin_at_work and "m4 does not accept" in said["failed"]), said
        assert not said.get("not_undone"), said
        words = [*said.get("notes", []), *said.get("left", [])]
        told = [
            edit.path
            for edit in self.edits
            if choice == "restore" or any(edit.path in line for line in words)
        ]
        self._look((*told, *GENERATED, *self._drifted(said)), recorded=code == CONFLICT or bool(said))
        return code

    def _look(self, excused: tuple[str, ...], *, recorded: bool) -> None:
        """What the admin did holds, or it was said, and the history has it; the history has all that is there."""
        lost = [edit for edit in self.edits if not edit.holds(self.root)]
        assert not [edit for edit in lost if edit.path not in excused]
        assert not [edit for edit in lost if not self._in_history(edit)]
        self.edits = [edit for edit in self.edits if edit not in lost]
        if recorded:
            self.unrecorded.clear()
        store = self.machine.store
        assert not store.head() or {each.path for each in store.pending()} <= self.unrecorded

    def _in_history(self, edit: Edit) -> bool:
        store = self.machine.store
        made = [commit for commit in self.history if commit.operation in ("drift", "baseline")]
        return any(edit.held(store.entry(commit, edit.path)) for commit in made)

    def _drifted(self, said: dict[str, Any]) -> set[str]:
        """What the admin wanted back of work of the admin's own."""
        store = self.machine.store
        commits = [
            commit for commit in map(store.find, said.get("commits", [])) if commit.operation == "drift"
        ]
        return {each.path for commit in commits for each in store.changed(commit)}

    def _stale(self) -> list[str]:
        """Daemons that read something else, where only msa-wizard was at work."""
        systemd = self.machine.host.systemd
        if self.admin_at_work:
            return []
        return [name for name, read in systemd.running().items() if read != systemd.should_have_read(name)]


class OnlyWizard(AnySequence):
    """The admin looks on."""

    admin_at_work = False


def _settings(examples: int, count: int) -> settings:
    full = settings().max_examples >= 1000
    return settings(
        max_examples=examples * (20 if full else 1),
        stateful_step_count=count * (2 if full else 1),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = _settings(25, 12)
TestOnlyWizard = OnlyWizard.TestCase
TestOnlyWizard.settings = _settings(8, 12)
