"""What is said to do next after a step that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.store import Store
from tests.unit.steps.recorded import machine
from wizard.changes.file import FileChange
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal
from wizard.errors import ChangeError, DeclinedError, UnconfirmedError
from wizard.model.answers import Answers
from wizard.model.events import Event, Failed
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Step
from wizard.system.host import Host


class Fails(Step):
    """A step whose change raises."""

    id = "firewall"
    title = "Firewall"
    why = "a test"

    def __init__(self, error: ChangeError) -> None:
        self.error = error

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        return Plan.pending(self.id, "it is not so", FileChange("/etc/a", None, None, "a test"))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (UnconfirmedError("nobody confirmed it"), "confirm while it waits"),
        (DeclinedError("somebody said no"), "find out what keeps a login out, then apply it again"),
        (ChangeError("no"), "fix the cause and run the same command again"),
    ],
)
def test_who_did_not_confirm_is_told_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ChangeError, then: str
) -> None:
    events: list[Event] = []
    monkeypatch.setattr("wizard.engine.planner.look", lambda _host, **_: machine("12"))
    monkeypatch.setattr("wizard.engine.session.carry_out", lambda *_: None)
    (tmp_path / "etc").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    store = Store.open(tmp_path / "state/etc.git", root=tmp_path)
    engine = Engine(Host(tmp_path), Answers(), events.append, (Fails(error),))
    run = engine.apply(
        store, Journal(tmp_path / "state/journal"), (), lambda _step, _plan: True, lambda: None
    )
    assert run.failed == "firewall"
    assert then in next(event.next for event in events if isinstance(event, Failed))
