"""Where a test puts other steps, another host, or another user than root in the place of the real ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wizard.model.plan import Step
from wizard.system.host import Host

_STEPS = (
    "engine.engine",
    "engine.planner",
    "engine.session",
    "rollback.apply",
    "rollback.rollback",
    "cli.options",
    "cli.steps",
    "render.files",
)
_MUST_BE_ROOT = (
    "cli.rollback",
    "cli.steps",
    "engine.state_dir",
)  # its own module last: the others import it from there
_HOST = ("cli.steps", "cli.rollback")


def use_steps(monkeypatch: pytest.MonkeyPatch, steps: Sequence[Step]) -> None:
    """These are all the steps of the howto."""
    for module in _STEPS:
        monkeypatch.setattr(f"wizard.{module}.STEPS", steps)


def use_host(monkeypatch: pytest.MonkeyPatch, host: Host) -> None:
    """The command line works on this host."""
    for module in _HOST:
        monkeypatch.setattr(f"wizard.{module}.Host", lambda: host)


def anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the command line, it takes him for root."""
    for module in _MUST_BE_ROOT:
        monkeypatch.setattr(f"wizard.{module}.must_be_root", lambda *_, **__: None)
