"""The set-up: all steps on the left with their state, the step on the right; y applies what is shown."""

from __future__ import annotations

import time
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from screens.base import PAGES, Frame, edit, sentence
from screens.jobs import ApplyPolicy, EndingsWait, EngineSaid, JobEnded, Reply, StepWaits, Stopped
from screens.review_and_run import event_line
from screens.widgets.step_board import PANES, StepBoard, StepPanes
from wizard.console import clean, count
from wizard.engine.engine import Run
from wizard.engine.overview import REMAINING, Overview, state
from wizard.engine.state_dir import InterruptedRun
from wizard.engine.summary import follows
from wizard.errors import Interrupted
from wizard.model.events import Checked, Failed, Planned, Progress, Recorded
from wizard.model.plan import UNKNOWN, UNTESTED, Outcome

DRAWN = 0.5
"""Seconds between two looks at new output: each draws a pane that has scrolled, and a slow line must carry that."""
SHOWN = 0.5
"""Seconds that a step's diff stays in front before the output takes its place."""
LAST = 12
"""Lines of output that are kept for a failure."""


class Steps(Frame[None]):
    """The steps, and one run of the engine at a time over them."""

    HEADING = "Steps"
    HELP_TEXT = """
On the left are the steps of the howto in their order, each with its state; on the right is what the chosen one would
do. y applies the step whose diff you see and then shows the next one; nothing changes before. a lists all that remain,
and y applies them one after the other; s skips a step.

Enter goes to the text on the right: arrows, PgUp and PgDn scroll it, 1 to 5 or the arrows on its headings show another
one, and Esc comes back to the list. Space and b turn its pages from the list, too.

A step that fails is undone at once. Everything that is done is a commit in the history (h) and can be rolled
back there, or here with r.

to do: has something to change. applied: done by msa-wizard. done: was so already. drifted: was applied and
has changed since. later: decided once an earlier step is done. n/a: does not apply to this host.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "apply", "Apply"),
        Binding("a", "apply_all", "All"),
        Binding("s", "skip", "Skip"),
        Binding("r", "roll_back", "Roll back"),
        Binding("enter", "read", "Read"),
        Binding("e", "app.go('settings')", "Settings"),
        Binding("t", "test", "Test"),
        Binding("escape", "back", "Back"),
        Binding("n", "go(1)", "Next step", show=False),
        Binding("p", "go(-1)", "Previous step", show=False),
        Binding("f5", "look", "Look again", show=False),
        *(
            Binding(str(i + 1), f"pane('{name}')", name.capitalize(), show=False)
            for i, name in enumerate(PANES)
        ),
        *PAGES,
        Binding("slash", "search", "Search the output", show=False),
        Binding("z", "fold", "Wide", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._known = False
        """Whether the host has been looked at."""
        self._policy = ApplyPolicy()
        self._current: str | None = None
        """The step in front of the engine."""
        self._failure: Failed | None = None
        self._last: list[str] = []
        """The last lines of output."""
        self._problem = ""
        """Why a run could not begin, until it is said."""
        self._ended: Run | None = None
        """The run that has ended, until a look shows what came of it: whichever look that is."""
        self._about = ""
        """The step that the line of news is about; empty where it is about none."""
        self._to_edit = ""
        """The file that the admin wants to edit once the run has ended."""
        self._began = 0.0
        self._second = 0
        self._progress = ""
        """How far the command at work says that it is."""
        self._follow = False
        """Whether the output comes to the front by itself, once, if the step takes that long."""

    def body(self) -> ComposeResult:
        """List and panes, one line of news below."""
        yield StepBoard(self.backend.steps, self.desk.seen, self.backend.diff)
        yield Static("Looking at this host ...", id="says", markup=False)

    @property
    def _skipped(self) -> set[str]:
        return self.backend.session.skipped

    @property
    def board(self) -> StepBoard:
        """List and panes."""
        return self.query_one(StepBoard)

    @property
    def panes(self) -> StepPanes:
        """The right side."""
        return self.board.panes

    def on_mount(self) -> None:
        """Look at the host; the timer draws output while something is at work."""
        self._drawing = self.set_interval(DRAWN, self._draw, pause=True)
        self.query_one("#list").focus()
        self._look()

    def on_screen_resume(self) -> None:
        """A rollback or other settings may have changed everything."""
        if self._known and not self.desk.busy:
            self._look()

    def _look(self) -> None:
        self.see(self._looked, with_apt=self._apt_said)

    def action_look(self) -> None:
        """Look at the host again."""
        if not self.desk.busy:
            self.see(self._looked, again=True, with_apt=self._apt_said)

    def _apt_said(self, overview: Overview) -> None:
        """The plans with apt's answer; a run plans by itself."""
        if not self.desk.busy:
            self.board.plans.update(overview.plans)
            self._show()

    def _looked(self, overview: Overview) -> None:
        board = self.board
        after, self._ended = self._ended, None
        first, self._known = not self._known, True
        states = overview.states | dict.fromkeys(self._skipped & set(overview.remaining), "skipped")
        if self._failure is not None and self._failure.step.id in overview.remaining:
            states[self._failure.step.id] = "failed"
        board.fill(overview.plans, states, overview.commits)
        remaining = board.remaining
        if first or (after is not None and not after.stopped and remaining):
            blocked = [name for name in board.steps if states[name] == "blocked"] if first else []
            board.select(next(iter((*blocked, *remaining, *board.steps))))
        self._show()
        if (
            after is not None
            and after.applied
            and not after.stopped
            and (self._policy.everything or not remaining)
        ):
            self._sum_up()
        elif self._problem:
            self.say(self._problem)
            self._problem = ""
        elif (after is None or not after.stopped) and not self._about:
            self.say(self._offer())

    def _offer(self) -> str:
        plans = list(self.board.plans.values())
        if plans and plans[0].outcome is Outcome.BLOCKED:
            return "No step can be applied yet: see preflight."
        left = len(self.board.remaining)
        skipped = [name for name, word in self.board.states.items() if word == "skipped"]
        if not left and skipped:
            from wizard.rollback.rollback import needing

            return f"{', '.join(skipped)} skipped: {follows(skipped[0], needing)}."
        if not left:
            return self._finished()
        to_do = f"{count(left, 'step')} to do."
        if self.board.chosen not in self.board.remaining:
            return f"{to_do} a applies all of them."
        return f"{to_do} y applies the step that is shown{', a all of them' if left > 1 else ''}."

    def _finished(self) -> str:
        states = self.board.states.values()
        if UNKNOWN in states:
            return "Only root can see what is left to do: run this with sudo."
        if UNTESTED in states:
            return "Nothing is left to do but a login: t tests one."
        return "Nothing is left to do. t tests a login, h shows the history."

    def _show(self) -> None:
        self.board.show()
        if self._known:
            self.same(f"msa-wizard apply{self.backend.apply_options} {self.board.chosen}")
        self.refresh_bindings()

    def _say_of(self, name: str, words: str) -> None:
        """News of one step: it goes once another one is shown."""
        self._about = name
        self.say(words)

    def on_option_list_option_highlighted(self) -> None:
        """Another step is shown."""
        self._show()
        if not self.desk.changing:
            self.panes.pane("diff")
        if self._about and self._about != self.board.chosen and not self.desk.busy:
            self._about = ""
            self.say(self._offer())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key is there where it does something now."""
        if action not in ("apply", "apply_all", "skip", "roll_back"):
            return True
        if not self._known:
            return False
        desk, board = self.desk, self.board
        word = board.states.get(board.chosen, "")
        if desk.changing or not word:
            return False
        match action:
            case "apply":
                return desk.waiting or word in (*REMAINING, "failed", "skipped")
            case "apply_all":
                return bool(board.remaining) or desk.waiting
            case "skip":
                return desk.waiting or word in (*REMAINING, "failed")
        return word in ("applied", "drifted", "later", "unknown", "skipped", "failed")

    def action_apply(self) -> None:
        """Apply the step that is shown."""
        desk, board = self.desk, self.board
        name, remaining = board.chosen, board.remaining
        if desk.waiting and self._current is not None:
            if name == self._current:
                self._work()
                desk.answer(Reply.YES)
            else:
                board.select(self._current)
                self._say_of(self._current, f"{self._current} comes first. y applies it, s skips it.")
        elif desk.busy or not self._known:
            return
        elif missing := self._missing(name):
            needed = "is needed first, but was skipped" if missing in self._skipped else "is needed first"
            board.select(missing)
            self._say_of(
                missing, f"{missing} {needed}: {name} does not work without it. y applies {missing}."
            )
        else:
            self._skipped.discard(name)
            self._start(() if remaining[:1] in ([], [name]) else (name,), everything=False)

    def _missing(self, name: str) -> str:
        """The first step that `name` needs and that is not done."""
        board = self.board
        for need in board.steps[name].needs:
            if need in board.states and board.states[need] in (*REMAINING, "failed", "skipped"):
                return self._missing(need) or need
        return ""

    def action_read(self) -> None:
        """To the text of the chosen step."""
        self.panes.front.focus()

    def action_apply_all(self) -> None:
        """Apply all that remain, each shown as it is done, once the admin has seen which."""
        from screens.dialogs import ApplyAll

        board = self.board
        steps = [board.steps[name] for name in board.steps if name in {*board.remaining, self._current}]
        plans = [board.plans[step.id] for step in steps]
        self.app.push_screen(ApplyAll(steps, plans), lambda yes: self._apply_all() if yes else None)

    def _apply_all(self) -> None:
        desk = self.desk
        self.same(f"msa-wizard apply --yes{self.backend.apply_options}")
        if desk.waiting:
            self._policy.everything = True
            self._work()
            desk.answer(Reply.YES)
        elif not desk.busy and self.board.remaining:
            self.board.select(self.board.remaining[0])
            self._start((), everything=True)

    def action_skip(self) -> None:
        """Leave the step out, and say what follows from that."""
        desk, board = self.desk, self.board
        name = board.chosen
        if desk.waiting and name == self._current:
            self._skip(name)
            desk.answer(Reply.NO)
        elif not desk.busy and board.states.get(name) in (*REMAINING, "failed"):
            self._skip(name)
            if board.remaining:
                board.select(board.remaining[0])
            self._look()  # what only the skipped step would have made necessary is not to do any more
        else:
            return
        self._say_of(self.board.chosen, f"{name} is skipped; 2 on it shows what does not work without it.")

    def _skip(self, name: str) -> None:
        self._skipped.add(name)
        self.board.mark(name, "skipped")

    def action_go(self, by: int) -> None:
        """The next or previous step."""
        self.board.move(by)

    def action_pane(self, name: str) -> None:
        """Another pane."""
        self.panes.pane(name)

    def action_turn(self, pages: int) -> None:
        """Scroll the pane in front."""
        self.panes.turn(pages)

    def action_fold(self) -> None:
        """The step over the whole width, or not."""
        self.board.fold()

    def action_back(self) -> None:
        """To the first screen; a run that waits ends, one at work continues."""
        if self.focused is not None and self.focused is not self.query_one("#list"):
            self.query_one("#list").focus()
        elif self.desk.changing:
            self.say("A step is at work and continues here; q quits.")
        else:
            self.desk.answer(Reply.STOP)
            self.dismiss()

    def action_roll_back(self) -> None:
        """Roll the chosen step back; the next screen first shows what that means."""
        if not self.desk.changing:
            from screens.rollback import RollbackScreen

            self.app.push_screen(RollbackScreen(self.board.chosen))

    def action_test(self) -> None:
        """Prove a login."""
        if not self.desk.changing:
            from screens.login_test import LoginTest

            self.app.push_screen(LoginTest())

    def _sum_up(self) -> None:
        """The end: what was done, what was left out, and what is still missing."""
        if not self.desk.changing:
            from screens.summary import Summary

            self.app.push_screen(Summary())

    def action_search(self) -> None:
        """Find words in the output."""
        from screens.dialogs import Search

        def find(words: str | None) -> None:
            if words:
                self.panes.pane("output")
                if not self.panes.find(words):
                    self.say(f"The output does not contain {clean(words)!r}.")

        self.app.push_screen(Search(), find)

    def _start(self, wanted: tuple[str, ...], *, everything: bool) -> None:
        board, backend, name = self.board, self.backend, self.board.chosen
        shown = (name, board.plans[name])
        self._policy = policy = ApplyPolicy(set(self._skipped), everything, shown, backend.own_edits)
        self._failure = None
        self.desk.start(self, "apply", lambda job: backend.apply(job, partial(policy.decide, job), wanted))
        self._drawing.resume()
        board.mark(name, "working")
        self._work()

    def _work(self) -> None:
        """A step begins to be applied."""
        if self._current:
            self.board.mark(self._current, "working")
        self._began, self._second, self._follow, self._progress = time.monotonic(), 0, True, ""
        self.refresh_bindings()
        self.say(f"{self._current or 'The first step'} is at work.")

    def _draw(self) -> None:
        """New output, and the seconds that pass."""
        if lines := self.desk.taken():
            self._last = [*self._last, *lines][-LAST:]
            self.board.write(self._current or self.board.chosen, lines)
        if not (self._began and self.desk.changing):
            return
        passed = time.monotonic() - self._began
        if self._follow and passed > SHOWN:
            self._follow = False
            self.panes.pane("output")
        if int(passed) > self._second:
            self._second = int(passed)
            self.say(f"{self._current or 'The first step'} is at work, {self._second} s.{self._progress}")

    def _no_progress(self) -> None:
        self._progress = ""
        self.panes.progress(None)

    def on_engine_said(self, message: EngineSaid) -> None:
        """An event of the run."""
        self._draw()
        event, board = message.event, self.board
        match event:
            case Planned(step, plan, _):
                board.plans[step.id] = plan
                if plan.outcome is Outcome.PENDING and step.id not in self._skipped:
                    self._current = step.id
                    board.begin(step.id)
                    board.mark(step.id, "working")
                    board.select(step.id)
                    self.panes.pane("diff")
                    self._work()
                elif board.states.get(step.id) == "later":  # now it is decided
                    board.mark(step.id, state(plan, in_force=False))
            case Progress(_, percent, doing):
                self._progress = f" {clean(doing)[:48]}"
                self.panes.progress(percent)
            case Checked(step, check):
                self._no_progress()
                board.check(step.id, check)
                return
            case Recorded(step, _, _):
                board.mark(step.id, "applied")
            case Failed() as failure:
                self._failure = failure
                board.mark(failure.step.id, "failed")
                return
        if line := event_line(event):
            board.write(self._current or board.chosen, [line])

    def on_step_waits(self, message: StepWaits) -> None:
        """The engine asks whether it may apply the step."""
        self._draw()
        name, board = message.step.id, self.board
        again = (
            self._current == name and board.states.get(name) == "working" and self._policy.approved == name
        )
        self._current = name
        board.plans[name] = message.plan
        self._wait_at(name)
        self.panes.pane("diff")
        self._show()
        changed = "The host has changed since this was shown; this is the new plan. " if again else ""
        self._say_of(name, f"{changed}y applies {name}, s skips it, a applies all that remain.")
        if message.edits:
            from screens.dialogs import LocalEdits

            self.app.push_screen(LocalEdits(name, message.edits), self._decide_edits)

    def _decide_edits(self, choice: str | None) -> None:
        match choice:
            case "take":
                self.action_apply()
            case "keep":
                self.action_skip()
            case path:
                self._to_edit = path or ""
                self.desk.answer(Reply.STOP)

    def on_endings_wait(self, message: EndingsWait) -> None:
        """Something that works would end: a question of its own, whatever key was pressed before."""
        from screens.dialogs import WhatWouldEnd

        self._draw()
        self._wait_at(message.step.id)

        def decide(yes: bool | None) -> None:
            if yes:
                self._work()
            self.desk.answer(Reply.YES if yes else Reply.NO)

        self.app.push_screen(WhatWouldEnd(message.step.id, message.ends), decide)

    def _wait_at(self, name: str) -> None:
        self.board.mark(name, "waiting")
        self.board.select(name)

    def on_job_ended(self, message: JobEnded) -> None:
        """The run is over: look at the host again, and say how it ended."""
        if self.wizard.signal:
            return  # we are leaving
        self._draw()
        self._drawing.pause()
        self._no_progress()
        self._current, self._began, self._about = None, 0.0, ""
        if self._to_edit:
            path, self._to_edit = self._to_edit, ""
            edit(self.app, self.backend.host.path(path))
        match message.error:
            case InterruptedRun():
                from screens.rollback import RecoveryScreen

                self.app.push_screen(RecoveryScreen())
            case None | Stopped() | Interrupted():
                pass
            case error:
                self._problem = sentence(error)
        self._ended = run = message.result if isinstance(message.result, Run) else None
        self._look()
        if run is not None and run.stopped:
            self.board.select(run.stopped)
            if run.failed:
                self._show_failure(run.failed)
                return
            self.panes.pane("diff")
            if run.blocked:
                self.say("Stopped: the problem is shown above. Fix it, then press y.")
            else:
                self.say(f"Stopped before {run.undecided}, which has changed nothing. s skips it.")

    def _show_failure(self, name: str) -> None:
        from screens.dialogs import StepFailed

        def go_on(next_move: str | None) -> None:
            if next_move == "again":
                self.action_apply()
            elif next_move:
                self.wizard.go(next_move)
            elif self._policy.everything:
                self._sum_up()

        failure = self._failure
        if failure is None or failure.step.id != name:
            failed = [check.says for check in self.board.seen.checks.get(name, ()) if check.sign == "failed"]
            screen = StepFailed(name, "; ".join(failed), self._last)
        else:
            screen = StepFailed(name, failure.why, self._last, failure.undone, failure.not_undone)
        self.app.push_screen(screen, go_on)
