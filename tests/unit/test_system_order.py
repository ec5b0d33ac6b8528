"""Which system tests begin first, and which share a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.order import FIRST, machine_of, turn

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
    asked = ["request", "debian"]
    assert machine_of("test_log_watch", asked, {"debian": "forky", "other": 1}) == "test_log_watch-forky"
    assert machine_of("test_log_watch", asked, {"debian": "bookworm"}) == "test_log_watch-bookworm"
    assert machine_of("test_fleet", ["fleet"], {}) == "test_fleet-"
    assert machine_of("test_apply", ["machine", "release"], {"release": "forky"}) is None
