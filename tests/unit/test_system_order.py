"""Which system tests begin first, and which share a machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.system.order import FIRST, SHARED, turn, unit

SYSTEM = Path(__file__).resolve().parents[1] / "system"


@pytest.mark.parametrize("name", FIRST)
def test_what_is_named_is_there(name: str) -> None:
    file, _, test = name.partition("::")
    assert f"def {test or 'test_'}" in (SYSTEM / file).read_text()


def test_what_is_long_begins_first_and_the_rest_as_it_stands() -> None:
    cases = ["test_apply.py::test_a[forky]", "test_rollback.py::test_b[forky]", "test_fleet.py::test_c"]
    assert sorted(cases, key=turn) == [*reversed(cases)]
    assert turn("test_apply.py::test_a[forky]") == turn("test_witness.py::test_d") == len(FIRST)


def test_tests_of_the_same_file_and_release_share_a_machine() -> None:
    top = "tests/system/"
    forky, also = f"{top}test_log_watch.py::test_a[forky]", f"{top}test_log_watch.py::test_b[forky-KILL]"
    assert unit(forky) == unit(also) != unit(f"{top}test_log_watch.py::test_a[bookworm]")
    fleet, also = f"{top}test_fleet.py::test_a", f"{top}test_fleet.py::test_b"
    assert unit(fleet) == unit(also) == unit(f"{top}test_fleet_mixed.py::test_a[forky]"), "one at a time"
    alone, other = f"{top}test_apply.py::test_a[forky]", f"{top}test_apply.py::test_b[forky]"
    assert unit(alone) != unit(other)


@pytest.mark.parametrize("file", sorted(SYSTEM.glob("test_*.py")), ids=lambda file: file.name)
def test_no_file_that_shares_machines_is_forgotten(file: Path) -> None:
    text = file.read_text()
    of_conftest = re.search(r"^def test_\w+\([^)]*\bdebian: ", text, re.M) and "def debian(" not in text
    assert ('scope="module"' in text or bool(of_conftest)) == (file.name in SHARED)
