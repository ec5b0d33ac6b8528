"""The diff of a file."""

from __future__ import annotations

from snapshots.live.entry import Entry, Kind
from wizard.changes.file import file_diff


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
