"""The write-ahead journal: what it says after any cut, what it refuses to believe, and that it comes before the deed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from tests.stand_ins import use_steps
from wizard.changes.file import FileChange, FileEffect
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal, Unfinished, unfinished
from wizard.errors import JournalError
from wizard.model.answers import Answers
from wizard.model.events import Event, Failed
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Plan, Step
from wizard.system.host import Host, Say

REQUEST: dict[str, object] = {"wanted": ["a"], "answers": {}}
EFFECT: dict[str, object] = {"kind": "command", "argv": ["x"], "output": ""}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def written(path: Path) -> Journal:
    """The journal of a run in its second step, before the second change of it."""
    journal = Journal(path)
    journal.begin("apply", "r1", "alice", "head0", REQUEST)
    journal.step("one", "head0")
    journal.change(("/etc/a",), {**EFFECT, "number": 1})
    journal.settled()
    journal.step("two", "head1")
    journal.change(("/etc/b", "/etc/c"), {**EFFECT, "number": 2})
    journal.change((), {**EFFECT, "number": 3})
    return journal


def test_it_says_what_is_in_hand(path: Path) -> None:
    assert unfinished(path) is None
    journal = written(path)
    told = unfinished(path)
    assert told is not None
    assert (told.operation, told.run, told.who, told.head, told.request) == (
        *("apply", "r1", "alice", "head0"),
        REQUEST,
    )
    assert (told.step, told.step_head) == ("two", "head1")
    assert [change["touches"] for change in told.changes] == [["/etc/b", "/etc/c"], []]
    assert "`apply`, begun by alice on " in told.words()
    assert told.words().endswith("was interrupted in two")
    assert path.stat().st_mode & 0o777 == 0o600
    journal.settled()
    assert not journal.in_hand
    told = unfinished(path)
    assert told is not None
    assert (told.step, told.changes) == (None, [])
    assert told.words().endswith("was interrupted half-way")
    journal.finish()
    assert not path.exists()


def test_it_stays_while_something_is_in_hand(path: Path) -> None:
    journal = written(path)
    journal.finish()
    assert unfinished(path) is not None


def test_a_step_that_is_taken_up_again_keeps_what_it_had_begun(path: Path) -> None:
    written(path)
    journal = Journal(path)
    journal.begin("recover", "r1", "bob", "elsewhere", {})
    journal.step("two", "head1")
    journal.change((), {**EFFECT, "number": 4})
    told = unfinished(path)
    assert told is not None
    assert (told.operation, told.who, told.head) == ("apply", "alice", "head0")
    assert [change["expected"]["number"] for change in told.changes] == [2, 3, 4]  # type: ignore[index]
    journal.step("two", "head2")
    told = unfinished(path)
    assert told is not None
    assert told.changes == []


def _told_at(content: bytes, path: Path) -> Unfinished | None:
    path.write_bytes(content)
    return unfinished(path)


def test_a_cut_anywhere_leaves_the_whole_lines(path: Path) -> None:
    written(path)
    content = path.read_bytes()
    for at in range(len(content)):
        whole = content[: content.rfind(b"\n", 0, at) + 1]
        assert _told_at(content[:at], path) == _told_at(whole, path)


def test_a_cut_line_is_taken_away_before_the_next_is_written(path: Path) -> None:
    written(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"change": {"touches": ["/etc/')
    journal = Journal(path)
    journal.begin("recover", "r2", "bob", "head9", {})
    journal.settled()
    assert path.read_bytes() == whole + b'{"settled": true}\n'


@pytest.mark.parametrize("left", [b"", b'{"schema": 1, "operat'])
def test_what_a_run_leaves_that_was_killed_in_its_first_line_is_no_run(path: Path, left: bytes) -> None:
    path.write_bytes(left)
    assert unfinished(path) is None
    journal = Journal(path)
    journal.begin("apply", "r2", "bob", "head9", REQUEST)
    journal.step("one", "head9")
    told = unfinished(path)
    assert told is not None
    assert (told.run, told.step) == ("r2", "one")


@pytest.mark.parametrize(
    "line",
    [
        *(b"garbage", b"\0\0\0\0", b"\xff\xfe", b'{"step": "three"', b'{"step": "three"}', b"5", b"null"),
        b'{"change": 1} {"change": 2}',
    ],
)
def test_a_damaged_line_is_not_guessed_at(path: Path, line: bytes) -> None:
    written(path)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], line, *lines[3:]]))
    with pytest.raises(
        JournalError, match=r"is damaged .* move the file away when the host is as it should be"
    ):
        unfinished(path)


@pytest.mark.parametrize("first", [b"{}", b"[]", b'{"schema": 1}', b'"schema"'])
def test_a_journal_of_another_program_is_refused(path: Path, first: bytes) -> None:
    path.write_bytes(first + b"\n")
    with pytest.raises(JournalError, match="is damaged"):
        unfinished(path)


@pytest.mark.parametrize("more", ["", ', "operation": 5', ', "x": [[]]'])
def test_a_journal_of_a_newer_version_is_told_from_a_damaged_one(path: Path, more: str) -> None:
    path.write_text(f'{{"schema": 2{more}}}\n{{"later": "kinds"}}\n')
    with pytest.raises(
        JournalError, match=r"written by a newer msa-wizard .*schema 2.*`recover` of that version"
    ) as caught:
        unfinished(path)
    assert "damaged" not in str(caught.value)


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    written(tmp_path / "other")
    path.symlink_to(tmp_path / "other")
    with pytest.raises(JournalError, match="cannot be read"):
        unfinished(path)
    with pytest.raises(OSError, match="Too many levels"):
        Journal(path).begin("apply", "r2", "bob", "head9", {})


def test_a_folder_in_its_place_is_an_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(JournalError, match="cannot be read: Is a directory"):
        unfinished(path)


def test_a_write_in_pieces_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    written(path)
    assert all(json.loads(line) for line in path.read_bytes().splitlines())
    told = unfinished(path)
    assert told is not None
    assert told.step == "two"


# --- what could not be written must not be done -----------------------------------------------------------


class Two(Step):
    """Writes two files."""

    id, howto, title, why = "one", "9.9", "a step", "a test"
    files = ("/etc/a", "/etc/b")

    def __init__(self, host: Host) -> None:
        self.host = host

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        wanted = Entry(Kind.FILE, 0o644, os.geteuid(), os.getegid(), b"new\n")
        found = {path: self.host.entry(path) for path in self.files}
        changes: list[Change] = [
            FileChange(path, found[path], wanted) for path in self.files if found[path] != wanted
        ]
        return Plan.pending(self.id, "differs", *changes) if changes else Plan.done(self.id, "is so")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        return []


@dataclass
class Refusing:
    """The system call on the journal and its folder, refused the first time that `left` is counted down to nothing."""

    real: Callable[..., object]
    places: tuple[str, ...]
    error: int
    left: int

    def __call__(self, descriptor: int, *data: bytes) -> object:
        if os.readlink(f"/proc/self/fd/{descriptor}") in self.places:  # noqa: PTH115
            self.left -= 1
            if self.left == 0:
                raise OSError(self.error, os.strerror(self.error))
        return self.real(descriptor, *data)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("fatal", range(1, 8))
def test_no_change_is_made_whose_line_is_not_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int, fatal: int
) -> None:
    """Each of the writes, and each of the syncs, of a whole run, the journal's folder among them."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").write_text("old\n")
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home/etc.git-history").touch()  # else the store, too, would sync that folder
    place = tmp_path / "home/journal"
    refusing = Refusing(getattr(os, call), (str(place), str(place.parent)), error, fatal)
    real = FileChange.apply

    def apply(change: FileChange, host: Host, say: Say) -> FileEffect:
        if change.over:  # the way back of what the journal tells of
            return real(change, host, say)
        assert refusing.left > 0, "a change after a line that is not on the disk"
        told = unfinished(place)
        assert told is not None
        assert told.changes[-1]["touches"] == [change.path]
        return real(change, host, say)

    monkeypatch.setattr(FileChange, "apply", apply)
    monkeypatch.setattr(os, call, refusing)
    use_steps(monkeypatch, [Two(Host(tmp_path))])
    store = Store.open(tmp_path / "home/etc.git", root=tmp_path)
    events: list[Event] = []
    engine = Engine(Host(tmp_path), Answers(), events.append)
    run = engine.apply(store, Journal(place), (), lambda _s, _p: True, lambda: None)
    assert not store.pending()
    assert unfinished(place) is None
    texts = [path.read_text() for path in sorted((tmp_path / "etc").iterdir())]
    if fatal <= {"write": 4, "fsync": 5}[call]:  # the run, its folder, the step, two changes
        assert texts == ["old\n"]
        assert run.failed
        (words,) = [event.why for event in events if isinstance(event, Failed)]
        where = place.parent if (call, fatal) == ("fsync", 2) else place
        assert words.startswith(f"{where}: {os.strerror(error)}"), "which file system, and what to do"
        assert ("`df -h" in words) is (error == errno.ENOSPC)
    else:  # all was done: the line that says so need not be there
        assert texts == ["new\n", "new\n"]
        assert run.applied
