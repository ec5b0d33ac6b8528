"""Reading and writing live paths: everything of an entry comes back, and nothing is half written."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshots.live.entry import (
    TEMPORARY_PREFIX,
    Entry,
    EntryError,
    Kind,
    read_entry,
    remove_entry,
    write_entry,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
ME = (os.geteuid(), os.getegid())
OWNER = (1234, 5678) if os.geteuid() == 0 else ME


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def file_entry(content: bytes = b"text\n", mode: int = 0o640) -> Entry:
    return Entry(Kind.FILE, mode, *OWNER, content)


def acl(user: int) -> bytes:
    """An access ACL u::rw-,u:USER:r--,g::r--,m::r--,o::--- as the kernel keeps it."""
    rows = [(1, 6, 0xFFFFFFFF), (2, 4, user), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o644, 0o4755, 0o2755, 0o1777, 0o7777])
@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_a_file_is_read_back_as_it_was_written_whatever_the_umask(
    tmp_path: Path, mode: int, mask: int
) -> None:
    wanted = file_entry(b"\0\xff\r\n no newline at the end", mode)
    with umask(mask):
        write_entry(tmp_path / "file", wanted)
    assert read_entry(tmp_path / "file") == wanted


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_a_folder_is_read_back_as_it_was_written(tmp_path: Path, mask: int) -> None:
    wanted = Entry(Kind.DIRECTORY, 0o2750, *OWNER)
    with umask(mask):
        write_entry(tmp_path / "folder", wanted)
    assert read_entry(tmp_path / "folder") == wanted


def test_a_folder_that_is_there_keeps_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inside").write_text("kept")
    wanted = Entry(Kind.DIRECTORY, 0o700, *OWNER)
    write_entry(tmp_path / "folder", wanted)
    assert read_entry(tmp_path / "folder") == wanted
    assert (tmp_path / "folder/inside").read_text() == "kept"


def test_a_link_is_read_and_written_as_a_link_and_its_target_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("secret")
    before = read_entry(tmp_path / "target")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    found = read_entry(tmp_path / "link")
    assert found is not None
    assert (found.kind, found.content) == (Kind.SYMLINK, os.fsencode(tmp_path / "target"))
    write_entry(tmp_path / "link", file_entry(b"now a file"))
    assert (tmp_path / "link").read_bytes() == b"now a file"
    assert not (tmp_path / "link").is_symlink()
    assert read_entry(tmp_path / "target") == before
    wanted = Entry(Kind.SYMLINK, 0o777, *OWNER, b"dangling \xff target")
    write_entry(tmp_path / "link", wanted)
    assert read_entry(tmp_path / "link") == wanted


def test_extended_attributes_and_acls_come_back_and_others_go(tmp_path: Path) -> None:
    path = tmp_path / "file"
    wanted = Entry(
        Kind.FILE, 0o640, *OWNER, b"x", (("system.posix_acl_access", acl(99)), ("user.note", b"\0hi"))
    )
    write_entry(path, wanted)
    assert read_entry(path) == wanted
    write_entry(path, file_entry())
    assert read_entry(path) == file_entry()


@as_root
def test_a_capability_survives_the_writing_of_the_content(tmp_path: Path) -> None:
    value = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    wanted = Entry(Kind.FILE, 0o755, 0, 0, b"#!/bin/sh\n", (("security.capability", value),))
    write_entry(tmp_path / "file", wanted)
    assert read_entry(tmp_path / "file") == wanted


def test_a_default_acl_of_the_folder_does_not_leak_into_what_is_written(tmp_path: Path) -> None:
    os.setxattr(tmp_path, "system.posix_acl_default", acl(99))
    write_entry(tmp_path / "file", file_entry())
    assert read_entry(tmp_path / "file") == file_entry()
    write_entry(tmp_path / "folder", Entry(Kind.DIRECTORY, 0o700, *ME))
    assert read_entry(tmp_path / "folder") == Entry(Kind.DIRECTORY, 0o700, *ME)


@as_root
def test_devices_fifos_and_sockets_are_named_never_opened_and_refused_for_writing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    found = {name: read_entry(tmp_path / name) for name in ("fifo", "device", "socket")}
    assert {name: one and (one.kind, one.special) for name, one in found.items()} == {
        "fifo": (Kind.SPECIAL, "fifo"),
        "device": (Kind.SPECIAL, "char:1:3"),
        "socket": (Kind.SPECIAL, "socket"),
    }
    fifo = found["fifo"]
    assert fifo is not None
    with pytest.raises(EntryError, match="was a fifo"):
        write_entry(tmp_path / "new", fifo)


@pytest.mark.parametrize(
    ("old", "new"), [(one, other) for one in "fdl" for other in "fdl"], ids=lambda value: str(value)
)
def test_every_kind_takes_the_place_of_every_other(tmp_path: Path, old: str, new: str) -> None:
    entries = {
        "f": file_entry(),
        "d": Entry(Kind.DIRECTORY, 0o750, *OWNER),
        "l": Entry(Kind.SYMLINK, 0o777, *OWNER, b"x"),
    }
    write_entry(tmp_path / "path", entries[old])
    write_entry(tmp_path / "path", entries[new])
    assert read_entry(tmp_path / "path") == entries[new]
    assert [one.name for one in tmp_path.iterdir()] == ["path"]
    remove_entry(tmp_path / "path")
    assert read_entry(tmp_path / "path") is None
    remove_entry(tmp_path / "path")


@pytest.mark.parametrize("swapped", ["fifo", "link"])
def test_what_takes_the_place_of_a_file_while_it_is_looked_at_is_not_followed_nor_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    (tmp_path / "file").write_text("secret")
    stale = [(tmp_path / "file").lstat()]
    if swapped == "fifo":
        os.mkfifo(tmp_path / "path")
    else:
        (tmp_path / "path").symlink_to("file")
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: stale.pop() if stale else real(path))
    found = read_entry(tmp_path / "path")
    assert found is not None
    assert found.kind is (Kind.SPECIAL if swapped == "fifo" else Kind.SYMLINK)
    assert found.content != b"secret"


def test_a_folder_with_something_in_it_is_not_replaced_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inside").write_text("kept")
    with pytest.raises(EntryError, match="not empty"):
        write_entry(tmp_path / "folder", file_entry())
    with pytest.raises(EntryError, match="not empty"):
        remove_entry(tmp_path / "folder")
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["folder", "inside"]


def test_owner_and_mode_are_set_before_the_first_byte_and_the_file_is_synced_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_entry(tmp_path / "file", file_entry(b"old"))
    calls: list[str] = []
    for name in ("open", "fchown", "fchmod", "fsync", "rename"):
        real = getattr(os, name)

        def spy(*arguments: object, _real: object = real, _name: str = name, **more: object) -> object:
            size = sum(
                one.stat().st_size for one in tmp_path.iterdir() if one.name.startswith(TEMPORARY_PREFIX)
            )
            calls.append(f"{_name} {size}")
            return _real(*arguments, **more)  # type: ignore[operator]

        monkeypatch.setattr(os, name, spy)
    write_entry(tmp_path / "file", file_entry(b"new"))
    assert calls == ["open 0", "open 0", "fchown 0", "fchmod 0", "fsync 3", "rename 3", "fsync 0"]


@pytest.mark.parametrize("failing", ["fchown", "fchmod", "fsync", "rename"])
def test_a_failure_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_entry(tmp_path / "file", file_entry(b"old"))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(EntryError, match="No space left on device"):
        write_entry(tmp_path / "file", file_entry(b"new"))
    monkeypatch.undo()
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert read_entry(tmp_path / "file") == file_entry(b"old")


def test_what_cannot_be_read_or_written_is_said_with_its_path_and_reason(tmp_path: Path) -> None:
    assert read_entry(tmp_path / "nothing/below") is None
    (tmp_path / "file").write_text("x")
    assert read_entry(tmp_path / "file/below") is None
    with pytest.raises(EntryError, match=r"nothing/here' could not be written: No such file") as raised:
        write_entry(tmp_path / "nothing/here", file_entry())
    assert raised.value.path == tmp_path / "nothing/here"
    with pytest.raises(EntryError, match="File name too long"):
        read_entry(tmp_path / ("n" * 300))


@pytest.mark.parametrize(
    "name", [b"new\nline", b"-leading", b"q'u\"o`te", b"\xff\xfe", b"*", b" ", b"n" * 255]
)
def test_hostile_names(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    write_entry(path, file_entry())
    assert os.listdir(os.fsencode(tmp_path)) == [name]  # noqa: PTH208 - the bytes
    assert read_entry(path) == file_entry()


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200_000), mode=st.integers(0, 0o7777))
def test_any_content_and_any_mode(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, mode: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    write_entry(path, file_entry(content, mode))
    assert read_entry(path) == file_entry(content, mode)


def test_entries_need_no_git() -> None:
    script = "import sys, snapshots.live.entry; sys.exit('git' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], check=False).returncode
        == 0
    )
