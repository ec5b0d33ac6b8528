"""What was done, what was found, how to roll it back; saved as Markdown or HTML on request."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Markdown

from screens.base import Field, Frame
from wizard.console import clean
from wizard.engine.overview import Overview
from wizard.render.applied_report import report
from wizard.system.output_file import save


class Report(Frame[None]):
    """The report as it will be written."""

    HEADING = "Report"
    AUTO_FOCUS = "#file"
    SCROLLED = "#shown"
    HELP_TEXT = """
What was done on this host, for your documentation: each step with its state, what was found, each change with its
diff, and how to roll it back. Files that not everybody on the host may read are named, never shown: it contains no
secret. The end of the file's name decides: .html is HTML, anything else Markdown.
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
            yield Markdown("Looking at this host ...", id="report", open_links=False)
        yield Field("file", "File").line("msa-report.md")

    def on_mount(self) -> None:
        """Prepare it."""
        self.same("msa-wizard status; msa-wizard history")
        self.look(self._report, self._show)

    def _report(self) -> tuple[Overview, str]:
        backend = self.backend
        overview = backend.overview()
        return overview, report("md", overview, backend.store())

    def _show(self, taken: tuple[Overview, str]) -> None:
        self._overview, text = taken
        self.query_one("#report", Markdown).update("\n".join(map(clean, text.splitlines())))

    def say(self, words: str | Content) -> None:
        """Show it as a notification: there is no line of news."""
        self.notify(str(words), severity="error", markup=False)

    def on_input_submitted(self) -> None:
        """Enter saves."""
        self.action_save()

    def action_save(self) -> None:
        """Write the file."""
        name, overview = self.entered("file"), self._overview
        if overview is None or not name:
            return
        form = "html" if name.lower().endswith((".html", ".htm")) else "md"
        store = self.backend.store()
        self.attempt(lambda: save(Path(name).expanduser(), report(form, overview, store)))
