"""Any sequence of runs and of an admin's own work: nothing of the admin's is lost unsaid, and all can be taken back."""

from __future__ import annotations

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
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.survival import admin
from tests.unit.survival.admin import Edit, metadata
from tests.unit.survival.fake_steps import steps
from tests.unit.survival.machine import Machine, Wizard, make_machine, not_the_same
from wizard.host import Host

DONE, FAILED, USAGE, CANNOT, CONFLICT = 0, 1, 2, 3, 4
GENERATED = ("etc/mail/sendmail.cf", "etc/mail/access.db", "etc/mail/databases")
REPLACED = ("etc/firewall/old", "etc/firewall/opened", "etc/firewall/opened/587", "etc/firewall/closed")
"""What steps put their own in the place of, whatever it is: their plan says so."""
STEPS = tuple(step.id for step in steps(Host()))  # type: ignore[arg-type] # nobody looks at the host here
CHOICES = ("ask", "abort", "keep", "restore")

choices = st.sampled_from(CHOICES)
numbers = st.integers(0, 30)


@functools.cache
def _model() -> tuple[Path, dict[str, set[tuple[object, ...]]]]:
    """A machine to copy, and all metadata that its packages and steps give to files."""
    folder = Path(tempfile.mkdtemp(prefix="any-sequence-"))
    with pytest.MonkeyPatch.context() as patch:
        wizard = Wizard(patch)
        machine = make_machine(folder / "fresh")
        copy = machine.copy(folder / "applied")
        pictures = [machine.picture()]
        for step in STEPS:
            with contextlib.redirect_stdout(io.StringIO()):
                assert wizard.run(copy, "apply", step, "--yes") == DONE
            pictures.append(copy.picture())
        copy.forget()
    return machine.folder, metadata(pictures)


class AnySequence(RuleBasedStateMachine):
    """One machine, one admin."""

    admin_at_work: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.wizard = Wizard(self.patch)
        fresh, self.said = _model()
        self.folder = Path(tempfile.mkdtemp(prefix="any-sequence-"))
        self.machine = Machine(fresh).copy(self.folder / "machine")
        self.said = {path: set(fields) for path, fields in self.said.items()}
        self.baseline = self.machine.picture()
        self.edits: list[Edit] = []
        self.unrecorded: set[str] = set()
        """What the admin touched since a commit was made."""
        self.number = 0

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.folder)

    @property
    def root(self) -> Path:
        return self.machine.root

    # --- msa-wizard -----------------------------------------------------------------------------------------

    @rule(step=st.sampled_from(STEPS))
    def apply_a_step(self, step: str) -> None:
        self._apply(step)

    @rule()
    def apply_all(self) -> None:
        self._apply()

    @rule(step=st.sampled_from(STEPS), choice=choices)
    def roll_back_a_step(self, step: str, choice: str) -> None:
        self._roll_back(step, choice)

    @precondition(lambda self: self._history())
    @rule(number=numbers, choice=choices)
    def roll_back_a_commit(self, number: int, choice: str) -> None:
        history = self._history()
        self._roll_back(history[number % len(history)], choice)

    @precondition(lambda self: self._history("rollback"))
    @rule(choice=choices)
    def roll_back_the_newest_rollback(self, choice: str) -> None:
        self._roll_back(self._history("rollback")[0], choice)

    @rule(choice=choices)
    def roll_back_all(self, choice: str) -> None:
        code, _ = self._roll_back("--all", choice)
        if not self.admin_at_work:
            assert code == DONE
            assert not not_the_same(self.baseline, self.machine.picture())

    # --- the admin ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.admin_at_work)
    @rule(
        path=st.sampled_from(admin.EDITED),
        deed=st.sampled_from([admin.add_line, admin.put_line_first, admin.change_line]),
    )
    def edit(self, path: str, deed: admin.Deed) -> None:
        self._did(deed, path)

    @precondition(lambda self: self.admin_at_work)
    @rule(path=st.sampled_from((*admin.EDITED, *admin.MADE, "etc/firewall/old", "etc/mail/sendmail.cf")))
    def write_anew(self, path: str) -> None:
        self._did(admin.write_anew, path)

    @precondition(lambda self: self.admin_at_work)
    @rule(path=st.sampled_from(admin.MADE))
    def make_a_file(self, path: str) -> None:
        self._did(admin.write_anew, path)

    @precondition(lambda self: self.admin_at_work)
    @rule(
        path=st.sampled_from((*admin.EDITED, *admin.FOLDERS)),
        deed=st.sampled_from([admin.change_mode, admin.change_owner]),
    )
    def dress(self, path: str, deed: admin.Deed) -> None:
        self._did(deed, path)

    @precondition(lambda self: self.admin_at_work)
    @rule(
        path=st.sampled_from((*admin.EDITED, *admin.MADE)),
        deed=st.sampled_from([admin.delete, admin.replace_by_link]),
    )
    def replace(self, path: str, deed: admin.Deed) -> None:
        self._did(deed, path)

    @precondition(lambda self: self.admin_at_work)
    @rule(path=st.sampled_from(admin.ACCOUNTS))
    def add_an_account(self, path: str) -> None:
        self._did(admin.add_line, path)

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
        text = said.getvalue()
        return code, json.loads(text) if text.startswith("{") else {}

    def _apply(self, *step: str) -> None:
        before = self.machine.picture()
        code, said = self._run("apply", *step)
        applied = [item["step"] for item in said.get("steps", []) if item["commit"]]
        assert code in (DONE, USAGE, CANNOT), said  # steps that cannot be done are blocked; none fails
        if not applied:
            assert not not_the_same(before, self.machine.picture())
        self._look(GENERATED + REPLACED if applied else (), recorded=bool(applied))

    def _roll_back(self, what: str, choice: str) -> tuple[int, dict[str, Any]]:
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
        assert not said.get("failed"), said
        assert not said.get("not_undone"), said
        words = [*said.get("notes", []), *said.get("left", [])]
        excused = [
            edit.path
            for edit in self.edits
            if choice == "restore" or any(edit.path in line for line in words)
        ]
        self._look(tuple(excused) + GENERATED, recorded=code == CONFLICT or bool(said))
        return code, said

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
        made = [commit for commit in store.history() if commit.operation in ("drift", "baseline")]
        return any(edit.held(store.entry(commit, edit.path)) for commit in made)

    def _history(self, operation: str = "") -> list[str]:
        store = self.machine.store if (self.machine.home / "etc.git").exists() else None
        found = store.history() if store else ()
        return [commit.id for commit in found if operation in ("", commit.operation)]

    def _stale(self) -> list[str]:
        """Daemons that read something else, where only msa-wizard was at work."""
        systemd = self.machine.host.systemd
        if self.admin_at_work:
            return []
        return [name for name, read in systemd.running().items() if read != systemd.should_have_read(name)]

    def _did(self, deed: admin.Deed, path: str) -> None:
        self.number += 1
        edit = deed(self.root, path, self.number)
        if edit is None:
            return
        self.edits = [one for one in self.edits if one.path != path or one.holds(self.root)] + [edit]
        for name, fields in metadata([self.machine.picture()]).items():
            self.said.setdefault(name, set()).update(fields)
        above = path.rpartition("/")[0]
        self.unrecorded |= {path, above}


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
