"""Keys as people write them, and the footer: keys and what they do now, two cells apart where there is room."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

GAP = 2


class Keys(Footer):
    """Textual's footer; where its keys would not fit, they move together, and where that is not enough, F10 goes: F1 lists it."""

    _keys: tuple[FooterKey, ...] = ()

    def compose(self) -> ComposeResult:
        """The keys."""
        shown = list(super().compose())
        self._keys = tuple(each for each in shown if isinstance(each, FooterKey))
        self._fit()
        yield from shown

    def on_resize(self) -> None:
        """Another width."""
        self._fit()

    def _fit(self) -> None:
        width = self.app.size.width
        words = sum(len(key.key_display) + 1 + len(key.description) for key in self._keys)
        gaps = len(self._keys) - 1
        self.set_class(words + GAP * gaps > width, "-tight")
        for key in self._keys:
            key.display = not key.action.endswith("leave") or words + gaps <= width


_SPELLED = {
    "escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn", "pgup": "PgUp", "pgdn": "PgDn", "slash": "/",
    "question_mark": "?", "exclamation_mark": "!",
}  # fmt: skip


def spelled(key: str) -> str:
    """Textual's name of a key as people write it: Esc, F5, Ctrl+P, a letter as it is typed."""
    parts = key.split("+")
    words = [_SPELLED.get(part, part if len(part) == 1 else part.capitalize()) for part in parts]
    if len(parts) > 1:
        words[-1] = words[-1].upper() if len(words[-1]) == 1 else words[-1]
    return "+".join(words)
