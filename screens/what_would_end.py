"""Something that works would end with a step: what, all of it, and whether it may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from wizard.console import clean

if TYPE_CHECKING:
    from wizard.model.plan import Ending


def endings_content(ends: Sequence[Ending]) -> Content:
    """What would end: a sentence each, and its lines."""
    parts: list[str | tuple[str, str]] = []
    for ending in ends:
        parts.append((f"! Would end: {clean(ending.says)} [{ending.id}]\n", "bold ansi_yellow"))
        parts += [f"    {clean(line)}\n" for line in ending.lines]
    return Content.assemble(*parts)


class Endings(ModalScreen[bool]):
    """True: it may end. Cancelling is the default, and nothing of the step is done then."""

    HEADING = "Would end"
    HELP_TEXT = """
What is listed works on this host now, and would not any more after this step. y says that it may end. Enter and
Escape cancel: nothing of this step is changed, and the run stops before it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "It may end"),
        Binding("escape,enter", "dismiss(False)", "Cancel"),
        Binding("space", "turn(1)", "Page", key_display="space", show=False),
        Binding("b", "turn(-1)", "Page back", show=False),
    ]

    def __init__(self, step: str, ends: Sequence[Ending]) -> None:
        super().__init__()
        self._step, self._ends = step, ends

    def compose(self) -> ComposeResult:
        """All of it; the keys stay below."""
        with Vertical(classes="dialog tall"):
            yield Static(
                Content.styled(f"! With {self._step} something that works would end", "bold ansi_yellow"),
                markup=False,
            )
            with VerticalScroll(id="ends", classes="scrolled"):
                yield Static(endings_content(self._ends), markup=False)
            yield Static(
                Content.assemble(
                    ("y", "ansi_cyan"), " it may end   ", ("Enter", "ansi_cyan"), " cancel (the default)"
                ),
                markup=False,
            )  # fmt: skip

    def on_mount(self) -> None:
        """The lines can be scrolled."""
        self.query_one("#ends").focus()

    def action_turn(self, pages: int) -> None:
        """Scroll them."""
        ends = self.query_one("#ends")
        ends.scroll_relative(y=pages * max(1, ends.size.height - 1), animate=False)
