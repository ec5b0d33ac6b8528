"""The footer: keys and what they do now, two cells apart where there is room."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

GAP = 2


class Keys(Footer):
    """Textual's footer; where its keys would not fit, they move together."""

    _needs = 0

    def compose(self) -> ComposeResult:
        """The keys, and what they need."""
        shown = list(super().compose())
        keys = [each for each in shown if isinstance(each, FooterKey)]
        self._needs = sum(len(key.key_display) + 1 + len(key.description) + GAP for key in keys) - GAP
        self._fit()
        yield from shown

    def on_resize(self) -> None:
        """Another width."""
        self._fit()

    def _fit(self) -> None:
        self.set_class(self._needs > self.app.size.width, "-tight")
