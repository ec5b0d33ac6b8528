"""Which fixes go with the faults that were named, in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.mends import in_order
from wizard.model.plan import Step
from wizard.troubleshoot.diagnosis import Fault


def mends(faults: Sequence[Fault]) -> tuple[Step, ...]:
    """The steps of all their mends, in the order in which they are applied. What is broken waits for no other step."""
    named = {name for item in faults for name in item.seen.mend.steps}
    return tuple(step for step in in_order() if step.id in named)
