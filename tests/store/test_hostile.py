"""Content that means harm or is merely odd: held, shown and rolled back as it is, or refused by its name."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from snapshots.live.entry import Kind
from snapshots.merge.three_way import Choice
from snapshots.store import Store, StoreError
from tests.store.machine import HOSTILE, Machine, as_root, commit, live, put


def step(store: Store) -> str:
    made = commit(store, "apply", step="x")
    assert made is not None
    return made.id


def take_back(machine: Machine, store: Store, identity: str, choice: Choice | None = None) -> tuple[str, ...]:
    reversal = store.reverse([store.find(identity)], choice=choice)
    put(machine, reversal.targets)
    commit(store, "rollback", reverts=[identity], record=b"")
    return (*reversal.notes, *(one.text for one in reversal.conflicts))


def test_any_name_is_shown_on_one_line_and_rolled_back(machine: Machine) -> None:
    names = [os.fsdecode(name) for name in HOSTILE]
    folder = machine.etc / "folder"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("1\n2\n3\n4\n5\n")
    store = machine.store()
    before = live(machine)
    for name in names:
        (folder / name).write_text("step\n2\n3\n4\n5\n")
        (machine.etc / name).mkdir()
        if name != ".git":
            (machine.etc / name / name).symlink_to(name)
    identity = step(store)
    text = store.diff(identity)
    assert text.count("created, directory") == len(names) - 1  # a folder called .git is none of ours
    assert all(
        line.replace("\t", "") == "" or line.replace("\t", "").isprintable() for line in text.split("\n")
    )
    for name in names:
        (folder / name).write_text("step\n2\n3\n4\nmine\n")
        (machine.etc / name).chmod(0o700)
    commit(store)
    assert store.changes("HEAD").keys() == {
        *(f"etc/folder/{name}" for name in names),
        *(f"etc/{name}" for name in names if name != ".git"),
    }
    notes = take_back(machine, store, identity)
    assert len(notes) == len(names) - 1
    assert all(note.isprintable() for note in notes)
    (machine.etc / ".git").rmdir()
    for name in names:
        assert (folder / name).read_text() == "1\n2\n3\n4\nmine\n"
        (folder / name).write_text("1\n2\n3\n4\n5\n")
    assert live(machine) == before


@pytest.mark.parametrize("middle", [b"line %d " + b"x" * 200 + b"\n", b"\0%d" + b"\xff" * 200])
def test_twenty_megabytes_are_held_named_and_rolled_back(machine: Machine, middle: bytes) -> None:
    path = machine.etc / "large"
    large = b"".join(middle % number for number in range(20_000_000 // (len(middle) + 5)))
    path.write_bytes(b"before\n" + large)
    store = machine.store()
    path.write_bytes(b"step\n" + large)
    identity = step(store)
    assert len(store.diff(identity)) < 200
    entry = store.entry(identity, "etc/large")
    assert entry is not None
    assert entry.content == b"step\n" + large
    path.write_bytes(b"step\n" + large + b"mine\n")
    commit(store)
    said = take_back(machine, store, identity)
    if middle.startswith(b"\0"):
        assert said[0].startswith("content, binary: ")
        take_back(machine, store, identity, Choice.RESTORE)
    else:
        assert path.read_bytes() == b"before\n" + large + b"mine\n"


@as_root
def test_devices_fifos_and_sockets_are_recorded_shown_and_never_opened_nor_made(machine: Machine) -> None:
    def make(folder: Path) -> None:
        os.mkfifo(folder / "fifo")
        os.mknod(folder / "device", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        os.mknod(folder / "disk", stat.S_IFBLK | 0o660, os.makedev(8, 1))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "socket"))

    (machine.etc / "old").mkdir()
    (machine.etc / "new").mkdir()
    make(machine.etc / "old")
    store = machine.store()
    make(machine.etc / "new")
    for path in (machine.etc / "old").iterdir():
        path.unlink()
        path.write_text("a file now\n")
    identity = step(store)
    text = store.diff(identity)
    assert "/etc/new/device: created, char:1:5, mode 0" in text
    assert "/etc/old/disk: block:8:1 -> file\n" in text
    assert store.changes(identity)["etc/new/fifo"][1] == store.entry("HEAD", "etc/new/fifo")
    said = take_back(machine, store, identity)
    assert [note.split(":")[0] for note in said] == [
        "/etc/old/device was a char", "/etc/old/disk was a block", "/etc/old/fifo was a fifo", "/etc/old/socket was a socket",
    ]  # fmt: skip
    assert list((machine.etc / "new").iterdir()) == []
    assert all(path.is_file() for path in (machine.etc / "old").iterdir())


def test_links_lead_nowhere(machine: Machine) -> None:
    outside = machine.root / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    store = machine.store()
    before = live(machine)
    (machine.etc / "loop").symlink_to("loop")
    (machine.etc / "up").symlink_to("..")
    (machine.etc / "folder").symlink_to(outside)
    (machine.etc / "store").symlink_to(machine.store_path)
    identity = step(store)
    changes = store.changes(identity)
    assert len(changes) == 4
    assert all(after and after.kind is Kind.SYMLINK for _, after in changes.values())
    assert "secret\n" not in store.diff(identity)
    take_back(machine, store, identity)
    assert live(machine) == before
    assert (outside / "secret").read_text() == "secret"


def test_a_path_too_deep_to_be_named_is_refused_by_its_beginning(machine: Machine) -> None:
    store = machine.store()
    here = os.open(machine.etc, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("n" * 250, dir_fd=here)
        below = os.open("n" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(
        StoreError, match=r"'etc/n{250}/.*' could not be read for the snapshot: File name too long"
    ):
        commit(store)
    assert len(list(store.history())) == 1
    # Nothing else can remove it, either, but from the inside out.
    (machine.etc / ("n" * 250)).rename(machine.root / "deep")
    assert commit(store) is None
