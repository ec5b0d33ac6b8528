"""A run of the engine over the board of steps: what begins it, the questions on its way, how it ends."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

from screens.base import Frame
from screens.external_programs import edit
from screens.jobs import ApplyPolicy, EndingsWait, EngineSaid, JobEnded, Reply, StepWaits, Stopped
from screens.remaining import Remaining
from screens.review_and_run import event_line
from screens.sentences import sentence
from screens.widgets.contents import skipped_words, without
from screens.widgets.step_board import StepBoard, StepPanes
from wizard.console import clean
from wizard.engine import edits
from wizard.engine.overview import REMAINING, Overview, state
from wizard.engine.run import Run
from wizard.engine.state_dir import InterruptedRun
from wizard.errors import Interrupted
from wizard.model.events import Checked, Failed, Planned, Progress, Recorded
from wizard.model.plan import NOT_NOW, Outcome
from wizard.render.text import rolled_back_text

DRAWN = 0.5
"""Seconds between two looks at new output: each draws a pane that has scrolled, and a slow line must carry that."""
SHOWN = 1.0
"""Seconds that a step's diff stays in front before the output takes its place."""


class StepRun(Frame[None]):
    """The base of the steps screen: one run at a time, over the steps that its board shows."""

    known = False
    """Whether the host has been looked at."""
    about = ""
    """The step that the line of news is about; empty where it is about none."""
    ended: Run | None = None
    """The run that has ended, until a look shows what came of it: whichever look that is."""
    problem = ""
    """Why a run could not begin, until it is said."""
    sums_up = False
    """Whether the summary waits until this screen is in front again."""
    failure: Failed | None = None
    """How the newest run failed, until that is over or the host is looked at again."""
    all_of_them = ""
    """What does the same as the newest run that applies all, on the command line."""

    _then: Callable[[], object] | None = None
    """What comes after the look at hand: another look does not end it, one that fails does, and so does a run."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = ApplyPolicy()
        self._wanted: tuple[str, ...] = ()
        """What the newest run is for; empty where that is all."""
        self._applied: list[str] = []
        """What it has applied."""
        self._current: str | None = None
        """The step in front of the engine."""
        self._skip_words = ""
        """What follows from the skip before the next question."""
        self._asked = False
        """Whether its question is on the screen: a key from before is no answer, though the run waits already."""
        self._not_drawn: list[str] = []
        """Output since the last look at it: each line of it drawn by itself would scroll the pane, and so send all of it."""
        self._to_edit = ""
        """The file that the admin wants to edit once the run has ended."""
        self._began = 0.0
        self._second = 0
        self._progress = ""
        """How far the command at work says that it is."""
        self._follow = False
        """Whether the output comes to the front by itself, once, if the step takes that long."""

    @property
    def skipped(self) -> set[str]:
        """The steps that the admin leaves out."""
        return self.backend.session.skipped

    @property
    def free(self) -> bool:
        """Whether no run of ours is there, and nothing else at work: only then is the host looked at, or a run begun."""
        return not (self.desk.works_for(self) or self.desk.changing)

    @property
    def board(self) -> StepBoard:
        """List and panes."""
        return self.query_one(StepBoard)

    @property
    def panes(self) -> StepPanes:
        """The right side."""
        return self.board.panes

    def on_mount(self) -> None:
        """The timer draws output while something is at work."""
        self._drawing = self.set_interval(DRAWN, self._draw, pause=True)

    @abstractmethod
    def look_at_steps(self, then: Callable[[], object] | None = None) -> None:
        """Look at the host, and show what came of a run that has ended; `then` comes after that."""

    @abstractmethod
    def show_step(self) -> None:
        """Show what is known of the chosen step."""

    def say_of(self, name: str, words: str) -> None:
        """News of one step: it goes once another one is shown."""
        self.about = name
        self.say(words)

    def sum_up(self) -> None:
        """The end: what was done, what was left out, and what is still missing. Not over what somebody reads meanwhile."""
        if self.app.screen is not self:
            self.sums_up = True
        elif not (self.desk.changing or self.wizard.leaving):
            from screens.summary import Summary

            self.app.push_screen(Summary())

    def action_apply(self) -> None:
        """Apply the step that is shown."""
        desk, board = self.desk, self.board
        name = board.chosen
        if desk.asks(self) and self._asked and self._current is not None:
            if name == self._current:
                self._work()
                desk.answer(Reply.YES, self)
            else:
                self._go_to_next(name, self._current)
        elif not self.free or not self.known:
            return
        elif name in self.skipped:
            self.skipped.discard(name)
            # Which other steps have something to do with it is known before it is at work.
            self.look_at_steps(partial(self._begin, name))
        else:
            self._begin(name)

    def _go_to_next(self, name: str, current: str) -> None:
        """To the step that the run asks about: it does no other now."""
        before = (
            f"{name} was skipped: y on it applies it once this run has ended. "
            if name in self.skipped
            else ""
        )
        self.board.select(current)
        self.say_of(current, f"{before}{current} is next: y applies it, s skips it.")

    def _needs_first(self, name: str, missing: str) -> None:
        """Go to the step that comes before `name`, and say so."""
        self.board.select(missing)
        if self._blocks(missing):
            words = f"{missing} is needed first, and cannot be applied: fix what it shows, then press F5."
            self.say_of(missing, words)
            return
        needed = "is needed first, but was skipped" if missing in self.skipped else "is needed first"
        self.say_of(missing, f"{missing} {needed}: {name} does not work without it. y applies {missing}.")

    def _begin(self, name: str, *, everything: bool = False) -> None:
        """A run from this step on, or, where others come before it, of this step alone."""
        if self.free:
            self.board.select(name)
            first = self.remains.applicable[:1] in ([], [name])
            self._start(self.remains.passing if first else (name,), everything=everything)

    def missing(self, name: str) -> str:
        """The first step that `name` needs and that is not done."""
        board = self.board
        for need in board.steps[name].needs:
            if board.states.get(need) in (*REMAINING, NOT_NOW, "skipped", "failed", "blocked"):
                return self.missing(need) or need
        return ""

    def _blocks(self, name: str) -> bool:
        """Whether the step cannot be applied on this host as it is."""
        return self.board.plans[name].outcome is Outcome.BLOCKED

    @property
    def remains(self) -> Remaining:
        """What is left to do, as the board has it now."""
        board = self.board
        return Remaining(board.steps, board.plans, board.states, self._current, self._wanted)

    @property
    def command_for_all(self) -> str:
        """What applies the same as `a` on the command line."""
        remains = self.remains
        names = " ".join(["", *remains.to_apply]) if remains.left_out else ""
        return f"msa-wizard apply --yes{self.backend.apply_options}{names}"

    def action_apply_all(self) -> None:
        """Apply all that remain, each shown as it is done, once the admin has seen which."""
        from screens.dialogs import ApplyAll, Listed

        board = self.board
        if self.free and self.backend.held is None and not self.looking:
            self.look_at_steps()  # another session has changed something meanwhile

        def listed() -> Listed:
            names, left_out = self.remains.to_apply, self.remains.left_out
            return [board.steps[name] for name in names], [board.plans[name] for name in names], left_out

        ask = ApplyAll(lambda: self.looking, listed)
        self.app.push_screen(ask, lambda yes: self._apply_all() if yes else None)

    def _apply_all(self) -> None:
        self.all_of_them = self.command_for_all
        self.same(self.all_of_them)
        if self.desk.asks(self) and self._asked:
            self.policy.everything = True
            self._work()
            self.desk.answer(Reply.YES, self)
        elif self.free and self.remains.applicable:
            self.board.select(self.remains.applicable[0])
            self._start(self.remains.passing, everything=True)

    def action_skip(self) -> None:
        """Leave the step out, and say what follows from that; or want it after all. The rest is planned again then."""
        desk, board = self.desk, self.board
        name = board.chosen
        word = board.states.get(name)
        if desk.asks(self) and self._asked and self._current is not None:
            if name != self._current:
                self._go_to_next(name, self._current)
                return
            self._asked, self._skip_words = False, skipped_words([name])
            self._skip(name)
            self.say_of(name, self._skip_words)
            desk.answer(Reply.NO, self)
        elif self.free and word == "skipped":
            self.skipped.discard(name)
            self.about = ""
            self.look_at_steps()
        elif self.free and word in (*REMAINING, "failed", "blocked"):
            self._skip(name)
            self.look_at_steps(partial(self._go_on_without, name))

    def _go_on_without(self, name: str) -> None:
        for first in self.remains.applicable[:1]:
            self.board.select(first)
        self.say_of(self.board.chosen, f"{skipped_words([name])} s on it again includes it.")

    def _skip(self, name: str) -> None:
        self.skipped.add(name)
        self.board.mark(name, "skipped")

    @property
    def would_go(self) -> tuple[str, ...]:
        """The edits of sendmail.mc that are rolled back if the run ends now; one at work is finished first."""
        at_work = [self._current] if self._current is not None and self.desk.changing else []
        not_of_it = {name for name in self.board.steps if self._wanted and name not in self._wanted}
        return edits.would_go([*self._applied, *at_work], self._current, self.skipped | not_of_it)

    def leave_for(self, go_on: Callable[[], object]) -> None:
        """Nobody answers a run from elsewhere: ask where it would take edits with it."""
        self.wizard.before_it_ends(go_on)

    def _start(self, wanted: tuple[str, ...], *, everything: bool) -> None:
        board, backend, name = self.board, self.backend, self.board.chosen
        shown = (name, board.plans[name])
        self.policy = policy = ApplyPolicy(
            set(self.skipped), everything, shown, backend.own_edits, backend.seen
        )
        self.failure, self._wanted, self._applied, self._then = None, wanted, [], None
        self.desk.start(self, "apply", lambda job: backend.apply(job, partial(policy.decide, job), wanted))
        self._drawing.resume()
        board.mark(name, "working")
        self._work()

    def _work(self) -> None:
        """A step begins to be applied."""
        if self._current:
            self.board.mark(self._current, "working")
        self._asked = False
        self._began, self._second, self._follow, self._progress = time.monotonic(), 0, True, ""
        self.refresh_bindings()
        self.say(f"{self._current or self.board.chosen} is at work.")

    def _take(self) -> None:
        """What commands have printed since."""
        self._not_drawn += self.desk.taken(self)

    def _write(self) -> None:
        """New output."""
        self._take()
        if lines := self._not_drawn:
            self._not_drawn = []
            self.board.write(self._current or self.board.chosen, lines)

    def _draw(self) -> None:
        """New output, and the seconds that pass."""
        self._write()
        if not (self._began and self.desk.changing):
            return
        passed = time.monotonic() - self._began
        if self._follow and passed > SHOWN:
            self._follow = False
            self.panes.pane("output")
        if int(passed) > self._second:
            self._second = int(passed)
            self.say(f"{self._current or self.board.chosen} is at work, {self._second} s.{self._progress}")

    def _no_progress(self) -> None:
        self._progress = ""
        self.panes.progress(None)

    def on_engine_said(self, message: EngineSaid) -> None:
        """An event of the run."""
        self._take()
        event, board = message.event, self.board
        match event:
            case Planned(step, plan, _):
                board.plans[step.id] = plan
                if step.id in self.skipped:
                    return
                if plan.outcome is Outcome.PENDING:
                    self._write()  # of the step before
                    self._current = step.id
                    board.begin(step.id)
                    board.mark(step.id, "waiting")
                    board.select(step.id)
                    self.show_step()  # before its pane comes to the front: what that held goes over the line, too
                    self.panes.pane("diff")
                    if self.policy.agreed_to(step.id):
                        self._work()
                    else:
                        self._began = 0.0
                        self.say("Looking at this host ...")
                else:  # now it is decided
                    board.mark(step.id, state(plan, board.in_force(step.id)))
            case Progress(_, percent, doing):
                self._progress = f" {clean(doing)[:48]}"
                self.panes.progress(percent)
            case Checked(step, check):
                self._no_progress()
                board.check(step.id, check)
                return
            case Recorded(step, _, _):
                self._applied.append(step.id)
                board.mark(step.id, "applied")
            case Failed() as failure:
                self.failure = failure
                board.mark(failure.step.id, "failed")
                return
        if line := event_line(event):
            self._not_drawn.append(line)

    def on_step_waits(self, message: StepWaits) -> None:
        """The engine asks whether it may apply the step."""
        self._draw()
        name, board = message.step.id, self.board
        self._current, self._asked = name, True
        board.plans[name] = message.plan
        if message.seen is not None:
            self._show_what_remains(message.seen)
        self._wait_at(name)
        self.show_step()
        self.panes.pane("diff")
        why, self._skip_words = f"{self._skip_words} {message.why or self._comes_first(name)}".strip(), ""
        words = f"{why} y applies {name}, s skips it, a applies all that remain.".lstrip()
        self.ask_when_quiet(partial(self.say_of, name, words))
        if message.edits:
            from screens.dialogs import LocalEdits

            self.app.push_screen(LocalEdits(name, message.edits), self._decide_edits)

    def _comes_first(self, name: str) -> str:
        """That this step is not the one on which the key was pressed, which follows without another question."""
        names, shown = [*self.board.steps], self.policy.shown
        if shown is None or self.policy.everything or names.index(name) >= names.index(shown[0]):
            return ""
        return f"{name} has something to do, too, and comes first; then {shown[0]} is applied."

    def _show_what_remains(self, seen: Overview) -> None:
        """All plans, now that the run has come so far; but of what it has applied, and asks about, as it was shown."""
        board, states = self.board, seen.states
        as_shown = [name for name in self._applied if states[name] == "applied"]
        plans = {name: board.plans[name] for name in [*as_shown, *filter(None, [self._current])]}
        board.fill({**seen.plans, **plans}, states, seen.commits)

    def _decide_edits(self, choice: str | None) -> None:
        if not self.desk.asks(self):
            return  # the run has ended meanwhile
        match choice:
            case "take":
                self.action_apply()
            case "keep":
                self.action_skip()
            case path:
                self._to_edit = path or ""
                self.desk.answer(Reply.STOP, self)

    def on_endings_wait(self, message: EndingsWait) -> None:
        """Something that works would end: a question of its own, whatever key was pressed before."""
        from screens.dialogs import WhatWouldEnd

        self._draw()
        self._wait_at(message.step.id)

        def decide(yes: bool | None) -> None:
            if yes and self.desk.asks(self):
                self._work()
            self.desk.answer(Reply.YES if yes else Reply.NO, self)

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
        self.ask_when_quiet()
        self._current, self._began, self.about, self._skip_words = None, 0.0, "", ""
        if self._to_edit:
            path, self._to_edit = self._to_edit, ""
            edit(self.app, self.backend.host.path(path))
        match message.error:
            case InterruptedRun():
                from screens.recovery import RecoveryScreen

                self.app.push_screen(RecoveryScreen())
            case None | Stopped() | Interrupted():
                pass
            case error:
                self.problem = sentence(error)
        self.ended = run = message.result if isinstance(message.result, Run) else None
        self.look_at_steps()
        if run is not None and run.stopped:
            self.board.select(run.stopped)
            if run.failed:
                self._show_failure(run.failed)
                return
            self.panes.pane("diff")
            words = "Stopped: the problem is shown above. Fix it, then press F5; or s skips it."
            words = f"{rolled_back_text(run.rolled_back)}{words}"
            if run.undecided:
                words = _undecided(run)
            self.ask_when_quiet(partial(self.say, words))

    def _show_failure(self, name: str) -> None:
        from screens.dialogs import StepFailed

        failure, back = self.failure, self.ended.rolled_back if self.ended else ()
        gone = back or (failure.also if failure is not None else ())

        def go_on(next_move: str | None) -> None:
            if next_move == "again":
                first, everything = next(iter(gone), name), self.policy.everything
                self.look_at_steps(partial(self._begin, first, everything=everything))
            elif next_move:
                self.wizard.go(next_move)
            elif self.policy.everything:
                self.sum_up()

        last, lacking, first = self.board.seen.output.get(name, ()), self._lacking(name), next(iter(gone), "")
        if failure is None or failure.step.id != name or failure.reported:  # the cause is one of its checks
            failed = [check.says for check in self.board.seen.checks.get(name, ()) if check.sign == "failed"]
            screen = StepFailed(name, "\n".join([*lacking, *failed]), last, first=first)
        else:
            why = "\n".join([*lacking, failure.why, rolled_back_text(back)]).rstrip()
            screen = StepFailed(name, why, last, failure.undone, failure.not_undone, first)
        self.app.push_screen(screen, go_on)

    def _lacking(self, name: str) -> Iterator[str]:
        """The skipped steps that this one needs, a sentence each."""
        from wizard.rollback.rollback import needing

        for each in self.board.steps:
            if each in self.skipped and name in needing([each]):
                yield f"{each} is skipped: {without(each)}."


def _undecided(run: Run) -> str:
    """Where a run has stopped, and the step that s skips then: the one that would end what works."""
    words = f"{rolled_back_text(run.rolled_back)}Stopped before {run.undecided}, which has changed nothing."
    if later := edits.may_be_left_out(run.ends):
        return f"{words} To skip {later}, go to it and press s."
    return words if any(ending.step for ending in run.ends) else f"{words} s skips it."
