"""What is left to do of all steps, what `a` applies of that, and what it leaves out: by their states alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from screens.widgets.contents import without
from wizard.engine.overview import REMAINING
from wizard.model.plan import NOT_NOW, Plan, Step


@dataclass(frozen=True)
class Remaining:
    """All steps in order, each with its plan and its state."""

    steps: Mapping[str, Step]
    plans: Mapping[str, Plan]
    states: Mapping[str, str]
    current: str | None = None
    """The step that a run is at."""
    wanted: tuple[str, ...] = ()
    """What that run is for; empty where that is all."""

    def _are(self, *words: str) -> list[str]:
        return [name for name in self.steps if self.states.get(name) in words]

    @property
    def stuck(self) -> list[str]:
        """The steps that cannot be applied, and are not skipped: a run ends at the first, unless it is not among those it is for."""
        return self._are("blocked")

    @property
    def passing(self) -> tuple[str, ...]:
        """What a run is for that passes what is stuck: all other steps that do not need it. Empty where nothing is, which means all."""
        from wizard.rollback.rollback import needing

        held_up = {*self.stuck, *needing(self.stuck)}
        return tuple(name for name in self.steps if name not in held_up) if held_up else ()

    @property
    def applicable(self) -> list[str]:
        """The steps that have something to do, and do not need what is stuck, in order."""
        passing = self.passing
        return [name for name in self._are(*REMAINING, "failed") if not passing or name in passing]

    @property
    def to_apply(self) -> list[str]:
        """What `a` applies, in order: of a run its step, and those behind it that it is for, up to one that is stuck."""
        if self.current is None:
            return self.applicable
        order, names = list(self.steps), [self.current]
        for name in order[order.index(self.current) + 1 :]:
            if not self.wanted or name in self.wanted:
                if name in self.stuck:
                    break
                names += [name] if name in self.applicable else []
        return names

    @property
    def left_out(self) -> list[str]:
        """What has something to do and is not applied then, and why, a line each."""
        lines = [f"{name}: {without(name)}" for name in self._are("skipped")]
        lines += [f"{name}: {self.plans[name].reason}" for name in self.stuck]
        behind = [name for name in self._are(*REMAINING, "failed", NOT_NOW) if name not in self.to_apply]
        return [*lines, f"not now: {', '.join(behind)}"] if behind else lines
