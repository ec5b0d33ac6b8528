"""A store that was damaged: the next start says so, repairs it, and the last good state can be restored."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from snapshots import repair
from snapshots.git import writers
from snapshots.git.repository import GitRepository
from snapshots.store import Store, StoreError
from tests.store.hurt import check, everything, grown, killed_in, overwrite, packs, shortened
from tests.store.machine import Machine, as_root, commit, make_machine, small_disk

LENGTHS = [0, 1, 11, 31, 0.3, 0.9, -21, -20, -1]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_pack_that_was_cut_short(machine: Machine, which: int, length: float) -> None:
    held = grown(machine)
    pack = packs(machine)[which]
    shortened(pack, length)
    damaged = pack.read_bytes()
    reader_says_it_and_changes_nothing(machine, f"{pack.name} is cut short")
    store = machine.open()
    told = " ".join(store.healed)
    assert pack.name in told
    newest = store.find("HEAD")
    if length in (-20, -1):  # in the sum at its end: every object is there
        assert newest.id == list(held)[-1]
        assert "none after it is lost. What was damaged" in told
    elif which == 0:
        # The baseline is lost, and what has not changed since was taken from the files themselves.
        assert newest.id == list(held)[-1]
        assert f"All that was before {list(held)[1][:10]} is lost: the history begins there now." in told
        with pytest.raises(StoreError, match="the beginning"):
            store.reverse([list(store.history())[-1]])
    else:
        assert newest.id == list(held)[which - 1]
        assert f"Lost is {list(held)[-1][:10]} (number 3)" in told or which == 3
        assert list(held)[which][:10] in told
    (evidence,) = machine.store_path.glob(f"damaged/*/{pack.name}")
    assert evidence.read_bytes() == damaged
    assert evidence.parent.stat().st_mode & 0o7777 == 0o700
    check(machine, held, store)


def reader_says_it_and_changes_nothing(machine: Machine, words: str) -> None:
    before = everything(machine)
    with pytest.raises(StoreError, match="the next `apply`, `rollback` or `recover` repairs it") as raised:
        Store.open_existing(machine.store_path, root=machine.root)
    assert words in str(raised.value)
    assert everything(machine) == before


@pytest.mark.parametrize("length", [0, 7, 500, 0.5, -21, -1])
@pytest.mark.parametrize("which", [0, 3])
def test_an_index_that_was_cut_short_costs_nothing(machine: Machine, which: int, length: float) -> None:
    held = grown(machine)
    index = packs(machine)[which].with_suffix(".idx")
    shortened(index, length)
    reader_says_it_and_changes_nothing(machine, "has a damaged index")
    store = machine.open()
    assert store.find("HEAD").id == list(held)[-1]
    assert "none after it is lost. What was damaged" in " ".join(store.healed)
    assert list(machine.store_path.glob(f"damaged/*/{index.name}"))
    check(machine, held, store)


@pytest.mark.parametrize("gone", [".idx", ".pack"])
def test_a_pack_or_an_index_that_is_gone(machine: Machine, gone: str) -> None:
    held = grown(machine)
    packs(machine)[3].with_suffix(gone).unlink()
    store = machine.open()
    assert store.find("HEAD").id == list(held)[3 if gone == ".idx" else 2]
    check(machine, held, store)


@pytest.mark.parametrize("at", range(5, 95, 10))
def test_a_flipped_bit_in_the_only_pack_costs_no_more_than_it_must(machine: Machine, at: int) -> None:
    held = grown(machine)
    with writers.writer_mark(machine.store_path):
        GitRepository(machine.store_path).run("repack", "-adfq", "--depth=50")
    (pack,) = packs(machine)
    content = bytearray(pack.read_bytes())
    content[len(content) * at // 100] ^= 1
    overwrite(pack, bytes(content))
    reader_says_it_and_changes_nothing(machine, f"{pack.name} is damaged inside")
    store = machine.open()
    assert store.find("HEAD").id in held
    check(machine, held, store)


@pytest.mark.parametrize("content", [b"", b"\0" * 41, b"ref: x\n", b"1" * 40 + b"\n", b"0123", None])
def test_a_branch_that_names_nothing_is_found_again(machine: Machine, content: bytes | None) -> None:
    held = grown(machine)
    branch = machine.store_path / "refs/heads/main"
    branch.unlink() if content is None else branch.write_bytes(content)
    reader_says_it_and_changes_nothing(
        machine, "The newest commit" if content == b"1" * 40 + b"\n" else "refs/heads/main"
    )
    store = machine.open()
    assert store.find("HEAD").id == list(held)[-1]
    assert content is None or next(machine.store_path.glob("damaged/*/main")).read_bytes() == content
    check(machine, held, store)


@pytest.mark.parametrize("length", [0, 5, -1])
def test_a_loose_object_that_was_cut_short(machine: Machine, length: int) -> None:
    held = grown(machine)
    last = packs(machine)[3]
    moved = last.rename(machine.root / "pack")
    last.with_suffix(".idx").unlink()
    with moved.open("rb") as stream:
        command = ["git", f"--git-dir={machine.store_path}", "unpack-objects", "-q"]
        subprocess.run(command, stdin=stream, check=True)
    assert machine.open().healed == ()
    damaged = [one for one in machine.store_path.glob("objects/??/*") if one.name == list(held)[-1][2:]]
    shortened(damaged[0], length)
    reader_says_it_and_changes_nothing(machine, f"The object {list(held)[-1]} is")
    store = machine.open()
    assert store.find("HEAD").id == list(held)[2]
    assert (
        next(machine.store_path.glob(f"damaged/*/{list(held)[-1]}")).stat().st_size == max(0, length)
        or length < 0
    )
    check(machine, held, store)


def test_a_store_of_which_nothing_can_be_read_is_left_as_it_was(machine: Machine) -> None:
    machine.store()
    shortened(packs(machine)[0], 0.4)
    (machine.etc / "mail/sendmail.mc").write_text("later\n")
    before = everything(machine)
    with pytest.raises(
        StoreError, match="could not be repaired: no commit in it can be read as a whole"
    ) as raised:
        machine.open()
    assert "Nothing was changed. Move" in str(raised.value)
    assert everything(machine) == before
    machine.store_path.rename(machine.store_path.with_name("kept"))
    assert commit(machine.open(), "baseline") is not None


def test_a_repair_that_is_killed_is_done_again(machine: Machine) -> None:
    held = grown(machine)
    shortened(packs(machine)[3], 0.5)
    shortened(packs(machine)[1].with_suffix(".idx"), 0.5)
    at = 0
    while killed_in(machine.open, at):
        at += 7
    assert at > 100
    store = machine.open()
    assert store.find("HEAD").id == list(held)[2]
    check(machine, held, store)


@as_root
def test_a_store_that_cannot_be_repaired_for_lack_of_space_says_so(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    with small_disk(machine.store_path.parent, "1m") as disk:
        held = grown(machine)
        shortened(packs(machine)[3], 0.5)
        filler = disk / "filler"
        filler.write_bytes(bytes((os.statvfs(disk).f_bavail) * 4096))
        before = everything(machine)
        with pytest.raises(StoreError, match="No space left"):
            machine.open()
        assert everything(machine) == before
        filler.unlink()
        check(machine, held, machine.open())


def test_a_disk_that_fails_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    grown(machine)
    shortened(packs(machine)[3], 0.5)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(repair, "_put_back", fail)
        with pytest.raises(StoreError, match=r"could not be repaired: .*Input/output error"):
            machine.open()
    assert machine.open().healed
