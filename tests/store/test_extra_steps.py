"""Steps beyond the howto's order: the same engine does, records, recovers and takes them back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from tests.store.place import Killed
from wizard.changes.file import FileChange
from wizard.engine.engine import Engine
from wizard.engine.in_force import applied
from wizard.engine.journal import Journal, unfinished
from wizard.errors import HostError
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.render import as_json
from wizard.rollback.recovery import Recovery
from wizard.rollback.rollback import needing, of_step
from wizard.steps.order import STEPS
from wizard.system.host import Host


@dataclass(frozen=True)
class Pair(Step):
    """Writes `text` to two files, one of which no picture of the host has of itself."""

    text: str = ""
    die: bool = False
    gone: bool = False

    id = "pair"
    howto = "9.9"
    title = "two files"
    why = "a test"
    needs = ("install",)

    @property
    def reads(self) -> tuple[str, ...]:
        return ("/etc/a", "/etc/b")

    def request(self) -> dict[str, object]:
        return {"text": self.text, "gone": self.gone}

    def rebuild(self, host: Host, request: Mapping[str, object]) -> Step:
        if request["gone"]:
            raise HostError("/root/pair is gone")
        return Pair(str(request["text"]))

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        after = Entry(Kind.FILE, 0o644, os.geteuid(), os.getegid(), self.text.encode())
        made = [FileChange(path, facts.files[path], after) for path in self.reads]
        left = [change for change in made if change.before != change.after]
        return Plan.pending(self.id, "differs", *left) if left else Plan.done(self.id, "is so")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        if self.die:
            raise Killed
        return []


@dataclass
class Place:
    """A host, its store and its journal."""

    root: Path

    def __post_init__(self) -> None:
        (self.root / "etc").mkdir()
        (self.root / "etc/a").write_text("old\n")
        (self.root / "home").mkdir(mode=0o700)
        self.host, self.at = Host(self.root), self.root / "home/journal"
        self.store = Store.open(self.root / "home/etc.git", root=self.root)

    def apply(self, step: Step) -> None:
        engine = Engine(self.host, Answers(), lambda _: None, (step,))
        run = engine.apply(self.store, Journal(self.at), (), lambda _s, _p: True, lambda: None)
        assert list(run.applied) == ["pair"]
        assert as_json.run(run, [])["failed"] is None

    def recovery(self) -> Recovery:
        killed = unfinished(self.at)
        assert killed is not None
        return Recovery(
            self.host, self.store, Journal(self.at), killed, lambda _: None, lambda _: None, lambda: None
        )

    def texts(self) -> list[str]:
        return [path.read_text() for path in sorted((self.root / "etc").iterdir())]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in ("mends.order", "rollback.rollback"):
        monkeypatch.setattr(f"wizard.{name}.extra", lambda: (Pair(),))
    return Place(tmp_path)


def test_it_is_one_commit_that_its_name_finds(place: Place) -> None:
    place.apply(Pair("new\n"))
    assert place.texts() == ["new\n", "new\n"]
    history = list(place.store.history())
    assert [item.step for item in applied(history)] == ["pair"]
    assert of_step(history, "pair").steps == ("pair",)
    assert "pair" in needing({"install"})


def test_a_killed_one_is_finished_with_what_it_was_asked(place: Place) -> None:
    with pytest.raises(Killed):
        place.apply(Pair("new\n", die=True))
    assert place.texts() == ["new\n", "new\n"]
    (place.root / "etc/b").unlink()
    assert list(place.recovery().finish_apply().applied) == ["pair"]
    assert place.texts() == ["new\n", "new\n"]
    assert unfinished(place.at) is None


def test_one_that_cannot_be_made_again_is_undone(place: Place) -> None:
    with pytest.raises(Killed):
        place.apply(Pair("new\n", die=True, gone=True))
    with pytest.raises(HostError, match=r"/root/pair is gone.*recover` undoes it"):
        place.recovery().finish_apply()
    assert place.texts() == ["new\n", "new\n"], "nothing was changed by the attempt"
    assert not place.recovery().undo().not_undone
    assert place.texts() == ["old\n"]
    assert unfinished(place.at) is None


def test_the_commands_of_the_order_do_not_know_them(place: Place) -> None:
    assert "pair" not in {step.id for step in STEPS}
    assert "pair" not in Engine(place.host, Answers(), lambda _: None).plan()
