"""What the engine reports while it works. The command line prints them, `--json` collects them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wizard.model.plan import Check, Plan, Step


@dataclass(frozen=True)
class Planned:
    """A step was planned; when `again` is set the machine had changed, and this is the new diff."""

    step: Step
    plan: Plan
    again: bool = False


@dataclass(frozen=True)
class Output:
    """A line of live output of the change at work."""

    step: Step
    line: str


@dataclass(frozen=True)
class Progress:
    """How far the command at work says that it is, 0 to 100, and what it is doing."""

    step: Step
    percent: float
    doing: str


@dataclass(frozen=True)
class Checked:
    """A check came out."""

    step: Step
    check: Check


@dataclass(frozen=True)
class Recorded:
    """The step is one commit in the snapshot store; `seconds` is what it took in all."""

    step: Step
    commit: str
    seconds: float


@dataclass(frozen=True)
class Drifted:
    """What had changed outside the wizard was committed first; `paths` are some of them."""

    commit: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """A step failed: why, and what was undone (`undone`) or could not be (`not_undone`)."""

    step: Step
    why: str
    undone: tuple[str, ...]
    not_undone: tuple[str, ...]
    next: str
    also: tuple[str, ...] = ()
    """Earlier steps of the run that were rolled back with it: they are applied no more."""
    reported: bool = False
    """It had nothing to change, and one of its checks failed, each of which is an event before this one."""


@dataclass(frozen=True)
class RolledBack:
    """Steps of the run that were rolled back, since it ended between the edits of sendmail.mc: they are applied no more."""

    steps: tuple[str, ...]


Event = Planned | Output | Progress | Checked | Recorded | Drifted | Failed | RolledBack
Report = Callable[[Event], None]
