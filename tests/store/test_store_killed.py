"""Killed at any point, and out of space: what was committed is there, what was not is not, and work goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from snapshots.git import writers
from snapshots.store import Store, StoreError
from tests.store.hurt import check, grown, killed_in
from tests.store.machine import Machine, as_root, broken, commit, make_machine, small_disk


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
    assert broken(machine) == []
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
