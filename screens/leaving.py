"""The questions before one leaves: while something is at work, and where a run that waits would take what it has done with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from screens.dialog import Dialog, keys

_STEP = (
    "If you quit now, the command at work is finished first: a package manager is never stopped half-way, and that may "
    "take a minute. {then} Other steps that are done stay. The terminal then says which."
)
_STAYS = "If the step is complete then, it stays; if not, it is undone{too}."
_EDITS = "what was edited in sendmail.mc is rolled back, so that it is not left half edited: {edits}."
_JOB = (
    "If you quit now, it ends where that is safe: a command at work is finished first. The terminal then says what came "
    "of it."
)
_UNCONFIRMED = (
    "The firewall's new rules wait to be confirmed, for {left} s.\n\nIf you quit now, they are reverted at once, and the step "
    "is undone."
)


AtWork = tuple[str, str, Sequence[str]]
"""The step at work, "" for a job that has none; the job; the edits of sendmail.mc that go if the run ends before
sendmailconfig has followed."""


class ConfirmQuit(Dialog[bool]):
    """True: end once the command at work is finished; its step stays if that completes it, and is undone if not."""

    HEADING = "Quit"
    SAYS = "#follows"
    HELP_TEXT = """
Something is being done on this host right now. y quits once that has come to an end that is safe; n, Enter and Esc
stay, and it goes on.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Quit"),
        Binding("n,escape,enter", "dismiss(False)", "Stay"),
    ]

    def __init__(self, at_work: Callable[[], AtWork]) -> None:
        super().__init__()
        self._at_work = at_work

    def over(self) -> bool:
        """Whether what was at work has ended."""
        return not self.desk.changing

    def compose(self) -> ComposeResult:
        """The question; staying is the default."""
        with Vertical(classes="dialog tall"):
            yield Static("", id="follows", markup=False)
            yield keys(("y", "quit"), ("Enter", "stay here (n and Esc too)"))

    def say_now(self) -> None:
        """What is at work, and what comes of it."""
        step, job, edits = self._at_work()
        if not (step or job):
            return  # it has just ended
        if (left := self.backend.confirmation()) is not None:
            self.say(_UNCONFIRMED.format(left=math.ceil(left)))
            return
        then = _STAYS.format(too=_undone_too(step, edits))
        if step in edits:
            then = f"Then {_EDITS.format(edits=', '.join(edits))}"
        follows = _STEP.format(then=then) if step else _JOB
        self.say(f"{step or job} is at work.\n\n{follows}")


def _undone_too(step: str, edits: Sequence[str]) -> str:
    """What goes with a step that is undone, as the end of a clause."""
    from wizard.steps.order import STEPS

    also = (*next((each.also_reverts for each in STEPS if each.id == step), ()), *edits)
    return f", and {', '.join(also)} of this run too" if also else ""


class EditsGo(Dialog[bool]):
    """True: the run that waits ends, and takes its edits of sendmail.mc with it."""

    HEADING = "Leave"
    HELP_TEXT = """
The edits of sendmail.mc hold once sendmailconfig is done: until then the next start of sendmail would go by half of
them. y leaves, and rolls them back; n, Enter and Esc stay.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Leave"),
        Binding("n,escape,enter", "dismiss(False)", "Stay"),
    ]

    def __init__(self, edits: Sequence[str]) -> None:
        super().__init__()
        self._edits = edits

    def compose(self) -> ComposeResult:
        """The question; staying is the default."""
        words = f"If you leave now, {_EDITS.format(edits=', '.join(self._edits))}"
        with Vertical(classes="dialog tall"):
            yield Static(f"{words}\n\nOnce sendmailconfig is applied, it stays.", markup=False)
            yield keys(("y", "leave"), ("Enter", "stay here (n and Esc too)"))
