"""What follows a run that was killed: the ways out of it, what each does, and what has come of the one that was taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.base import PAGES
from screens.review_and_run import ReviewAndRun
from screens.rollback import left_lines
from screens.sentences import sentence
from screens.widgets.contents import check_content, emphatic
from screens.widgets.rows import Rows
from wizard.console import clean, width
from wizard.engine.in_force import commits_in_force
from wizard.engine.run import Run
from wizard.render.text import begun_text
from wizard.rollback.apply import RollbackResult

if TYPE_CHECKING:
    from snapshots.store import Commit
    from wizard.engine.journal import Unfinished
    from wizard.rollback.recovery import Recovery

Act = Callable[["Recovery"], "RollbackResult | Run | str"]


class RecoveryScreen(ReviewAndRun[None]):
    """The ways above, what the highlighted one does below; y takes it, and nothing else does."""

    HEADING = "An interrupted run"
    AUTO_FOCUS = "#ways"
    HELP_TEXT = """
A run did not finish: the power was cut, or the process was killed. What it had begun is in the journal, and
what everything was before is in the snapshot store. It can be finished, from where it was, or undone: then the host is
as it was before the run. Choose one with the arrows, read below what it does, and press y. Both may be interrupted too,
and started again. Where neither works, what is in the way is named, and you can keep the host as it is now: that is
recorded, and the run is closed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "read", "Read", tooltip="Go to the text below"),
        Binding("y", "take", "Take this way", tooltip="Take the chosen way"),
        *PAGES,
        Binding("escape", "back", "Back"),
    ]
    _problem = False
    """Whether it could not be undone or finished."""
    _outcome = ""
    """What the run is, once it has ended well."""
    _on_the_steps = True
    """Whether it was a run of the howto's steps, which goes on there; any other one is begun again where it was."""

    def __init__(self) -> None:
        super().__init__()
        self._ways: dict[str, Way] = {}

    def body(self) -> ComposeResult:
        """The ways, then as everywhere."""
        yield Rows(id="ways", markup=False)
        yield from super().body()

    def on_mount(self) -> None:
        """Show what is known of it."""
        self.same("msa-wizard recover --show")
        self.over = True
        try:
            killed = self.backend.waits()
            if killed is None:
                self.show("No run is interrupted.")
                return
            self._on_the_steps = killed.of_the_howto
            self._ways = ways(killed, self.backend.commits())
        except Exception as error:
            self.show(sentence(error))
            return
        self.over = False
        self._offer()

    def _offer(self) -> None:
        listed, chosen = self.query_one("#ways", OptionList), self._chosen()
        names = [name for name in self._ways if name != "accept" or self._problem]
        listed.set_options([Option(self._ways[name].title, id=name) for name in names])
        # The one that was taken and failed stays the chosen one: y tries it again.
        listed.highlighted = next((at for at, name in enumerate(names) if self._ways[name] is chosen), 0)
        listed.focus()
        if not self._problem:
            self.say("y takes the highlighted way. Esc leaves everything as it is.")
        self.refresh_bindings()

    def _chosen(self) -> Way | None:
        option = self.query_one("#ways", OptionList).highlighted_option
        return self._ways.get(str(option.id)) if option is not None else None

    def on_option_list_option_highlighted(self) -> None:
        """What the other way does."""
        way = self._chosen()
        if way is not None and not self.running and (self._problem or not self.over):
            self.show(way.preview)
            self.query_one("#preview").scroll_home(animate=False)
            self.same(way.command)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A way can be taken while none is, and none has come to its end."""
        if action == "take":
            open_yet = self._problem or not self.over
            return bool(self._ways) and not self.running and open_yet and self.listens
        return True

    def action_take(self) -> None:
        """The highlighted way."""
        way = self._chosen()
        if way is not None and not self.desk.changing:
            self._outcome = way.outcome
            self.go_on()
            work = partial(self.backend.recover, act=way.act, outcome=way.outcome)
            self.start(way.command.removeprefix("msa-wizard "), work, "At work")

    def action_back(self) -> None:
        """From the text to the ways; then away."""
        if not self.query_one("#ways").display or not self.stopped_reading():
            super().action_back()

    def failed(self, why: str) -> None:
        """Say why, and what can be tried."""
        self._problem = True
        self._offer()
        self.ask_when_quiet()
        self.say(f"✗ {why.rstrip('.')}. Fix that and try again, or keep the host as it is now.")

    def ended(self, result: object) -> None:
        """Say how it ended."""
        self._problem = False
        match result:
            case RollbackResult() if result.not_undone or result.failed:
                self.failed("; ".join(map(clean, filter(None, (*result.not_undone, result.failed)))))
            case Run() if result.stopped and self.backend.killed() is not None:
                self.failed(self._stopped(result))
            case Run() if result.stopped:
                words = f"The interrupted run is over. {self._stopped(result)}."
                self._show_end(words, *_applied(result), stopped=True)
            case None:
                self._show_end("No run is interrupted any more.")
            case str():
                self._show_end(f"Accepted as it is, recorded as {result}.")
            case RollbackResult():
                checks = [check_content(check, width()) for check in result.checks]
                self._show_end(f"The interrupted run was {self._outcome}.", *checks, *left_lines(result))
            case Run():
                self._show_end(f"The interrupted run was {self._outcome}.", *_applied(result))

    def _show_end(self, words: str, *parts: Content | str, stopped: bool = False) -> None:
        """What has become of the run, in place of the ways; whether it has `stopped` before its end."""
        sign, style = ("!", "ansi_yellow") if stopped else ("✓", "ansi_green")
        self.query_one("#ways").display = False
        self.show(emphatic(f"{sign} {words}", style), *parts)
        self.query_one("#preview").focus()
        rest = ""
        if stopped:
            rest = "; the rest is on the steps" if self._on_the_steps else "; the run can be begun again"
        self.say(f"The host is consistent again. Esc goes back{rest}.")

    def _stopped(self, run: Run) -> str:
        if run.undecided:
            where = "y on the steps asks" if self._on_the_steps else "begin it again to be asked"
            why = "something that works would end" if run.ends else "it had not come that far"
            return f"Stopped before {run.undecided}: {why} ({where})"
        return f"Stopped at {run.stopped}"


def _applied(run: Run) -> list[str]:
    return [f"Applied: {', '.join(run.applied)}."] if run.applied else []


@dataclass(frozen=True)
class Way:
    """One way out of an interrupted run."""

    title: str
    command: str
    outcome: str
    preview: Content
    act: Act


def ways(killed: Unfinished, commits: Sequence[Commit]) -> dict[str, Way]:
    """The ways out, the one first that keeps what was done; `commits` are the history, newest first."""
    recorded = [
        commit.step or commit.subject
        for commit in commits_in_force(commits)
        if commit.run == killed.run and commit.operation == killed.operation
    ]
    done = ", ".join(map(clean, reversed(recorded)))
    begun = _begun(killed)
    finish: list[str | tuple[str, str]] = [("Finishes the run: it goes on from where it was.\n", "bold")]
    if killed.operation == "apply":
        finish += [f"Stays: {done}.\n"] if done else []
        finish += [f"Done again: {clean(killed.step)}.\n"] if killed.step else []
        finish += [f"Stays left out: {', '.join(map(clean, killed.declined))}.\n"] if killed.declined else []
        finish += [
            "Then the steps that were left follow, without another question.\n"
            if killed.unattended
            else "It ends before the first step that it had not come to.\n"
        ]
    elif killed.operation == "rollback":
        finish += ["The rollback is done once more, exactly as it was asked for.\n"]
    else:
        finish = [("There is nothing to finish: what was changed for a while is restored.\n", "bold")]
    undo: list[str | Content | tuple[str, str]] = [
        ("Undoes the run: the host is then as it was before it began", "bold"), f" (commit {killed.head[:10]}).\n"
    ]  # fmt: skip
    undo += [emphatic(f"! Rolled back, though done: {done}.\n")] if done else []
    about = Content.assemble((f"{clean(killed.words())}.\n\n", ""))
    return {
        "finish": Way(
            *("Finish the run", "msa-wizard recover --finish", "finished"),
            *(about + Content.assemble(*finish, *begun), lambda recovery: recovery.finish()),
        ),
        "undo": Way(
            *("Undo the run", "msa-wizard recover", "undone"),
            *(about + Content.assemble(*undo, *begun), lambda recovery: recovery.undo()),
        ),
        "accept": Way(
            *("Keep the host as it is now", "msa-wizard recover --accept", "accepted as it is"),
            about + Content("Changes nothing: the host as it is now is recorded, and the run is closed."),
            lambda recovery: recovery.accept(),
        ),
    }


def _begun(killed: Unfinished) -> list[str]:
    if not killed.step:
        return []
    return [
        f"\nIn hand: {clean(killed.step)}, with these changes begun:\n",
        *([f"  {begun_text(change)}\n" for change in killed.changes] or ["  none yet\n"]),
    ]
