"""Which lines are no conflict: new ones beside those of the step, and dates."""

from __future__ import annotations

import re

import pytest

from snapshots.merge.reversal import Reversal
from snapshots.merge.three_way import Choice
from snapshots.store import Store
from tests.store.machine import Machine, commit

PATH = "etc/mail/sendmail.mc"
DATED = re.compile(rb"^# on: .*$", re.MULTILINE)


def reversed_after(
    machine: Machine, before: bytes, left: bytes, now: bytes, choice: Choice | None = None
) -> Reversal:
    """What taking back a step comes to that made `left` of `before`, when the file is `now` by now."""
    path = machine.root / PATH
    path.write_bytes(before)
    store: Store = machine.store()
    path.write_bytes(left)
    made = commit(store, "apply", step="mc-includes")
    assert made is not None
    path.write_bytes(now)
    commit(store, "drift")
    return store.reverse([made], dated=DATED, choice=choice)


def content(reversal: Reversal) -> bytes:
    entry = reversal.targets[PATH][1]
    assert entry is not None
    return entry.content


@pytest.mark.parametrize("choice", [None, Choice.KEEP, Choice.RESTORE])
@pytest.mark.parametrize(
    ("before", "left", "now", "made"),
    [
        (b"a\n", b"a\nSTART=yes\n", b"a\nSTART=yes\nmine\n", b"a\nmine\n"),
        (b"a\n", b"a\nSTART=yes\n", b"a\nmine\nSTART=yes\n", b"a\nmine\n"),
        (b"a\n", b"b\n", b"mine\nb\nalso mine\n", b"mine\na\nalso mine\n"),
        (b"a\n", b"a\nSTART=yes\n", b"a\nSTART=yes\nmine", b"a\nmine"),
    ],
)
def test_lines_beside_those_of_the_step_stay(
    machine: Machine, before: bytes, left: bytes, now: bytes, made: bytes, choice: Choice | None
) -> None:
    reversal = reversed_after(machine, before, left, now, choice)
    assert reversal.conflicts == ()
    assert content(reversal) == made


def test_what_both_changed_is_a_conflict(machine: Machine) -> None:
    reversal = reversed_after(machine, b"a\n", b"b\n", b"b, and mine\n")
    assert [one.path for one in reversal.conflicts] == [PATH]
    assert PATH not in reversal.targets


def test_a_new_date_is_no_change(machine: Machine) -> None:
    reversal = reversed_after(
        machine, b"# on: Monday\nold\n", b"# on: Tuesday\nnew\n", b"# on: Sunday\nnew\n"
    )
    assert reversal.conflicts == ()
    assert content(reversal) == b"# on: Monday\nold\n"


def test_a_new_date_beside_an_edit(machine: Machine) -> None:
    reversal = reversed_after(
        machine,
        b"# on: Monday\nold\nx\ny\n",
        b"# on: Tuesday\nnew\nx\ny\n",
        b"# on: Sunday\nnew\nx\nmine\ny\n",
    )
    assert reversal.conflicts == ()
    assert content(reversal) == b"# on: Monday\nold\nx\nmine\ny\n"


def test_a_conflict_with_two_commits_is_shown_once(machine: Machine) -> None:
    """Yours is what is there, not what the first of them leaves; and what comes back is the oldest."""
    path = machine.root / PATH
    path.write_bytes(b"a\n")
    store = machine.store()
    made = []
    for text in (b"b\n", b"c\n"):
        path.write_bytes(text)
        made.append(commit(store, "apply", step="submission-port"))
    path.write_bytes(b"c, and mine\n")
    commit(store, "drift")
    first, second = made
    assert first is not None
    assert second is not None
    (conflict,) = store.reverse([second, first], dated=DATED).conflicts
    assert conflict.hunks
    words = ("<<<<<<< as it is now", "c, and mine", "||||||| as the step left it", "c", "=======", "a")
    assert conflict.text.splitlines() == [*words, ">>>>>>> as it was before"]
