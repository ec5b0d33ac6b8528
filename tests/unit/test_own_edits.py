"""Whose lines are met: those that the admin changed since, and that would be changed again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snapshots.live.entry import Entry, Kind
from wizard.changes.file import FileChange
from wizard.engine.local_edits import met


def entry(text: str, mode: int = 0o644) -> Entry:
    return Entry(Kind.FILE, mode, 0, 0, text.encode())


def versions(left: str, now: str, then: str) -> str:
    return met(entry(left), FileChange("/etc/a", entry(now), entry(then)))


def test_a_line_that_was_changed_and_would_be_changed_back() -> None:
    shown = versions("a\nM=Ea\nz\n", "a\nM=E\nz\n", "a\nM=Ea\nz\n")
    assert shown.splitlines() == [
        *("yours, as it is now:", "  M=E"),
        *("as the step left it:", "  M=Ea"),
        *("as the step would make it:", "  M=Ea"),
    ]


def test_a_line_that_was_deleted_and_comes_again_elsewhere() -> None:
    shown = versions("a\ninclude\nb\nc\nd\n", "a\nb\nc\nd\n", "a\nb\nc\ninclude\nd\n")
    assert shown.splitlines()[:4] == [
        "yours, as it is now:",
        "  (not there)",
        "as the step left it:",
        "  include",
    ]


def test_work_beside_it_is_not_met() -> None:
    assert not versions("a\nb\n", "mine\na\nb\n", "mine\na\nb\nmore\n"), (
        "added at one end, written at the other"
    )
    assert not versions("a\nb\n", "a\nb\nmine\n", "a\nb\nmore\nmine\n"), "added just beside it"
    assert not versions("a\n", "a\n", "b\n"), "nobody changed it since: other answers"
    assert not versions("a\n", "b\n", "b\n"), "it would not be changed"


def test_modes_and_hostile_text() -> None:
    shown = met(entry("a\n", 0o640), FileChange("/etc/a", entry("a\n", 0o600), entry("a\n", 0o640)))
    assert shown == "mode: 0600 yours, as it is now, 0640 as the step left it, 0640 as the step would make it"
    assert "\x1b" not in versions("a\n", "\x1b[2J\n", "a\n")
    assert "60 lines more" in versions("a\n", "b\n" * 100, "a\n")


def test_a_file_that_was_deleted_or_made() -> None:
    assert "(not there)" in met(entry("a\n"), FileChange("/etc/a", None, entry("a\n")))
    assert "  mine" in met(None, FileChange("/etc/a", entry("mine\n"), entry("a\n")))


LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=6).map(
    lambda lines: "".join(f"{x}\n" for x in lines)
)


@given(left=LINES, now=LINES)
def test_going_back_to_what_it_left_always_meets_what_was_deleted(left: str, now: str) -> None:
    """A plan that undoes all that the admin did: unless he only added lines and blank ones, somebody asks."""
    gone = [
        line
        for line in left.splitlines()
        if line and left.splitlines().count(line) > now.splitlines().count(line)
    ]
    if gone:
        assert versions(left, now, left)


@given(now=LINES, then=LINES)
def test_what_nobody_touched_is_never_met(now: str, then: str) -> None:
    assert not versions(now, now, then)
