"""A run was killed: undo it, finish it, or keep the host as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from screens.error_text import sentence
from screens.review_and_run import ReviewAndRun
from wizard.console import clean
from wizard.engine.engine import Run
from wizard.rollback.apply import RollbackResult

if TYPE_CHECKING:
    from wizard.engine.journal import Unfinished
    from wizard.rollback.recovery import Recovery

Act = Callable[["Recovery"], "RollbackResult | Run | str"]


class RecoveryScreen(ReviewAndRun[None]):
    """Undoing is the default; nothing happens before a key is pressed."""

    HEADING = "An interrupted run"
    HELP_TEXT = """
A run did not come to its end: the power was cut, or the process was killed. What it had begun is in the journal, and
what everything was before is in the snapshot store. u undoes the run: the host is then as it was before. f continues
it from where it was. Both may be interrupted too, and started again. Anything that cannot be undone is named, and a
keeps the host as it is now: that is recorded, and the run is closed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u,enter", "undo", "Undo it", key_display="u"),
        Binding("f", "finish", "Finish it"),
        Binding("a", "accept", "Keep as it is"),
        Binding("escape", "back", "Back"),
    ]
    _problem = False
    """Whether it could not be undone or finished."""
    _done = ""
    """What the run is, once it has ended well."""

    def on_mount(self) -> None:
        """Show what is known of it."""
        self.same("msa-wizard recover --show")
        try:
            killed = self.wizard.backend.killed()
        except Exception as error:
            self.over = True
            self.show(sentence(error))
            return
        self.over = killed is None
        self.show(_content(killed) if killed else "No run is interrupted.")
        if killed:
            self.say("u undoes it (the default), f finishes it, Escape leaves it as it is.")

    def action_undo(self) -> None:
        """As before the run."""
        self._begin("recover", "undone", lambda recovery: recovery.undo())

    def action_finish(self) -> None:
        """Continue it."""
        self._begin("recover --finish", "finished", lambda recovery: recovery.finish())

    def action_accept(self) -> None:
        """The host stays as it is now."""
        self._begin("recover --accept", "accepted as it is", lambda recovery: recovery.accept())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """To keep what is half-done is offered once it could not be undone or finished."""
        return self._problem if action == "accept" else True

    def _begin(self, name: str, done: str, act: Act) -> None:
        if self.over and not self._problem:
            self.dismiss()
            return
        if self.wizard.desk.busy:
            return
        self._done = done
        self.same(f"msa-wizard {name}")
        self.go_on()
        backend = self.wizard.backend
        self.start(name, lambda job: backend.recover(job, act))

    def failed(self, why: str) -> None:
        """Say why, and what can be tried."""
        self._problem = True
        self.say(f"✗ {why.rstrip('.')}. Then press u or f again, or a to keep the host as it is.")

    def ended(self, result: object) -> None:
        """Say how it ended."""
        self._problem = False
        match result:
            case RollbackResult() if result.not_undone or result.failed:
                self.failed("; ".join(map(clean, filter(None, (*result.not_undone, result.failed)))))
            case Run() if result.undecided:
                self.failed(
                    f"Stopped before {result.undecided}: something that works would end (the steps, with Enter, ask)"
                )
            case Run() if result.stopped:
                self.failed(f"Stopped at {result.stopped}")
            case str():
                self.say(f"✓ Accepted as it is, recorded as {result}. Enter closes this.")
            case _:
                self.say(
                    f"✓ The interrupted run was {self._done}; the host is consistent again. Enter closes this."
                )


def _content(killed: Unfinished) -> Content:
    parts: list[str | tuple[str, str]] = [
        (f"{clean(killed.words())}.\n", "bold"), f"Everything as it was before is commit {killed.head[:10]}.\n"
    ]  # fmt: skip
    if killed.step:
        parts.append(f"In hand: {clean(killed.step)}. It may have written:\n")
        paths = [str(path) for change in killed.changes for path in _list(change.get("touches"))]
        parts += [f"  {clean(path)}\n" for path in dict.fromkeys(paths)] or ["  nothing yet\n"]
    return Content.assemble(*parts)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
