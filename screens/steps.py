"""The set-up: all steps on the left with their state, the step on the right; y applies what is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widgets import Static

from screens.base import PAGES
from screens.step_run import StepRun
from screens.widgets.contents import skipped_words
from screens.widgets.step_board import PANES, StepBoard
from wizard.console import clean, count
from wizard.engine.overview import REMAINING, Overview
from wizard.model.plan import NOT_NOW, UNKNOWN, UNTESTED, Outcome
from wizard.render.text import state_word

_NOTHING_TO_DO = ("applied", *map(str, (Outcome.DONE, Outcome.NOT_APPLICABLE)))
"""The states in which a step can neither be applied nor skipped, with nothing in the way."""


class Steps(StepRun):
    """The steps and their text, and the keys on them."""

    HEADING = "Steps"
    AUTO_FOCUS = "#list"
    HELP_TEXT = """
On the left are the steps of the howto in their order, each with its state; on the right is what the chosen one would
do. y applies the step whose diff you see and then shows the next one; nothing changes before. a lists all that remain,
and y applies them one after the other; s skips a step, and s on a skipped one includes it again, once no run waits.

Enter goes to the text on the right: arrows, PgUp and PgDn scroll it, 1 to 5 or the arrows on its headings show another
one, and Esc comes back to the list, also where z has given the text the whole width. Space and b turn its pages from the
list, too.

A step that fails is undone at once. Everything that is done is a commit in the history (h) and can be rolled
back there, or here with r.

to do: has something to change. applied: done by msa-wizard. done: was so already. drifted: was applied and
has changed since. later: decided once an earlier step is done. n/a: does not apply to this host, or is optional and not asked for. to test: a login has to prove it.
skipped: left out with s; not now: needs one that is. BLOCKED: something is in the way, and has to be put right first; what does not need that step
can be applied all the same.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "apply", "Apply", tooltip="Apply the step that is shown"),
        Binding("a", "apply_all", "All", tooltip="List all steps that remain, to apply them"),
        Binding("s", "skip", "Skip", tooltip="Leave the step out, or include it again"),
        Binding("r", "roll_back", "Roll back", tooltip="Roll the step back"),
        Binding("enter", "read", "Read", tooltip="Go to the text on the right"),
        Binding("e", "app.go('settings')", "Settings", tooltip="Change the settings"),
        Binding("t", "test", "Test", tooltip="Test a login"),
        Binding("escape", "back", "Back"),
        Binding("n", "go(1)", "Next step", show=False),
        Binding("p", "go(-1)", "Previous step", show=False),
        Binding("f5", "look", "Look again", show=False, tooltip="Look at this host again"),
        *(
            Binding(
                *(str(i + 1), f"pane('{name}')", name.capitalize()),
                show=False,
                tooltip=f"Show {'what it is for' if name == 'why' else f'its {name}'}",
            )
            for i, name in enumerate(PANES)
        ),
        *PAGES,
        Binding("slash", "search", "Search the output", show=False, tooltip="Search the output"),
        Binding("z", "fold", "Wide", show=False, tooltip="Give the text the whole width"),
    ]

    _interrupted = False
    """Whether an earlier run waits to be finished or undone."""
    _others = ""
    """A sentence where another session was at work when we looked."""

    def body(self) -> ComposeResult:
        """List and panes, one line of news below."""
        yield StepBoard(self.backend.steps, self.desk.seen, self.backend.diff)
        yield Static("Looking at this host ...", id="says", markup=False)

    def on_mount(self) -> None:
        """Look at the host."""
        self.look_at_steps()

    def on_screen_resume(self) -> None:
        """A rollback or other settings may have changed everything: the output of before is not what counts now."""
        if self.sums_up:
            self.sums_up = False
            self.call_after_refresh(self.sum_up)
        elif self.known and self.free:
            self.panes.pane("diff")
            self.look_at_steps()

    def look_at_steps(self, then: Callable[[], object] | None = None) -> None:
        """Look at the host, and show what came of a run that has ended; `then` comes after that."""
        self._then = then or self._then
        self.see(self._seen, with_apt=self._apt_said)

    def _seen(self, overview: Overview) -> None:
        self._looked(overview)
        then, self._then = self._then, None
        if then is not None:
            then()

    def _say_problem(self, error: Exception) -> None:
        self._then = None
        super()._say_problem(error)

    def action_look(self) -> None:
        """Look at the host again: what is to do there counts, not that it has failed before."""
        if self.free:
            self.failure = None
            self.see(self._seen, again=True, with_apt=self._apt_said)

    def _apt_said(self, overview: Overview) -> None:
        """The plans with apt's answer; a run plans by itself."""
        if self.free:
            self.board.plans.update(overview.plans)
            self.show_step()

    def _looked(self, overview: Overview) -> None:
        if self.desk.works_for(self):
            return  # a run has begun since: it is over before anything is shown of it
        board = self.board
        after, self.ended = self.ended, None
        first, self.known = not self.known, True
        was_blocked = self._blocked
        self._interrupted, self._others = overview.killed is not None, overview.others
        states = overview.states
        failed = self.failure.step.id if self.failure is not None else ""
        if failed not in self.backend.session.failed:  # applied since, tested or undone, on whichever screen
            self.failure = None
        elif failed in overview.remaining and failed not in self.skipped:
            states[failed] = "failed"
        board.fill(overview.plans, states, overview.commits)
        remaining = board.remaining
        freed = was_blocked and not self._blocked
        if first or freed or (after is not None and not after.stopped and remaining):
            blocked = [name for name in board.steps if states[name] == "blocked"] if first else []
            board.select(next(iter((*blocked, *self.remains.applicable, *remaining, *board.steps))))
        self.show_step()
        if (
            after is not None
            and after.applied
            and not after.stopped
            and (self.policy.everything or not remaining)
        ):
            self.sum_up()
        elif self.problem:
            self.say(self.problem)
            self.problem = ""
        elif (after is None or not after.stopped) and not self.about:
            self.say(self._offer())

    def _offer(self) -> str:
        if self._others:
            return f"{clean(self._others)}. F5 looks again."
        if self._interrupted:
            return "A run was interrupted. First finish it or undo it (Esc, then the first line)."
        if self._blocked:
            return "No step can be applied yet: fix what preflight shows, then press F5."
        left = len(self.board.remaining)
        skipped = [name for name, word in self.board.states.items() if word == "skipped"]
        stuck, applicable = ", ".join(self.remains.stuck), self.remains.applicable
        if not applicable and stuck:
            return f"{stuck} cannot be applied yet: fix what it shows, then press F5."
        if not left and skipped:
            return f"{skipped_words(skipped)} s on a skipped step includes it again."
        if not left:
            return self._finished()
        to_do = f"{count(left, 'step')} to do."
        everything = "all of them"
        if len(applicable) < left:
            everything = f"the {len(applicable)} that do not need {stuck}"
        if self.board.chosen not in self.board.remaining:
            return f"{to_do} {f'a applies {everything}' if left > 1 else f'It is {applicable[0]}'}."
        if missing := self.missing(self.board.chosen):
            first = f"{missing}, which cannot be applied" if self._blocks(missing) else f"{missing} first"
            return f"{to_do} This one needs {first}. a applies {everything}."
        return f"{to_do} y applies the step that is shown{f', a {everything}' if left > 1 else ''}."

    @property
    def _blocked(self) -> bool:
        """Whether something on this host has to be fixed before any step can be applied."""
        return any(plan.outcome is Outcome.BLOCKED for plan in [*self.board.plans.values()][:1])

    def _finished(self) -> str:
        states = self.board.states.values()
        if UNKNOWN in states:
            return "Only root can see what is left to do: run this with sudo."
        if UNTESTED in states:
            return "Nothing is left to do but a login: t tests one."
        return "Nothing is left to do. t tests a login, h shows the history."

    def show_step(self) -> None:
        """Show what is known of the chosen step."""
        self.board.show()
        if self.known:
            everything = self.desk.changing and self.policy.everything
            one = f"msa-wizard apply{self.backend.apply_options} {self.board.chosen}"
            self.same(self.all_of_them if everything else one)
        self.refresh_bindings()

    def on_option_list_option_highlighted(self) -> None:
        """Another step is shown."""
        self.show_step()
        if not self.desk.changing:
            self.panes.pane("diff")
        if self.known and self.about != self.board.chosen and self.free:
            self.about = ""
            self.say(self._offer())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key is there where it does something now."""
        if action == "test":
            return not self.desk.changing
        if action not in ("apply", "apply_all", "skip", "roll_back"):
            return True
        if not self.known:
            return False
        board, asked = self.board, self.desk.asks(self)
        if self._blocked and action != "roll_back":
            return False
        word = board.states.get(board.chosen, "")
        if self.desk.changing or not word or not self.listens:
            return False
        if asked and not self._asked:  # its question is on the way to the screen
            return False
        match action:
            case "apply":
                there = word in (*REMAINING, NOT_NOW, "failed", "skipped")
                return asked or (there and not self._blocks(board.chosen) and not self.missing(board.chosen))
            case "apply_all":
                return asked or bool(self.remains.applicable)
            case "skip":
                return asked or word in (*REMAINING, "failed", "blocked", "skipped")
        return board.in_force(board.chosen)

    def on_key(self, event: Key) -> None:
        """Why y and s do not act on the step that is shown."""
        verb = {"y": "apply", "s": "skip"}.get(event.key)
        if not (verb and self.known and self.free and self.listens):
            return
        name = self.board.chosen
        word = self.board.states.get(name, "")
        if word in _NOTHING_TO_DO:
            why = clean(self.board.plans[name].reason)
            self.say_of(name, f"{name} is {state_word(word)}, so there is nothing to {verb}: {why}.")
        elif verb == "apply" and (missing := self.missing(name)):
            event.stop()  # on that step y may act
            self._needs_first(name, missing)

    def action_read(self) -> None:
        """To the text of the chosen step."""
        self.panes.front.focus()

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
        if self.board.unfold():
            self.query_one(str(self.AUTO_FOCUS)).focus()
            return
        if self.stopped_reading():
            return
        if not (self.free or self.desk.asks(self)):
            self.say("A step is at work and continues here; q quits.")
        else:
            self.leave_for(self.dismiss)

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

    def action_search(self) -> None:
        """Find words in the output."""
        from screens.dialogs import Search

        def find(words: str | None) -> None:
            if words:
                self.panes.pane("output")
                if not self.panes.find(words):
                    self.say(f"The output does not contain {clean(words)!r}.")

        self.app.push_screen(Search(), find)
