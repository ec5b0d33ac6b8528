"""What every screen has: a title, a body, the same on the command line, and its keys."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from screens.ends_once import EndsOnce
from screens.terminal_check import SMALLEST

if TYPE_CHECKING:
    from screens.backend import Machine
    from screens.jobs import Desk

Result = TypeVar("Result")


class Wizard(Protocol):
    """What a screen knows of the app that it is part of."""

    machine: Machine
    desk: Desk
    signal: int

    def go(self, name: str) -> None:
        """To a screen of `screens.navigation`."""


async def typed(screen: Screen[Any]) -> None:
    """Wait until the focused field has taken in what was typed before the key at hand."""
    if screen.focused is not None:
        caught_up = asyncio.Event()
        screen.focused.call_later(caught_up.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(caught_up.wait(), 1)


class Frame(EndsOnce[Result]):
    """A screen of the wizard. `HELP_TEXT` is shown on F1, above what the focused widget says of itself."""

    HELP_TEXT: ClassVar[str] = ""
    HEADING: ClassVar[str] = ""

    def compose(self) -> ComposeResult:
        """Title, body, command line, keys."""
        yield Static(f"msa-wizard  {self.HEADING}", id="title", markup=False)
        with Vertical(id="body"):
            yield from self.body()
        yield Static("", id="same", markup=False)
        yield Footer(show_command_palette=False, compact=True)
        yield Static(
            f"This window is too small: the screens need {SMALLEST[0]}x{SMALLEST[1]}.\n"
            "Nothing is lost; make it larger to go on, or press q to quit.",
            id="small",
            markup=False,
        )

    def on_mount(self) -> None:
        """A cursor that blinks sends bytes for ever."""
        for field in self.query(Input):
            field.cursor_blink = False

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        raise NotImplementedError

    def deliver(self, show: Callable[..., None], *found: object) -> None:
        """From a worker: let the screen show what was found, unless it has gone meanwhile."""

        def shown() -> None:
            if self.is_attached and self.is_running and not self.app._exit:
                show(*found)

        with contextlib.suppress(RuntimeError, CancelledError):  # the app has ended
            self.app.call_from_thread(shown)

    def same(self, command: str) -> None:
        """Say what does the same on the command line."""
        self.query_one("#same", Static).update(f"$ {command}" if command else "")

    def title_says(self, words: str) -> None:
        """What stands behind the heading."""
        self.query_one("#title", Static).update(f"msa-wizard  {self.HEADING}  {words}".rstrip())

    @property
    def wizard(self) -> Wizard:
        """The app, as what it is."""
        return cast("Wizard", self.app)
