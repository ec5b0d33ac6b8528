"""The first screen: what this host is, what is in the way, and where one can go."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import Frame
from screens.navigation import PLACES
from screens.widgets.signs import check_content
from wizard.console import clean
from wizard.model.plan import Sign

if TYPE_CHECKING:
    from wizard.engine.overview import Overview


class Welcome(Frame[None]):
    """Facts with sign and word; offers below."""

    HEADING = "Sendmail as a message submission agent"
    SAYS = "#found"
    HELP_TEXT = """
msa-wizard makes this host's Sendmail take mail from your users' mail programs: on port 587, with a login
and TLS. It does so in small steps. Each shows what it will change before it changes it, and each can be
rolled back, today or next year.

Above is what was found on this host. Nothing has been changed, and nothing will be until you press Enter
on a step whose diff you see.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "look", "Look again"),
        Binding("r", "app.go('rehearse')", "Rehearse"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._overview: Overview | None = None

    def body(self) -> ComposeResult:
        """Facts, then offers."""
        with VerticalScroll(id="facts", can_focus=False):
            yield Static("Looking at this host ...", id="found", markup=False)
        yield OptionList(id="offers", markup=False)

    def on_mount(self) -> None:
        """Show the offers at once; the facts follow."""
        self._offer(interrupted=False)
        self.set_timer(0.05, self.action_look)  # the first frame does not share the processor with the engine

    def on_screen_resume(self) -> None:
        """Something may have changed meanwhile."""
        if self._overview is not None and not self.desk.busy:
            self.action_look()

    def action_look(self) -> None:
        """Read the facts again."""
        self.look(self.backend.overview, self._show)

    def _show(self, overview: Overview) -> None:
        self._overview = overview
        self.add_to_title(f"  {clean(overview.facts.fqdn or overview.facts.hostname)}")
        failed_first = sorted(overview.checks, key=lambda check: check.sign is not Sign.FAILED)
        lines = [check_content(check) for check in failed_first]
        if overview.killed:
            lines.insert(0, Content.assemble(("! warn ", "bold"), clean(overview.killed.words())))
        self.say(Content("\n").join([Content.styled(_summary(overview), "bold"), Content(""), *lines]))
        self._offer(interrupted=overview.killed is not None)

    def _offer(self, *, interrupted: bool) -> None:
        offers = self.query_one("#offers", OptionList)
        wanted = [name for name in PLACES if name != "continue" or interrupted]
        if [option.id for option in offers.options] != wanted:
            offers.set_options([Option(PLACES[name].title, id=name) for name in wanted])
            offers.highlighted = 0
            offers.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """The same on the command line."""
        self.same(PLACES[str(event.option_id)].command)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go there."""
        self.wizard.go(str(event.option_id))


def _summary(overview: Overview) -> str:
    if any(check.sign is Sign.FAILED for check in overview.checks):
        return "A check failed. Fix it as shown, then press F5."
    if remaining := len(overview.remaining):
        return f"{remaining} of {len(overview.plans)} steps have something to do."
    return "Every step is done: this host accepts submissions."
