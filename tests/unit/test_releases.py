"""Which release a system test runs on without --full."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.system.releases import ENDS, ON_THE_MIDDLE, RELEASES, by_default

SYSTEM = Path(__file__).resolve().parents[1] / "system"
MIDDLE = [release for release in RELEASES if release not in ENDS]


def test_the_oldest_and_the_newest_take_turns() -> None:
    turns: Counter[str] = Counter()
    for number in range(200):
        runs = [release for release in RELEASES if by_default(f"test_x.py::test_y[{number}-]", release)]
        assert len(runs) == 1
        turns.update(runs)
    assert set(turns) == set(ENDS)
    assert min(turns.values()) > 70


def test_what_marks_say() -> None:
    assert [release for release in RELEASES if by_default("a.py::a[]", release, on_both=True)] == [*ENDS]
    for about in ENDS:
        assert [release for release in RELEASES if by_default("a.py::a[]", release, only=about)] == [about]


def test_the_middle_runs_what_is_named_and_nothing_else() -> None:
    assert MIDDLE
    for release in MIDDLE:
        assert all(by_default(f"{name}[a-]", release) for name in ON_THE_MIDDLE)
        assert not by_default("a.py::a[]", release, only=ENDS[0], on_both=True)
        with pytest.raises(ValueError, match="runs nowhere by default"):
            by_default("a.py::a[]", release, only=release)


def test_what_is_named_is_there() -> None:
    for name in ON_THE_MIDDLE:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (SYSTEM / file).read_text(), name
