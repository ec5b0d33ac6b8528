"""All steps on the left with their state, the step on the right; Enter applies what is shown."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from screens.apply_policy import ApplyPolicy
from screens.jobs import Job, Reply
from screens.messages import EndingsWait, EngineSaid, JobEnded, StepWaits
from screens.step_events import StepNews
from screens.step_layout import StepBoard
from screens.widgets.step_panes import PANES
from wizard.console import clean
from wizard.engine.apply import Run
from wizard.engine.overview import REMAINING, Overview
from wizard.model.plan import Outcome
from wizard.steps import STEPS

DRAWN = 0.5
"""Seconds between two looks at new output: each draws a pane that has scrolled, and a slow line must carry that."""


class Steps(StepBoard):
    """The set-up itself."""

    HEADING = "Steps"
    HELP_TEXT = """
Left: the steps of the howto in their order, each with its state. Right: what the chosen one would do.
Enter applies the step whose diff you see, and then shows the next one; nothing changes before. a applies
all that remain, one after the other, each shown as it is done; s leaves a step out.

A step that fails is undone at once. Everything that is done is a commit in the history (h), and can be taken
back from there, or here with r.

to do: has something to change. applied: done by msa-wizard. done: was so already. drifted: was applied, and
is not so any more. later: decided once an earlier step is done. n/a: does not apply to this host.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "Apply", priority=True, key_display="enter"),
        Binding("a", "apply_all", "All"),
        Binding("s", "skip", "Skip"),
        Binding("r", "roll_back", "Roll back"),
        Binding("n", "go(1)", "Next", show=False),
        Binding("p", "go(-1)", "Previous", show=False),
        Binding("e", "settings", "Edit"),
        Binding("t", "test", "Test a login", show=False),
        *(
            Binding(str(i + 1), f"pane('{name}')", name.capitalize(), show=False)
            for i, name in enumerate(PANES)
        ),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
        Binding("slash", "search", "Search the output", show=False),
        Binding("z", "fold", "Wide", key_display="z", show=False),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._skipped: set[str] = set()
        self._news = StepNews(self)
        self._policy = ApplyPolicy()

    def on_mount(self) -> None:
        """Look at the host; the timer draws output while something is at work."""
        self._timer = self.set_interval(DRAWN, self._news.draw, pause=True)
        self.query_one("#list", OptionList).focus()
        self._look(None)

    def on_screen_resume(self) -> None:
        """A rollback or other settings may have changed everything."""
        if self._plans and not self.wizard.desk.busy:
            self._look(None)

    # --- what is known ------------------------------------------------------------------------------------

    def _look(self, after: Run | None) -> None:
        def work() -> None:
            found = self.wizard.machine.overview()
            self.deliver(self._looked, found, after)

        self.run_worker(work, thread=True, exclusive=True, group="look")

    def _looked(self, found: Overview, after: Run | None) -> None:
        first = not self._plans
        self._plans, self.states = dict(found.plans), dict(found.states)
        for name in self._skipped & set(found.remaining):
            self.states[name] = "skipped"
        if self._news.failure is not None and self._news.failure.step.id in found.remaining:
            self.states[self._news.failure.step.id] = "failed"
        for step in STEPS:
            self._row(step.id)
        left = self._left()
        if first or (after is not None and not after.stopped and left):
            self.select(left[0] if left else STEPS[0].id)
        self.show()
        if after is not None and after.applied and not after.stopped and not left:
            self.action_test()
        elif self._news.problem:
            self.say(self._news.problem)
            self._news.problem = ""
        elif after is None or not after.stopped:
            self.say(self._offer())

    def _offer(self) -> str:
        left = self._left()
        if self._plans and self._plans[STEPS[0].id].outcome is Outcome.BLOCKED:
            return "Something is in the way of every step: see preflight."
        if not left:
            return "Nothing is left to do. t tests a login, h shows the history."
        return f"{len(left)} steps to do. Enter applies the step that is shown, a applies all of them."

    # --- keys ---------------------------------------------------------------------------------------------

    def action_apply(self) -> None:
        """Apply the step that is shown."""
        desk, name = self.wizard.desk, self.chosen
        if desk.waiting and self._news.current is not None:
            if name == self._news.current:
                self._news.work()
                desk.answer(Reply.YES)
            else:
                self.select(self._news.current)
                self.say(f"{self._news.current} comes first. Enter applies it, s leaves it out.")
        elif desk.busy or not self._plans:
            return
        elif self.states[name] in (*REMAINING, "failed", "skipped"):
            self._skipped.discard(name)
            left = self._left()
            self._start(() if not left or name == left[0] else (name,), everything=False)
        elif left := self._left():
            self.select(left[0])
        else:
            self.action_test()

    def action_apply_all(self) -> None:
        """Apply all that remain, each shown as it goes."""
        desk = self.wizard.desk
        self.same("msa-wizard apply --yes")
        if desk.waiting:
            self._policy.everything = True
            self._news.work()
            desk.answer(Reply.YES)
        elif not desk.busy and self._left():
            self.select(self._left()[0])
            self._start((), everything=True)

    def action_skip(self) -> None:
        """Leave the step out, and say what follows from that."""
        desk, name = self.wizard.desk, self.chosen
        if desk.waiting and name == self._news.current:
            self._skipped.add(name)
            self.state(name, "skipped")
            desk.answer(Reply.NO)
        elif not desk.busy and self.states.get(name) in (*REMAINING, "failed"):
            self._skipped.add(name)
            self.state(name, "skipped")
            if left := self._left():
                self.select(left[0])
        else:
            return
        self.say(
            f"{name} is left out; its second pane says what depends on it. Enter on it takes it up again."
        )

    def action_go(self, by: int) -> None:
        """The next or previous step."""
        options = self.query_one("#list", OptionList)
        options.highlighted = max(0, min(len(STEPS) - 1, (options.highlighted or 0) + by))

    def action_pane(self, name: str) -> None:
        """Another pane."""
        self.panes.pane(name)

    def action_turn(self, pages: int) -> None:
        """Scroll the pane in front."""
        self.panes.turn(pages)

    def action_fold(self) -> None:
        """Give the step the whole width, or the list its place back."""
        self.query_one("#list").toggle_class("folded")

    def action_back(self) -> None:
        """To the first screen; a run that waits ends, one at work goes on."""
        if self.wizard.desk.changing:
            self.say("A step is at work. It goes on here; q quits.")
            return
        self.wizard.desk.answer(Reply.STOP)
        self.dismiss()

    def action_roll_back(self) -> None:
        """Take the chosen step back; the next screen shows first what that means."""
        if not self.wizard.desk.changing:
            from screens.rollback import RollBack

            self.app.push_screen(RollBack(self.chosen))

    def action_settings(self) -> None:
        """Other answers, other plans."""
        if not self.wizard.desk.changing:
            from screens.settings import Settings

            self.app.push_screen(Settings())

    def action_test(self) -> None:
        """Prove a login."""
        if not self.wizard.desk.changing:
            from screens.login_test import LoginTest

            self.app.push_screen(LoginTest())

    def action_search(self) -> None:
        """Find words in the output."""
        from screens.search import Search

        def found(words: str | None) -> None:
            if words:
                panes = self.panes
                panes.pane("output")
                if not panes.find(words):
                    self.say(f"The output does not hold {clean(words)!r}.")

        self.app.push_screen(Search(), found)

    # --- the run ------------------------------------------------------------------------------------------

    def _start(self, wanted: tuple[str, ...], *, everything: bool) -> None:
        name = self.chosen
        machine = self.wizard.machine
        policy = ApplyPolicy.beginning(
            name, self._plans[name], self._skipped, machine.own_edits, everything=everything
        )
        self._policy = policy
        self._news.failure = None

        def work(job: Job) -> Run:
            return machine.apply(
                wanted,
                job.report,
                lambda step, plan: policy.decide(job, step, plan),
                lambda step, _plan, ends: job.ask(EndingsWait(step, ends)) is Reply.YES,
                job.interrupt,
            )

        self.wizard.desk.start(self, "apply", work)
        self._timer.resume()
        self.state(name, "working")
        self._news.work()

    def approved(self, name: str) -> bool:
        """Whether the admin has said yes to a plan of this step in this run."""
        return self._policy.approved == name

    def on_engine_said(self, message: EngineSaid) -> None:
        """An event of the run."""
        self._news.said(message)

    def on_step_waits(self, message: StepWaits) -> None:
        """The run asks."""
        self._news.waits(message)

    def on_endings_wait(self, message: EndingsWait) -> None:
        """Something that works would end: a question of its own, whatever key was pressed before."""
        self._news.endings(message)

    def on_job_ended(self, message: JobEnded) -> None:
        """The run is over: look at the host again, and say what came of it."""
        if self.wizard.signal:
            return  # we are leaving
        run = self._news.ended(message)
        self._timer.pause()
        self._look(run)
        if run is not None and run.failed:
            from screens.step_failed import Failure

            why, undone = self._news.failed_words(run)
            failed = self._news.failure
            self.select(run.failed)
            self.app.push_screen(
                Failure(run.failed, why, self._news.last, undone, failed.not_undone if failed else ()),
                self._after_failure,
            )
        elif run is not None and run.blocked:
            self.select(run.blocked)
            self.panes.pane("diff")
            self.say("Stopped: see above what is in the way. Mend it, then press Enter.")
        elif run is not None and run.undecided:
            self.select(run.undecided)
            self.panes.pane("diff")
            self.say(f"Stopped before {run.undecided}: nothing of it was changed. s leaves it out.")

    def _after_failure(self, next_move: str | None) -> None:
        match next_move:
            case "again":
                self.action_apply()
            case "settings":
                self.action_settings()
            case "history" | "troubleshoot":
                self.wizard.go(next_move)
