"""The steps screen as a board: list and panes, and what is known of each step. It takes no keys."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import Frame
from screens.widgets.signs import state_content
from screens.widgets.step_panes import StepPanes
from wizard.engine.overview import REMAINING
from wizard.model.plan import Check, Plan
from wizard.steps import STEPS


class StepBoard(Frame[None]):
    """Left the list, right the chosen step, below a line of news."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}
        self.checks: dict[str, list[Check]] = {}
        self._plans: dict[str, Plan] = {}

    def body(self) -> ComposeResult:
        """List and panes, one line of news below."""
        with Horizontal():
            yield OptionList(
                *(Option(f"  ...      {step.id}", id=step.id) for step in STEPS), id="list", markup=False
            )
            yield StepPanes(id="right")
        yield Static("Looking at this host ...", id="says", markup=False)

    @property
    def chosen(self) -> str:
        """The step that the list is on."""
        return STEPS[self.query_one("#list", OptionList).highlighted or 0].id

    @property
    def panes(self) -> StepPanes:
        """The right side."""
        return self.query_one(StepPanes)

    def select(self, name: str) -> None:
        """Move the list to a step."""
        self.query_one("#list", OptionList).highlighted = [step.id for step in STEPS].index(name)

    def _row(self, name: str) -> None:
        options = self.query_one("#list", OptionList)
        options.replace_option_prompt(name, state_content(self.states[name], name))

    def state(self, name: str, state: str) -> None:
        """Set a step's state in the list."""
        if self.states.get(name) != state:
            self.states[name] = state
            self._row(name)

    def say(self, words: str) -> None:
        """The line of news below."""
        self.query_one("#says", Static).update(words)

    def show(self) -> None:
        """Fill the right side with the chosen step."""
        name = self.chosen
        if name in self._plans:
            step = next(step for step in STEPS if step.id == name)
            self.panes.show(step, self._plans[name], self.checks.get(name, ()))
            self.same(f"msa-wizard apply {name}")

    def _left(self) -> list[str]:
        """The steps that have something to do, in order, those left out not among them."""
        return [step.id for step in STEPS if self.states.get(step.id) in (*REMAINING, "failed")]

    def planned(self, name: str, plan: Plan) -> None:
        """A step's plan on the facts of now."""
        self._plans[name] = plan

    def on_option_list_option_highlighted(self) -> None:
        """Another step is in front."""
        self.show()
        if not self.wizard.desk.changing:
            self.panes.pane("diff")

    def approved(self, name: str) -> bool:
        """Whether the admin has said yes to a plan of this step in this run."""
        raise NotImplementedError

    def action_apply(self) -> None:
        """Apply the step that is shown."""
        raise NotImplementedError

    def action_skip(self) -> None:
        """Leave the step out."""
        raise NotImplementedError
