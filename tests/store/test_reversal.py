"""Taking commits back on real git and a real file system: what goes, what stays, what is asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots.format.message import Commit
from snapshots.live.entry import Entry, Kind, read_entry
from snapshots.merge.reversal import Reversal
from snapshots.merge.three_way import Choice
from snapshots.store import Store, StoreError
from tests.store.machine import Machine, commit, live, put

MC = "etc/mail/sendmail.mc"


def step(store: Store, operation: str = "apply") -> Commit:
    made = commit(store, operation, step="mc-includes")
    assert made is not None
    return made


def changed_since(
    machine: Machine, path: Path, before: str, by_step: str, since: str
) -> tuple[Store, Commit]:
    """A store whose file a step has changed, and then somebody else; and the commit of the step."""
    path.write_text(before)
    store = machine.store()
    path.write_text(by_step)
    made = step(store)
    path.write_text(since)
    commit(store)
    return store, made


def whats(reversal: Reversal) -> dict[str, str]:
    return {one.path: one.what for one in reversal.conflicts}


def test_a_step_that_nobody_touched_since_goes_back_exactly(machine: Machine) -> None:
    path = machine.root / MC
    path.chmod(0o640)
    os.setxattr(path, "user.note", b"\0kept")
    (machine.etc / "link").symlink_to("before")
    (machine.etc / "gone").write_bytes(b"\xff\r\n no newline")
    store = machine.store()
    before = live(machine)
    path.write_text("other\n")
    path.chmod(0o4755)
    os.setxattr(path, "user.note", b"changed")
    os.setxattr(path, "user.more", b"")
    (machine.etc / "link").unlink()
    (machine.etc / "link").mkdir()
    (machine.etc / "link/inside").write_text("x")
    (machine.etc / "gone").unlink()
    (machine.etc / "new").mkdir(mode=0o700)
    (machine.etc / "new/file").write_text("x")
    (machine.etc / "mail").chmod(0o2750)
    made = step(store)
    reversal = store.reverse([made])
    assert (reversal.head, reversal.commits) == (made.id, (made,))
    assert (reversal.merged, reversal.conflicts, reversal.notes) == ((), (), ())
    assert list(reversal.targets) == sorted(store.changes(made))
    assert reversal.targets == {path: (pair[1], pair[0]) for path, pair in store.changes(made).items()}
    assert live(machine) != before
    put(machine, reversal.targets)
    assert live(machine) == before


def test_later_work_stays_and_a_conflict_is_asked(machine: Machine) -> None:
    path = machine.root / MC
    before, by_step = "1\n2\n3\n4\n5\n6\n7\n", "1\nstep\n3\n4\n5\nstep\n7\n"
    store, made = changed_since(machine, path, before, by_step, f"{by_step}mine\n")
    reversal = store.reverse([made])
    assert reversal.merged == (MC,)
    assert reversal.conflicts == ()
    assert reversal.targets[MC][1] == Entry(
        Kind.FILE, 0o644, os.geteuid(), os.getegid(), b"1\n2\n3\n4\n5\n6\n7\nmine\n"
    )
    path.write_text("1\nadmin\n3\n4\n5\nstep\n7\n")
    commit(store)
    reversal = store.reverse([made])
    assert whats(reversal) == {MC: "content"}
    assert "admin\n||||||| as the step left it\nstep\n=======\n2\n>>>>>>>" in reversal.conflicts[0].text
    assert reversal.targets == {}
    for choice, word in ((Choice.KEEP, b"admin"), (Choice.RESTORE, b"2")):
        chosen = store.reverse([made], choice=choice)
        wanted = chosen.targets[MC][1]
        assert wanted is not None
        assert wanted.content == b"1\n" + word + b"\n3\n4\n5\n6\n7\n"
        assert chosen.conflicts == ()
        notes = (f"/{MC} keeps what was changed there since.",) if choice is Choice.KEEP else ()
        assert chosen.notes == notes


def test_several_commits_go_back_together_newest_first(machine: Machine) -> None:
    store = machine.store()
    before = live(machine)
    path = machine.root / MC
    made = []
    for number in range(3):
        path.write_text(f"{number}\n")
        made.append(step(store))
    (machine.etc / "other").write_text("mine")
    commit(store)
    reversal = store.reverse([made[1], made[0], made[2], made[0]])
    assert reversal.commits == tuple(reversed(made))
    put(machine, reversal.targets)
    assert live(machine) == before | {"etc/other": read_entry(machine.etc / "other")}


def test_drift_between_two_steps_stays(machine: Machine) -> None:
    path = machine.root / MC
    path.write_text("1\n2\n3\n4\n5\n")
    store = machine.store()
    path.write_text("first\n2\n3\n4\n5\n")
    first = step(store)
    path.write_text("first\n2\nmine\n4\n5\n")
    commit(store)
    path.write_text("first\n2\nmine\n4\nsecond\n")
    second = step(store)
    put(machine, store.reverse([first, second]).targets)
    assert path.read_text() == "1\n2\nmine\n4\n5\n"


def test_the_same_line_put_there_by_two_commits_goes_once(machine: Machine) -> None:
    """As a rollback that is rolled back after the step was applied again leaves it: both are in force."""
    path = machine.etc / "mail/of-a-step"
    store = machine.store()
    path.write_text("made\n")
    made = [step(store)]
    path.write_text("made\nline\n")
    made.append(step(store))
    path.write_text("made\n")
    commit(store, "rollback")
    path.write_text("made\nline\n")
    made.append(step(store))
    reversal = store.reverse(made)
    assert not reversal.conflicts
    put(machine, reversal.targets)
    assert not path.exists()


def test_what_was_rolled_back_is_not_rolled_back_twice(machine: Machine) -> None:
    path = machine.root / MC
    store = machine.store()
    path.write_text("step\n")
    made = step(store)
    put(machine, store.reverse([made]).targets)
    back = commit(store, "rollback", reverts=[made.id])
    assert back is not None
    assert back.reverts == store.find("HEAD").reverts == (made.id,)
    again = store.reverse([made])
    assert (again.commits, again.targets) == ((), {})
    assert again.notes == (f"{made.short} (a change) was rolled back already.",)
    put(machine, store.reverse([back]).targets)
    assert path.read_text() == "step\n"
    commit(store, "rollback", reverts=[back.id])
    assert store.reverse([made]).commits == (made,)
    put(machine, store.reverse([made]).targets)
    assert path.read_text() == "divert(0)dnl\nMAILER(`local')dnl\n"


def test_what_the_admin_deleted_comes_back_with_its_folder(machine: Machine) -> None:
    (machine.etc / "mail/sub").mkdir()
    (machine.etc / "mail/sub/file").write_text("before\n")
    store = machine.store()
    (machine.etc / "mail/sub/file").write_text("step\n")
    made = step(store)
    (machine.etc / "mail").chmod(0o2750)
    commit(store)
    shutil.rmtree(machine.etc / "mail")
    commit(store)
    reversal = store.reverse([made])
    assert list(reversal.targets) == ["etc/mail", "etc/mail/sub", "etc/mail/sub/file"]
    assert reversal.notes == (
        "/etc/mail is a folder again, for /etc/mail/sub/file is to be in it.",
        "/etc/mail/sub is a folder again, for /etc/mail/sub/file is to be in it.",
        "/etc/mail/sub/file was deleted since; it is brought back as it was before.",
    )
    put(machine, reversal.targets)
    assert (machine.etc / "mail/sub/file").read_text() == "before\n"
    assert (machine.etc / "mail").stat().st_mode & 0o7777 == 0o2750


def test_what_both_deleted_is_no_matter(machine: Machine) -> None:
    store = machine.store()
    (machine.etc / "new").write_text("x")
    made = step(store)
    (machine.etc / "new").unlink()
    commit(store)
    reversal = store.reverse([made])
    assert (reversal.targets, reversal.conflicts, reversal.notes) == ({}, (), ())


def test_a_folder_of_the_step_goes_unless_something_stays_in_it(machine: Machine) -> None:
    store = machine.store()
    (machine.etc / "new/deep").mkdir(parents=True)
    (machine.etc / "new/deep/file").write_text("x")
    made = step(store)
    (machine.etc / "new").chmod(0o700)
    commit(store)
    reversal = store.reverse([made])
    assert set(reversal.targets) == {"etc/new", "etc/new/deep", "etc/new/deep/file"}
    assert reversal.notes == ("/etc/new goes, though its mode, owner or attributes were changed since.",)
    (machine.etc / "new/deep/mine\n").write_text("x")
    (machine.etc / "new/deep/too").write_text("x")
    commit(store)
    reversal = store.reverse([made])
    assert set(reversal.targets) == {"etc/new/deep/file"}
    assert reversal.notes == (
        "/etc/new stays, for it still holds /etc/new/deep.",
        "/etc/new/deep stays, for it still holds /etc/new/deep/mine\\n and 1 more.",
    )
    assert reversal.conflicts == ()


def test_a_file_of_the_step_that_was_changed_since_is_asked_about(machine: Machine) -> None:
    store = machine.store()
    (machine.etc / "new/deep").mkdir(parents=True)
    (machine.etc / "new/deep/file").write_text("x")
    made = step(store)
    (machine.etc / "new/deep/file").write_text("mine")
    commit(store)
    reversal = store.reverse([made])
    assert whats(reversal) == {"etc/new/deep/file": "deletion"}
    assert (reversal.targets, reversal.notes) == ({}, ()), "whether the folders stay is decided with it"
    kept = store.reverse([made], choice=Choice.KEEP)
    assert kept.merged == ("etc/new/deep/file",)
    assert "/etc/new stays, for it still holds /etc/new/deep." in kept.notes
    restored = store.reverse([made], choice=Choice.RESTORE)
    assert ([pair[1] for pair in restored.targets.values()], restored.notes) == ([None, None, None], ())


def test_what_the_system_keeps_up_is_left_where_both_changed_the_same(machine: Machine) -> None:
    """And nobody is asked: what writes it again is on its way, and would meet what was restored."""
    path = machine.etc / "kept"
    before, by_step = "1\n2\n3\n4\n5\n", "1\nstep\n3\n4\nstep\n"
    store, made = changed_since(machine, path, before, by_step, "1\nother\n3\n4\nstep\n")
    for choice in (None, *Choice):
        reversal = store.reverse([made], choice=choice, kept_up=lambda path: path == "etc/kept")
        assert (reversal.targets, reversal.conflicts) == ({}, ()), choice
    path.write_text(by_step)
    commit(store)
    reversal = store.reverse([made], choice=Choice.RESTORE, kept_up=lambda _: True)
    assert set(reversal.targets) == {"etc/kept"}


@pytest.mark.parametrize("deleted", [False, True])
def test_a_folder_in_the_place_of_a_file_keeps_what_the_admin_put_in_it(
    machine: Machine, deleted: bool
) -> None:
    (machine.etc / "path").write_text("a file\n")
    store = machine.store()
    (machine.etc / "path").unlink()
    (machine.etc / "path").mkdir()
    (machine.etc / "path/step").write_text("x")
    made = step(store)
    if deleted:
        (machine.etc / "path/step").unlink()
    (machine.etc / "path/mine").mkdir()
    (machine.etc / "path/mine/deep").write_text("x")
    commit(store)
    reversal = store.reverse([made])
    assert whats(reversal) == {"etc/path": "kind"}
    assert "still holds /etc/path/mine; a file before" in reversal.conflicts[0].text
    assert set(reversal.targets) == (set() if deleted else {"etc/path/step"})
    assert set(store.reverse([made], choice=Choice.KEEP).targets) == set(reversal.targets)
    restored = store.reverse([made], choice=Choice.RESTORE)
    assert restored.notes == ("/etc/path becomes a file again, and what it holds goes.",)
    put(machine, restored.targets)
    assert (machine.etc / "path").read_text() == "a file\n"


def test_a_link_in_the_place_of_a_folder_is_not_written_through(machine: Machine) -> None:
    outside = machine.root / "outside"
    outside.mkdir()
    (machine.etc / "folder").mkdir(mode=0o750)
    (machine.etc / "folder/file").write_text("before\n")
    (machine.etc / "folder/other").write_text("before\n")
    store = machine.store()
    (machine.etc / "folder/file").write_text("step\n")
    (machine.etc / "folder/other").write_text("step\n")
    made = step(store)
    shutil.rmtree(machine.etc / "folder")
    (machine.etc / "folder").symlink_to(outside)
    commit(store)
    reversal = store.reverse([made])
    assert whats(reversal) == {"etc/folder": "kind"}
    assert "a symlink now, and /etc/folder/file was in it before" in reversal.conflicts[0].text
    assert reversal.targets == {}
    assert store.reverse([made], choice=Choice.KEEP).targets == {}
    put(machine, store.reverse([made], choice=Choice.RESTORE).targets)
    assert (machine.etc / "folder/file").read_text() == "before\n"
    assert (machine.etc / "folder").lstat().st_mode == 0o40750
    assert list(outside.iterdir()) == []


def test_generated_files_go_back_whatever_became_of_them(machine: Machine) -> None:
    (machine.etc / "mail/sendmail.cf").write_text("before\n")
    store = machine.store()
    (machine.etc / "mail/sendmail.cf").write_text("step\n")
    (machine.etc / "mail/access.db").write_bytes(b"\0step")
    made = step(store)
    (machine.etc / "mail/sendmail.cf").write_text("admin\n")
    (machine.etc / "mail/access.db").write_bytes(b"\0admin")
    commit(store)
    assert len(store.reverse([made]).conflicts) == 2
    reversal = store.reverse([made], derived=lambda path: path.endswith((".cf", ".db")))
    assert (reversal.conflicts, reversal.merged) == ((), ())
    assert reversal.notes == (
        "/etc/mail/access.db is generated; what it became since is not kept.",
        "/etc/mail/sendmail.cf is generated; what it became since is not kept.",
    )
    put(machine, reversal.targets)
    assert (machine.etc / "mail/sendmail.cf").read_text() == "before\n"
    assert not (machine.etc / "mail/access.db").exists()


def test_users_that_came_since_survive_the_users_of_the_step(machine: Machine) -> None:
    path = machine.etc / "passwd"
    store = machine.store()
    before = path.read_text()
    path.write_text(before + "smmsp:x:108:114::/:/bin/sh\n")
    (machine.etc / "passwd-").write_text(before)
    made = step(store)
    path.write_text(path.read_text() + "alice:x:1000:1000::/home/alice:/bin/bash\n")
    commit(store)
    reversal = store.reverse([made])
    assert reversal.merged == ("etc/passwd",)
    put(machine, reversal.targets)
    assert path.read_text() == before + "alice:x:1000:1000::/home/alice:/bin/bash\n"


def test_a_special_file_is_never_written(machine: Machine) -> None:
    os.mkfifo(machine.etc / "fifo")
    store = machine.store()
    (machine.etc / "fifo").unlink()
    (machine.etc / "fifo").write_text("x")
    os.mkfifo(machine.etc / "new")
    made = step(store)
    reversal = store.reverse([made])
    assert set(reversal.targets) == {"etc/new"}
    assert reversal.notes == ("/etc/fifo was a fifo: that is recorded, not written, so it stays as it is.",)
    put(machine, reversal.targets)
    assert not (machine.etc / "new").exists()


def test_declared_paths_go_back_without_their_folders(machine: Machine) -> None:
    folder = machine.root / "usr/lib/sasl2"
    folder.mkdir(parents=True)
    (folder / "Sendmail.conf").write_text("before\n")
    store = machine.open(["usr/lib/sasl2/Sendmail.conf"])
    commit(store, "baseline")
    (folder / "Sendmail.conf").write_text("step\n")
    made = step(store)
    (folder / "Sendmail.conf").unlink()
    commit(store)
    assert set(store.reverse([made]).targets) == {"usr/lib/sasl2/Sendmail.conf"}


def test_a_commit_that_cannot_be_rolled_back_is_named(machine: Machine) -> None:
    with pytest.raises(StoreError, match="empty"):
        machine.open().reverse([])
    store = machine.store()
    first = store.find("HEAD")
    with pytest.raises(StoreError, match="baseline"):
        store.reverse([first])
    assert store.reverse([]).targets == {}
    elsewhere = Commit("1" * 40, first.time, first.author, "apply", "x", None, "1", "", "")
    with pytest.raises(StoreError, match="1111111111 is not in the history"):
        store.reverse([elsewhere])
    with pytest.raises(StoreError, match="whole id"):
        commit(store, "rollback", record=b"", reverts=["HEAD"])


def test_a_reader_can_reverse_and_writes_nothing(machine: Machine) -> None:
    texts = "1\n2\n3\n4\n5\n", "step\n2\n3\n4\n5\n", "step\n2\n3\n4\nmine\n"
    _, made = changed_since(machine, machine.root / MC, *texts)
    before = sorted((one, one.stat().st_mtime_ns) for one in machine.store_path.rglob("*"))
    reader = Store.open_existing(machine.store_path, root=machine.root)
    assert reader is not None
    assert reader.reverse([made]).merged == (MC,)
    assert sorted((one, one.stat().st_mtime_ns) for one in machine.store_path.rglob("*")) == before


def test_what_has_grown_in_a_folder_goes_with_it(machine: Machine) -> None:
    store, folder = machine.store(), machine.etc / "lineage"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys/1").write_text("1\n")
    made = commit(store, "apply", step="certificate-obtain")
    assert made is not None
    (folder / "keys/2").write_text("2\n")
    (folder / "other").write_text("mine\n")
    commit(store)

    def gone(grown: Callable[[str], bool] | None = None) -> list[str]:
        targets = store.reverse([made], grown=grown).targets
        return [path for path, (_, after) in targets.items() if after is None]

    assert gone() == ["etc/lineage/keys/1"]
    keys = ["etc/lineage/keys", "etc/lineage/keys/1", "etc/lineage/keys/2"]
    assert gone(lambda path: "/keys/" in path) == keys, "what is not grown stays"
    assert gone(lambda _: True) == ["etc/lineage", *keys, "etc/lineage/other"]
