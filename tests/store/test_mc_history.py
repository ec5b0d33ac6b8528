"""Which sendmail.mc's stood beside the sendmail.cf of now: their lines are no work of anybody's hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snapshots.format.message import Author
from snapshots.live.entry import Entry
from snapshots.store import Store
from tests.unit.steps.recorded import file, machine
from wizard.engine.trial import lost
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.sendmail.cf import lacking
from wizard.sendmail.m4 import earlier
from wizard.system.host import Completed, Host


class Copying(Host):
    """m4 copies what it is given."""

    def run(self, argv: Any, **options: Any) -> Completed:
        return Completed(tuple(argv), 0, Path(argv[-1]).read_text(), "", 0.0)


class Place:
    """A root with a store, in which sendmail.mc and sendmail.cf change one commit at a time."""

    def __init__(self, root: Path) -> None:
        (root / "etc/mail").mkdir(parents=True)
        (root / "store").mkdir(mode=0o700)
        self.root, self.host, self.newest = root, Copying(root), False
        self.store = Store.open(root / "store/etc.git", root=root)

    def commit(self, operation: str, **files: str) -> None:
        for name, text in files.items():
            (self.root / f"etc/mail/sendmail.{name}").write_text(text)
        author = Author("a", "a@example.test")
        self.store.commit(operation=operation, subject="x", run="r", author=author)

    def facts(self) -> Facts:
        mc, cf = ((self.root / f"etc/mail/sendmail.{name}").read_text() for name in ("mc", "cf"))
        files: dict[str, Entry | None] = {f.SENDMAIL_MC: file(mc), f.SENDMAIL_CF: file(cf)}
        facts = machine("13", files=files, cf_from_mc=mc, cf_newest=self.newest)
        return replace(facts, cf_earlier=earlier(self.host, self.store, facts))

    def lost(self) -> list[str]:
        return [line for ending in lost(self.facts()) for line in ending.lines]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.commit("baseline", mc="O A=1\nO B=1\n", cf="O A=1\nO B=1\nO Mine=1\n")
    return made


def test_without_an_edit_the_lines_of_one_s_own_are_what_is_lost(place: Place) -> None:
    assert place.lost() == ["O Mine=1"]


def test_our_own_edits_of_sendmail_mc_make_no_line_of_the_old_one_anybodys(place: Place) -> None:
    place.commit("apply", mc="O A=2\nO B=1\n")
    place.commit("apply", mc="O A=2\nO B=2\n")
    assert place.lost() == ["O Mine=1"]
    place.commit("drift", mc="O A=2\nO B=3\n")
    assert place.lost() == ["O Mine=1"]


def test_what_stood_there_before_the_sendmail_cf_of_now_does_not_count(place: Place) -> None:
    place.commit("apply", mc="O A=2\n", cf="O A=2\n")
    assert place.lost() == []
    place.commit("drift", cf="O A=2\nO B=1\n")  # by hand, what the first sendmail.mc had
    place.commit("apply", mc="O A=3\n")
    assert "O B=1" in place.lost()
    assert "O A=2" not in place.lost()


def test_what_was_taken_out_by_hand_comes_back_and_is_told(place: Place) -> None:
    place.commit("drift", mc="O A=1\nO B=1\nDS\n", cf="O A=2\n#O B=1\nDShub\n")
    assert place.lost() == ["O A=2", "DShub"], "sendmail.mc may be newer: then that is an edit not made yet"
    place.newest = True
    assert place.lost() == ["O A=2", "DShub", "comes back: O B=1"]
    place.commit("apply", mc="O A=1\nO C=1\nDS\n")
    assert "comes back: O C=1" not in place.lost(), "that is ours, and not made yet"
    assert lacking("Rx\n", "Rx\nRx\n") == ("Rx",)


def test_a_sendmail_cf_that_came_back_was_made_from_the_sendmail_mc_of_then(tmp_path: Path) -> None:
    """However often it has come back since: sendmailconfig is rolled back again and again, and sendmail.mc stays."""
    place = Place(tmp_path)
    place.commit("baseline", mc="O A=1\n", cf="O A=1\n")
    place.commit("apply", mc="O A=2\n")
    for _ in range(25):
        place.commit("apply", cf="O A=2\n")
        place.commit("rollback", cf="O A=1\n")
        assert place.lost() == []
    place.newest = True
    assert place.lost() == []


def test_an_empty_history_knows_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in ("mc", "cf"):
        (tmp_path / f"etc/mail/sendmail.{name}").write_text(f"O A={name}\n")
    assert place.facts().cf_earlier == ()
    assert place.lost() == ["O A=cf"]
