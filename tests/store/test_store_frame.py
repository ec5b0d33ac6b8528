"""What makes the store's folder a repository, damaged in every way: it is put back and said, and no history is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.store import Store, StoreError
from tests.store.machine import Machine, commit, make_machine


def wrote(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda store: (store / name).write_bytes(content)


def edited(name: str, old: str, new: str) -> Callable[[Path], object]:
    def act(store: Path) -> None:
        text = (store / name).read_text()
        assert old in text
        (store / name).write_text(text.replace(old, new))

    return act


def gone(*names: str) -> Callable[[Path], object]:
    def act(store: Path) -> None:
        for name in names:
            path = store / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return act


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def act(store: Path) -> None:
        gone(name)(store)
        make(store / name)

    return act


HURT: dict[str, Callable[[Path], object]] = {
    "config is cut": wrote("config", b"[core"),
    "config is empty": wrote("config", b""),
    "config is zeros": wrote("config", b"\0" * 300),
    "config is not UTF-8": wrote("config", b"\xff\xfe[core]\n"),
    "config is another's": wrote("config", b"[user]\n\tname = x\n"),
    "config is huge": wrote("config", b"#" * 200_000),
    "config ends early": lambda store: (store / "config").write_bytes((store / "config").read_bytes()[:80]),
    "config is not bare": edited("config", "bare = true", "bare = false"),
    "config is of a newer git": edited(
        "config", "repositoryformatversion = 0", "repositoryformatversion = 9"
    ),
    "config has a number that is none": edited("config", "[core]", "[core]\n\tcompression = banana"),
    "config has a section that is none": edited("config", "[core]", "[a b c]\n\tx = y\n[core]"),
    "config leads elsewhere": edited("config", "[core]", "[core]\n\tworktree = /nowhere"),
    "config includes": edited("config", "[core]", "[include]\n\tpath = /nowhere\n[core]"),
    "config is a folder": instead("config", Path.mkdir),
    "config is a pipe": instead("config", os.mkfifo),
    "config is a link": instead("config", lambda path: path.symlink_to("HEAD")),
    "config is gone": gone("config"),
    "HEAD is gone": gone("HEAD"),
    "HEAD is zeros": wrote("HEAD", b"\0" * 23),
    "HEAD is a folder": instead("HEAD", Path.mkdir),
    "HEAD is a pipe": instead("HEAD", os.mkfifo),
    "refs are gone": gone("refs"),
    "refs is a file": instead("refs", Path.touch),
    "HEAD and refs are gone": gone("HEAD", "refs"),
    "only the objects are there": gone("HEAD", "refs", "config"),
    "the branch is gone": gone("refs/heads/main"),
    "the branch is a pipe": instead("refs/heads/main", os.mkfifo),
    "packed-refs is no text": wrote("packed-refs", b"\0\xff junk\n"),
    "shallow is no list": wrote("shallow", b"junk\n"),
}


def with_history(machine: Machine) -> list[str]:
    store = machine.store()
    for number in range(3):
        (machine.etc / "f").write_text(f"{number}\n")
        commit(store)
    return [item.id for item in store.history()]


@pytest.mark.parametrize("name", HURT)
def test_it_is_put_back_and_said_and_no_commit_is_lost(machine: Machine, name: str) -> None:
    history = with_history(machine)
    HURT[name](machine.store_path)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"is damaged: .* It was only looked at"):
        Store.open_existing(machine.store_path, root=machine.root)
    assert time.monotonic() - began < 1
    store = machine.open()
    assert time.monotonic() - began < 2
    assert store.healed
    assert [item.id for item in store.history()] == history
    (machine.etc / "f").write_text("after\n")
    assert commit(store) is not None
    again = machine.open()
    assert again.healed == ()
    assert [item.id for item in again.history()][1:] == history


def test_what_an_admin_added_for_himself_stays(machine: Machine) -> None:
    machine.store()
    config = machine.store_path / "config"
    config.write_text(config.read_text() + "[user]\n\tname = Alice\n[alias]\n\tl = log --oneline\n")
    text = config.read_text()
    assert machine.open().healed == ()
    assert config.read_text() == text


def test_the_branch_comes_back_to_the_commit_that_is_no_others_parent(machine: Machine) -> None:
    history = with_history(machine)
    gone("HEAD", "refs")(machine.store_path)
    head = machine.open().head()
    assert head is not None
    assert head.id == history[0]


def empty(store: Path) -> None:
    gone(*(path.name for path in store.iterdir()))(store)


WIPED: dict[str, Callable[[Path], object]] = {
    "the folder is gone": shutil.rmtree,
    "the folder is empty": empty,
    "no object and no branch is left": gone("objects/pack", "refs/heads/main", "stat-cache"),
}


@pytest.mark.parametrize("name", WIPED)
def test_a_store_that_was_wiped_is_missed_until_a_new_history_begins(machine: Machine, name: str) -> None:
    with_history(machine)
    WIPED[name](machine.store_path)
    assert "is gone" in Store.lost(machine.store_path)
    for _ in range(2):  # whoever comes, until there is a baseline
        store = machine.open()
        assert "The history that was in" in store.healed[-1]
        assert "begins a new history" in store.healed[-1]
        assert store.head() is None
        assert "is gone" in Store.lost(machine.store_path)
    assert commit(store, "baseline") is not None
    assert machine.open().healed == ()
    assert Store.lost(machine.store_path) == ""


def test_where_there_never_was_one_nothing_is_missed(machine: Machine) -> None:
    assert Store.lost(machine.store_path) == ""
    assert machine.open().healed == ()
    assert machine.open().healed == ()  # made, and killed before the baseline
    assert Store.lost(machine.store_path) == ""


def test_a_store_of_before_the_mark_gets_one(machine: Machine) -> None:
    with_history(machine)
    mark = machine.store_path.with_name("etc.git-history")
    assert mark.stat().st_mode & 0o777 == 0o600
    mark.unlink()
    machine.open()
    assert mark.is_file()
    shutil.rmtree(machine.store_path)
    assert "is gone" in Store.lost(machine.store_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = make_machine(tmp_path_factory.mktemp("model"))
    with_history(machine)
    return machine


FILES = (
    "config",
    "HEAD",
    "refs/heads/main",
    "packed-refs",
    "shallow",
    "stat-cache",
    "declared",
    "pack",
    "idx",
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    edits=st.lists(
        st.tuples(
            st.sampled_from(FILES),
            st.integers(0, 400),
            st.integers(0, 30),
            st.binary(max_size=8) | st.just(b"\n[core"),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_bytes_that_changed_anywhere_end_in_errors_of_our_own(
    model: Machine, tmp_path: Path, edits: list[tuple[str, int, int, bytes]]
) -> None:
    copy = tmp_path / "var"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(model.store_path.parent, copy)
    store_path = copy / model.store_path.name
    for name, at, cut, new in edits:
        found = sorted(store_path.glob(f"objects/pack/*.{name}"))
        path = found[0] if found else store_path / name
        content = path.read_bytes() if path.exists() else b""
        if path.exists():
            path.chmod(0o600)
        path.write_bytes(content[:at] + new + content[at + cut :])
    for opened in (Store.open_existing, Store.open, Store.open_existing):
        began = time.process_time()
        with contextlib.suppress(StoreError):
            store = opened(store_path, root=model.root)
            if store is not None:
                [store.diff(item) for item in store.history(2)]
        assert time.process_time() - began < 1
