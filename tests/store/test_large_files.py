"""A file larger than the limit is recorded by its metadata, size and time; nothing reads, writes or removes it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from snapshots.format.layout import PathChange, What
from snapshots.live import entry as entries
from snapshots.live.entry import LARGEST, Entry, EntryError, Kind, read_entry, remove_entry, write_entry
from snapshots.merge.three_way import Choice
from tests.store.machine import Machine, commit

IMAGE = "etc/disk.img"


def sparse(path: Path, size: int = 3 << 30) -> Path:
    """A file that has a size and no content."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


def same(answer: bool, _path: str) -> bool:
    """The answer for every path."""
    return answer


def was_read() -> int:
    """Bytes that this process has read so far, from files and pipes."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_three_gigabytes_are_neither_read_nor_kept(machine: Machine) -> None:
    image = sparse(machine.root / IMAGE)
    before = was_read()
    store = machine.store()
    assert store.pending() == ()
    image.chmod(0o600)
    made = commit(store, "apply", step="mc-includes")
    assert made is not None
    assert store.diff(made).startswith("/etc/disk.img: mode 0644 -> 0600")
    os.truncate(image, (3 << 30) + 1)
    grown = commit(store)
    assert grown is not None
    assert store.changed(grown) == (PathChange(IMAGE, What.CONTENT),)
    assert store.reverse([made]).targets == {}
    assert was_read() - before < 10_000_000
    assert sum(path.stat().st_size for path in machine.store_path.rglob("*")) < 1_000_000
    text = store.diff(grown)
    assert f"large file ({3 << 30} bytes of " in text
    assert f"-> large file ({(3 << 30) + 1} bytes of " in text
    assert text.count("content not kept") == 2


def test_the_largest_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "LARGEST", 10)
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    kept = read_entry(path)
    assert kept is not None
    assert (kept.kind, kept.content, kept.large) == (Kind.FILE, b"0123456789", False)
    path.write_bytes(b"0123456789+")
    found = read_entry(path)
    assert found is not None
    assert (found.kind, found.content, found.large) == (Kind.SPECIAL, b"", True)
    assert found.special == f"large:11:{path.stat().st_mtime_ns}"


def test_it_is_not_written_replaced_or_removed(tmp_path: Path) -> None:
    image = sparse(tmp_path / "disk.img")
    found = read_entry(image)
    assert found is not None
    with pytest.raises(EntryError, match="special files"):
        write_entry(tmp_path / "other", found)
    for other in (Entry(Kind.FILE, 0o644, 0, 0, b"x"), Entry(Kind.SYMLINK, 0o777, 0, 0, b"x")):
        with pytest.raises(EntryError, match="larger than 33554432 bytes"):
            write_entry(image, other)
    with pytest.raises(EntryError, match="larger than 33554432 bytes"):
        remove_entry(image)
    assert [path.name for path in tmp_path.iterdir()] == ["disk.img"]
    assert read_entry(image) == found


@pytest.mark.parametrize("choice", [None, Choice.KEEP, Choice.RESTORE])
def test_no_step_takes_it_away_nor_its_folder(machine: Machine, choice: Choice | None) -> None:
    store = machine.store()
    sparse(machine.etc / "new/disk.img")
    (machine.etc / "new/small").write_text("x\n")
    made = commit(store, "apply", step="mc-includes")
    assert made is not None
    for grown, derived in ((0, False), (1, False), (2, True)):
        os.truncate(machine.etc / "new/disk.img", (3 << 30) + grown)
        commit(store)
        found = store.reverse([made], choice=choice, derived=partial(same, derived))
        assert list(found.targets) == ["etc/new/small"]
        assert found.conflicts == ()
        assert any(note.startswith("/etc/new/disk.img is or was larger") for note in found.notes)


def test_a_file_that_grows_over_the_limit_and_back(machine: Machine) -> None:
    (machine.root / IMAGE).write_text("small\n")
    store = machine.store()
    sparse(machine.root / IMAGE)
    grown = commit(store)
    assert grown is not None
    assert store.changed(grown) == (PathChange(IMAGE, What.KIND),)
    assert "etc/disk.img: file -> large file (" in store.diff(grown)
    (machine.root / IMAGE).write_text("small\n")
    back = commit(store)
    assert back is not None
    now = store.entry("HEAD", IMAGE)
    assert now is not None
    assert now.content == b"small\n"


def test_a_store_that_holds_such_content_is_read_and_goes_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"x" * (LARGEST + 1)
    (machine.root / IMAGE).write_bytes(content)
    monkeypatch.setattr(entries, "LARGEST", 1 << 40)  # as before there was a limit
    baseline = machine.store().head()
    monkeypatch.undo()
    store = machine.open()
    assert baseline is not None
    old = store.entry(baseline, IMAGE)
    assert old is not None
    assert old.content == content
    (machine.root / IMAGE).chmod(0o600)
    made = commit(store, "apply", step="mc-includes")
    assert made is not None
    assert store.reverse([made]).targets == {}, "its content cannot be written any more"
    assert store.entry(baseline, IMAGE) == old
