"""Which layer fails, and why: every fault with its evidence, its cause, and its fix (howto section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import PAGES, Frame
from screens.widgets.contents import CHECKS, hanging
from screens.widgets.fitted import Fitted
from screens.widgets.rows import Rows
from wizard.console import clean, fold
from wizard.model.plan import Sign

if TYPE_CHECKING:
    from wizard.smtp.transcript import Credentials
    from wizard.troubleshoot.diagnosis import Fault
    from wizard.troubleshoot.verdict import Verdict


class Troubleshoot(Frame[None]):
    """What fails above, the first that is the cause on top; the chosen one explained below."""

    HEADING = "Troubleshoot"
    AUTO_FOCUS = "#rows"
    SCROLLED = "#explained"
    HELP_TEXT = """
Mail submission goes through layers: name, firewall, listener, greeting, STARTTLS, certificate, AUTH offer, saslauthd,
PAM, account, relay, queue. The first that fails is the cause and is on top; whatever else was seen follows, then the
layers in which all is well. Below is what the chosen row means: the cause, the very lines that were found and where,
and the fix.

Looking changes nothing. f shows what would fix the chosen fault and does it when you press y there; a does the same for
everything that fails. A fix is a step like any other: it can be rolled back in the history. u asks for a user name and
a password, to distinguish a locked account or a wrong password from broken machinery.

d runs saslauthd in debug mode, t makes a manual login, o waits for a login from another machine: the howto's own tools.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "read", "Read", tooltip="Go to the text below"),
        Binding("f", "fix", "Fix", tooltip="Show what fixes the chosen fault"),
        Binding("a", "fix_all", "Fix all", show=False, tooltip="Show what fixes everything that fails"),
        Binding("u", "log_in", "Login", tooltip="Try a login as well"),
        Binding("d", "app.go('saslauthd')", "Debug", tooltip="Run saslauthd in debug mode"),
        Binding("t", "app.go('by-hand')", "Manual", tooltip="Log in manually, command by command"),
        Binding("o", "app.go('from-outside')", "Outside", tooltip="Wait for a login from another machine"),
        Binding("f5", "look", "Again", show=False, tooltip="Look again"),
        *PAGES,
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, credentials: Credentials | None = None) -> None:
        super().__init__()
        self._credentials = credentials
        self._verdict: Verdict | None = None

    def body(self) -> ComposeResult:
        """Summary, rows, the chosen row explained."""
        yield Static("Looking ...", id="says", markup=False)
        yield Rows(id="rows", markup=False)
        yield Fitted("explained")

    def on_mount(self) -> None:
        """Look."""
        self.action_look()

    def action_look(self) -> None:
        """Look at everything again."""
        if not self.desk.changing:
            self.say("Looking; with a firewall or a name that does not answer this takes a few seconds ...")
            credentials = self._credentials
            self.look(lambda: self.backend.troubleshoot(credentials), self._show)

    def _show(self, verdict: Verdict) -> None:
        from wizard.troubleshoot.model import TITLES

        self._verdict = verdict
        blamed = verdict.blamed
        self.say(
            f"Cause: {clean(blamed.finding.cause)}." if blamed else "Nothing fails in what was looked at."
        )
        faulty = {fault.layer for fault in verdict.faults}
        well = {layer: sign for layer, sign in verdict.signs.items() if layer not in faulty}
        options = [_row(fault.id, fault.sign, fault.id, TITLES[fault.layer]) for fault in verdict.faults]
        options += [_row(f"layer:{layer}", sign, TITLES[layer]) for layer, sign in well.items()]
        rows = self.query_one("#rows", OptionList)
        chosen = rows.highlighted_option.id if rows.highlighted and rows.highlighted_option else None
        rows.set_options([*options, _row("untested", Sign.UNKNOWN, "not tested")])
        ids = [option.id for option in rows.options]
        rows.highlighted = ids.index(chosen) if chosen in ids else 0
        self.refresh_bindings()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Explain another row."""
        if self._verdict is not None:
            explained = self.query_one("#explained", Fitted)
            explained.show(partial(_explained, self._verdict, str(event.option_id)))
            explained.scroll_home(animate=False)
            self.refresh_bindings()
            fault = self._chosen()
            user = f" --user {self._credentials.user}" if self._credentials else ""
            fix = f" --fix {fault.id}" if fault is not None and fault.finding.mend.steps else ""
            self.same(f"msa-wizard troubleshoot{user}{fix}{self.backend.settings_options}")

    def _chosen(self) -> Fault | None:
        rows = self.query_one("#rows", OptionList)
        if self._verdict is None or rows.highlighted is None:
            return None
        return self._verdict.fault(str(rows.get_option_at_index(rows.highlighted).id))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Fixing needs something that steps can fix."""
        if action == "fix":
            fault = self._chosen()
            return fault is not None and bool(fault.finding.mend.steps)
        return bool(self._failing()) if action == "fix_all" else True

    def _failing(self) -> list[Fault]:
        faults = self._verdict.faults if self._verdict is not None else ()
        return [fault for fault in faults if fault.sign is Sign.FAILED and fault.finding.mend.steps]

    def action_fix(self) -> None:
        """What would fix the chosen fault; done on a key there."""
        fault = self._chosen()
        if fault is not None:
            self._fix([fault], fault.id)

    def action_fix_all(self) -> None:
        """The same for everything that fails."""
        self._fix(self._failing(), "all")

    def _fix(self, faults: Sequence[Fault], name: str) -> None:
        from screens.review_and_run import RunSteps

        if not self.desk.changing:
            command = f"msa-wizard troubleshoot --fix {name}"
            run = RunSteps(f"Fix {name}", command, partial(self.backend.fixes, faults))
            self.app.push_screen(run, lambda _: self.action_look())

    def action_log_in(self) -> None:
        """Look again, with a login."""
        from screens.dialogs import AskCredentials

        def look(credentials: Credentials | None) -> None:
            if credentials is not None:
                self._credentials = credentials
                self.query_one(
                    "#rows", OptionList
                ).highlighted = 0  # what comes of the login is the first row
                self.action_look()

        self.app.push_screen(AskCredentials(), look)

    def action_back(self) -> None:
        """From the text to the rows; then away, and the password goes with the screen."""
        if self.stopped_reading():
            return
        self._credentials = None
        self.dismiss()


def _row(option: str, sign: Sign, name: str, layer: str = "") -> Option:
    mark, word, style = CHECKS[sign]
    return Option(Content.assemble((f"{mark} {word:<5}", style), (f"{name:<32}{layer}", "")), id=option)


def _explained(verdict: Verdict, row: str, width: int) -> Content:
    from wizard.troubleshoot.diagnoses.order import DIAGNOSES

    if row == "untested":
        return Content(_listed(verdict.untested, width))
    if (fault := verdict.fault(row)) is not None:
        return _fault(fault, width, above=fault is verdict.blamed)
    layer = row.removeprefix("layer:")
    all_of_them = dict.fromkeys(diagnosis.probe for diagnosis in DIAGNOSES if diagnosis.layer == layer)
    probes = [one for one in all_of_them if not any(one in other for other in all_of_them if one != other)]
    unseen = layer in verdict.not_looked_at
    head = "Not tested. To be looked at:" if unseen else "Nothing is wrong here. Looked at:"
    return Content(f"{head}\n{_listed(probes, width)}")


def _listed(lines: Iterable[str], width: int) -> str:
    return "\n".join(hanging(f"- {clean(line)}", width) for line in lines)


def _fault(fault: Fault, width: int, *, above: bool) -> Content:
    """All that is known of it; not its cause where the line of news `above` says that."""
    parts: list[str | tuple[str, str]] = [f"Users say: {clean(fault.diagnosis.symptom)}\n"]
    parts += [] if above else [(f"{clean(fault.finding.cause)}\n", "bold")]
    mend = fault.finding.mend
    if mend.steps:
        parts += [("f fixes it", "bold"), f" by: {', '.join(mend.steps)}\n"]
    if mend.text:
        first, *others = fold(f"What to do: {clean(mend.text)}", columns=max(width, 1))
        parts += [("What to do:", "bold"), "\n".join([first.removeprefix("What to do:"), *others, ""])]
    if fault.finding.evidence:
        parts += [("\nFound:\n", "bold")]
        for piece in fault.finding.evidence:
            says, source = f"  {clean(piece.says)}", f"    {clean(piece.source)}"
            parts += [f"{hanging(says, width)}\n", (f"{hanging(source, width)}\n", "ansi_cyan")]
    parts += [f"\nLooked at: {clean(fault.diagnosis.probe)}"]
    parts += [f" (howto {fault.diagnosis.howto})" if fault.diagnosis.howto else ""]
    return Content.assemble(*parts)
