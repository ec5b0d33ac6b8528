"""A store that was hurt: the next start says so, mends it, and the last good state can be restored."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots import healing, writers
from snapshots.entry import Entry
from snapshots.git_repository import GitRepository
from snapshots.store import Store, StoreError
from tests.unit.snapshots.machine import Machine, commit, live, make_machine, put
from tests.unit.snapshots.test_store_survives import as_root, fsck, small_disk

_EVENTS = ("open", "os.", "subprocess.Popen", "shutil.", "fcntl.flock")
"""The audit events that stand for work on files and processes."""

States = dict[str, dict[str, Entry | None]]


def grown(machine: Machine, count: int = 3) -> States:
    """Commits after a baseline; what /etc was in each, by its id."""
    store = machine.open()
    held = {}
    for number in range(count + 1):
        if number:
            (machine.etc / f"file{number}").write_text(f"{number}\n" * number * 50)
            (machine.etc / "mail/sendmail.mc").write_text(f"divert(0)dnl\nnumber {number}\n")
        made = commit(store, "apply" if number else "baseline", step="x", subject=f"number {number}")
        assert made is not None
        held[made.id] = live(machine)
    return held


def check(machine: Machine, held: States, store: Store) -> None:
    """The newest commit is one that was made, and can be restored; work goes on from there."""
    told = " ".join(store.healed)
    newest = store.find("HEAD")
    if newest.id in held:
        assert store.entries(newest, list(held[newest.id])) == held[newest.id]
    commit(store)
    before = live(machine)
    (machine.etc / "after").write_text("x")
    assert commit(store, "apply") is not None
    put(machine, store.reverse([store.find("HEAD")]).targets)
    commit(store, "rollback")
    assert live(machine) == before
    assert store.entries("HEAD", list(before)) == before
    assert len(list(store.history(path="etc/mail/sendmail.mc"))) >= min(1, len(held))
    if "cannot be read any more" not in told:
        assert [line for line in fsck(machine).splitlines() if not line.startswith("dangling")] == []
    again = machine.open()
    assert again.healed == ()
    assert commit(again) is None


def packs(machine: Machine) -> list[Path]:
    """Oldest first."""
    folder = machine.store_path / "objects/pack"
    return sorted(folder.glob("*.pack"), key=lambda one: one.stat().st_mtime_ns)


def everything(machine: Machine) -> dict[Path, bytes]:
    return {one: one.read_bytes() for one in machine.store_path.parent.rglob("*") if one.is_file()}


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def shortened(path: Path, length: float) -> None:
    """To a part of it, or by so many bytes."""
    content = path.read_bytes()
    overwrite(path, content[: int(length * len(content)) if 0 < length < 1 else int(length)])


def killed_in(deed: Callable[[], object], at: int) -> bool:
    """Whether the deed, in a child that is killed at an event of its work, was cut short."""
    child = os.fork()
    if not child:
        seen = 0

        def count(event: str, _: object) -> None:
            nonlocal seen
            seen += event.startswith(_EVENTS)
            if seen > at and event != "os.kill":
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            deed()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_commit_killed_at_any_point_is_there_or_not_there(tmp_path: Path) -> None:
    at, number, sentences = 0, 0, ""
    machine = make_machine(tmp_path)
    store = machine.store()
    while True:
        number += 1
        (machine.etc / "file").write_text(f"{number}\n" * 100)
        before = store.find("HEAD")
        if not killed_in(lambda: commit(store, "apply", subject=f"{number}"), at):  # noqa: B023
            break
        store = machine.open()
        sentences += "\n".join(store.healed)
        newest = store.find("HEAD")
        assert newest == before or newest.subject == f"{number}"
        made = commit(store)
        assert (made is None) == (newest != before)
        assert not list(machine.store_path.glob("**/tmp_*"))
        at += 1
    assert at > 10
    assert "An earlier run was cut short; what it left is removed: " in sentences
    assert "lost" not in sentences
    assert "dangling" in (said := fsck(machine)) or said == ""
    check(machine, {}, machine.open())


@pytest.mark.parametrize("milliseconds", range(0, 30, 2))
def test_a_commit_killed_at_any_time_with_its_git_is_there_or_not_there(
    machine: Machine, milliseconds: int
) -> None:
    held = grown(machine, 1)
    store = machine.open()
    (machine.etc / "new").write_bytes(os.urandom(200_000))
    child = os.fork()
    if not child:
        try:
            commit(store)
        finally:
            os._exit(0)
    time.sleep(milliseconds / 1000)
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if os.fsencode(machine.store_path) in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    store = machine.open()
    assert "lost" not in " ".join(store.healed)
    check(machine, held, store)


def test_a_git_that_outlives_its_program_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.store()
    with writers.writer_mark(machine.store_path) as mark:
        holder = subprocess.Popen(["sleep", "0.5"], pass_fds=[mark])
    began = time.monotonic()
    machine.open()
    assert time.monotonic() - began > 0.3
    assert holder.wait() == 0
    monkeypatch.setattr(writers, "_PATIENCE", 0.1)
    with writers.writer_mark(machine.store_path), pytest.raises(StoreError, match="still at work"):
        machine.open()


def test_what_a_killed_process_leaves_is_removed_and_said(machine: Machine) -> None:
    held = grown(machine)
    left = [
        "HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x",
        "objects/pack/.tmp-7-pack-x.pack", "objects/ab/tmp_obj_x", "fast_import_crash_7", "healing.x/objects/y",
        ".msa-wizard-0", "stat-cache.0123", "../.etc.git.0123/config", "objects/tmp_objdir-bulk-fsync-x/y",
    ]  # fmt: skip
    for name in left:
        (machine.store_path / name).parent.mkdir(exist_ok=True, parents=True)
        (machine.store_path / name).write_text("")
    guard = machine.store_path / "objects/pack/pack-x.keep"
    guard.write_text("fast-import")
    assert Store.open_existing(machine.store_path, root=machine.root) is not None
    store = machine.open()
    assert len(store.healed) == 1
    assert all(
        (machine.store_path / name).name in store.healed[0] or "/y" in name or "config" in name
        for name in left
    )
    assert [name for name in left if (machine.store_path / name).exists()] == []
    assert not guard.exists()
    check(machine, held, store)


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
    with pytest.raises(StoreError, match="the next `apply`, `rollback` or `recover` mends it") as raised:
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
        StoreError, match="could not be mended: no commit in it can be read as a whole"
    ) as raised:
        machine.open()
    assert "Nothing was changed. Move" in str(raised.value)
    assert everything(machine) == before
    machine.store_path.rename(machine.store_path.with_name("kept"))
    assert commit(machine.open(), "baseline") is not None


def test_a_mending_that_is_killed_is_done_anew(machine: Machine) -> None:
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
@pytest.mark.parametrize("free", range(0, 15, 2))
def test_a_store_on_a_full_disk_opens_and_is_as_it_was(tmp_path: Path, free: int) -> None:
    machine = make_machine(tmp_path)
    with small_disk(machine.store_path.parent, "1m") as disk:
        held = grown(machine)
        (machine.etc / "large").write_bytes(os.urandom(20_000))
        filler = disk / "filler"
        filler.write_bytes(bytes((os.statvfs(disk).f_bavail - free) * 4096))
        store = machine.open()
        assert store.healed == ()
        before = store.head()
        made = None
        with contextlib.suppress(StoreError):
            made = commit(store)
        again = machine.open()
        assert again.healed == ()
        assert again.head() == (made or before)
        filler.unlink()
        check(machine, held, again)


@as_root
def test_a_store_that_cannot_be_mended_for_want_of_space_says_so(tmp_path: Path) -> None:
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
        patch.setattr(healing, "_put_back", fail)
        with pytest.raises(StoreError, match=r"could not be mended: .*Input/output error"):
            machine.open()
    assert machine.open().healed
