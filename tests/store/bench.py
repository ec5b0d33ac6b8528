"""A root with a store, and steps that write what they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from tests.stand_ins import use_steps
from wizard.changes.file import FileChange
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal
from wizard.engine.run import Run
from wizard.model.answers import Answers
from wizard.model.events import Event, Failed
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Plan, Sign, Step
from wizard.system.host import Host


def entry(text: str, mode: int = 0o644) -> Entry:
    return Entry(Kind.FILE, mode, 0, 0, text.encode())


class Made(Step):
    """A step that writes what `write` says, as long as the file is not that already."""

    howto = "9.9"
    title = "a step"
    why = "a test"

    def __init__(
        self, step_id: str, host: Host, write: dict[str, str], verify: Callable[[], bool] = lambda: True
    ) -> None:
        self.id = step_id  # type: ignore[misc]
        self.host, self.write, self.good = host, write, verify

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        changes: list[Change] = []
        for path, text in self.write.items():
            now = self.host.entry(path)
            after = replace(now, content=text.encode()) if now else entry(text)
            if now != after:
                changes.append(FileChange(path, now, after))
        return Plan.pending(self.id, "differs", *changes) if changes else Plan.done(self.id, "is so")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        return [
            Check("good", Sign.OK if self.good() else Sign.FAILED, "it is as it should be, or not", "look")
        ]


@dataclass
class Bench:
    """A root with an /etc of its own, a store, and the events of the run."""

    root: Path
    monkeypatch: pytest.MonkeyPatch
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "etc/mail").mkdir(parents=True)
        (self.root / "etc/mail/a").write_text("old a\n")
        (self.root / "etc/b").write_text("old b\n")
        (self.root / "etc/b").chmod(0o640)
        (self.root / "store").mkdir(mode=0o700)
        self.host = Host(self.root)
        self.store = Store.open(self.root / "store/etc.git", root=self.root)

    def apply(
        self,
        *steps: Step,
        wanted: tuple[str, ...] = (),
        decide: Callable[[Step, Plan], bool] = lambda _s, _p: True,
        signal: Callable[[], None] = lambda: None,
    ) -> Run:
        use_steps(self.monkeypatch, steps)
        return Engine(self.host, Answers(), self.events.append).apply(
            self.store, Journal(self.root / "journal"), wanted, decide, signal
        )

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def failure(self) -> Failed:
        return next(event for event in self.events if isinstance(event, Failed))

    def operations(self) -> list[str]:
        return [item.operation for item in self.store.history()]
