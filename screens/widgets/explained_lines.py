"""Lines that come one by one, and below them what the chosen one means. The newest is followed until one is chosen."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.widgets.contents import with_meaning
from screens.widgets.rows import Rows
from wizard.console import clean

MOST = 2000
"""Lines that are kept."""


class ExplainedLines(Vertical):
    """A list of lines, an explain pane below it."""

    def __init__(self, about: str) -> None:
        super().__init__(id="explained-lines")
        self._about = about
        self._words: list[tuple[str, str]] = []
        self._new: list[tuple[str, str, str]] = []

    def compose(self) -> ComposeResult:
        """The list and the pane."""
        yield Rows(id="said", markup=False)
        yield Static(self._about, id="word", markup=False)

    def on_mount(self) -> None:
        """Draw new lines some ten times a second."""
        self.set_interval(0.1, self.draw)

    def add(self, text: str, word: str, style: str = "") -> None:
        """One more line, not cleaned yet; `word` says what it means."""
        self._new.append((clean(text), clean(word), style))

    def add_output(self, lines: Iterable[str]) -> None:
        """Lines that say what msa-wizard itself has done, drawn at once."""
        for line in lines:
            self.add(line, "what msa-wizard did", "ansi_cyan")
        self.draw()

    def clear(self, about: str = "") -> None:
        """Remove all lines; `about` explains what comes."""
        self._about = about or self._about
        self._words.clear()
        self._new.clear()
        self.query_one("#said", OptionList).clear_options()
        self.query_one("#word", Static).update(self._about)

    def draw(self) -> None:
        """Show what has come."""
        if not self._new:
            return
        rows = self.query_one("#said", OptionList)
        last = rows.option_count - 1
        follows = rows.highlighted is None or rows.highlighted >= last
        new, self._new = self._new[-MOST:], []
        self._words += [(text, word) for text, word, _ in new]
        rows.add_options([Option(with_meaning(*line)) for line in new])
        for _ in range(len(self._words) - MOST):
            rows.remove_option_at_index(0)
        self._words = self._words[-MOST:]
        if follows:
            rows.highlighted = rows.option_count - 1
            rows.scroll_end(animate=False)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Explain another line."""
        if 0 <= event.option_index < len(self._words):
            text, word = self._words[event.option_index]
            self.query_one("#word", Static).update(
                Content.assemble((word or "There is no explanation of this line.", "bold"), f"\n{text}")
            )
