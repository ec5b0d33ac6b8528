"""What all screens share: how they end, page and speak; the frame of a full screen; a field of a form."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import abstractmethod
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, cast

from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Callback, Key, Unmount
from textual.message import Message
from textual.messages import Prune
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Checkbox, Input, Label, Static

from screens import SMALLEST
from screens.jobs import Drawing, JobEnded
from screens.sentences import sentence
from screens.widgets.fitted import Fitted
from screens.widgets.keys import Keys
from wizard.console import clean, fold
from wizard.console import command as command_lines

if TYPE_CHECKING:
    from screens.backend import Backend
    from screens.jobs import Desk
    from wizard.engine.overview import Overview

Result = TypeVar("Result")
Taken = TypeVar("Taken")

PAGES = (
    Binding("space", "turn(1)", "Page", show=False, tooltip="Turn the page"),
    Binding("b", "turn(-1)", "Page back", show=False, tooltip="Turn a page back"),
)
"""The keys of a screen with something to scroll (`SCROLLED`)."""

FORM = (
    Binding("tab", "app.focus_next", "Next field", priority=True),
    Binding("down", "field(1)", "Next field", show=False, priority=True),
    Binding("shift+tab", "app.focus_previous", "Previous field", show=False, priority=True),
    Binding("up", "field(-1)", "Previous field", show=False, priority=True),
)
"""The keys between the fields of a form; they come first, or a password typed right after one lands in the field before."""


QUIET = 0.4
"""Seconds without a key after which a question that came by itself is listened to."""


class Wizard(Protocol):
    """What a screen knows of the app that it is part of."""

    backend: Backend
    desk: Desk
    signal: int
    leaving: bool
    kept: dict[str, dict[str, str]]
    """What was typed into a form that is open or was left, by its heading and the field."""

    def go(self, name: str) -> None:
        """To a screen of `screens.welcome`."""

    def before_it_ends(self, go_on: Callable[[], object], stay: Callable[[], object] = lambda: None) -> None:
        """Ask before `go_on` ends a run that waits, where that takes something with it."""


class WizardScreen(Screen[Result]):
    """A screen that ends once, pages, and reads its fields. Its first end counts, whether a key, a timer or a worker
    brings it.

    Textual's own `dismiss` removes the topmost screen, whichever that is, and fails when it is called again. Here a
    screen is open; then it has a result and waits until nothing lies on top of it (`ending`); then it is gone.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Next part of the screen", show=False),
        Binding("shift+tab", "app.focus_previous", "Previous part of the screen", show=False),
    ]
    HEADING: ClassVar[str] = ""
    HELP_TEXT: ClassVar[str] = ""
    """Shown on F1, above the help of the focused widget."""
    SCROLLED: ClassVar[str] = ""
    """Selects what PAGES scroll."""
    SAYS: ClassVar[str] = "#says"
    """Selects the line of news."""

    _result: tuple[Result | None] | None = None
    """The result it ends with, once there is one."""
    _gone = False
    listens = True
    """Whether its keys answer what it asks: where it asks by itself, once no key was pressed for a moment (`QUIET`)."""
    _quiet: Timer | None = None
    _how: Callable[[], object] = staticmethod(lambda: None)
    """Says how to answer, once it listens."""
    _listens_since = 0.0
    """On the monotonic clock."""

    def on_mount(self) -> None:
        """A blinking cursor would send bytes for ever."""
        for field in self.query(Input):
            field.cursor_blink = False

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that can be pressed now: first those of the screen, in the order in which it names them."""
        active = super().active_bindings
        own = [key for key in self._bindings.key_to_bindings if key in active]
        own.sort(
            key=lambda key: key.startswith(("ctrl+", "super+"))
        )  # the footer shows the first key of several
        return {key: active[key] for key in (*own, *active)}

    async def _dispatch_message(self, message: Message) -> None:
        """Textual's. A screen that goes, even before it is made, takes in nothing more: no key, timer or result of a worker,
        since what it held may be gone. But who waits for its turn (`call_later`) would wait for ever."""
        if isinstance(message, JobEnded):
            message.job.known = True  # before another one may begin
        if not self._pruning or isinstance(message, Callback | Prune | Unmount):
            await super()._dispatch_message(message)

    def on_drawing(self, message: Drawing) -> None:
        """A thread has something to show."""
        message.draw()

    @property
    def ending(self) -> bool:
        """Whether it has ended, or ends as soon as nothing lies on top of it."""
        return self._result is not None

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """End with `result`: at once, or when what lies on top has gone. Later ends do nothing. A password goes at once."""
        for field in self.query("#password").results(Input):
            field.clear()
        if self._result is None:
            self._result = (result,)
        return self._end_here()

    def on_screen_resume(self) -> None:
        """What lay on top has gone."""
        self._end_here()

    def _end_here(self) -> AwaitComplete:
        if self._gone or self._result is None or self.app.screen is not self:
            return AwaitComplete()
        self._gone = True
        return super().dismiss(self._result[0])

    @property
    def would_go(self) -> tuple[str, ...]:
        """The edits of sendmail.mc that are rolled back if the run of this screen ends now."""
        return ()

    def leave_for(self, go_on: Callable[[], object]) -> None:
        """Before `go_on` takes this screen away: ask where something would be lost."""
        go_on()

    def ask_when_quiet(self, say: Callable[[], object] = lambda: None) -> None:
        """It asks something now, and nobody has called for that: listen after a moment without a key, and `say` then how to
        answer. A key that is held down, or was meant for what was there before, is no answer."""
        if self._quiet is not None:
            self._quiet.stop()
        self._quiet, self._how = self.set_timer(QUIET, self._listen), say
        self.set_listens(False)

    def listen_when_quiet(self) -> None:
        """Where it asks something, listen only after another moment without a key."""
        if self._quiet is not None:
            self.ask_when_quiet(self._how)

    def ask_nothing(self) -> None:
        """What was asked is answered; nothing listens before the next question."""
        if self._quiet is not None:
            self._quiet.stop()
            self._quiet = None
        self.set_listens(False)

    def _listen(self) -> None:
        self._listens_since = time.monotonic()
        self.set_listens(True)
        self._how()

    def set_listens(self, listens: bool) -> None:
        """Take keys for answers, or not."""
        self.listens = listens
        self.refresh_bindings()

    def on_key(self, event: Key) -> None:
        """The moment begins anew; also where a busy machine brings the key after the moment in which it was pressed."""
        if event.time < self._listens_since or not self.listens:
            self.listen_when_quiet()

    @property
    def wizard(self) -> Wizard:
        """The app, as what it is."""
        return cast("Wizard", self.app)

    @property
    def backend(self) -> Backend:
        """The door to the engine."""
        return self.wizard.backend

    @property
    def desk(self) -> Desk:
        """Where the work is done."""
        return self.wizard.desk

    def action_turn(self, pages: int) -> None:
        """Scroll by pages, a line of the old one staying in sight."""
        pane = self.query_one(self.SCROLLED)
        pane.scroll_relative(y=pages * max(1, pane.size.height - 1), animate=False)

    def action_field(self, by: int) -> None:
        """From a field to the next or previous one; in a list or a text the arrows move there."""
        if not isinstance(self.focused, Input | Checkbox):
            raise SkipAction
        self.focus_next() if by > 0 else self.focus_previous()

    def action_read(self) -> None:
        """Into the text (`SCROLLED`) that belongs to the list: there the arrows, PgUp and PgDn scroll."""
        self.query_one(self.SCROLLED).focus()

    def stopped_reading(self) -> bool:
        """Whether Escape led from the text, or whatever else had the keys, back to the list (`AUTO_FOCUS`), so that the
        screen stays."""
        listed = self.query_one(str(self.AUTO_FOCUS))
        if self.focused in (None, listed):
            return False
        listed.focus()
        return True

    def say(self, words: str | Content) -> None:
        """Show `words`, cleaned, in the line of news; commands in them can be copied."""
        news = self.query_one(self.SAYS)
        if isinstance(news, Fitted):
            news.show(partial(_fitting, words))
        elif isinstance(news, Static):
            news.update(_fitting(words, news.content_size.width))

    def entered(self, field: str) -> str:
        """What the field holds, without spaces around it."""
        return self.query_one(f"#{field}", Input).value.strip()

    def about_focused(self) -> str:
        """What the focused field is for; empty where it does not say."""
        return str(self.focused.tooltip or "") if self.focused is not None else ""

    async def caught_up(self) -> None:
        """Wait until the focused field has taken in what was typed before the key at hand."""
        if self.focused is not None:
            done = asyncio.Event()
            self.focused.call_later(done.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), 1)


def _fitting(words: str | Content, columns: int) -> Content:
    """Words with commands, which are broken so that they can be copied."""
    if isinstance(words, str) and columns and "`" in words:
        words = "\n".join(part for line in words.split("\n") for part in fold(line, columns=columns))
    return Content(words) if isinstance(words, str) else words


def too_small(what_to_do: str) -> Static:
    """What covers a screen while the window is too small."""
    words = f"This window is too small: the screens need {SMALLEST[0]}x{SMALLEST[1]}.\nNothing is lost; {what_to_do}"
    return Static(words, id="small", markup=False)


@dataclass(frozen=True)
class _Look:
    """A look that has not ended: what it does, since when, and what says so each second."""

    doing: str
    since: float
    clock: Timer


class Frame(WizardScreen[Result]):
    """A full screen: title, body, the same command on the command line, keys."""

    _named = ""
    """What the title says after the heading."""
    _typed = ""
    """What does the same on the command line."""
    _left_at: tuple[object] | None = None
    """The history when something was put on top."""

    def __init__(self) -> None:
        super().__init__()
        self._looks: dict[str, _Look] = {}
        """The looks at hand, by what they are of."""

    def compose(self) -> ComposeResult:
        """The frame around `body`."""
        with Horizontal(id="top"):
            yield Static(f"msa-wizard  {self.HEADING}", id="title", markup=False)
            yield Static("", id="aside", markup=False)
        with Vertical(id="body"):
            yield from self.body()
        yield Static("", id="same", markup=False)
        yield Keys(show_command_palette=False, compact=True)
        yield too_small("make it larger to go on, or press F10 to quit.")

    @abstractmethod
    def body(self) -> ComposeResult:
        """The screen's own widgets."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """End, and with it what its own job asks: nobody could answer that any more."""
        self.desk.left(self)
        return super().dismiss(result)

    def look(
        self,
        take: Callable[[], Taken],
        show: Callable[[Taken], object],
        doing: str = "looking at this host",
        of: str = "",
    ) -> None:
        """Take something in a worker, then show it, unless another look `of` the same has begun or the screen has gone. What
        goes wrong on the way is said. From the first second on the title says what is waited for, and how long."""
        since = time.monotonic()
        self.drop_look(of)
        clock = self.set_interval(1.0, lambda: self._say_title(doing, since))
        self._looks[of] = at_hand = _Look(doing, since, clock)

        def deliver(draw: Callable[[], object]) -> None:
            if self._looks.get(of) is at_hand and self.is_attached:
                clock.stop()
                del self._looks[of]
                self._say_title()
                draw()

        def work() -> None:
            try:
                shown: Callable[[], object] = partial(show, take())
            except Exception as error:
                shown = partial(self._say_problem, error)
            with contextlib.suppress(RuntimeError):  # the app has ended
                self.post_message(Drawing(partial(deliver, shown)))

        # Not one of Textual's workers: who quits does not wait for a look.
        Thread(target=copy_context().run, args=(work,), daemon=True).start()

    def drop_look(self, of: str) -> None:
        """What a look `of` something that has not ended would bring is wanted no more."""
        if (look := self._looks.pop(of, None)) is not None:
            look.clock.stop()
            self._say_title()

    @property
    def looking(self) -> str:
        """What a look that has not ended does, and for how many seconds; empty without one."""
        look = next(iter(self._looks.values()), None)
        return f"{look.doing}, {time.monotonic() - look.since:.0f} s" if look is not None else ""

    def _say_problem(self, error: Exception) -> None:
        self.say(sentence(error))

    def see(
        self,
        show: Callable[[Overview], object],
        again: bool = False,
        with_apt: Callable[[Overview], object] | None = None,
    ) -> None:
        """Show the host as it is held, at once; where it is not held, or `again`, look at it. Once apt has said what comes
        with missing packages, show that, too (`with_apt`, else `show`)."""
        backend = self.backend

        def shown(overview: Overview) -> None:
            show(overview)
            if overview.facts.asking_apt:
                self.look(backend.seen_with_apt, with_apt or show, "asking apt")

        held = None if again else backend.held
        if held is not None:
            shown(held)
        else:
            self.look(partial(backend.seen, again), shown)

    def same(self, command: str) -> None:
        """Show the command that does the same on the command line."""
        self._typed = command
        self._fit_command()

    def on_resize(self) -> None:
        """The command is broken elsewhere."""
        self._fit_command()

    def on_screen_suspend(self) -> None:
        """What lies on top has keys of its own."""
        self.query_one(Keys).visible = False
        self._left_at = (self.backend.history_mark(),)

    def on_screen_resume(self) -> None:
        """Its keys count again; where something was done meanwhile, the host is another one."""
        self.query_one(Keys).visible = True
        if self._left_at is not None and self._left_at[0] != self.backend.history_mark():
            self.look_again()

    def look_again(self) -> None:
        """Look again at what it shows of the host."""

    def _fit_command(self) -> None:
        lines = command_lines(self._typed, self.app.size.width - 2, "$ ") if self._typed else []
        self.query_one("#same", Static).update("\n".join(lines))

    def add_to_title(self, words: str) -> None:
        """Show `words` after the heading."""
        self._named = words
        self._say_title()

    def _say_title(self, doing: str = "", since: float = 0.0) -> None:
        """The heading; at the right end what is about it, or what is waited for."""
        self.query_one("#title", Static).update(f"msa-wizard  {self.HEADING}")
        self.aside(f"{doing}, {time.monotonic() - since:.0f} s" if doing else self._named.strip())

    def aside(self, words: str) -> None:
        """Show `words` at the right end of the title: where one is."""
        self.query_one("#aside", Static).update(clean(words))


@dataclass(frozen=True)
class Field:
    """A line of a form. `about` is said while it has the focus; `empty` is shown while it holds nothing."""

    id: str
    label: str
    about: str = ""
    empty: str = ""

    def line(self, text: str = "") -> Horizontal:
        """Label and input."""
        entry = Input(
            text,
            id=self.id,
            password=self.id == "password",
            placeholder=self.empty,
            tooltip=self.about or None,
        )
        return Horizontal(Label(self.label, classes="label", markup=False), entry, classes="field")
