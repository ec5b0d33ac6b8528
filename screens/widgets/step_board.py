"""The steps screen's inside: on the left the steps with their states, on the right the chosen one, from its reason to its\nchecks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Log, OptionList, ProgressBar, Static, TabbedContent, TabPane
from textual.widgets.option_list import Option

from screens.widgets.contents import check_content, diff_content, endings_content, state_content
from wizard.console import clean
from wizard.engine.overview import REMAINING
from wizard.model.plan import UNKNOWN, UNTESTED, Check, Outcome, Plan, Step

PANES = ("diff", "why", "commands", "output", "checks")
OUTPUT_LINES = 4000
_STATES = {UNKNOWN: "Unknown", UNTESTED: "Not tested yet"}
_WORDS = {
    Outcome.PENDING: "To do",
    Outcome.DONE: "Already done",
    Outcome.NOT_APPLICABLE: "Does not apply",
    Outcome.LATER: "Decided later",
    Outcome.BLOCKED: "Blocked",
}


class StepPanes(Vertical):
    """Title and reason stay; below them one of the panes."""

    _shown: tuple[Step, Plan] | None = None

    def compose(self) -> ComposeResult:
        """The panes, empty."""
        yield Static(id="step-title", markup=False)
        yield ProgressBar(total=100, show_eta=False, id="progress", classes="hidden")
        with TabbedContent(id="panes", initial="diff"):
            for name in PANES:
                with TabPane(f"{PANES.index(name) + 1} {name.capitalize()}", id=name):
                    if name == "output":
                        yield Log(id="output-log", highlight=False, max_lines=OUTPUT_LINES, auto_scroll=True)
                    else:
                        with VerticalScroll(id=f"{name}-scroll"):
                            yield Static(id=f"{name}-text", markup=False)

    def show(self, step: Step, plan: Plan, checks: Iterable[Check]) -> None:
        """Put a step in front."""
        howto = f" (howto {step.howto})" if step.howto else ""
        self.query_one("#step-title", Static).update(f"{step.title}{howto}")
        self._shown = step, plan
        self._fit()
        self.query_one("#diff-scroll").scroll_home(animate=False)
        self._set("why", _why(step, plan))
        commands = [_typed(line) for change in plan.changes for line in change.describe().commands]
        self._set("commands", Content("\n".join(commands) or "This step runs no command of its own."))
        self.show_checks(checks)

    def on_resize(self) -> None:
        """The diff has one column or two, depending on the width."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if self._shown is not None:
            width = self.query_one("#diff-scroll").content_size.width
            self.query_one("#diff-text", Static).update(_actions(*self._shown, width))

    def show_checks(self, checks: Iterable[Check]) -> None:
        """The step's checks so far."""
        lines = [check_content(check) for check in checks]
        self._set("checks", Content("\n").join(lines) if lines else Content("Checks run after the step."))

    def write(self, lines: Iterable[str]) -> None:
        """More output."""
        self.query_one("#output-log", Log).write_lines(list(lines))

    def progress(self, percent: float | None) -> None:
        """The progress that the command at work reports; None without any."""
        bar = self.query_one("#progress", ProgressBar)
        bar.set_class(percent is None, "hidden")
        if percent is not None and int(percent) != int(bar.progress):  # each step of it is bytes on the line
            bar.update(progress=int(percent))

    def pane(self, name: str) -> None:
        """Bring a pane to the front."""
        tabs = self.query_one("#panes", TabbedContent)
        if tabs.active != name:
            tabs.active = name

    @property
    def front(self) -> Widget:
        """What scrolls in the pane in front."""
        name = self.query_one("#panes", TabbedContent).active
        return self.query_one("#output-log" if name == "output" else f"#{name}-scroll")

    def turn(self, pages: int) -> None:
        """Scroll the pane in front by pages; the list of steps keeps the keys."""
        front = self.front
        front.scroll_relative(y=pages * max(1, front.size.height - 2), animate=False)

    def find(self, words: str) -> bool:
        """Scroll the output to the next line with `words`, from the one below the top; False without any."""
        log = self.query_one("#output-log", Log)
        lines = list(log.lines)
        begin = int(log.scroll_y) + 1
        for number in (*range(begin, len(lines)), *range(0, min(begin, len(lines)))):
            if words.lower() in lines[number].lower():
                log.auto_scroll = False
                log.scroll_to(y=number, animate=False)
                return True
        return False

    def _set(self, name: str, content: Content) -> None:
        self.query_one(f"#{name}-text", Static).update(content)
        self.query_one(f"#{name}-scroll", VerticalScroll).scroll_home(animate=False)


def _actions(step: Step, plan: Plan, width: int) -> Content:
    """Everything the step would do, in order: what is shown here is what is done."""
    word = (
        "Changes nothing"
        if step.reports and plan.outcome is Outcome.DONE
        else _STATES.get(plan.word) or _WORDS[plan.outcome]
    )
    parts = [Content.assemble((f"{word}: ", "bold"), clean(plan.reason), "\n")]
    for line in plan.remedy:
        parts.append(Content.styled(f"  {clean(line)}\n", "ansi_cyan"))
    if plan.ends:
        parts.append(endings_content(plan.ends))
    for change in plan.changes:
        shown = change.describe()
        parts.append(Content.styled(f"\n* {clean(shown.title)}\n", "bold"))
        parts += [Content(f"  {_typed(line)}\n") for line in shown.commands]
        parts += [Content(f"  {clean(line)}\n") for line in shown.details]
        if shown.diff:
            parts.append(diff_content(shown.diff, width))
    return Content.assemble(*parts)


def _why(step: Step, plan: Plan) -> Content:
    from wizard.rollback.rollback import needing
    from wizard.steps.order import STEPS

    parts: list[str | tuple[str, str]] = [clean(step.why), "\n"]
    if step.howto:
        parts.append(f"\nIt is section {step.howto} of the Sendmail submission howto.\n")
    if step.needs:
        parts.append(f"\nIt needs: {', '.join(step.needs)}.\n")
    needs = needing([step.id])
    later = ", ".join(each.id for each in STEPS if each.id in needs)
    consequence = (
        f"these steps will not work: {later}."
        if later
        else "no other step stops working, and the host stays as it is in this respect."
    )
    parts += [("\nIf you skip it", "bold"), f", {consequence}\n"]
    for note in plan.notes:
        parts.append(f"\nNote: {clean(note)}\n")
    return Content.assemble(*parts)


def _typed(line: str) -> str:
    return clean(line) if line.startswith(" ") else f"$ {clean(line)}"


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
