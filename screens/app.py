"""The program on the terminal: its keys, its signals, its worker, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from textual._compositor import CompositorUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.events import Event, Key, Paste, Resize
from textual.reactive import Reactive
from textual.screen import Screen

from screens import SMALLEST
from screens.backend import Backend
from screens.base import Frame, WizardScreen
from screens.dialog import Dialog
from screens.jobs import Desk
from screens.welcome import PLACES, TOOLS, Welcome
from screens.widgets.keys import spelled
from screens.widgets.terminal_output import ChangedCells
from wizard.console import clean_block, set_width
from wizard.system.signals import SIGNALS

_LEAVE = "f10,q,ctrl+q,ctrl+c"
_BESIDE_TEXT = 3
"""Cells of a line that text cannot have: a blank at either side, and what scrolls."""


async def _caught_up(node: DOMNode) -> None:
    """Until it has taken in all that was sent to it so far, or is gone."""
    done = asyncio.Event()
    if node.call_later(done.set):
        waiting = asyncio.ensure_future(done.wait())
        await asyncio.wait(
            {waiting, *([node._task] if node._task else [])}, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()


class WizardApp(App[int]):
    """`msa-wizard` without arguments. Its result is the exit code."""

    CSS_PATH = "wizard.tcss"
    TITLE = "msa-wizard"
    HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (SMALLEST[0], "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-too-low"), (SMALLEST[1], "-high-enough")]  # noqa: RUF012
    NOTIFICATION_TIMEOUT = 8
    theme = Reactive("ansi-dark", init=False)
    """The terminal's own sixteen colours, dark or light. Known to Textual from the beginning: it would read all CSS again."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(_LEAVE, "leave", "Quit", key_display="f10", tooltip="Quit msa-wizard"),
        Binding("f1,question_mark", "explain", "Help", key_display="f1", tooltip="Help for this screen"),
        Binding("ctrl+l", "redraw", "Redraw", show=False, tooltip="Draw the screen again"),
        Binding("ctrl+p", "command_palette", "Go to any screen", show=False, priority=True),
        Binding("f3,h", "go('history')", "History", show=False, tooltip="Go to the history"),
    ]

    def __init__(self, backend: Backend | None = None, *, plain: bool = False) -> None:
        super().__init__()
        self.animation_level = "none"  # over SSH each frame is bytes
        self.backend = backend or Backend()
        self.desk = Desk(self, self.backend.changed)
        self._cells = ChangedCells()
        self.kept: dict[str, dict[str, str]] = {}
        self.signal = 0
        """The signal that ends us."""
        self.leaving = False
        """Whether we end without one: no screen comes any more."""
        self.crash: BaseException | None = None
        self._in_hand: Event | None = None
        """The key that has not done yet what it does."""
        self._typed: deque[Event] = deque()
        """Those behind it."""
        if plain:
            from screens.widgets.terminal_output import AsciiOnly

            self._filters.append(AsciiOnly())

    def on_mount(self) -> None:
        """Catch the signals; the first screen is drawn before anything else begins."""
        set_width(self.size.width - _BESIDE_TEXT)
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            with contextlib.suppress(RuntimeError, ValueError):  # in tests we are not in the main thread
                loop.add_signal_handler(number, self._signalled, number)
        self.app_resume_signal.subscribe(self, lambda _: self._cells.forget(), immediate=True)
        self.backend.tell = lambda line: self.notify(  # in any thread
            clean_block(line), severity="warning", timeout=60, markup=False
        )
        self.set_interval(0.5, self._watch)
        self.call_after_refresh(self._drawn)

    def _drawn(self) -> None:
        gc.enable()
        self.run_worker(self._warn_if_lost, thread=True)

    def _warn_if_lost(self) -> None:
        """Say at once if the history was wiped; damage to the store is reported where it is read."""
        from wizard.errors import CannotHere

        with contextlib.suppress(CannotHere):
            if words := self.backend.lost():
                self.backend.tell(words)

    def _watch(self) -> None:
        """A change that waits for its confirmation is shown on top of everything."""
        if self.desk.changing and (left := self.backend.confirmation()) is not None:
            from screens.dialogs import FirewallCountdown

            if not any(isinstance(each, FirewallCountdown) and not each.ending for each in self.screen_stack):
                self.push_screen(FirewallCountdown(left))

    def push_screen(self, *args: Any, **kwargs: Any) -> Any:
        """Show a screen; a dialog that is over closes first, for nothing can end it from below."""
        for top in reversed(self.screen_stack):
            if not (isinstance(top, Dialog) and top.over()):
                break
            top.dismiss()
        return super().push_screen(*args, **kwargs)

    def on_unmount(self) -> None:
        """Whatever ends us: a job that waits for an answer must not wait for ever."""
        set_width(None)
        self.desk.quit()

    def get_default_screen(self) -> Screen[None]:
        """The first screen, at once: a bare one below it would be drawn first."""
        return Welcome()

    def action_leave(self) -> None:
        """Quit; ask first while a step is at work."""
        if not self.desk.changing:
            leave: Callable[[], object] = self._leave
            for screen in self.screen_stack:
                if isinstance(screen, WizardScreen):
                    leave = partial(screen.leave_for, leave)
            leave()
            return
        from screens.leaving import ConfirmQuit

        def decided(yes: bool | None) -> None:
            if yes and self.desk.changing:
                self._signalled(signal.SIGINT)
            elif yes:  # it has ended meanwhile
                self.action_leave()

        if not isinstance(self.screen, ConfirmQuit):
            self.push_screen(ConfirmQuit(lambda: (self.desk.step, self.desk.job, self._would_go)), decided)

    @property
    def _would_go(self) -> list[str]:
        """The edits of sendmail.mc that are rolled back if the run at hand ends now."""
        if not self.desk.busy:
            return []  # it has ended already, though its screen may not know it yet
        screens = (screen for screen in self.screen_stack if isinstance(screen, WizardScreen))
        return [name for screen in screens if self.desk.works_for(screen) for name in screen.would_go]

    def before_it_ends(self, go_on: Callable[[], object], stay: Callable[[], object] = lambda: None) -> None:
        """`go_on` ends a run that waits: ask where that takes edits of sendmail.mc with it; after a no, `stay`."""
        from screens.leaving import EditsGo

        def decided(yes: bool | None) -> None:
            (go_on if yes else stay)()

        if edits := self._would_go:
            self.push_screen(EditsGo(edits), decided)
        else:
            go_on()

    def _leave(self) -> None:
        self.leaving = True
        self.desk.quit()
        self.exit(0, return_code=0)

    def go(self, name: str) -> None:
        """To a screen of PLACES or TOOLS, unless something is at work or a dialog waits."""
        if self.desk.changing or self.screen.is_modal:
            return
        place = (PLACES | TOOLS)[name].make()
        if not any(type(each) is type(place) for each in self.screen_stack):
            self.push_screen(place)
            return
        self._come_back(type(place))

    def _come_back(self, place: type[Screen[Any]]) -> None:
        """To a screen below: those above end, each in its own way."""
        top = self.screen
        if type(top) is place or not isinstance(top, WizardScreen):
            return

        def end() -> None:
            top.dismiss()
            self._come_back(place)

        top.leave_for(end)

    action_go = go
    """The keys' way to it."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No way to another screen while something is at work."""
        return not self.desk.changing if action == "go" else True

    def get_key_display(self, binding: Binding) -> str:
        """The key as README and the screens' texts spell it."""
        return spelled(binding.key_display or binding.key)

    def action_explain(self) -> None:
        """What this screen and the focused widget are for."""
        from screens.help import Help

        if not isinstance(self.screen, Help):
            self.push_screen(Help(self.screen))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette: where one can go from everywhere."""
        for name, place in (PLACES | TOOLS).items():
            if name != "continue" or self.backend.killed() is not None:
                yield SystemCommand(place.title, place.about or f"$ {place.command}", partial(self.go, name))
        yield SystemCommand("Help", "What this screen is for, and its keys", self.action_explain)
        yield SystemCommand("Quit", "Leave msa-wizard", self.action_leave)

    async def on_event(self, event: Event) -> None:
        """Keys count in the order in which they were typed: one is handed on when the one before it has done what it does.
        Textual lets a key come up again from the focus before its binding runs; letters that arrive in the same moment would
        overtake it, a Backspace say, and other words stand in the field than were typed."""
        if not isinstance(event, Key | Paste) or event.is_forwarded:
            await super().on_event(event)
        elif not self.screen_stack:
            self._typed.clear()  # the screens have ended
        elif self._in_hand is not None and event is not self._in_hand:
            self._typed.append(event)
        else:
            self._in_hand = event
            await (
                self.screen._mounted_event.wait()
            )  # with its focus, which the key before may just have opened
            way = [*(self.focused or self.screen).ancestors_with_self]
            if not self._covered:
                await super().on_event(event)
            elif isinstance(event, Key) and event.key in _LEAVE.split(",") and isinstance(self.screen, Frame):
                self.action_leave()
            self._next = asyncio.ensure_future(self._hand_on(way))

    @property
    def _covered(self) -> bool:
        """Whether the window is too small, and a word on that covers the screen: no key may act on what nobody sees."""
        too_small = self.size.width < SMALLEST[0] or self.size.height < SMALLEST[1]
        return too_small and isinstance(self.screen, WizardScreen)

    async def _hand_on(self, way: list[DOMNode]) -> None:
        """The next key, once this one has gone all of its way, and so has what it brought about."""
        for node in (*way, *way):
            await _caught_up(node)
        self._in_hand = self._typed.popleft() if self._typed else None
        if self._in_hand is not None:
            self.post_message(self._in_hand)

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Textual's, once the screen is made that the key is for: the keys before it may just have opened that."""
        await self.screen._mounted_event.wait()
        return await super()._check_bindings(key, priority)

    def _signalled(self, number: int) -> None:
        """SIGHUP, SIGTERM, SIGINT: finish or undo the change in hand, then end, with the terminal as it was."""
        self.signal = self.signal or number
        if self.desk.busy:
            self.desk.tell(number)
            self.notify("Ending: the change in hand is finished or undone first.")
        self.exit(128 + number, return_code=128 + number)

    def on_resize(self, event: Resize) -> None:
        """Each terminal moves its content in its own way; words are folded into the new width."""
        set_width(event.size.width - _BESIDE_TEXT)
        self._cells.forget()

    def action_redraw(self) -> None:
        """Draw everything again, after something else wrote on the terminal."""
        self._cells.forget()
        self.screen.refresh()
        self.refresh(layout=True)

    def _display(self, screen: Screen[object], renderable: object) -> None:
        """Textual's way to the terminal: only what changed goes there."""
        if isinstance(renderable, CompositorUpdate):
            renderable = self._cells.of(renderable)
        super()._display(screen, renderable)  # type: ignore[arg-type]

    def _fatal_error(self) -> None:
        """In place of Textual's own, which would print local variables, passwords among them."""
        self.crash = self._exception
        self._close_messages_no_wait()
