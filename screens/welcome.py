"""The first screen: what this host is, what is in the way, and where one can go from there and from everywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import PAGES, Frame
from screens.widgets.contents import check_content, meter, skipped_words
from screens.widgets.fitted import Fitted
from screens.widgets.rows import Rows
from wizard.console import clean, count
from wizard.model.plan import UNKNOWN, UNTESTED, Check, Sign

if TYPE_CHECKING:
    from wizard.engine.overview import Overview


URGENT = (Sign.FAILED, Sign.WARNING, Sign.UNKNOWN, Sign.PENDING, Sign.OK)
"""In this order the facts are shown."""


class Welcome(Frame[None]):
    """What to do and how far that is; below it the offers, beside them the facts with sign and word."""

    HEADING = "Sendmail as a message submission agent"
    AUTO_FOCUS = "#offers"
    SCROLLED = "#facts"
    SAYS = "#found"
    HELP_TEXT = """
msa-wizard makes this host's Sendmail take mail from your users' mail clients: on port 587, with a login
and TLS. It does so in small steps. Each shows what it will change before it changes it, and each can be
rolled back, today or next year.

On the right is what was found on this host; Tab leads there and back. Nothing is changed before you press y
on a step whose diff you see.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", tooltip="Open what is chosen"),
        Binding("tab,right", "read", "Facts", key_display="Tab", priority=True, tooltip="Go to the facts"),
        Binding(
            "tab,left,escape", "menu", "Menu", key_display="Tab", priority=True, tooltip="Back to the menu"
        ),
        *PAGES,
        Binding("f5", "look", "Look again"),
        Binding("r", "app.go('rehearse')", "Rehearse", tooltip="Rehearse the set-up on a clone"),
    ]

    _overview: Overview | None = None

    def body(self) -> ComposeResult:
        """News and bar, offers and facts."""
        yield Static("Looking at this host ...", id="found", markup=False)
        yield Static("", id="meter", markup=False)
        with Horizontal():
            yield Rows(id="offers", markup=False)
            yield Fitted(id="facts")

    def on_mount(self) -> None:
        """Show the offers at once; the facts follow."""
        self._offer(interrupted=False)
        # The first frame does not share the processor with the engine.
        self.call_after_refresh(self.set_timer, 0.05, self._see)

    def on_screen_resume(self) -> None:
        """Something may have changed meanwhile. Nobody can answer a run from here: one that waits ends first."""
        if self._overview is not None:
            self.desk.end_what_waits()
            self._see()

    def _see(self) -> None:
        if not self.desk.busy:
            self.see(self._show)
        elif self.app.screen is self:
            self.set_timer(0.1, self._see)

    def action_look(self) -> None:
        """Look at the host again."""
        self.see(self._show, again=True)

    def _show(self, overview: Overview) -> None:
        self._overview = overview
        self.add_to_title(f"  {clean(overview.facts.fqdn or overview.facts.hostname)}")
        self.say(Content.styled(_summary(overview), "bold"))
        self._offer(interrupted=overview.killed is not None)
        checks = [
            _by_the_menu(check) for check in sorted(overview.checks, key=lambda each: URGENT.index(each.sign))
        ]
        if overview.killed:
            checks.insert(0, Check("killed", Sign.WARNING, overview.killed.words()))
        self.query_one(Fitted).show(
            lambda width: Content("\n").join([check_content(check, width) for check in checks])
        )
        self.call_after_refresh(self._measure)

    def on_resize(self) -> None:
        """The bar has another length."""
        self.call_after_refresh(self._measure)

    def _measure(self) -> None:
        if (overview := self._overview) is None:
            return
        bar = self.query_one("#meter", Static)
        bar.update(meter(overview.states.values(), bar.content_size.width))

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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tab says where it leads."""
        in_facts = self.focused is not None and self.focused.id == "facts"
        return {"menu": in_facts, "read": not in_facts}.get(action, True)

    def action_menu(self) -> None:
        """Back to the menu."""
        self.query_one("#offers").focus()

    def action_open(self) -> None:
        """Go where the highlighted offer leads."""
        self.query_one(Rows).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go there."""
        self.wizard.go(str(event.option_id))


def _by_the_menu(check: Check) -> Check:
    """Where it would name commands for a certificate, the menu's place for it."""
    lines = check.remedy.splitlines()
    others = [line for line in lines if not line.startswith("`msa-wizard certificate ")]
    if others == lines:
        return check
    return replace(check, remedy="\n".join([*others, "Certificate in the menu leads to another one"]))


def _summary(overview: Overview) -> str:
    if overview.others:
        return f"{clean(overview.others)}. F5 looks again."
    if overview.killed:
        return "A run was interrupted. First finish it or undo it: Enter on the first line."
    if any(check.sign is Sign.FAILED for check in overview.checks):
        return "A check failed. Fix it as shown, then press F5."
    if blocked := [name for name, word in overview.states.items() if word == "blocked"]:
        return f"{', '.join(blocked)} cannot be applied now: Enter on the first line says why."
    skipped = [name for name, word in overview.states.items() if word == "skipped"]
    if remaining := len(overview.remaining):
        have = "has" if remaining == 1 else "have"
        words = f"{remaining} of {count(len(overview.plans), 'step')} {have} something to do."
        return f"{words} Skipped: {', '.join(skipped)}." if skipped else words
    if skipped:
        return skipped_words(skipped)
    states = list(overview.states.values())
    if unknown := states.count(UNKNOWN):
        return f"Only root can see {unknown} of {count(len(states), 'step')}: run this with sudo."
    if UNTESTED in states:
        return "Every step is done but auth-test: test a login."
    return "Every step is done, and a login was accepted. Troubleshoot looks at more."


@dataclass(frozen=True)
class Place:
    """A screen, with the command that does the same, or, where none does, what it is `about`."""

    title: str
    command: str
    screen: str
    """Its module and its class."""
    about: str = ""

    def make(self) -> Screen[Any]:
        """The screen, imported when it is first wanted: the first frame does not wait for it."""
        module, _, name = self.screen.partition(":")
        screen: Screen[Any] = getattr(import_module(module), name)()
        return screen


PLACES: dict[str, Place] = {
    "continue": Place(
        "Finish or undo the interrupted run", "msa-wizard recover", "screens.recovery:RecoveryScreen"
    ),
    "set-up": Place("Set up, step by step", "msa-wizard apply", "screens.steps:Steps"),
    "rehearse": Place("Rehearse first", "msa-wizard rehearse", "screens.rehearse:Rehearse"),
    "settings": Place("Settings", "msa-wizard answers", "screens.settings:Settings"),
    "test": Place("Test a login", "msa-wizard test --user NAME", "screens.login_test:LoginTest"),
    "troubleshoot": Place("Troubleshoot", "msa-wizard troubleshoot", "screens.troubleshoot:Troubleshoot"),
    "history": Place("History and rollback", "msa-wizard history", "screens.rollback:History"),
    "certificate": Place("Certificate", "msa-wizard certificate show", "screens.certificate:Certificate"),
    "clients": Place("Mail client settings", "msa-wizard client-settings", "screens.saved_texts:MailClients"),
    "report": Place("Report", "", "screens.saved_texts:Report", "What was done on this host, as a file"),
}
"""By the id of the offer, in the order of the first screen."""

TOOLS: dict[str, Place] = {
    "summary": Place("Summary and what is missing", "msa-wizard status", "screens.summary:Summary"),
    "saslauthd": Place(
        "saslauthd in debug mode", "msa-wizard debug saslauthd", "screens.tools:SaslauthdDebug"
    ),
    "by-hand": Place(
        "A manual login", "msa-wizard debug login --user NAME", "screens.manual_login:ManualLogin"
    ),
    "from-outside": Place(
        "A test from outside", "msa-wizard test --from-outside", "screens.tools:RemoteLogin"
    ),
    "obtain": Place(
        "Get a certificate",
        "msa-wizard certificate obtain --email ADDRESS",
        "screens.certificate_obtain:ObtainCertificate",
    ),
    "install": Place(
        "Install a certificate",
        "msa-wizard certificate install CERT KEY",
        "screens.certificate:InstallCertificate",
    ),
}
"""The howto's own tools and the like: in the command palette, and on the screens that they belong to."""
