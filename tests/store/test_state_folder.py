"""/var/lib/msa-wizard: who may not have it, what waits in it, and what the command line makes of either."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.survival.machine import Machine, Wizard, make_machine
from tests.unit.test_journal_lines import WRONG, lines_of, places, written
from wizard.engine.journal import Journal, unfinished
from wizard.engine.state_dir import must_be_root
from wizard.errors import CannotHere
from wizard.model.answers import Answers

CHANGING = (("apply", "--yes"), ("rollback", "--all", "--yes"), ("rollback", "firewall", "--yes"))
CANNOT, INTERRUPTED = 3, 6


@pytest.fixture
def wizard() -> Iterator[Wizard]:
    with pytest.MonkeyPatch.context() as patch:
        yield Wizard(patch)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path / "machine")


def _link(home: Path) -> None:
    home.rmdir()
    (home.parent / "elsewhere").mkdir(mode=0o700)
    home.symlink_to(home.parent / "elsewhere")


def _file(home: Path) -> None:
    home.rmdir()
    home.write_text("")


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link": (_link, "it is a symbolic link, so someone else may decide"),
    "a file": (_file, "it is not a folder"),
    "writable by all": (
        lambda home: home.chmod(0o777),
        "its mode 0777 lets other users in, and it must be 0700",
    ),
    "readable by a group": (lambda home: home.chmod(0o750), "its mode 0750 lets other users in"),
    "someone else's": (lambda home: os.chown(home, 4711, 4711), "it belongs to user 4711, not to user 0"),
}


@pytest.mark.parametrize("command", [*CHANGING, ("recover",)], ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_folder_is_refused_by_name_and_nothing_is_changed(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str], kind: str, command: tuple[str, ...]
) -> None:
    spoil, words = HOSTILE[kind]
    if kind == "someone else's" and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    spoil(machine.home)
    before = machine.picture()
    assert wizard.run(machine, *command) == CANNOT
    said = capfd.readouterr().err
    assert repr(str(machine.home)) in said
    assert words in said
    assert "Nothing was changed" in said
    assert machine.picture() == before
    if machine.home.is_dir():
        assert not list(machine.home.iterdir())


def test_it_is_made_for_root_alone_whatever_the_umask(wizard: Wizard, machine: Machine) -> None:
    machine.home.rmdir()
    before = os.umask(0)
    try:
        assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    finally:
        os.umask(before)
    assert machine.home.stat().st_mode & 0o7777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in machine.home.iterdir()} == {0}


def test_a_store_of_someone_else_is_refused(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    (machine.home / "etc.git").chmod(0o755)
    capfd.readouterr()
    assert wizard.run(machine, "rollback", "--all", "--yes") == CANNOT
    assert "its mode 0755 lets other users in" in capfd.readouterr().err


def interrupt(machine: Machine) -> Journal:
    head = machine.store.head()
    assert head is not None
    journal = Journal(machine.journal)
    journal.begin("apply", "r1", "alice", head.id, {"wanted": ["firewall"], "answers": asdict(Answers())})
    journal.step("firewall", head.id)
    journal.change(("/etc/firewall/rules.v4",), {"kind": "file", "path": "/etc/firewall/rules.v4"})
    return journal


@pytest.mark.parametrize("command", CHANGING, ids=lambda command: " ".join(command[:2]))
def test_a_killed_run_stops_whatever_changes_things(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Exit code 6 and one sentence; looking on works, and recover is the way out."""
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    interrupt(machine)
    before = machine.picture()
    capfd.readouterr()
    assert wizard.run(machine, *command) == INTERRUPTED
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    for words in (
        "begun by alice on ",
        "was interrupted in firewall",
        "`msa-wizard recover`",
        "`recover --finish`",
    ):
        assert words in said.err
    assert machine.picture() == before
    assert wizard.run(machine, "recover", "--show") == 0
    said = capfd.readouterr()
    assert "In hand: firewall" in said.out
    assert "file /etc/firewall/rules.v4" in said.out
    assert machine.interrupted()
    assert wizard.run(machine, "recover") == 0
    assert not machine.interrupted()
    assert machine.picture() == before
    assert wizard.run(machine, *command) == 0


def test_nothing_to_recover_is_said(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wizard.run(machine, "recover", "--show") == 0
    assert "No run was interrupted" in capfd.readouterr().out
    assert wizard.run(machine, "recover", "--finish") == 0
    assert "nothing to recover" in capfd.readouterr().out


def test_a_damaged_journal_is_refused_until_it_is_moved_away(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    machine.journal.write_bytes(b"garbage\n")
    capfd.readouterr()
    for command in (*CHANGING, ("recover",)):
        assert wizard.run(machine, *command) == CANNOT
        said = capfd.readouterr().err
        assert f"the journal {machine.journal} is damaged" in said
        assert "move the file away" in said
    machine.journal.unlink()
    assert wizard.run(machine, *CHANGING[1]) == 0


def test_what_a_run_leaves_that_was_killed_in_its_first_line_does_not_stop_the_next(
    wizard: Wizard, machine: Machine
) -> None:
    machine.journal.write_bytes(b'{"schema": 1, "oper')
    assert wizard.run(machine, "apply", "--yes") == 0
    assert unfinished(machine.journal) is None
    assert not machine.whole()


def test_somebody_else_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotHere) as refused:
        must_be_root()
    assert refused.value.sentence == "only root can change this host: run it with sudo. Nothing was changed"
    with pytest.raises(CannotHere) as refused:
        must_be_root("read the history", reads=True)
    assert refused.value.sentence == "only root can read the history: run it with sudo"


def test_a_history_that_was_wiped_is_missed_before_anything_is_done(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    shutil.rmtree(machine.home / "etc.git")
    capfd.readouterr()
    assert wizard.run(machine, "history") == CANNOT
    assert "is gone: somebody has wiped it" in capfd.readouterr().err
    assert wizard.run(machine, "status") == 0
    assert "is gone: somebody has wiped it" in capfd.readouterr().err
    assert wizard.run(machine, "rollback", "--all", "--yes") == 0
    said = capfd.readouterr()
    assert "is gone: somebody has wiped it" in said.err
    assert "Nothing to roll back" in said.out
    assert wizard.run(machine, "history") == CANNOT  # rollback has begun none
    assert wizard.run(machine, "apply", "--yes", "--json") == 0
    assert "begins a new history" in capfd.readouterr().err
    assert wizard.run(machine, "history") == 0
    assert wizard.run(machine, "status") == 0
    assert "wiped" not in capfd.readouterr().err


def test_a_damaged_store_is_said_and_healed_by_what_changes_things(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    (machine.home / "etc.git/config").write_text("[core")
    shutil.rmtree(machine.home / "etc.git/refs")
    capfd.readouterr()
    assert wizard.run(machine, "history") == CANNOT
    assert "config is damaged. refs is missing. It was only looked at" in capfd.readouterr().err
    assert wizard.run(machine, "rollback", "firewall", "--yes") == 0
    said = capfd.readouterr().err
    assert "config of the store is damaged: it is as it was when the store was made" in said
    assert "none after it is lost" in said
    assert wizard.run(machine, "history") == 0
    assert "firewall" in capfd.readouterr().out


def test_a_journal_of_a_newer_version_is_not_called_damaged(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    machine.journal.write_bytes(b'{"schema": 2, "operation": {"new": "form"}}\n')
    for command in (*CHANGING, ("recover",), ("recover", "--show")):
        capfd.readouterr()
        assert wizard.run(machine, *command) == CANNOT
        said = capfd.readouterr().err
        assert "was written by a newer msa-wizard" in said
        assert "damaged" not in said


def test_a_daemon_that_cannot_be_restarted_is_named_and_the_journal_stays(
    wizard: Wizard, machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    first = lines_of(machine.journal, "rollback")[0]
    machine.journal.write_bytes(written([first]))
    assert wizard.run(machine, "recover") == 1
    said = capfd.readouterr().err
    assert "NOT undone: " in said
    assert "`systemctl restart sendmail` failed" in said
    assert machine.journal.exists()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_journal_asks_for_recover_ends_in_words(
    wizard: Wizard, machine: Machine, seed: int
) -> None:
    """Journals of whole lines and of wrong ones, in any order: no exception but the program's own gets out."""
    assert wizard.run(machine, "apply", "firewall", "--yes") == 0
    head = machine.store.head()
    assert head is not None
    pick = random.Random(seed)
    seen = set()
    for _ in range(25):
        first, *others = lines_of(machine.journal, pick.choice(["apply", "rollback", "debug"]))
        whole = [
            line for line in others if line.get("change", {}).get("expected", {}).get("kind") != "packages"
        ]
        lines = [first, *pick.sample(whole, pick.randrange(4))]
        for line in lines:
            if "head" in line:
                line["head"] = head.id
        for _ in range(pick.randrange(2)):
            container, key = pick.choice(list(places(lines)))
            container[key] = pick.choice((*WRONG, "firewall", head.id, "keep"))
        machine.journal.write_bytes(written(lines))
        seen.add(wizard.run(machine, "recover", *pick.choice([(), ("--finish",), ("--show",)])))
        machine.journal.unlink(missing_ok=True)
    assert {0, CANNOT} <= seen <= {0, 1, 2, CANNOT}
