"""Something that works would end with a step: what, all of it, and whether it may."""

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
    from wizard.model.plan import Ending


def endings_content(ends: Sequence[Ending]) -> Content:
    """What would end: a sentence each, and its lines."""
    parts: list[str | tuple[str, str]] = []
    for ending in ends:
        parts.append((f"! Would end: {clean(ending.says)} [{ending.id}]\n", "bold ansi_yellow"))
        parts += [f"    {clean(line)}\n" for line in ending.lines]
    return Content.assemble(*parts)


class WhatWouldEnd(Dialog[bool]):
    """True: it may end. Cancelling is the default; then nothing of the step is done."""

    HEADING = "Would end"
    SCROLLED = "#content"
    HELP_TEXT = """
What is listed works on this host now, but would not any more after this step. y says that it may end. Enter and
Escape cancel: this step changes nothing, and the run stops before it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "It may end"),
        Binding("escape,enter", "dismiss(False)", "Cancel"),
        *PAGES,
    ]

    def __init__(self, step: str, ends: Sequence[Ending]) -> None:
        super().__init__()
        self._step, self._ends = step, ends

    def compose(self) -> ComposeResult:
        """All of it; the keys stay below."""
        with Vertical(classes="dialog tall"):
            yield headline(f"! With {self._step} something that works would end")
            yield scrolled(endings_content(self._ends))
            yield keys(("y", "it may end"), ("Enter", "cancel (the default)"))
