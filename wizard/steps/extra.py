"""Steps beyond the howto's order: done when a command of their own asks for them, never by `plan`, `apply`, `status`.

They are recorded, taken back and recovered as those of the order; whoever must know them by their id looks here."""

from __future__ import annotations

from wizard.plan import Step
from wizard.steps import STEPS


def extra() -> tuple[Step, ...]:
    """One of each, for its id, its `needs` and `again`; imported here, for they are seldom needed."""
    return ()


def find(step_id: str) -> Step:
    """The step with this id, in the howto's order or beyond it. Raises KeyError."""
    return {item.id: item for item in (*STEPS, *extra())}[step_id]
