"""A step is about to undo what the admin changed since: three versions, and whose stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from screens.base import PAGES, Dialog, headline, keys, scrolled
from wizard.console import clean

if TYPE_CHECKING:
    from wizard.engine.local_edits import OwnEdit


class LocalEdits(Dialog[str | None]):
    """`keep`: the step is skipped. `take`: it is applied. A path: that file is to be edited. None: nothing is done."""

    HEADING = "Your own edit"
    SCROLLED = "#content"
    HELP_TEXT = """
This step was applied, and you have changed its lines since. Applying it again would undo that. k keeps yours: the
step is skipped. t takes the step's version; yours stays in the history and can be restored from there. e opens
your file in your editor; then the step is planned again. Escape cancels: nothing is changed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "dismiss('keep')", "Keep mine"),
        Binding("t", "dismiss('take')", "Take the step's"),
        Binding("e", "edit", "Edit"),
        Binding("escape,enter", "dismiss(None)", "Cancel"),
        *PAGES,
    ]

    def __init__(self, step: str, edits: Sequence[OwnEdit]) -> None:
        super().__init__()
        self._step, self._edits = step, edits

    def compose(self) -> ComposeResult:
        """The versions; the keys stay below them."""
        with Vertical(classes="dialog tall"):
            yield headline(f"! You changed what {self._step} had done")
            yield scrolled(Content("\n").join(self._versions()))
            yield keys(
                ("k", "keep mine"),
                ("t", "take the step's"),
                ("e", "edit"),
                ("Enter", "cancel (the default)"),
            )

    def _versions(self) -> list[Content]:
        lines: list[Content] = []
        for edit in self._edits:
            lines += [Content(""), Content.styled(clean(edit.path), "bold")]
            lines += [
                Content(clean(line)) if line.startswith(" ") else Content.styled(clean(line), "ansi_cyan")
                for line in edit.text.splitlines()
            ]
        return [*lines, Content("")]

    def action_edit(self) -> None:
        """Edit the first of the files."""
        self.dismiss(self._edits[0].path)
