"""Which layer fails, and why: every fault with its evidence, its cause, and what mends it (howto section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens import error_text as problems
from screens.base import Frame
from screens.widgets.signs import CHECKS
from wizard.console import clean
from wizard.model.plan import Sign

if TYPE_CHECKING:
    from wizard.smtp.transcript import Credentials
    from wizard.troubleshoot.diagnosis import Fault
    from wizard.troubleshoot.model import Layer
    from wizard.troubleshoot.verdict import Verdict


class Troubleshoot(Frame[None]):
    """What fails above, the first that is to blame on top; the chosen one explained below."""

    HEADING = "Troubleshoot"
    HELP_TEXT = """
Mail submission goes through layers: name, firewall, listener, greeting, STARTTLS, certificate, AUTH offer, saslauthd,
PAM, account, relay, queue. The first that fails is to blame, and stands on top; what else was seen follows, then the
layers in which all is well. Below is what the chosen row means: the cause, the very lines that were found and where,
and what mends it.

Looking changes nothing. f shows what would mend the chosen fault, and does it when you press y there; a the same for all that
fails. A mend is a step like any other: the history can take it back. u takes a user name and a password, and tells
an account that is locked, or a wrong password, from machinery that is broken.

d runs saslauthd in debug mode, t holds a login by hand, o waits for a login from another machine: the howto's own tools.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "mend", "Mend"),
        Binding("a", "mend_all", "All"),
        Binding("u", "log_in", "Login"),
        Binding("d", "tool('saslauthd')", "Debug"),
        Binding("t", "tool('by-hand')", "By hand"),
        Binding("o", "tool('from-outside')", "From outside", show=False),
        Binding("f5", "look", "Again"),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
        Binding("escape", "leave", "Back"),
    ]

    def __init__(self, credentials: Credentials | None = None) -> None:
        super().__init__()
        self._credentials = credentials
        self._verdict: Verdict | None = None

    def body(self) -> ComposeResult:
        """Summary, rows, the chosen row explained."""
        yield Static("Looking ...", id="says", markup=False)
        yield OptionList(id="rows", markup=False)
        with VerticalScroll(id="explained", can_focus=False):
            yield Static("", id="explain", markup=False)

    def on_mount(self) -> None:
        """Look."""
        self.query_one("#rows").focus()
        self.action_look()

    def action_look(self) -> None:
        """Look at everything anew."""
        if not self.wizard.desk.changing:
            self._say("Looking; with a firewall or a name that does not answer this takes a few seconds ...")
            self.run_worker(self._look, thread=True, exclusive=True, group="look")

    def _look(self) -> None:
        try:
            found = self.wizard.machine.troubleshoot(self._credentials)
        except Exception as error:
            said = problems.words(error)
            if said is None:
                raise
            self.deliver(self._say, said)
            return
        self.deliver(self._show, found)

    def _show(self, found: Verdict) -> None:
        from wizard.troubleshoot.model import TITLES

        self._verdict = found
        blamed = found.blamed
        self._say(
            f"To blame: {TITLES[blamed.layer]}. {clean(blamed.seen.cause)}"
            if blamed
            else "Nothing fails in what was looked at."
        )
        rows = self.query_one("#rows", OptionList)
        faults = [Option(_row(item.sign, item.id, TITLES[item.layer]), id=item.id) for item in found.faults]
        seen = {item.layer for item in found.faults}
        layers = [
            Option(_row(sign, TITLES[layer], ""), id=f"layer:{layer}")
            for layer, sign in found.signs.items()
            if layer not in seen
        ]
        rows.set_options([*faults, *layers, Option(_row(Sign.UNKNOWN, "not tested", ""), id="untested")])
        rows.highlighted = 0
        self.refresh_bindings()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Explain another row."""
        if self._verdict is not None:
            self.query_one("#explain", Static).update(self._explained(self._verdict, str(event.option_id)))
            self.query_one("#explained").scroll_home(animate=False)
            self.refresh_bindings()
            fault = self._chosen()
            user = f" --user {self._credentials.user}" if self._credentials else ""
            fix = f" --fix {fault.id}" if fault is not None and fault.seen.mend.steps else ""
            self.same(f"msa-wizard troubleshoot{user}{fix}")

    def _explained(self, verdict: Verdict, row: str) -> Content:
        if row == "untested":
            return Content("\n".join(f"- {clean(line)}" for line in verdict.untested))
        fault = verdict.fault(row)
        return _fault(fault) if fault is not None else _layer(row.removeprefix("layer:"))

    def _chosen(self) -> Fault | None:
        rows = self.query_one("#rows", OptionList)
        if self._verdict is None or rows.highlighted is None:
            return None
        return self._verdict.fault(str(rows.get_option_at_index(rows.highlighted).id))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Mending needs something that steps can mend."""
        if action == "mend":
            fault = self._chosen()
            return fault is not None and bool(fault.seen.mend.steps)
        if action == "mend_all":
            return bool(self._failing())
        return True

    def _failing(self) -> list[Fault]:
        faults = self._verdict.faults if self._verdict is not None else ()
        return [item for item in faults if item.sign is Sign.FAILED and item.seen.mend.steps]

    def action_mend(self) -> None:
        """What would mend the chosen fault; done on a key there."""
        fault = self._chosen()
        if fault is not None:
            self._mend([fault], fault.id)

    def action_mend_all(self) -> None:
        """The same for all that fails."""
        self._mend(self._failing(), "all")

    def _mend(self, faults: Sequence[Fault], name: str) -> None:
        from screens.run_steps import Doing

        if not self.wizard.desk.changing:
            machine = self.wizard.machine
            doing = Doing(
                f"Mend {name}", f"msa-wizard troubleshoot --fix {name}", lambda: machine.mends(faults)
            )
            self.app.push_screen(doing, lambda _: self.action_look())

    def action_log_in(self) -> None:
        """Look once more, with a login."""
        from screens.ask_credentials import AskCredentials

        def given(credentials: Credentials | None) -> None:
            if credentials is not None:
                self._credentials = credentials
                self.action_look()

        self.app.push_screen(AskCredentials(), given)

    def action_tool(self, name: str) -> None:
        """One of the howto's own tools."""
        self.wizard.go(name)

    def action_turn(self, pages: int) -> None:
        """Scroll the explanation."""
        explained = self.query_one("#explained")
        explained.scroll_relative(y=pages * max(1, explained.size.height - 1), animate=False)

    def action_leave(self) -> None:
        """The password goes with the screen."""
        self._credentials = None
        self.dismiss()

    def _say(self, words: str) -> None:
        self.query_one("#says", Static).update(words)


def _row(sign: Sign, name: str, layer: str) -> Content:
    mark, word, style = CHECKS[sign]
    return Content.assemble((f"{mark} {word:<5}", style), (f"{name:<32}{layer}", ""))


def _fault(fault: Fault) -> Content:
    parts: list[str | tuple[str, str]] = [(f"{clean(fault.seen.cause)}\n", "bold")]
    parts += [f"Users say: {clean(fault.diagnosis.symptom)}\n"]
    mend = fault.seen.mend
    if mend.steps:
        parts += [("f mends it", "bold"), f" by: {', '.join(mend.steps)}\n"]
    if mend.text:
        parts += [("What to do: ", "bold"), f"{clean(mend.text)}\n"]
    if fault.seen.evidence:
        parts += [("\nFound:\n", "bold")]
        for piece in fault.seen.evidence:
            parts += [f"  {clean(piece.says)}\n", (f"    {clean(piece.source)}\n", "ansi_cyan")]
    parts += [f"\nLooked at: {clean(fault.diagnosis.probe)}"]
    parts += [f" (howto {fault.diagnosis.howto})" if fault.diagnosis.howto else ""]
    return Content.assemble(*parts)


def _layer(name: str | Layer) -> Content:
    from wizard.troubleshoot.diagnoses import DIAGNOSES

    probes = dict.fromkeys(item.probe for item in DIAGNOSES if item.layer == name)
    return Content("\n".join(["Looked at:", *(f"- {clean(probe)}" for probe in probes)]))
