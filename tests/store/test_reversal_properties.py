"""Any changes by steps and by the admin: what must be true of a rollback, whatever they were."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.format.message import Commit
from snapshots.live.entry import Entry, Kind
from snapshots.merge.three_way import Choice
from snapshots.store import Store
from tests.store.machine import Machine, commit, live, make_machine, put

PATHS = ["a", "b", "b/c", "b/c/d", "e", "e/.git ", "e/\udcff\n"]
Deed = Callable[[Path], None]

lines = st.lists(st.sampled_from(["a", "b", "c", "", "d\r", "}"]), max_size=7).map("\n".join)


def clear(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def write(text: str) -> Deed:
    def deed(place: Path) -> None:
        if place.is_dir():
            clear(place)
        place.write_bytes(text.encode())

    return deed


def make_folder(place: Path) -> None:
    if not place.is_dir() or place.is_symlink():
        clear(place)
        place.mkdir()


def link(place: Path) -> None:
    clear(place)
    place.symlink_to("nowhere")


def change_mode(mode: int) -> Deed:
    def deed(place: Path) -> None:
        if not place.is_symlink():
            place.chmod(mode | (0o700 if place.is_dir() else 0))

    return deed


def set_attribute(value: bytes) -> Deed:
    return lambda place: os.setxattr(place, "user.note", value, follow_symlinks=False)


deeds = st.one_of(
    st.builds(write, lines),
    st.just(make_folder),
    st.just(link),
    st.just(clear),
    st.builds(change_mode, st.sampled_from([0o600, 0o644, 0o755, 0o2750])),
    st.builds(set_attribute, st.binary(max_size=1)),
)
changes = st.lists(st.tuples(st.sampled_from(PATHS), deeds), min_size=1, max_size=5)


@contextlib.contextmanager
def fresh() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="snapshots-") as folder:
        yield make_machine(Path(folder))


def do(machine: Machine, made: list[tuple[str, Deed]]) -> None:
    for path, deed in made:
        with contextlib.suppress(OSError):  # what is not there, or in the way
            deed(machine.etc / path)


def do_and_commit(machine: Machine, store: Store, made: list[tuple[str, Deed]], by: str) -> list[Commit]:
    do(machine, made)
    found = commit(store, by, record=b"", step="x" if by == "apply" else None)
    assert found is not None
    return [found]


@settings(max_examples=20, deadline=None)
@given(first=changes, later=st.lists(changes, min_size=1, max_size=4))
def test_without_later_work_everything_goes_back_to_the_baseline(
    first: list[tuple[str, Deed]], later: list[list[tuple[str, Deed]]]
) -> None:
    with fresh() as machine:
        do(machine, first)
        store = machine.store()
        before = live(machine)
        steps = [made for one in later for made in do_and_commit(machine, store, one, "apply")]
        reversal = store.reverse(steps)
        assert (reversal.merged, reversal.conflicts, reversal.notes) == ((), (), ())
        put(machine, reversal.targets)
        assert live(machine) == before


def added(before: Entry | None, after: Entry | None) -> set[bytes]:
    def has(entry: Entry | None) -> set[bytes]:
        return set(entry.content.split(b"\n")) if entry and entry.kind is Kind.FILE else set()

    return has(after) - has(before)


@settings(max_examples=50, deadline=None)
@given(
    first=changes,
    runs=st.lists(st.tuples(st.sampled_from(["apply", "drift"]), changes), min_size=2, max_size=4),
    choice=st.sampled_from([None, *Choice]),
    derived=st.sampled_from([lambda _: False, lambda path: path.endswith("a")]),
)
def test_later_work_is_never_lost_without_a_word_and_twice_is_once(
    first: list[tuple[str, Deed]],
    runs: list[tuple[str, list[tuple[str, Deed]]]],
    choice: Choice | None,
    derived: Callable[[str], bool],
) -> None:
    with fresh() as machine:
        do(machine, first)
        store = machine.store()
        steps: list[Commit] = []
        for by, one in runs:
            made = do_and_commit(machine, store, one, by)
            steps += made if by == "apply" else []
        now = live(machine)
        reversal = store.reverse(steps, choice=choice, derived=derived)
        conflicting = {one.path for one in reversal.conflicts}
        assert all(pair == (now.get(path), pair[1]) for path, pair in reversal.targets.items())
        assert all(pair[0] != pair[1] for pair in reversal.targets.values())
        assert not conflicting & reversal.targets.keys()
        assert not conflicting or choice is None
        left = [pair for one in steps for pair in store.changes(one).items()]
        drift = store.changes("HEAD") if runs[-1][0] == "drift" else {}
        for path, (before, after) in drift.items():
            as_a_step_left_it = any(path == one and after == pair[1] for one, pair in left)
            if choice is None and path not in conflicting and not derived(path) and not as_a_step_left_it:
                kept = reversal.targets.get(path, (None, after))[1]
                assert added(before, after) <= added(None, kept), path
        put(machine, reversal.targets)
        result = live(machine)
        assert result == {
            path: entry
            for path in now.keys() | reversal.targets.keys()
            if (entry := reversal.targets.get(path, (None, now.get(path)))[1]) is not None
        }
        for entry in result.values():
            assert entry is None or b"<<<<<<<" not in entry.content
        commit(store, "rollback", record=b"", reverts=[one.id for one in steps])
        assert store.reverse(steps, choice=choice, derived=derived).targets == {}
        store.diff("HEAD")


distinct = st.lists(st.integers(0, 99), unique=True, min_size=9, max_size=20)


@settings(max_examples=20, deadline=None)
@given(numbers=distinct, data=st.data(), ending=st.sampled_from([b"\n", b"\r\n"]), last=st.booleans())
def test_one_of_two_that_touched_other_lines_goes_and_the_other_stays(
    numbers: list[int], data: st.DataObject, ending: bytes, last: bool
) -> None:
    at = data.draw(st.integers(0, len(numbers) - 4))
    other = data.draw(
        st.integers(at + 2, len(numbers) - 2)
    )  # without the last, the one before it changes, too
    edits = st.sampled_from([[], [b"new"], [b"new", b"newer"]])
    first, second = data.draw(edits), data.draw(edits)

    def text(*changed: tuple[int, list[bytes]]) -> bytes:
        found = [[b"%d" % number] for number in numbers]
        for where, what in changed:
            found[where] = what
        return ending.join(line for one in found for line in one) + (b"" if last else ending)

    for taken_back in (0, 1):
        with fresh() as machine:
            path = machine.etc / "file"
            path.write_bytes(text())
            store = machine.store()
            path.write_bytes(text((at, first)))
            steps = do_and_commit(machine, store, [], "apply")
            path.write_bytes(text((at, first), (other, second)))
            steps += do_and_commit(machine, store, [], "apply")
            reversal = store.reverse([steps[taken_back]])
            put(machine, reversal.targets)
            assert reversal.conflicts == ()
            assert path.read_bytes() == text((other, second) if taken_back == 0 else (at, first))
