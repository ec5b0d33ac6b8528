"""How a screen ends: once, and itself alone, though a key, a timer and a worker may all want to end it at the same time."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

Result = TypeVar("Result")


class EndsOnce(Screen[Result]):
    """A screen whose first end counts.

    Textual's own `dismiss` takes the topmost screen away, whichever that is, and fails when it is called again.
    """

    _wanted: tuple[Result | None] | None = None
    """The result it ends with, once there is one."""
    _gone = False

    @property
    def ending(self) -> bool:
        """Whether it has ended, or ends as soon as nothing lies on top of it."""
        return self._wanted is not None

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """End with `result`: at once, or when what lies on top has gone. Later ends do nothing."""
        if self._wanted is None:
            self._wanted = (result,)
        return self._end_here()

    def on_screen_resume(self) -> None:
        """What lay on top has gone."""
        if self._wanted is not None:
            self._end_here()

    def _end_here(self) -> AwaitComplete:
        if self._gone or self._wanted is None or self.app.screen is not self:
            return AwaitComplete()
        self._gone = True
        return super().dismiss(self._wanted[0])


class Dialog(ModalScreen[Result], EndsOnce[Result]):
    """A question, or a word to read, on top of a screen."""

    def over(self) -> bool:
        """Whether something else has answered it, so that it makes way for the screen that comes next."""
        return False
