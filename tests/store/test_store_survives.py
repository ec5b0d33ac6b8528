"""The store against damage, races, killed processes and full disks: survived or said, never half done."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from snapshots.difference import scan, stat_cache
from snapshots.format.layout import PathChange, What
from snapshots.git.processes import FastImport
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Entry, capture
from snapshots.store import StoreError
from tests.store.machine import Machine, as_root, commit, fsck, make_machine, make_old, small_disk


@as_root
@pytest.mark.parametrize("size", ["200k", "400k", "1m", "2m"])
def test_a_full_disk_is_an_error_and_the_history_is_as_it_was(tmp_path: Path, size: str) -> None:
    machine = make_machine(tmp_path)
    with small_disk(machine.store_path.parent, size):
        store = machine.store()
        for number in range(3):
            (machine.etc / "small").write_text(f"{number}\n")
            commit(store)
        before = list(store.history())
        (machine.etc / "large").write_bytes(os.urandom(4_000_000))
        for _ in range(2):
            with pytest.raises(StoreError, match="space"):
                commit(store)
        assert list(store.history()) == before
        assert fsck(machine) == ""
        assert not list(machine.store_path.glob("**/tmp_*"))
        assert not list(machine.store_path.glob("fast_import_crash*"))
        (machine.etc / "large").unlink()
        (machine.etc / "small").write_text("after\n")
        assert commit(store) is not None
        assert commit(machine.open()) is None
        assert fsck(machine) == ""


@as_root
def test_a_disk_with_room_for_the_commit_alone_keeps_the_commit(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    for number in range(300):
        (machine.etc / f"file{number:03}").write_text(str(number))
    with small_disk(machine.store_path.parent, "2m"):
        store = machine.store()
        cached = (machine.store_path / "stat-cache").read_bytes()
        filler = machine.store_path.parent / "filler"
        filler.write_bytes(bytes(os.statvfs(filler.parent).f_bavail * 4096 - 5 * 4096))
        (machine.etc / "file000").write_text("changed")
        assert commit(store) is not None
        assert store.pending() == ()
        assert (machine.store_path / "stat-cache").read_bytes() == cached
        again = machine.open()
        assert again.pending() == ()
        filler.unlink()
        assert commit(again) is None
        assert fsck(machine) == ""


@as_root
def test_a_read_only_disk_is_an_error(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    with small_disk(machine.store_path.parent, "2m") as disk:
        store = machine.store()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        (machine.etc / "new").write_text("x")
        with pytest.raises(StoreError, match=r"[Rr]ead-only"):
            commit(store)
        assert len(list(store.history())) == 1
        assert store.pending() == (PathChange("etc/new", What.CREATED),)
        with pytest.raises(StoreError, match=r"[Rr]ead-only"):
            machine.open(["usr/x"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_git_that_is_killed_leaves_the_last_commit(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = machine.store()
    (machine.etc / "new").write_bytes(os.urandom(300_000))
    real = GitRepository.start

    def start_and_kill(self: GitRepository, *arguments: str | bytes, **more: object) -> object:
        process = real(self, *arguments, **more)  # type: ignore[arg-type]
        if "fast-import" in arguments:
            os.kill(process.pid, number)
            time.sleep(0.05)
        return process

    monkeypatch.setattr(GitRepository, "start", start_and_kill)
    with pytest.raises(StoreError, match=f"killed by signal {number:d}"):
        commit(store)
    monkeypatch.undo()
    assert len(list(store.history())) == 1
    assert commit(store) is not None
    assert fsck(machine) == ""


def test_a_program_that_stops_midway_leaves_no_process_and_no_commit(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine.store()
    (machine.etc / "new").write_text("x")
    processes = []
    real = GitRepository.start

    def spy(self: GitRepository, *arguments: str | bytes, **more: object) -> object:
        process = real(self, *arguments, **more)  # type: ignore[arg-type]
        processes.append(process.proc)
        return process

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GitRepository, "start", spy)
    monkeypatch.setattr(FastImport, "commit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        commit(store)
    monkeypatch.undo()
    assert [process.poll() is not None for process in processes] == [True]
    assert not list(machine.store_path.glob("objects/pack/tmp_*"))
    assert commit(store) is not None


def test_a_crash_between_the_commit_and_the_cache_costs_only_time(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = machine.store()
    (machine.etc / "new").write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(stat_cache, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            commit(first)
    again = machine.open()
    assert again.pending() == ()
    assert commit(again) is None
    assert len(list(again.history())) == 2


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "bit", "format", "folder"])
def test_a_damaged_cache_is_made_again(machine: Machine, damage: str) -> None:
    machine.store()
    cache = machine.store_path / "stat-cache"
    raw = cache.read_bytes()
    if damage == "gone":
        cache.unlink()
    elif damage == "folder":
        cache.unlink()
        cache.mkdir()
    else:
        flipped = raw[:-5] + bytes((raw[-5] ^ 1,)) + raw[-4:]
        cache.write_bytes({"empty": b"", "cut": raw[:-7], "bit": flipped, "format": b"other " + raw}[damage])
    (machine.etc / "mail/sendmail.mc").chmod(0o600)
    store = machine.open()
    assert store.pending() == (PathChange("etc/mail/sendmail.mc", What.METADATA),)
    assert commit(store) is not None
    assert commit(machine.open()) is None


def test_only_what_changed_is_read(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (machine.etc / f"file{number}").write_text("x")
    for path in (machine.etc / "file19", machine.etc):
        make_old(path)
    machine.store()
    (machine.etc / "file3").write_text("y")
    looked: list[bytes] = []

    def spy(path: bytes) -> tuple[Entry, os.stat_result] | None:
        looked.append(path)
        return capture(path)

    monkeypatch.setattr(scan, "capture", spy)
    again = machine.open()
    assert commit(again) is not None
    assert looked == [os.fsencode(machine.etc / "file3")]


def test_a_change_in_the_same_tick_with_size_and_time_as_before_is_seen(machine: Machine) -> None:
    path = machine.etc / "file"
    path.write_text("aaaa")
    found = path.stat()
    store = machine.store()
    for number in range(30):
        path.write_text(f"{number:04}")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert commit(store) is not None, number
        found_entry = store.entry("HEAD", "etc/file")
        assert found_entry is not None
        assert found_entry.content == f"{number:04}".encode()
        store = machine.open() if number % 2 else store


def test_a_row_seen_within_the_tick_of_its_change_is_never_believed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    found = (tmp_path / "file").stat()
    now = found.st_ctime_ns
    assert scan._row(found, now + 1_000_000, 0, b"").ctime == stat_cache.NEVER
    assert scan._row(found, now + 3_000_000_000, 0, b"").ctime == now
    assert scan._row(found, now - 3_000_000_000, 0, b"").ctime == stat_cache.NEVER


def test_files_that_come_and_go_during_the_walk_do_not_stop_it(machine: Machine) -> None:
    script = (
        "i=0; while [ ! -e ../stop ]; do i=$((i+1)); mkdir -p d$((i%7)); echo $i > d$((i%7))/f; echo $i > f$((i%5)); "
        "ln -sf $i l$((i%3)); rm -rf d$(((i+3)%7)) f$(((i+2)%5)); mv l$((i%3)) m; rm -f p; mkfifo p; done"
    )
    store = machine.open()
    with subprocess.Popen(["sh", "-c", script], cwd=machine.etc, stderr=subprocess.DEVNULL) as churn:
        try:
            commit(store, "baseline")
            for _ in range(15):
                commit(store)
                store.pending()
        finally:
            (machine.root / "stop").touch()
            churn.wait(30)
    commit(store)
    assert store.pending() == ()
    assert fsck(machine) == ""


def test_a_path_that_cannot_be_read_is_named_and_nothing_is_recorded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = machine.store()
    (machine.etc / "bad").write_text("x")

    def fail(path: bytes) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(scan, "capture", fail)
    with pytest.raises(
        StoreError, match=r"'etc(/bad)?' could not be read for the snapshot: Input/output error"
    ):
        commit(made)
    assert len(list(made.history())) == 1


def test_a_damaged_list_of_declared_paths_is_said(machine: Machine) -> None:
    machine.open(["usr/x"])
    (machine.store_path / "declared-paths.json").write_text("{")
    with pytest.raises(StoreError, match="declared paths"):
        machine.open()
