"""A step failed: why, the last output, what was undone, and where to go from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base import Dialog, headline, keys
from screens.external_programs import shell
from wizard.console import clean


class StepFailed(Dialog[str | None]):
    """The next move: `again`, `settings`, `troubleshoot`, `history`, or None to look around."""

    HEADING = "A step failed"
    HELP_TEXT = (
        "The step is undone already, unless it says NOT undone. The host is as it was before the step."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "dismiss('again')", "Try again"),
        Binding("e", "dismiss('settings')", "Settings"),
        Binding("t", "dismiss('troubleshoot')", "Troubleshoot"),
        Binding("h", "dismiss('history')", "History"),
        Binding("exclamation_mark", "shell", "A shell", key_display="!"),
        Binding("escape,enter", "dismiss(None)", "Look around"),
    ]

    def __init__(
        self,
        step: str,
        why: str,
        last: Sequence[str],
        undone: Sequence[str] = (),
        not_undone: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._step, self._why, self._last = step, why, last
        self._undone, self._not_undone = undone, not_undone

    def compose(self) -> ComposeResult:
        """All of it, with the keys below."""
        with VerticalScroll(classes="dialog tall"):
            yield headline(f"✗ {self._step} failed", "bold ansi_red")
            yield Static(self._content(), markup=False)
            yield keys(("a", "try again"), ("e", "settings"), ("t", "troubleshoot"))
            yield keys(("h", "history"), ("!", "a shell"), ("Enter", "look around"))

    def _content(self) -> Content:
        parts: list[str | tuple[str, str]] = [f"{clean(line)}\n" for line in self._why.splitlines()]
        if self._last:
            parts += [("\nLast output:\n", "bold")]
            parts += [f"  {clean(line)}\n" for line in self._last[-6:]]
        undone = ", ".join(map(clean, self._undone))
        parts += [("\nUndone: ", "bold"), f"{undone or 'there was nothing to undo'}\n"]
        for line in self._not_undone:
            parts += [("NOT undone: ", "bold ansi_red"), f"{clean(line)}\n"]
        if self._not_undone:
            parts += ["Fix that manually (! opens a shell), then run `msa-wizard recover`.\n"]
        return Content.assemble(*parts)

    def action_shell(self) -> None:
        """A shell on this terminal; the screen comes back when it ends."""
        shell(self.app)
