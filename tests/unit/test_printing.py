"""The diff of a file."""

from __future__ import annotations

import difflib

import pytest

from snapshots.live.entry import Entry, Kind
from wizard.changes.file import FileChange, file_diff


def entry(content: bytes, mode: int = 0o644) -> Entry:
    return Entry(Kind.FILE, mode, 0, 0, content)


def test_the_diff_shows_mode_and_owner() -> None:
    shown = file_diff("/etc/x", entry(b"a\nb\n"), entry(b"a\nc\n", 0o600))
    assert shown.splitlines()[:2] == ["--- /etc/x  (0644 root:root)", "+++ /etc/x  (0600 root:root)"]
    assert "-b" in shown
    assert "+c" in shown


def test_a_change_of_mode_alone_is_shown() -> None:
    assert "0640" in file_diff("/etc/x", entry(b"a\n"), entry(b"a\n", 0o640))


def test_escape_sequences_in_a_file_are_spelt_out() -> None:
    assert "\x1b" not in file_diff("/etc/x", None, entry(b"\x1b[2Jgone\n"))


HASH = b"$6$salt$" + b"a" * 40


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("/etc/x", entry(b"a\nb\n"), entry(b"a\nc", 0o600)),
        ("/etc/x", None, entry(b"\x1b[2Jgone\x0bis\tb\n")),
        ("/etc/shadow", entry(b"alice:%s:1:\nbob:*:1:\n" % HASH), entry(b"alice:%s9:1:\nbob:*:1:\n" % HASH)),
        ("/etc/x", entry(b"elsewhere"), Entry(Kind.SYMLINK, 0o777, 0, 0, b"/etc/y")),
    ],
)
def test_the_texts_before_and_after_are_those_of_the_diff_and_as_masked(
    path: str, before: Entry | None, after: Entry | None
) -> None:
    shown = FileChange(path, before, after).describe()
    again = difflib.unified_diff(shown.before.splitlines(), shown.after.splitlines(), lineterm="")
    assert list(again)[2:] == shown.diff.splitlines()[2:] != []
    assert "aaaa" not in shown.before + shown.after


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/x", b"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"),
        ("/etc/sasldb2", b"secret"),
        ("/etc/x", b"a\0b"),
    ],
)
def test_where_the_diff_shows_no_text_there_is_none(path: str, content: bytes) -> None:
    shown = FileChange(path, entry(b"a\n"), entry(content)).describe()
    assert (shown.before, shown.after) == ("", "")
    assert shown.diff.count("\n") == 2
