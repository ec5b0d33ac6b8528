"""A root with its store and its journal, and steps for it; something may end with them, or they die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from tests import stand_ins
from wizard.changes.command import CommandChange
from wizard.changes.file import FileChange
from wizard.cli import main as cli
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal, Unfinished, unfinished
from wizard.engine.run import Run, nobody
from wizard.errors import Interrupted
from wizard.model.answers import Answers
from wizard.model.events import Event
from wizard.model.facts import Facts
from wizard.model.plan import ENDINGS, Change, Check, Ending, Plan, Sign, Step
from wizard.rollback.recovery import Recovery
from wizard.system.host import Host

MAIL = Ending("local-mail", "mail of local programs", ("a line\x1b[2J of it", "another"))
LOGINS = Ending("logins", "logins by sasldb")
NAMES = ("one", "two", "three")
Answer = Callable[..., list[str]]


class Killed(BaseException):
    """In the place of SIGKILL: nothing catches it."""


def die(*_: object) -> None:
    """Does what SIGKILL does."""
    raise Killed


def broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the next question."""

    def wait(_: int) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr("wizard.cli.options.asks", lambda _: True)
    monkeypatch.setattr("wizard.cli.options.wait_for_input", wait)
    monkeypatch.setattr("sys.stdin", Path(os.devnull).open())  # noqa: SIM115


class Ends(Step):
    """Writes a file; something ends with it, after a first round in which nothing does where `late` is set."""

    howto = "9.9"
    title = "a step"
    why = "a test"

    def __init__(self, host: Host, name: str, *ends: Ending, late: bool = False, die: bool = False) -> None:
        self.id = name  # type: ignore[misc]
        self.host, self.ends, self.late, self.die, self.good = host, ends, late, die, True

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        path, begun = f"/etc/{self.id}", "/etc/hosts.allow"
        if self.host.entry(path) is not None:
            return Plan.done(self.id, "is so")
        change: Change = FileChange(path, None, Entry(Kind.FILE, 0o644, 0, 0, b"new\n"))
        if self.late and self.host.entry(begun) is None:
            touch = ("touch", str(self.host.path(begun)))
            return Plan.pending(self.id, "differs", CommandChange(touch, "begins", footprint=(begun,)))
        return Plan.pending(self.id, "differs", change, ends=self.ends)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        if self.die:
            raise Killed
        return [] if self.good else [Check("two", Sign.FAILED, "it does not answer")]


@dataclass
class Place:
    """A root, its store and its journal; the command line sees them too."""

    root: Path
    patch: pytest.MonkeyPatch
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.patch.setitem(ENDINGS, MAIL.id, MAIL.says)  # no step of the program's has it
        (self.root / "etc").mkdir()
        (self.root / "home").mkdir(mode=0o700)
        self.host, self.at = Host(self.root), self.root / "home/journal"
        self.store = Store.open(self.root / "home/etc.git", root=self.root)

    def engine(self, *steps: Step, accept: tuple[str, ...] = ()) -> Engine:
        stand_ins.use_steps(self.patch, steps)
        return Engine(self.host, Answers(accept=accept), self.events.append, steps=steps)

    def apply(
        self,
        *steps: Step,
        accept: tuple[str, ...] = (),
        consent: Callable[[Step, Plan, tuple[Ending, ...]], bool] = nobody,
    ) -> Run:
        engine = replace(self.engine(*steps, accept=accept), unattended=True)
        return engine.apply(
            self.store, Journal(self.at), (), lambda _s, _p: True, lambda: None, consent=consent
        )

    def there(self, name: str) -> bool:
        return (self.root / "etc" / name).exists()

    def commits(self) -> list[str | None]:
        return [item.step for item in self.store.history() if item.operation == "apply"]

    def killed_run(self) -> Unfinished:
        """What the journal says of the run that was killed here."""
        killed = unfinished(self.at)
        assert killed is not None
        return killed

    def recovery(self, *steps: Step) -> Recovery:
        """Of the run that was killed here, with these steps."""
        self.engine(*steps)
        killed, report = self.killed_run(), self.events.append
        return Recovery(self.host, self.store, Journal(self.at), killed, report, print, lambda: None)

    def main(self, *arguments: str) -> int:
        """The command line, with this place in the place of the host."""
        stand_ins.anybody(self.patch)
        stand_ins.use_host(self.patch, self.host)
        self.patch.setattr("wizard.engine.state_dir.HOME", self.root / "home")
        self.patch.setattr("wizard.engine.state_dir.STORE", self.root / "home/etc.git")
        self.patch.setattr("wizard.engine.state_dir.JOURNAL", self.at)
        self.patch.setattr("wizard.engine.state_dir.LOCK", self.root / "home/lock")
        self.patch.setattr(Store, "open", lambda path, **_: self.store)
        self.patch.setattr("wizard.render.as_json.find", lambda name: Ends(self.host, name))
        return cli.main(arguments)
