"""A step that has something to do only since others have, or since what it works from was edited, has not drifted itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.steps.recorded import machine
from wizard.engine.overview import state
from wizard.model.answers import Answers
from wizard.model.facts import Process
from wizard.model.plan import Plan
from wizard.steps.order import step

DAEMONS = (
    Process(7, "sendmail-mta", (), 1000.0),
    Process(8, "saslauthd", ("saslauthd", "-a", "pam"), 1000.0),
)


def plan(name: str, **facts: Any) -> Plan:
    made = machine("13", **{"processes": DAEMONS, "saslauthd_says": "NO", **facts})
    services = {
        each: dataclasses.replace(one, exists=True, enabled=True) for each, one in made.services.items()
    }
    return step(name).plan(dataclasses.replace(made, services=services), Answers())


@pytest.mark.parametrize(
    ("name", "facts", "says"),
    [
        ("sendmailconfig", {"planned": frozenset({"smtp-port"})}, "sendmail.mc will change"),
        ("sendmailconfig", {"planned": frozenset({"sendmail-auth"})}, "sendmail-auth may change what"),
        ("sendmailconfig", {"cf_from_mc": "O Another"}, "or a file that it includes, was changed later"),
        ("restart", {"planned": frozenset({"sendmailconfig"})}, "sendmail's configuration will change"),
        ("restart", {"cf_changed": 2000.0}, "it has not read what was changed since it started"),
        ("saslauthd-start", {"planned": frozenset({"saslauthd-config"})}, "saslauthd's configuration will"),
    ],
)
def test_what_follows_is_to_do(name: str, facts: dict[str, Any], says: str) -> None:
    made = plan(name, **facts)
    assert says in made.reason
    assert state(made, in_force=True) == "pending"


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("sendmailconfig", {"cf_from_mc": "O Another", "cf_newest": True}),
        ("restart", {"processes": ()}),
        ("saslauthd-start", {"saslauthd_says": None}),
    ],
)
def test_what_changed_by_itself_has_drifted(name: str, facts: dict[str, Any]) -> None:
    assert state(plan(name, **facts), in_force=True) == "drifted"
