"""A commit of given entries: what one writer did, while others were at work on the same paths."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.errors import StoreError
from snapshots.live.entry import Entry, Kind, read_entry, remove_entry, write_entry
from snapshots.store import Store
from tests.store.machine import ALICE, Machine, commit, make_machine

PATHS = ("etc/a", "etc/b", "etc/d", "etc/d/x", "etc/d/y", "etc/new")


def own(content: bytes = b"", kind: Kind = Kind.FILE, mode: int = 0o644) -> Entry:
    return Entry(kind, mode, os.geteuid(), os.getegid(), content)


def give(store: Store, entries: dict[str, Entry | None], subject: str = "given") -> object:
    return store.commit(
        operation="apply", subject=subject, run="r", author=ALICE, step="install", entries=entries
    )


def test_only_the_given_paths_are_recorded(machine: Machine) -> None:
    (machine.root / "etc/a").write_text("base\n")
    store = machine.open()
    commit(store, "baseline")
    (machine.root / "etc/a").write_text("base\nours\ntheirs\n")
    (machine.root / "etc/mine").write_text("of somebody else\n")
    before = read_entry(machine.root / "etc/a")
    assert before is not None
    entry = dataclasses.replace(before, content=b"base\nours\n")
    made = give(store, {"etc/a": entry, "etc/gone": None})
    assert made is not None
    assert store.entry("HEAD", "etc/a") == entry
    assert store.entry("HEAD", "etc/mine") is None
    assert [one.path for one in store.pending()] == ["etc/a", "etc/mine"]
    assert machine.open().pending() == store.pending(), "also without what this process remembers"
    commit(store, "drift")
    assert store.entry("HEAD", "etc/a") == before
    assert not store.pending()


def test_nothing_new_is_no_commit(machine: Machine) -> None:
    (machine.root / "etc/a").write_text("base\n")
    store = machine.open()
    commit(store, "baseline")
    assert give(store, {"etc/a": read_entry(machine.root / "etc/a"), "etc/none": None}) is None


def test_a_folder_that_still_holds_something_stays(machine: Machine) -> None:
    (machine.root / "etc/d").mkdir()
    (machine.root / "etc/d/x").write_text("x")
    store = machine.open()
    commit(store, "baseline")
    give(store, {"etc/d": None})
    assert store.entry("HEAD", "etc/d") is not None
    give(store, {"etc/d": None, "etc/d/x": None})
    assert store.entry("HEAD", "etc/d") is None
    assert store.entry("HEAD", "etc/d/x") is None


@pytest.mark.parametrize("at", ["etc/link/x", "etc/link/deep/x", "etc/a/x"])
def test_nothing_is_recorded_below_what_is_no_folder(machine: Machine, at: str) -> None:
    """git would make a folder of it, and its content would be in no commit any more."""
    (machine.root / "etc/real").mkdir()
    (machine.root / "etc/link").symlink_to("real")
    (machine.root / "etc/a").write_text("a\n")
    store = machine.open()
    commit(store, "baseline")
    with pytest.raises(StoreError, match=r"is no folder but a (symlink|file)\. Nothing was recorded"):
        give(store, {at: own(b"x"), "etc/new": own(b"new")})
    assert [one.operation for one in store.history()] == ["baseline"]
    assert not machine.open().pending()
    give(store, {"etc/a": own(kind=Kind.DIRECTORY, mode=0o755), "etc/a/x": own(b"x")})
    assert store.entry("HEAD", "etc/a/x") == own(b"x")


STATES = st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=3) | st.none(), max_size=6)


@settings(deadline=None, max_examples=30)
@given(STATES, STATES, st.sets(st.sampled_from(PATHS)))
def test_given_and_the_rest_are_the_whole(
    first: dict[str, bytes | None], second: dict[str, bytes | None], ours: set[str]
) -> None:
    """Whatever is recorded apart first, the next commit of the live paths leaves nothing out, and both tell the truth."""
    with tempfile.TemporaryDirectory() as folder:
        machine = make_machine(Path(folder))
        (machine.root / "etc/d").mkdir()
        store = machine.open()
        _put(machine, first)
        commit(store, "baseline")
        _put(machine, second)
        live = {path: read_entry(machine.root / path) for path in PATHS}
        give(store, {path: live[path] for path in ours})
        head = store.entries("HEAD", PATHS)
        assert all(head[path] == live[path] for path in ours)
        commit(store, "drift")
        assert store.entries("HEAD", PATHS) == live
        assert not machine.open().pending()


def _put(machine: Machine, state: dict[str, bytes | None]) -> None:
    for path, content in state.items():
        if path == "etc/d":
            continue
        if content is None:
            remove_entry(machine.root / path)
        else:
            write_entry(machine.root / path, own(content))
