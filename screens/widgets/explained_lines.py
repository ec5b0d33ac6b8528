"""Lines that come one by one, each with what it means; before the first one, what is to come. The newest is followed until one
is chosen."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.widgets.contents import with_meaning
from screens.widgets.rows import Rows
from wizard.console import clean

MOST = 2000
"""Lines that are kept."""


class ExplainedLines(Vertical):
    """A list of lines; below it, as long as there are none, what they will be."""

    def __init__(self, about: str) -> None:
        super().__init__(id="explained-lines")
        self._about = about
        self._new: list[tuple[str, str, str]] = []

    def compose(self) -> ComposeResult:
        """The list, and what is to come."""
        yield Rows(id="said", markup=False)
        yield Static(self._about, id="word", markup=False)

    def on_mount(self) -> None:
        """Draw new lines some ten times a second."""
        self.set_interval(0.1, self.draw)

    def on_resize(self) -> None:
        """The newest line stays in sight while it is followed, also where what is said below takes more room."""
        rows = self.query_one("#said", OptionList)
        if rows.highlighted is not None and rows.highlighted == rows.option_count - 1:
            rows.scroll_end(animate=False)

    def add(self, text: str, word: str, style: str = "") -> None:
        """One more line, not cleaned yet; `word` says what it means."""
        self._new.append((clean(text), clean(word), style))

    def add_output(self, lines: Iterable[str]) -> None:
        """Lines that say what msa-wizard itself has done, drawn at once."""
        for line in lines:
            self.add(line, "what msa-wizard did")
        self.draw()

    def clear(self, about: str = "") -> None:
        """Remove all lines; `about` explains what comes."""
        self._about = about or self._about
        self._new.clear()
        self.query_one("#said", OptionList).clear_options()
        word = self.query_one("#word", Static)
        word.update(self._about)
        word.display = True

    def draw(self, *, from_top: bool = False) -> None:
        """Show what has come. With `from_top` it is read from its beginning."""
        if not self._new:
            return
        rows = self.query_one("#said", OptionList)
        last = rows.option_count - 1
        follows = rows.highlighted is None or rows.highlighted >= last
        new, self._new = self._new[-MOST:], []
        self.query_one("#word").display = False  # each line says what it means
        rows.add_options([Option(with_meaning(*line)) for line in new])
        for _ in range(rows.option_count - MOST):
            rows.remove_option_at_index(0)
        if from_top:
            rows.highlighted = 0
        elif follows:
            rows.highlighted = rows.option_count - 1
            rows.scroll_end(animate=False)
