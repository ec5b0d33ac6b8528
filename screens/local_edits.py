"""A step is about to undo what the admin did since: three versions, and whose stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.ends_once import Dialog
from wizard.console import clean

if TYPE_CHECKING:
    from wizard.engine.local_edits import OwnEdit


class OwnEdits(Dialog[str | None]):
    """`keep`: the step is left out. `take`: it is applied. A path: that file is to be edited. None: nothing is done."""

    HEADING = "Your own edit"
    HELP_TEXT = """
This step was applied, and you changed its lines since. Applying it again would undo that. k keeps yours: the
step is left out. t takes the step's version; yours stays in the history, and can be brought back from there. e opens
your file in your editor; then the step is worked out anew. Escape cancels: nothing is changed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "dismiss('keep')", "Keep mine"),
        Binding("t", "dismiss('take')", "Take the step's"),
        Binding("e", "edit", "Edit"),
        Binding("escape,enter", "dismiss(None)", "Cancel"),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
    ]

    def __init__(self, step: str, edits: Sequence[OwnEdit]) -> None:
        super().__init__()
        self._step, self._edits = step, edits

    def compose(self) -> ComposeResult:
        """The versions; the keys stay below them."""
        with Vertical(classes="dialog tall"):
            yield Static(
                Content.styled(f"! You changed what {self._step} had done", "bold ansi_yellow"), markup=False
            )
            with VerticalScroll(id="versions", classes="scrolled"):
                yield Static(Content("\n").join(self._shown()), markup=False)
            yield Static(
                Content.assemble(
                    ("k", "ansi_cyan"), " keep mine   ", ("t", "ansi_cyan"), " take the step's   ",
                    ("e", "ansi_cyan"), " edit   ", ("Enter", "ansi_cyan"), " cancel (the default)",
                ),
                markup=False,
            )  # fmt: skip

    def _shown(self) -> list[Content]:
        lines: list[Content] = []
        for each in self._edits:
            lines += [Content(""), Content.styled(clean(each.path), "bold")]
            lines += [
                Content(clean(line)) if line.startswith(" ") else Content.styled(clean(line), "ansi_cyan")
                for line in each.text.splitlines()
            ]
        return [*lines, Content("")]

    def on_mount(self) -> None:
        """The versions can be scrolled."""
        self.query_one("#versions").focus()

    def action_edit(self) -> None:
        """Put the first of the files right by hand."""
        self.dismiss(self._edits[0].path)

    def action_turn(self, pages: int) -> None:
        """Scroll the versions."""
        versions = self.query_one("#versions")
        versions.scroll_relative(y=pages * max(1, versions.size.height - 1), animate=False)
