"""The base of the dialogs, and what they are made of: headline, text that scrolls, keys."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.base import Result, WizardScreen, too_small
from screens.widgets.contents import emphatic

WATCHED = 0.5
"""Seconds between two looks of a dialog at what it is about."""


class Dialog(ModalScreen[Result], WizardScreen[Result]):
    """A question, or something to read, on top of a screen.

    One that comes by itself (`COMES`) listens once no key has been pressed for a moment (`QUIET`), and shows its keys
    then: a key that is held down, or was meant for what was there before, is no answer to it. What it is about may go on
    meanwhile: it says how that is now, and closes once it is `over`."""

    COMES: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "app.explain", "Help", show=False, tooltip="Help for this dialog")
    ]
    """The app's keys end at a dialog."""

    def __init__(self) -> None:
        super().__init__()
        self.listens = not self.COMES

    def on_mount(self) -> None:
        """Wait for a moment without a key."""
        if self.COMES:
            self.ask_when_quiet()
        self.mount(too_small("make it larger to answer."))
        self._watch = self.set_interval(WATCHED, self._keep_up)
        self._keep_up()

    def _keep_up(self) -> None:
        """Say what is so now. Closing by itself, it may leave a key that was meant for it to the screen below."""
        if not self.over():
            self.say_now()
        elif self.is_active:  # one below another screen waits for its turn
            self.dismiss()
            if isinstance(self.app.screen, WizardScreen):
                self.app.screen.listen_when_quiet()

    def say_now(self) -> None:
        """Its words on what goes on meanwhile, as that is now."""

    def set_listens(self, listens: bool) -> None:
        """Its keys are shown while they do something."""
        super().set_listens(listens)
        for line in self.query(".keys"):
            line.visible = listens

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing before it listens."""
        return True if self.listens else None

    def over(self) -> bool:
        """Whether nothing is left to answer: then it closes, and makes way for the next screen."""
        return False


INSIDE = 71
"""Cells of a line in `scrolled`: those of a dialog (wizard.tcss) without its edge, and without what scrolls."""


def scrolled(content: Content | str, name: str = "content") -> VerticalScroll:
    """Text of a dialog that may be longer than its place."""
    return VerticalScroll(Static(content, markup=False), id=name, classes="scrolled")


def headline(words: str, style: str = "ansi_yellow") -> Static:
    """The first line of a dialog, with a sign."""
    return Static(emphatic(words, style), classes="headline", markup=False)


SCROLLS = "PgUp, PgDn", "scroll"
"""Said where a text may be longer than its place."""


def keys(*meanings: tuple[str, str]) -> Static:
    """The last line of a dialog: keys and what they do."""
    return Static(
        Content("   ").join([Content.assemble((key, "ansi_cyan"), f" {words}") for key, words in meanings]),
        classes="keys",
        markup=False,
    )
