"""What one apply came to, and who is asked while it is at work."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from wizard.model.plan import Check, Effect, Ending, Plan, Step

AGAIN = "fix the cause and run the same command again"
"""What is to do where all of it could be undone, or nothing was changed."""
BY_HAND = "put right by hand what could not be undone, then `msa-wizard recover`"
"""What is to do where a step could be undone only in part."""

Decide = Callable[[Step, Plan], bool]
"""Asked before a step's changes, after they were shown; False leaves the step as it is. May raise Enough, Undecided."""

Consent = Callable[[Step, Plan, tuple[Ending, ...]], bool]
"""Asked when something that works would end with the plan, and was not accepted by name; False ends the run there."""


def not_asked(_step: Step, _plan: Plan) -> bool:
    """The decision of a run that can ask nobody: it ends before what nobody has agreed to."""
    raise Undecided


def nobody(_step: Step, _plan: Plan, _ends: tuple[Ending, ...]) -> bool:
    """The consent of a run that can ask nobody."""
    return False


@dataclass
class Run:
    """What one apply came to. `failed` is the step that failed, `blocked` one that must not be done here."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    plans: dict[str, Plan] = field(default_factory=dict)
    checks: dict[str, list[Check]] = field(default_factory=dict)
    applied: dict[str, str] = field(default_factory=dict)
    """Step id to commit id."""
    skipped: list[str] = field(default_factory=list)
    enough: str | None = None
    """Before this step the admin ended the run."""
    failed: str | None = None
    blocked: str | None = None
    undecided: str | None = None
    """The step that waits for a decision, as a rule until what would end with it is accepted; nothing of it was changed."""
    ends: tuple[Ending, ...] = ()
    """What would end with that; nothing where a killed run is finished, and nobody has been asked about the step."""
    rolled_back: tuple[str, ...] = ()
    """The edits of sendmail.mc that were rolled back, since the run ended before a sendmail.cf was made of them."""

    @property
    def stopped(self) -> str | None:
        """The step that ended the run before its time, whatever it was."""
        return self.failed or self.blocked or self.undecided


@dataclass(frozen=True)
class Resume:
    """A killed run that is finished: its id, the step it was in, and the effects of that step that stay."""

    run: str
    step: str | None
    effects: tuple[Effect, ...] = ()
    started_with: bool = True
    """Whether sendmail is known to have started with the configuration that the killed run found."""


class Undecided(Exception):
    """What would end was not accepted, and came to light when the step had begun; or nobody can be asked about the step."""


class Declined(Exception):
    """The admin saw the new diff and said no."""


class Enough(Exception):
    """The admin saw the diff of a step, and wants neither it nor those after it: the run ends before it."""
