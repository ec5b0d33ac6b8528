"""Every commit of the snapshot store, its diff, and its rollback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from screens.base import PAGES, Frame
from screens.widgets.diff_text import diff_content, folded
from wizard.console import clean
from wizard.engine.in_force import commits_in_force

if TYPE_CHECKING:
    from snapshots.store import Commit

HEADINGS = ("When", "What", "Change", "By")
OPERATIONS = {
    "baseline": "as found",
    "drift": "by others",
    "apply": "applied",
    "rollback": "rolled back",
    "recover": "recovered",
}


class History(Frame[None]):
    """Newest first; the diff of the chosen commit below."""

    HEADING = "History"
    AUTO_FOCUS = "#commits"
    SCROLLED = "#difference"
    SAYS = "#changed"
    HELP_TEXT = """
Each row is one commit of /etc in the snapshot store: what msa-wizard did and, recorded separately, what others
changed in between. Below is what the chosen one changed.

r rolls the chosen commit back, with the steps that need it, and first shows what that means. A row that says
"rolled back" is a rollback: r on it undoes the rollback. g goes back to the chosen row: everything applied
after it is rolled back. A row in parentheses is no longer in effect. f shows generated files (sendmail.cf, the
maps) in full, or folds them again.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "roll_back(False)", "Roll back"),
        Binding("g", "roll_back(True)", "Back to here"),
        *PAGES,
        Binding("f", "unfold", "Generated files", show=False),
        Binding("home", "edge(0)", "Newest", show=False, priority=True),
        Binding("end", "edge(-1)", "Oldest", show=False, priority=True),
        Binding("escape", "dismiss", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._commits: tuple[Commit, ...] = ()
        self._unfolded = False
        """Whether generated files are shown in full."""

    def body(self) -> ComposeResult:
        """Rows above, diff below."""
        yield DataTable[str](id="commits", cursor_type="row", cell_padding=0)
        with VerticalScroll(id="difference", can_focus=False):
            yield Static("", id="changed", markup=False)

    def on_screen_resume(self) -> None:
        """There may be more by now."""
        self.look(self.backend.commits, self._show)

    def _show(self, commits: Sequence[Commit]) -> None:
        self._commits = tuple(commits)
        in_force = {commit.id for commit in commits_in_force(commits)}
        rows, chosen = self._rows, self._rows.cursor_row
        cells = [_row(commit, commit.id in in_force) for commit in commits]
        rows.clear(columns=True)
        for label, column in zip(HEADINGS, zip(*cells, strict=True), strict=False):
            # Not left to the table: what it draws before it has measured stays.
            rows.add_column(label, width=max(map(cell_len, (label, *column))) + 2)
        rows.add_rows(cells)
        if commits:
            rows.move_cursor(row=min(chosen, len(commits) - 1))
        else:
            self.say("There is no history yet: nothing was ever applied on this host, or you are not root.")

    @property
    def _rows(self) -> DataTable[str]:
        return self.query_one("#commits", DataTable)

    def _chosen(self) -> Commit | None:
        index = self._rows.cursor_row
        return self._commits[index] if index < len(self._commits) else None

    def on_data_table_row_highlighted(self) -> None:
        """The diff of another row."""
        self._show_diff()

    def action_unfold(self) -> None:
        """Show generated files too, or fold them again."""
        self._unfolded = not self._unfolded
        self._show_diff()

    def _show_diff(self) -> None:
        commit = self._chosen()
        if commit is None:
            return

        def take() -> Content:
            diff = self.backend.diff(commit)
            return diff_content(diff if self._unfolded else folded(diff))

        def show(content: Content) -> None:
            if commit is self._chosen():
                self.say(content)
                self.query_one("#difference").scroll_home(animate=False)

        self.same(f"msa-wizard diff {commit.short}")
        self.look(take, show)

    def action_roll_back(self, to: bool) -> None:
        """Roll the chosen commit back, or everything that was applied after it, after a preview."""
        from screens.rollback import RollbackScreen

        commit = self._chosen()
        if commit is not None and not self.desk.changing:
            self.app.push_screen(RollbackScreen(commit.id if to else commit.short, to=to))

    def action_edge(self, row: int) -> None:
        """To the first row or the last: the table's own keys go to the first column."""
        self._rows.move_cursor(row=row % max(1, len(self._commits)))


def _row(commit: Commit, in_force: bool) -> tuple[str, ...]:
    when = commit.time.astimezone().strftime("%F %R")
    word = OPERATIONS.get(commit.operation, commit.operation)
    return when, word if in_force else f"({word})", clean(commit.subject), clean(commit.author.name)
