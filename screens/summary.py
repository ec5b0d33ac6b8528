"""The end of a set-up: what was done and what follows, what mail clients still need, and the ways there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens.base import PAGES, Frame
from screens.welcome import PLACES, TOOLS
from screens.widgets.contents import check_content, column
from screens.widgets.fitted import Fitted
from screens.widgets.rows import Rows
from wizard.console import clean
from wizard.engine.summary import INTERRUPTED
from wizard.model.plan import Check, Sign

if TYPE_CHECKING:
    from wizard.engine.summary import Summary as Ending

_CHOICES = "Choose in the settings: who may log in, how often one may guess, which TLS"
_ADVISED = ("policy", "guess", "tls")
"""Not there where it was chosen, or cannot be."""
NEXT = {
    "login": ("test", "Test a login"),
    "certificate": ("certificate", "Get, make or install a certificate that clients accept"),
    "outside": ("from-outside", "Wait for a login from another machine"),
    "clients": ("clients", "Settings for mail clients, and their DNS records"),
    "policy": ("settings", _CHOICES),
    "guess": ("settings", _CHOICES),
    "tls": ("settings", _CHOICES),
}
"""By what is missing: the screen that helps, and what it does."""
_STYLES = {
    "done": "ansi_green",
    "skipped": "ansi_yellow",
    "to do": "ansi_yellow",
    "to do again": "ansi_yellow",
    "failed": "bold ansi_red",
    "interrupted": "bold ansi_red",
    "blocked": "bold ansi_red",
}


class Summary(Frame[None]):
    """Text above, the next moves below."""

    HEADING = "Summary"
    SAYS = "#facts"
    SCROLLED = "#facts"
    HELP_TEXT = """
Above is what was done since you started msa-wizard, what you have skipped and what follows from that. Below it is
what real mail clients still need, with a way to each. These lines are printed on the terminal when you quit.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", tooltip="Open what is chosen"),
        Binding("tab", "app.focus_next", "Text, menu", tooltip="Go to the text above, or back to the menu"),
        *PAGES,
        Binding("escape", "dismiss", "Back"),
    ]

    _test = ""
    """The command that tests a login, of whoever logged in last."""
    _shown = False

    def body(self) -> ComposeResult:
        """What was done and what is missing, then the offers."""
        yield Fitted("facts", "Looking at this host ...")
        yield Rows(id="offers", markup=False)

    def on_mount(self) -> None:
        """Look at the host as it is now."""
        self.look(self.backend.summary, self._show)

    def on_screen_resume(self) -> None:
        """What was missing may be there now. The first one may come before there are any offers."""
        if self._shown and not self.desk.busy:
            self.look(self.backend.summary, self._show)

    def _show(self, ending: Ending) -> None:
        self._shown = True
        self.query_one(Fitted).show(lambda width: Content("\n").join(_lines(ending, width)))
        offers = self.query_one("#offers", OptionList)
        signs = {check.id: check.sign for check in ending.missing}
        tests = (each.remedy for each in ending.missing if each.remedy.startswith("msa-wizard test --user"))
        self._test = next(tests, "")
        wanted = [check for check in NEXT if signs.get(check) is not Sign.OK] if signs else []
        wanted = [check for check in wanted if check in signs or check not in _ADVISED]
        options = [Option(words, id=place) for place, words in dict(NEXT[check] for check in wanted).items()]
        if any(word == INTERRUPTED for word, _ in ending.done):
            options.append(Option(PLACES["continue"].title, id="continue"))
        elif not ending.missing:
            options.append(Option("Back to the steps", id="set-up"))
        options.append(Option("History and rollback", id="history"))
        chosen = offers.highlighted or 0
        offers.set_options(options)
        offers.highlighted = min(chosen, len(options) - 1)
        offers.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """The same on the command line."""
        command = (PLACES | TOOLS)[str(event.option_id)].command
        self.same(self._test if event.option_id == "test" and self._test else command)

    def action_open(self) -> None:
        """Go where the highlighted offer leads."""
        self.query_one(Rows).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go there."""
        self.wizard.go(str(event.option_id))


def _lines(ending: Ending, width: int) -> list[Content]:
    rows = [
        Content.assemble(
            (f"{word.capitalize():<12} ", _STYLES.get(word, "bold")), column(clean(sentence), 13, width)
        )
        for word, sentence in ending.done
    ]
    if not ending.missing:
        return rows
    return [
        *rows,
        Content(""),
        Content.styled("What mail clients need", "bold"),
        *(check_content(_offered(check), width) for check in ending.missing),
    ]


def _offered(check: Check) -> Check:
    """Without its command, where an offer below leads to the same."""
    return replace(check, remedy="") if check.id in NEXT else check
