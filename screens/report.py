"""What was done, what was found, how to undo it; kept as Markdown or HTML where asked for."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Label, Markdown

from screens import error_text as problems
from screens.base import Frame
from wizard.console import clean
from wizard.engine.overview import Overview
from wizard.render.applied_report import report
from wizard.system.output_file import save


class Report(Frame[None]):
    """The report as it will be written."""

    HEADING = "Report"
    AUTO_FOCUS = "#file"
    HELP_TEXT = """
What was done on this host, for your documentation: each step with its state, what was found, each change with its
diff, and how to take it back. Files that not everybody on the host may read are named, never shown: no secret is
in it. The end of the file's name decides: .html is HTML, anything else Markdown.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "save", "Save"),
        Binding("pagedown", "turn(1)", "Page", key_display="pgdn"),
        Binding("pageup", "turn(-1)", "Page back", show=False),
        Binding("escape", "dismiss", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._overview: Overview | None = None

    def body(self) -> ComposeResult:
        """The text, the file."""
        with VerticalScroll(id="shown", can_focus=False):
            yield Markdown("Looking at this host ...", id="made", open_links=False)
        with Horizontal(classes="field"):
            yield Label("File", classes="label", markup=False)
            yield Input("msa-report.md", id="file")

    def on_mount(self) -> None:
        """Make it."""
        self.same("msa-wizard status; msa-wizard history")
        self.run_worker(self._make, thread=True, group="look")

    def _make(self) -> None:
        machine = self.wizard.machine
        found = machine.overview()
        text = report("md", found, machine.store())
        self.deliver(self._show, found, text)

    def _show(self, found: Overview, text: str) -> None:
        self._overview = found
        self.query_one("#made", Markdown).update("\n".join(map(clean, text.splitlines())))

    def on_input_submitted(self) -> None:
        """Enter saves."""
        self.action_save()

    def action_save(self) -> None:
        """Write the file."""
        name = self.query_one("#file", Input).value.strip()
        if self._overview is None or not name:
            return
        form = "html" if name.lower().endswith((".html", ".htm")) else "md"
        try:
            text = report(form, self._overview, self.wizard.machine.store())
            words = save(Path(name).expanduser(), text)
        except Exception as error:
            said = problems.words(error)
            if said is None:
                raise
            self.notify(said, severity="error", markup=False)
        else:
            self.notify(words, markup=False)

    def action_turn(self, pages: int) -> None:
        """Scroll it."""
        shown = self.query_one("#shown")
        shown.scroll_relative(y=pages * max(1, shown.size.height - 2), animate=False)
