"""The steps screen's inside: on the left the steps with their states, on the right the chosen one, from its reason to its\nchecks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, ProgressBar, Static, TabbedContent, TabPane
from textual.widgets.option_list import Option

from screens.widgets.contents import (
    check_content,
    column,
    diff_content,
    endings_content,
    folded,
    meter,
    state_content,
)
from screens.widgets.fitted import FittedText
from screens.widgets.output import MOST, Output, wrapped
from screens.widgets.rows import Rows
from wizard.console import clean, command, is_command, typed
from wizard.engine.overview import REMAINING
from wizard.model.plan import NOT_NOW, UNKNOWN, UNTESTED, Check, Outcome, Plan, Step

if TYPE_CHECKING:
    from screens.jobs import SeenOfSteps
    from snapshots.store import Commit

PANES = ("diff", "why", "commands", "output", "checks")
_STATES = {UNKNOWN: "Unknown", UNTESTED: "To test", NOT_NOW: "Not now"}
_UNSETTLED = (*REMAINING, "working", "waiting", "failed", "blocked")
"""The states of steps that still have something to do, the one at work among them."""
_WORDS = {
    Outcome.PENDING: "To do",
    Outcome.DONE: "Already done",
    Outcome.NOT_APPLICABLE: "N/a",
    Outcome.LATER: "Decided later",
    Outcome.BLOCKED: "Blocked",
}


@dataclass(frozen=True)
class Shown:
    """All that is known of a step."""

    step: Step
    plan: Plan
    checks: Sequence[Check] = ()
    """Those that were run since the screens were started."""
    output: Sequence[str] = ()
    commit: Commit | None = None
    """The newest one in force that applied it."""
    diff: str | None = None
    """What that one changed; None until it is read."""
    just_applied: bool = False
    """Whether the run at hand has applied it: the plan is what was done."""
    skipped: bool = False


class StepPanes(Vertical):
    """Title and reason stay; below them one of the panes."""

    def compose(self) -> ComposeResult:
        """The panes, empty."""
        yield Static(id="step-title", markup=False)
        yield ProgressBar(total=100, show_eta=False, id="progress", classes="hidden")
        with TabbedContent(id="panes", initial="diff"):
            for name in PANES:
                with TabPane(f"{PANES.index(name) + 1} {name.capitalize()}", id=name):
                    if name == "output":
                        yield Output(id="output-scroll")
                    else:
                        with VerticalScroll(id=f"{name}-scroll"):
                            yield FittedText(lambda _: Content(""), id=f"{name}-text")

    @property
    def output(self) -> Output:
        """What the step's commands have printed."""
        return self.query_one("#output-scroll", Output)

    @property
    def front(self) -> Widget:
        """What scrolls in the pane in front."""
        return self.query_one(f"#{self.query_one('#panes', TabbedContent).active}-scroll")

    def show(self, shown: Shown) -> None:
        """Put a step in front."""
        step = shown.step
        howto = f" (howto {step.howto})" if step.howto else ""
        self.query_one("#step-title", Static).update(f"{step.title}{howto}")
        self.add(shown)
        self.output.show(shown.output)
        for pane in self.query(VerticalScroll):
            pane.scroll_home(animate=False)

    def add(self, shown: Shown) -> None:
        """More is known of the step in front: its place in the text stays."""
        for name, make in (
            ("diff", partial(_actions, shown)),
            ("why", lambda _: _why(shown.step, shown.plan)),
            ("commands", partial(_commands, shown.plan)),
            ("checks", partial(_checks, shown)),
        ):
            self.query_one(f"#{name}-text", FittedText).make(make)

    def progress(self, percent: float | None) -> None:
        """The progress that the command at work reports; None without any."""
        bar = self.query_one("#progress", ProgressBar)
        bar.set_class(percent is None or percent < 1, "hidden")  # at 0 it would be drawn as if it were full
        if percent is not None and int(percent) != int(bar.progress):  # each step of it is bytes on the line
            bar.update(progress=int(percent))

    def pane(self, name: str) -> None:
        """Bring a pane to the front."""
        tabs = self.query_one("#panes", TabbedContent)
        if tabs.active != name:
            tabs.active = name

    def turn(self, pages: int) -> None:
        """Scroll the pane in front by pages; the list of steps keeps the keys."""
        front = self.front
        front.scroll_relative(y=pages * max(1, front.size.height - 2), animate=False)

    def find(self, words: str) -> bool:
        """Scroll the output to the next line with `words`; False without any."""
        return self.output.find(words)


def _actions(shown: Shown, width: int) -> Content:
    """Everything the step would do, in order: what is shown here is what is done. Below it, what it has done."""
    step, plan = shown.step, shown.plan
    word = (
        "Changes nothing"
        if step.reports and plan.outcome is Outcome.DONE
        else _STATES.get(plan.word) or _WORDS[plan.outcome]
    )
    if shown.skipped:
        word = "Skipped"
    if shown.just_applied:
        parts = [Content.assemble(("Applied just now: ", "bold"), "this was done.\n")]
    else:
        parts = [Content.assemble((f"{word}: ", "bold"), clean(plan.reason), "\n")]
        rows = (row for line in plan.remedy for row in _to_do(clean(line), width))
        parts += [Content.styled(f"{row}\n", "ansi_cyan") for row in rows]
        parts += [endings_content(plan.ends, width)] if plan.ends else []
    for change in plan.changes:
        text = change.describe()
        parts.append(Content.styled(f"\n* {column(clean(text.title), 2, width)}\n", "bold"))
        parts += [Content(f"{line}\n") for each in text.commands for line in typed(clean(each), width, "  ")]
        parts += [Content(f"  {row}\n") for line in text.details for row in wrapped(clean(line), width - 2)]
        if text.diff:
            parts.append(diff_content(text.diff, width))
    return Content.assemble(*parts, *_applied(shown, width))


def _to_do(line: str, width: int) -> list[str]:
    """A command is broken so that it can be pasted."""
    if is_command(line):
        return command(line.strip(), width, "  ", "    ")
    return [f"  {column(line, 2, width)}"]


def _applied(shown: Shown, width: int) -> Iterator[Content]:
    """What the newest commit of the step has changed."""
    if shown.commit is None:
        return
    yield Content.styled(f"\nApplied {_by(shown.commit)}, commit {shown.commit.short}\n", "bold")
    if shown.diff is None:
        yield Content("Reading the history ...\n")
    else:
        yield diff_content(folded(shown.diff, "the history (h) shows all of it"), width)


def _by(commit: Commit) -> str:
    return f"on {commit.time.astimezone():%F %R} by {clean(commit.author.name)}"


def _checks(shown: Shown, width: int) -> Content:
    """The step's checks of this session, or why there are none."""
    if shown.checks:
        return Content("\n").join([check_content(check, width) for check in shown.checks])
    if shown.commit is not None:
        return Content(
            f"Checked when it was applied, {_by(shown.commit)}; not since msa-wizard was started. A step whose checks"
            " fail is undone at once."
        )
    match shown.plan.outcome:
        case Outcome.DONE:
            return Content("Not checked: this was so already, and there was nothing to apply.")
        case Outcome.NOT_APPLICABLE:
            return Content("Not checked: there is nothing to apply.")
    what = f": {shown.step.checked}" if shown.step.checked else ""
    return Content(
        f"Checked right after the step is applied{what}. If a check fails, the step is undone at once."
    )


def _why(step: Step, plan: Plan) -> Content:
    from wizard.rollback.rollback import needing
    from wizard.steps.order import STEPS

    parts: list[str | tuple[str, str]] = [clean(step.why), "\n"]
    if step.needs:
        parts.append(f"\nIt needs: {', '.join(step.needs)}.\n")
    needs = needing([step.id])
    later = ", ".join(each.id for each in STEPS if each.id in needs)
    consequence = "no other step stops working, and the host stays as it is in this respect"
    if step.without:
        consequence = step.without
    elif later:
        consequence = f"these steps will not work: {later}"
    parts += [("\nIf you skip it", "bold"), f", {consequence}.\n"]
    for note in plan.notes:
        parts.append(f"\nNote: {clean(note)}\n")
    return Content.assemble(*parts)


def _commands(plan: Plan, width: int) -> Content:
    """What the step would run."""
    commands = [clean(line) for change in plan.changes for line in change.describe().commands]
    lines = [line for each in commands for line in typed(each, width)]
    return Content("\n".join(lines) or "This step runs no command of its own.")


class StepBoard(Horizontal):
    """Knows all of each step, and shows it: a list and how far one is, beside them the chosen step."""

    def __init__(self, steps: Sequence[Step], seen: SeenOfSteps, read: Callable[[Commit], str]) -> None:
        super().__init__()
        self.steps = {step.id: step for step in steps}
        self.plans: dict[str, Plan] = {}
        self.states: dict[str, str] = {}
        self.seen = seen
        self._read = read
        self._commits: dict[str, Commit] = {}
        self._diffs: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """List and panes."""
        options = (Option(f"  ...      {name}", id=name) for name in self.steps)
        with Vertical(id="all-steps"):
            yield Static(id="where", markup=False)
            yield Static(id="meter", markup=False)
            yield Rows(*options, id="list", markup=False)
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
        self.query_one("#all-steps").toggle_class("folded")

    def unfold(self) -> bool:
        """Give the list its place back; whether it had none."""
        folded = self.query_one("#all-steps").has_class("folded")
        self.query_one("#all-steps").remove_class("folded")
        return folded

    def in_force(self, name: str) -> bool:
        """Whether a commit in force says that the step was applied."""
        return name in self._commits

    @property
    def remaining(self) -> list[str]:
        """The steps that have something to do, in order, without those that are skipped."""
        return [name for name in self.steps if self.states.get(name) in (*REMAINING, "failed")]

    def fill(self, plans: Mapping[str, Plan], states: Mapping[str, str], commits: Sequence[Commit]) -> None:
        """Show what is known of the host now; `commits` are the history, newest first."""
        from wizard.engine.in_force import applied

        self.plans = dict(plans)
        self._commits = {commit.step: commit for commit in reversed(applied(commits)) if commit.step}
        for name, state in states.items():
            self.mark(name, state)

    def mark(self, name: str, state: str) -> None:
        """Set a step's state in the list."""
        if self.states.get(name) != state:
            self.states[name] = state
            self._list.replace_option_prompt(name, state_content(state, name))
            self._measure()

    def _measure(self) -> None:
        """How far the set-up is, and which step is in front."""
        names, width = list(self.steps), self.query_one("#meter").content_size.width
        left = sum(state in _UNSETTLED for state in self.states.values())
        unknown = sum(state == UNKNOWN for state in self.states.values())
        untested = sum(state == UNTESTED for state in self.states.values())
        says = f"{left}{'+' if unknown else ''} to do"
        if not left and (unknown or untested):
            says = f"{unknown} unknown" if unknown else f"{untested} to test"
        self.query_one("#where", Static).update(
            Content.assemble(
                (f"Step {names.index(self.chosen) + 1} of {len(names)}", "bold"),
                f", {says}",
            )
        )
        self.query_one("#meter", Static).update(meter(self.states.values(), width))

    def on_resize(self) -> None:
        """The bar has another length."""
        if self.states:
            self.call_after_refresh(self._measure)

    def check(self, name: str, check: Check) -> None:
        """One more check of a step."""
        self.seen.checks.setdefault(name, []).append(check)
        if self.chosen == name:
            self.panes.add(self._shown(name))

    def begin(self, name: str) -> None:
        """A step is applied anew: what was seen of it before is old."""
        self.seen.checks[name], self.seen.output[name] = [], []
        if self.chosen == name:
            self.panes.output.clear()

    def write(self, name: str, lines: Iterable[str]) -> None:
        """More output of a step."""
        lines = list(lines)
        kept = self.seen.output.setdefault(name, [])
        kept += lines
        del kept[:-MOST]
        if self.chosen == name:
            self.panes.output.write(lines)

    def show(self) -> None:
        """Fill the right side with the chosen step."""
        name = self.chosen
        if name not in self.plans:
            return
        self._measure()
        self.panes.show(self._shown(name))
        commit = self._commits.get(name)
        if commit is not None and commit.id not in self._diffs:
            self.run_worker(partial(self._load, name, commit), thread=True, exclusive=True, group="diff")

    def _shown(self, name: str) -> Shown:
        commit = self._commits.get(name)
        return Shown(
            self.steps[name],
            self.plans[name],
            self.seen.checks.get(name, ()),
            self.seen.output.get(name, ()),
            commit,
            self._diffs.get(commit.id) if commit else None,
            self.states.get(name) == "applied" and self.plans[name].outcome is Outcome.PENDING,
            self.states.get(name) == "skipped",
        )

    def _load(self, name: str, commit: Commit) -> None:
        """Read what a commit has changed, in a thread; if that cannot be read, say so."""
        from snapshots.errors import StoreError
        from wizard.errors import WizardError

        try:
            diff = self._read(commit)
        except (StoreError, WizardError, OSError) as error:
            diff = str(error)

        def deliver() -> None:
            self._diffs[commit.id] = diff
            if self.chosen == name:
                self.panes.add(self._shown(name))

        with contextlib.suppress(RuntimeError):  # the app has ended
            self.call_later(deliver)  # with our own messages: none comes once what we hold is being removed
