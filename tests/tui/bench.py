"""A host below a temporary root with a real store and engine, and steps made for the test."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from screens.app import WizardApp
from screens.backend import Backend
from screens.base import WizardScreen
from screens.steps import Steps
from snapshots.live.entry import Entry, Kind
from snapshots.store import Store
from tests import stand_ins
from tests.unit.steps.recorded import machine
from wizard.changes.command import CommandChange
from wizard.changes.confirm_or_revert import give_up
from wizard.changes.file import FileChange
from wizard.engine import state_dir
from wizard.engine.engine import Engine
from wizard.engine.journal import Journal, Unfinished, unfinished
from wizard.engine.state_dir import InterruptedRun
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Plan, Sign, Step
from wizard.system.host import Host
from wizard.system.lock import free, held
from wizard.system.signals import Interrupt

LOOKING = (
    "wizard.engine.planner",
    "wizard.engine.overview",
    "wizard.rollback.rollback",
    "wizard.rollback.apply",
)
"""The modules that look at the host: here they see a recorded one."""


class Writes(Step):
    """A step that writes one file below the root, and perhaps runs a command first."""

    checked = "whether the line is there"

    def __init__(
        self,
        name: str,
        host: Host,
        path: str,
        text: str,
        *,
        needs: tuple[str, ...] = (),
        command: str = "",
        good: Callable[[], bool] = lambda: True,
    ) -> None:
        self.id, self.title = name, f"Write {path}"  # type: ignore[misc]
        self.howto, self.why, self.needs = "9.9", f"{path} must say so.", needs  # type: ignore[misc]
        self._host, self._path, self._text, self._command, self.good = host, path, text, command, good

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The file as it is to be."""
        now = self._host.entry(self._path)
        lines = (now.content.decode() if now else "").splitlines(keepends=True)
        if self._text in lines:
            return Plan.done(self.id, f"{self._path} says so")
        content = "".join([*lines, self._text]).encode()
        after = replace(now, content=content) if now else Entry(Kind.FILE, 0o644, 0, 0, content)
        changes: list[Change] = [FileChange(self._path, now, after, f"add a line to {self._path}")]
        if self._command:
            changes.insert(0, CommandChange(("sh", "-c", self._command), "says something", footprint=()))
        return Plan.pending(self.id, f"{self._path} lacks a line", *changes)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """As the test wants it."""
        good = self.good()
        return [
            Check(
                "line",
                Sign.OK if good else Sign.FAILED,
                f"{self._path} is {'' if good else 'not '}right",
                "look",
            )
        ]


class Stuck(Step):
    """Not the first step, and in the way of nothing but itself."""

    id = "stuck"
    title = "Stuck"
    why = "a test"

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Blocked."""
        return Plan.blocked(self.id, "two are active")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Nothing."""
        return []


@dataclass
class Bench(Backend):
    """The machine that the screens see."""

    root: Path = field(default_factory=Path)
    steps: Sequence[Step] = ()

    def __post_init__(self) -> None:
        """An /etc and a folder for the store."""
        (self.root / "etc").mkdir(exist_ok=True)
        (self.root / "etc/a").write_text("old a\n")
        (self.root / "etc/b").write_text("old b\n")
        (self.root / "state").mkdir(mode=0o700, exist_ok=True)
        self.host = Host(self.root)

    @contextmanager
    def at_work(
        self, interrupt: Interrupt, work: str = "", *, recovering: bool = False
    ) -> Iterator[tuple[Store, Journal, Interrupt]]:
        """As state_dir.at_work, below the root."""
        with held(self.root / "state/lock", "tester", work):
            told = self.killed()
            if told is not None and not recovering:
                raise InterruptedRun(told)
            interrupt.at_signal = give_up
            store = Store.open(self.root / "state/etc.git", root=self.root)
            for line in store.healed:
                self.tell(line)
            yield store, Journal(self.root / "state/journal"), interrupt

    def alone(self, what: str) -> AbstractContextManager[None]:
        """As state_dir.alone, below the root."""
        return held(self.root / "state/lock", "tester")

    def lost(self) -> str:
        """Whether the history was wiped."""
        return Store.lost(self.root / "state/etc.git")

    def store(self) -> Store | None:
        """The history."""
        return Store.open_existing(self.root / "state/etc.git", root=self.root)

    def store_to_add_to(self) -> Store | None:
        """As state_dir.store_to_add_to, below the root."""
        there = self.store() is not None and self.killed() is None
        return Store.open(self.root / "state/etc.git", root=self.root) if there else None

    def history_mark(self) -> object:
        """Of the store below the root."""
        return state_dir.history_mark(self.root / "state/etc.git")

    def killed(self) -> Unfinished | None:
        """The journal of a killed run."""
        return unfinished(self.root / "state/journal")

    def waits(self) -> Unfinished | None:
        """As state_dir.waiting_run, below the root."""
        return self.killed() if free(self.root / "state/lock") else None

    def others(self) -> str:
        """As state_dir.others_at_work, below the root."""
        return state_dir.others_at_work(self.root / "state/lock")

    def facts(self) -> Facts:
        """A recorded host."""
        return _look(self.host)

    def text(self, path: str) -> str:
        """A file below the root."""
        return (self.root / path.lstrip("/")).read_text()

    def operations(self) -> list[str]:
        """The commits' operations, newest first."""
        return [item.operation for item in self.commits()]


def until_there(file: Path) -> str:
    """A command that ends once the file is there."""
    return f"until test -e {file}; do sleep 0.05; done"


def use(monkeypatch: pytest.MonkeyPatch, bench: Bench, *steps: Step) -> None:
    """Let these be all steps there are, and every look at the host see a recorded one."""
    bench.steps = steps
    stand_ins.use_steps(monkeypatch, steps)
    for name in LOOKING:
        monkeypatch.setattr(f"{name}.look", _look)


def three_steps(root: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A host with three steps to do, the second of which needs the first."""
    bench = Bench(root=root)
    use(
        monkeypatch,
        bench,
        Writes("one", bench.host, "/etc/a", "new a\n"),
        Writes("two", bench.host, "/etc/b", "new b\n", needs=("one",)),
        Writes("three", bench.host, "/etc/c", "new c\n"),
    )
    return bench


def apply_all(bench: Bench) -> None:
    """All its steps are applied before the screens begin."""
    with bench.at_work(Interrupt()) as (store, journal, _):
        Engine(bench.host, bench.answers, lambda _: None).apply(
            store, journal, (), lambda _s, _p: True, lambda: None
        )


def _look(host: Host, **_: object) -> Facts:
    facts: Facts = machine("13", taken=time.monotonic())
    return facts


Story = Callable[[Pilot[int], WizardApp], Awaitable[None]]


def play(bench: Backend, story: Story, size: tuple[int, int] = (80, 24), *, plain: bool = False) -> WizardApp:
    """Run the app without a terminal, and the story on it."""
    app = WizardApp(bench, plain=plain)

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await story(pilot, app)

    asyncio.run(run())
    return app


async def until(
    pilot: Pilot[int], condition: Callable[[], object], seconds: float = 90.0, *, listens: bool = True
) -> None:
    """Wait until the condition holds, and what asks listens; a failure shows the screen. It fails once nothing can come any
    more, not where a busy machine is slow."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await pilot.pause(0.05)
        if condition() and (getattr(pilot.app.screen, "listens", True) or not listens):
            return
    raise AssertionError("it did not come about; the screen:\n" + "\n".join(text(pilot.app)))


async def at(pilot: Pilot[int], app: WizardApp, name: str, words: str) -> None:
    """From the first screen to another one, by its name, until it shows the words."""
    await until(pilot, lambda: shows(app, "Set up, step by step"))
    app.go(name)
    await until(pilot, lambda: shows(app, words))


async def at_steps(pilot: Pilot[int], app: WizardApp) -> None:
    """From the first screen to the steps, until they say what is to do."""
    await until(pilot, lambda: shows(app, "something to do") or shows(app, "Every step is done"))
    await pilot.press("enter")
    await until(
        pilot,
        lambda: (
            isinstance(app.screen, Steps)
            and (shows(app, "to do. y applies") or shows(app, "Nothing is left"))
        ),
    )


async def press_apply(pilot: Pilot[int], app: WizardApp, key: str = "a") -> None:
    """On the steps: `y` applies the one that is shown; `a`, once it was confirmed, all of them."""
    await pilot.press(key)
    if key == "a":
        await until(pilot, lambda: shows(app, "y apply all"))
        await pilot.press("y")


async def run_ended(pilot: Pilot[int], app: WizardApp) -> Steps:
    """The run that asks in the dialog on top has ended, as by settings that were opened just before; the steps below it."""
    steps = app.screen_stack[-2]
    assert isinstance(steps, Steps)
    app.desk.end_what_waits()
    await until(pilot, lambda: steps.free and not steps.looking)
    return steps


def text(app: object) -> list[str]:
    """The lines on the screen."""
    assert isinstance(app, WizardApp)
    screen = app.screen
    height = app.size.height
    return [
        "".join(segment.text for segment in strip)
        for strip in screen._compositor.render_strips(app.size)[:height]
    ]


def notified(app: WizardApp, words: str) -> bool:
    """Whether a notification holds the words, wherever its lines break."""
    return any(words in each.message for each in app._notifications)


def shows(app: WizardApp, words: str) -> bool:
    """Whether the screen holds the words on one line."""
    return any(words in line for line in text(app))


def counts(app: WizardApp, before: str, after: str = "") -> bool:
    """Whether it shows seconds, not 0, between these words: a busy machine leaves some of them out."""
    pattern = re.compile(f"{re.escape(before)}[1-9][0-9]* s{re.escape(after)}")
    return any(pattern.search(line) for line in text(app))


def says(app: WizardApp, words: str) -> bool:
    """Whether the screen's line of news holds the words, wherever its lines break."""
    assert isinstance(app.screen, WizardScreen)
    return words in str(app.screen.query_one(app.screen.SAYS, Static).visual)


def focused(app: WizardApp) -> str | None:
    """The id of the field that has the focus."""
    return app.screen.focused.id if app.screen.focused is not None else None
