"""What the diff of a file change shows, and what it never shows."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import wizard.changes.file
from snapshots.format.secret_text import HIDDEN
from snapshots.live.entry import Entry, Kind
from snapshots.merge.path_merge import EntryMerge
from wizard.changes.file import FileChange, merged
from wizard.errors import ChangeError, HostError
from wizard.system.host import Host

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"


def file(text: str, mode: int = 0o640) -> Entry:
    return Entry(Kind.FILE, mode, 0, 0, text.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, file(KEY)), (file(KEY), None), (file("a\n"), file(KEY)), (file(KEY), file(KEY, 0o600))],
)
def test_a_private_key_is_not_in_its_diff(before: Entry | None, after: Entry | None) -> None:
    shown = FileChange("/etc/mail/tls/a.key", before, after).describe()
    assert HIDDEN in shown.diff
    assert "/etc/mail/tls/a.key" in shown.diff
    assert "MII" not in shown.diff + shown.title


def test_its_mode_and_owner_are() -> None:
    diff = FileChange("/etc/a.key", file(KEY), file(KEY, 0o600)).describe().diff
    assert "(0640 root:root)" in diff
    assert "(0600 root:root)" in diff


@pytest.mark.parametrize("last", ["old\n", "old"])
def test_lines_that_come_into_the_old_file_and_into_the_new_one_all_stay(tmp_path: Path, last: str) -> None:
    """Somebody who appends had opened the file before it was replaced; the next one finds the new one."""
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/a"
    path.write_text(f"first\n{last}")
    host, said = Host(tmp_path), list[str]()
    before = host.entry("/etc/a")
    assert before is not None
    early = os.open(path, os.O_WRONLY | os.O_APPEND)
    change = FileChange("/etc/a", before, replace(before, content=b"ours\n" + before.content), over=True)
    effect = change.apply(host, said.append)
    newline = b"" if last.endswith("\n") else b"\n"
    os.write(early, newline + b"his 1\n")
    with path.open("ab") as late:
        late.write(newline + b"his 2\n")
    os.close(early)
    effect.settle(host, said.append)
    assert path.read_text() == "ours\nfirst\nold\nhis 1\nhis 2\n"
    assert "/etc/a was written to at the same time: that is kept" in said


def test_lines_that_come_while_others_lines_are_brought_over_all_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody appends during each merge, and has each file open that is replaced, to write to it later."""
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/a"
    path.write_text("old\n")
    host, writers, wrote = Host(tmp_path), list[int](), set[str]()
    before = host.entry("/etc/a")
    assert before is not None

    def append(descriptor: int) -> None:
        wrote.add(f"his {len(wrote)}")
        os.write(descriptor, f"his {len(wrote) - 1}\n".encode())

    def meanwhile(*arguments: Any) -> EntryMerge:
        if len(writers) < 3:
            writers.append(os.open(path, os.O_WRONLY | os.O_APPEND))
            append(writers[-1])
        return merged(*arguments)

    monkeypatch.setattr(wizard.changes.file, "merged", meanwhile)
    early = os.open(path, os.O_WRONLY | os.O_APPEND)
    append(early)
    change = FileChange("/etc/a", before, replace(before, content=b"ours\nold\n"), over=True)
    effect = change.apply(host, lambda _: None)
    for descriptor in (early, *writers):
        append(descriptor)
        os.close(descriptor)
    effect.settle(host, lambda _: None)
    assert len(wrote) == 8
    assert path.read_text().startswith("ours\nold\n")
    assert sorted(path.read_text().splitlines()[2:]) == sorted(wrote)


def test_one_who_has_opened_the_old_file_and_not_written_yet_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/a"
    path.write_text("old\n")
    host = Host(tmp_path)
    before = host.entry("/etc/a")
    assert before is not None
    early = os.open(path, os.O_WRONLY | os.O_APPEND)
    effect = FileChange("/etc/a", before, replace(before, content=b"ours\nold\n")).apply(host, lambda _: None)

    def late() -> None:
        time.sleep(0.2)
        os.write(early, b"his\n")
        os.close(early)

    writer = threading.Thread(target=late)
    writer.start()
    effect.settle(host, lambda _: None)
    writer.join()
    assert path.read_text() == "ours\nold\nhis\n"


@dataclass
class Counting:
    """A gate that lets everything by, and knows what it was asked."""

    asked: list[bytes] = field(default_factory=list)

    def check(self, _host: Host, content: bytes, _say: Callable[[str], None]) -> None:
        """Remember it."""
        self.asked.append(content)


def test_what_its_gate_let_by_when_it_was_planned_is_not_tried_again_and_a_merge_is(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/a"
    path.write_text("old\n")
    host, gate = Host(tmp_path), Counting()
    before = host.entry("/etc/a")
    assert before is not None
    planned = FileChange("/etc/a", before, replace(before, content=b"ours\nold\n"), gate=gate, gives="a .cf")
    planned.apply(host, lambda _: None)
    assert gate.asked == []
    path.write_text("old\nhis\n")
    replace(planned, over=True).apply(host, lambda _: None)
    assert gate.asked == [b"ours\nold\nhis\n"]
    path.write_text("old\n")
    replace(planned, gives=None).apply(host, lambda _: None)
    assert gate.asked == [b"ours\nold\nhis\n", b"ours\nold\n"]


def test_what_cannot_be_read_after_the_write_was_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/a"
    path.write_text("old\n")
    host = Host(tmp_path)
    before, look = host.entry("/etc/a"), Host.entry
    assert before is not None

    def entry(self: Host, name: str) -> Entry | None:
        if path.read_text() == "new\n":
            raise HostError("/etc/a cannot be read: Input/output error")
        return look(self, name)

    monkeypatch.setattr(Host, "entry", entry)
    with pytest.raises(ChangeError, match="Input/output error") as caught:
        FileChange("/etc/a", before, replace(before, content=b"new\n")).apply(host, lambda _: None)
    assert "Nothing was written" not in str(caught.value)
    monkeypatch.undo()
    assert caught.value.effect is not None
    caught.value.effect.undo(host, lambda _: None)
    assert path.read_text() == "old\n"
