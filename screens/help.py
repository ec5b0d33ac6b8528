"""The help of a screen, on F1: its text, its keys, and the words on it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from screens.dialog import INSIDE, SCROLLS, Dialog, keys, scrolled
from screens.widgets.keys import spelled
from screens.words import on
from wizard.console import clean, fold


class Help(Dialog[None]):
    """Text and keys of the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,f1,question_mark", "dismiss", "Close")]
    SCROLLED = AUTO_FOCUS = "#content"

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self._about = about

    def over(self) -> bool:
        """It goes with the dialog that it is about."""
        return isinstance(self._about, Dialog) and self._about.over()

    def compose(self) -> ComposeResult:
        """The text, then the keys."""
        with Vertical(classes="dialog tall"):
            yield scrolled(self._content())
            yield keys(("Esc", "close"), SCROLLS)

    def _content(self) -> Content:
        about = self._about
        focused = about.focused
        parts: list[tuple[str, str]] = [(f"{getattr(about, 'HEADING', '') or 'Help'}\n\n", "bold")]
        paragraphs = getattr(about, "HELP_TEXT", "").strip().split("\n\n")
        parts += [("\n\n".join(" ".join(each.split()) for each in paragraphs) + "\n\n", "")]
        if focused is not None and focused.tooltip:
            parts += [(f"{clean(str(focused.tooltip))}\n\n", "")]
        parts += [("Keys\n", "bold")]
        for meaning, names in _meanings(about).items():
            parts += [(f"  {', '.join(names):<22}", "ansi_cyan"), (f"{meaning}\n", "")]
        seen = "\n".join(strip.text for strip in about._compositor.render_strips(about.app.size))
        if words := on(seen):
            parts += [("\nWords on this screen\n", "bold")]
        for word, meaning in words.items():
            first, *others = fold(f"{word}: {meaning}", "  ", "    ", INSIDE)
            parts += [(f"  {word}", "ansi_cyan"), (first.removeprefix(f"  {word}"), "")]
            parts += [("\n".join(["", *others, ""]), "")]
        return Content.assemble(*parts)


def _meanings(about: Screen[Any]) -> dict[str, list[str]]:
    """What a key of a screen or of the app does, and the keys that do it; then those that mean the same everywhere. The
    app's do nothing in a dialog. What a widget does with a key of its own is no news: it is left out, and so is what a
    text field takes as text."""
    found: dict[str, list[str]] = {}
    writes = isinstance(about.focused, Input)
    for node in (about,) if about.is_modal else (about, about.app):
        for key, binding in node._bindings:
            usual = key in ("ctrl+c", "ctrl+q", "super+c") or binding.action.startswith(("scroll_", "page_"))
            typed = writes and (len(spelled(key)) == 1 or key == "space")
            if not binding.description or usual or typed:
                continue
            names = found.setdefault(binding.tooltip or binding.description, [])
            if about.app._check_action_state(binding.action, node) and spelled(key) not in names:
                names.append(spelled(key))
    found["Move in what has the focus"] = ["Arrows", "PgUp", "PgDn"]
    return {meaning: names for meaning, names in found.items() if names}
