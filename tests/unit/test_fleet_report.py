"""The report of a run by Ansible, without Ansible."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from tests.unit.test_fleet import TOP, loaded


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("ansible", "ansible.plugins", "ansible.plugins.callback"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["ansible.plugins.callback"].CallbackBase = object  # type: ignore[attr-defined]
    return loaded(TOP / "templates/fleet/collection/plugins/callback/report.py")


def row(host: str, verdict: str = "", faults: int = 0, **facts: Any) -> dict[str, Any]:
    return {
        **{"host": host, "begun": True, "verdict": verdict, "says": "", "facts": facts},
        **{"faults": faults, "changed": False},
    }


def test_the_worst_host_comes_first(report: ModuleType) -> None:
    rows = [
        row("a"),
        row("b", "failed", 1),
        row("c", "failed", 3),
        row("d", "unreachable"),
        row("e", "failed", 1),
    ]
    assert [each["host"] for each in sorted(rows, key=report._rank)] == ["d", "c", "b", "e", "a"]


def test_the_report_names_the_day_on_which_the_first_certificate_ends(report: ModuleType) -> None:
    ends = {"2031-01-02T03:04:05+00:00": 40, "2030-12-01T03:04:05+00:00": 8}
    held = [{"days_left": days, "certificate": {"not_after": date}} for date, days in ends.items()]
    shown = report._shown(
        row("a", certificates=[*held, {"days_left": None, "certificate": None}]), changed=True
    )
    assert (shown["certificate_end"], shown["certificate_days"]) == ("2030-12-01", 8)
    assert "2030-12-01 (8 days)" in list(report._table([shown]))[1]
    without = report._shown(row("a"), changed=False)
    assert (without["certificate_end"], without["certificate_days"]) == (None, None)


def test_a_host_that_can_no_longer_be_set_up_is_not_well(report: ModuleType) -> None:
    assert report._verdict(row("a", blocked=["firewall"], drifted=[], pending=[])) == "failed"
    assert report._verdict(row("a", blocked=[], drifted=["restart"], pending=[])) == "drifted"
