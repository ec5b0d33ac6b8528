"""The store on real git and a real file system: what is committed is what is on disk."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from snapshots.format import layout
from snapshots.format.layout import PathChange, What
from snapshots.live.entry import Entry, Kind, read_entry
from snapshots.store import Store, StoreError
from tests.store.machine import ALICE, HOSTILE, Machine, commit, git

CONTENT = (stat.S_IFREG, stat.S_IFLNK)


def names_in_tree(store: Store) -> list[bytes]:
    """Every name in the newest commit, as plain git lists them."""
    command = ["git", f"--git-dir={store.path}", "ls-tree", "-rz", "--name-only", "main"]
    return subprocess.run(command, check=True, capture_output=True).stdout.split(b"\0")[:-1]


def live_paths(root: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root / "etc"):
        folders[:] = [name for name in folders if name != ".git"]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in (*folders, *files)]  # noqa: PTH118
    return ["etc", *found]


def assert_holds_everything(store: Store, root: Path) -> None:
    for path in live_paths(root):
        assert store.entry("HEAD", path) == read_entry(root / path), path
    assert store.pending() == ()
    assert commit(store) is None
    # What plain git sees is that, too: no content of what is gone, no list of an empty folder.
    files = {path for path in live_paths(root) if stat.S_IFMT((root / path).lstat().st_mode) in CONTENT}
    names = names_in_tree(store)
    assert {os.fsdecode(layout.from_tree(name)) for name in names if layout.is_live(name)} == files
    folders = {os.fsencode(str(Path(path).parent)).removeprefix(b".") for path in live_paths(root)}
    assert {layout.folder_of_listing(name) for name in names if not layout.is_live(name)} == folders


def make_hostile(etc: Path) -> None:
    for number, name in enumerate(HOSTILE):
        path = etc / os.fsdecode(name)
        path.write_bytes(name + b"\r\n\0\xff" * number)
        path.chmod(0o600 + number % 8)
    (etc / "folder").mkdir(mode=0o2750)
    for name in HOSTILE:
        if name != b".git":
            (etc / "folder" / os.fsdecode(name)).mkdir()
            (etc / "folder" / os.fsdecode(name) / os.fsdecode(name)).symlink_to(os.fsdecode(name))
    (etc / "empty").mkdir()
    (etc / "dangling").symlink_to("nowhere")
    os.mkfifo(etc / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(etc / "socket"))
    os.setxattr(etc / "empty", "user.note", b"\0\n")
    if os.geteuid() == 0:
        os.mknod(etc / "device", stat.S_IFBLK | 0o660, os.makedev(8, 1))
        os.chown(etc / "dangling", 107, 114, follow_symlinks=False)


def test_every_kind_and_every_name_is_held_and_git_finds_no_fault(machine: Machine) -> None:
    make_hostile(machine.etc)
    store = machine.store()
    assert_holds_everything(store, machine.root)
    assert git(machine, "fsck", "--strict", "--full") == ""
    again = machine.open()
    (machine.store_path / "stat-cache").unlink()
    assert_holds_everything(again, machine.root)
    for name in HOSTILE:
        (machine.etc / os.fsdecode(name)).unlink()
    commit(store)
    assert_holds_everything(store, machine.root)
    changed = {one.path for one in store.changed("HEAD") if one.what is What.DELETED}
    assert changed == {f"etc/{os.fsdecode(name)}" for name in HOSTILE}
    first = list(store.history())[-1]
    assert store.entry(first, os.fsdecode(b"etc/\xff\xfe not utf8")) is not None
    assert "\x1b" not in store.diff(first) + store.diff("HEAD")
    assert git(machine, "fsck", "--strict", "--full") == ""


def test_the_first_commit_is_a_baseline_and_only_the_first(machine: Machine) -> None:
    store = machine.open()
    assert store.head() is None
    assert list(store.history()) == []
    assert PathChange("etc/mail/sendmail.mc", What.CREATED) in store.pending()
    with pytest.raises(StoreError, match="baseline first"):
        commit(store, "apply")
    with pytest.raises(StoreError, match="no operation"):
        commit(store, "party")
    first = commit(store, "baseline")
    assert store.head() == first
    with pytest.raises(StoreError, match="baseline already"):
        commit(store, "baseline")
    assert commit(store) is None


def test_declared_paths_are_held_from_then_on_by_later_runs_too(machine: Machine) -> None:
    outside = machine.root / "usr/lib/sasl2"
    outside.mkdir(parents=True)
    (outside / "Sendmail.conf").write_text("pwcheck_method: saslauthd\n")
    (outside / "not-declared").write_text("x")
    store = machine.open(["usr/lib/sasl2/Sendmail.conf"])
    commit(store, "baseline")
    assert store.entry("HEAD", "usr/lib/sasl2/Sendmail.conf") == read_entry(outside / "Sendmail.conf")
    assert store.entry("HEAD", "usr/lib/sasl2/not-declared") is None
    later = machine.open()
    assert later.declared == ("usr/lib/sasl2/Sendmail.conf",)
    (outside / "Sendmail.conf").unlink()
    assert later.pending() == (PathChange("usr/lib/sasl2/Sendmail.conf", What.DELETED),)
    later.declare(["var/spool/cron", "var/spool/cron/crontabs", "etc/mail"])
    assert list(later.declared) == ["usr/lib/sasl2/Sendmail.conf", "var/spool/cron"]
    (machine.root / "var/spool/cron").mkdir(parents=True)
    (machine.root / "var/spool/cron/smmsp").write_text("* * * * *\n")
    commit(later)
    assert later.entry("HEAD", "var/spool/cron/smmsp") == read_entry(machine.root / "var/spool/cron/smmsp")
    assert later.entry("HEAD", "usr/lib/sasl2/Sendmail.conf") is None
    assert git(machine, "fsck", "--strict") == ""


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "usr//x", "usr/./x", "", "a/.git/x", ".metadata", ".record.json"]
)
def test_what_is_no_plain_path_is_not_declared(machine: Machine, path: str) -> None:
    with pytest.raises(StoreError, match="cannot be held"):
        machine.open([path])


def test_nested_repositories_are_kept_but_for_their_git_folder(machine: Machine) -> None:
    (machine.etc / ".git/objects").mkdir(parents=True)
    (machine.etc / ".git/HEAD").write_text("ref: refs/heads/master\n")
    (machine.etc / ".gitignore").write_text("*\n")
    (machine.etc / "sub/.git").mkdir(parents=True)
    (machine.etc / "sub/kept").write_text("x")
    (machine.etc / "worktree").mkdir()
    (machine.etc / "worktree/.git").write_text("gitdir: /elsewhere\n")
    store = machine.store()
    assert store.entry("HEAD", "etc/.git") is None
    assert store.entry("HEAD", "etc/sub/.git") is None
    assert store.entry("HEAD", "etc/sub/kept") is not None
    assert store.entry("HEAD", "etc/worktree/.git") is not None
    (machine.etc / ".git/HEAD").write_text("ref: refs/heads/other\n")
    assert store.pending() == ()
    (machine.etc / "worktree/.git").unlink()
    (machine.etc / "worktree/.git").mkdir()
    assert store.pending() == (PathChange("etc/worktree/.git", What.DELETED),)
    assert (machine.etc / ".git/HEAD").read_text() == "ref: refs/heads/other\n"


def test_ignore_and_attribute_files_change_no_byte(machine: Machine) -> None:
    (machine.etc / ".gitattributes").write_text("* text eol=crlf filter=x ident -diff export-ignore\n")
    (machine.etc / ".gitignore").write_text("*\n!.gitignore\n")
    (machine.etc / "file").write_bytes(b"a\r\nb\n$Id$\n")
    store = machine.store()
    assert_holds_everything(store, machine.root)
    (machine.etc / "file").write_bytes(b"a\r\nc\n$Id$\n")
    commit(store)
    assert_holds_everything(store, machine.root)
    assert "-b\n+c\n" in store.diff("HEAD")


def test_a_store_opened_for_reading_makes_and_changes_nothing(machine: Machine) -> None:
    assert Store.open_existing(machine.store_path, root=machine.root) is None
    assert not machine.store_path.exists()
    machine.store()
    before = sorted((one, one.stat().st_mtime_ns) for one in machine.store_path.rglob("*"))
    reader = Store.open_existing(machine.store_path, root=machine.root)
    assert reader is not None
    (machine.etc / "new").write_text("x")
    assert reader.pending() == (PathChange("etc/new", What.CREATED),)
    assert reader.head() is not None
    with pytest.raises(StoreError, match="read-only"):
        commit(reader)
    with pytest.raises(StoreError, match="read-only"):
        reader.declare(["usr/x"])
    assert sorted((one, one.stat().st_mtime_ns) for one in machine.store_path.rglob("*")) == before


def test_an_etc_that_is_gone_is_recorded_as_gone(machine: Machine) -> None:
    store = machine.store()
    machine.etc.rename(machine.root / "elsewhere")
    commit(store)
    assert store.entry("HEAD", "etc") is None
    assert store.entry(list(store.history())[-1], "etc/mail/sendmail.mc") == Entry(
        Kind.FILE, 0o644, os.geteuid(), os.getegid(), b"divert(0)dnl\nMAILER(`local')dnl\n"
    )
    assert git(machine, "fsck", "--strict") == ""


def test_a_renumbered_name_is_no_change_of_the_paths(machine: Machine) -> None:
    store = machine.store()
    (machine.etc / "passwd").write_text("toor:x:0:0::/:/bin/sh\n")
    (machine.store_path / "stat-cache").unlink()
    assert machine.open().pending() == (PathChange("etc/passwd", What.CONTENT),)
    commit(store)
    assert [one.path for one in store.changed("HEAD")] == ["etc/passwd"]


def test_forty_commits_leave_few_packs_and_no_process(machine: Machine) -> None:
    store = machine.store()
    for number in range(40):
        (machine.etc / "counter").write_text(f"{number}\n")
        assert commit(store, author=ALICE) is not None
    assert len(list((machine.store_path / "objects/pack").glob("*.pack"))) < 32
    assert len(list(store.history())) == 41
    assert git(machine, "fsck", "--strict") == ""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    for child in children:
        assert b"git" not in Path(f"/proc/{child}/cmdline").read_bytes()
