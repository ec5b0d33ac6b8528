"""Help on the screen, the focused widget, and the keys."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from screens.base import Dialog, scrolled
from wizard.console import clean

USUAL = (
    *("tab", "shift+tab", "ctrl+c", "super+c", "ctrl+q", "up", "down", "left", "right"),
    *("pageup", "pagedown", "ctrl+home", "ctrl+end", "ctrl+pageup", "ctrl+pagedown"),
)
"""Keys that mean the same everywhere."""


class Help(Dialog[None]):
    """Text and keys of the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,f1,question_mark", "dismiss", "Close"),
    ]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        """The text, then the keys."""
        with Vertical(classes="dialog tall"):
            yield scrolled(self._content())
            yield Static("\nEscape closes this.", markup=False)

    def _content(self) -> Content:
        about = self._about
        focused = about.focused
        parts: list[tuple[str, str]] = [(f"{getattr(about, 'HEADING', '') or 'Help'}\n\n", "bold")]
        parts += [(f"{_flowing(getattr(about, 'HELP_TEXT', ''))}\n\n", "")]
        if focused is not None and focused.tooltip:
            parts += [(f"{clean(str(focused.tooltip))}\n\n", "")]
        parts += [("Keys\n", "bold")]
        keys: dict[str, list[str]] = {}
        for key, active in about.active_bindings.items():
            if active.binding.description and active.enabled and key not in USUAL:
                keys.setdefault(active.binding.description, []).append(
                    self.app.get_key_display(active.binding) if not active.binding.key_display else key
                )
        for meaning, names in keys.items():
            shown = ", ".join(
                dict.fromkeys(name.replace("question_mark", "?").replace("slash", "/") for name in names)
            )
            parts += [(f"  {shown:<22}", "ansi_cyan"), (f"{meaning}\n", "")]
        return Content.assemble(*parts)


def _flowing(text: str) -> str:
    """Paragraphs without the line ends of the source."""
    return "\n\n".join(" ".join(each.split()) for each in text.strip().split("\n\n"))
