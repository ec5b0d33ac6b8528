"""What the diff of a file change shows, and what it never shows."""

from __future__ import annotations

import pytest

from snapshots.entry import Entry, Kind
from snapshots.private_key import HIDDEN
from wizard.changes import FileChange

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
