"""The board of the steps screen: on the left the steps with their states, on the right the chosen one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.widgets.signs import state_content
from screens.widgets.step_panes import StepPanes
from wizard.engine.overview import REMAINING
from wizard.model.plan import Check, Plan, Step


class StepBoard(Horizontal):
    """Knows plan, state and checks of each step, and shows them."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.steps = {step.id: step for step in steps}
        self.plans: dict[str, Plan] = {}
        self.states: dict[str, str] = {}
        self.checks: dict[str, list[Check]] = {}

    def compose(self) -> ComposeResult:
        """List and panes."""
        options = (Option(f"  ...      {name}", id=name) for name in self.steps)
        yield OptionList(*options, id="list", markup=False)
        yield StepPanes(id="right")

    @property
    def _list(self) -> OptionList:
        return self.query_one("#list", OptionList)

    @property
    def panes(self) -> StepPanes:
        """The right side."""
        return self.query_one(StepPanes)

    @property
    def chosen(self) -> str:
        """The id of the step that is shown."""
        return list(self.steps)[self._list.highlighted or 0]

    def select(self, name: str) -> None:
        """Choose a step."""
        self._list.highlighted = list(self.steps).index(name)

    def move(self, by: int) -> None:
        """Choose the next step, or the previous."""
        last = len(self.steps) - 1
        self._list.highlighted = max(0, min(last, (self._list.highlighted or 0) + by))

    def fold(self) -> None:
        """Give the step the whole width, or the list its place back."""
        self._list.toggle_class("folded")

    @property
    def remaining(self) -> list[str]:
        """The steps that have something to do, in order, without those that are skipped."""
        return [name for name in self.steps if self.states.get(name) in (*REMAINING, "failed")]

    def fill(self, plans: Mapping[str, Plan], states: Mapping[str, str]) -> None:
        """Show what is known of the host now."""
        self.plans = dict(plans)
        for name, state in states.items():
            self.mark(name, state)
        self.show()

    def mark(self, name: str, state: str) -> None:
        """Set a step's state in the list."""
        if self.states.get(name) != state:
            self.states[name] = state
            self._list.replace_option_prompt(name, state_content(state, name))

    def check(self, name: str, checks: Iterable[Check]) -> None:
        """Add checks of a step."""
        self.checks.setdefault(name, []).extend(checks)
        if self.chosen == name:
            self.panes.show_checks(self.checks[name])

    def show(self) -> None:
        """Fill the right side with the chosen step."""
        name = self.chosen
        if name in self.plans:
            self.panes.show(self.steps[name], self.plans[name], self.checks.get(name, ()))

    def on_option_list_option_highlighted(self) -> None:
        """Another step is chosen."""
        self.show()
