"""Every commit of the snapshot store, its diff, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from screens import error_text as problems
from screens.base import Frame
from screens.widgets.diff_text import diff_content
from screens.widgets.folding import folded
from snapshots.errors import StoreError
from wizard.console import clean
from wizard.engine.in_force import commits_in_force

if TYPE_CHECKING:
    from snapshots.store import Commit

HEADINGS = ("When", "What", "Change", "By")
OPERATIONS = {
    "baseline": "as found",
    "drift": "by others",
    "apply": "applied",
    "rollback": "taken back",
    "recover": "recovered",
}


class History(Frame[None]):
    """Newest first; the diff of the chosen commit below."""

    HEADING = "History"
    HELP_TEXT = """
Each row is one commit of /etc in the snapshot store: what msa-wizard did, and, recorded apart, what was changed
by others in between. Below is what the chosen one changed.

r takes the chosen commit back, with the steps that need it, and shows first what that means. A row that says
"taken back" is a rollback: r on it undoes the rollback. g goes back to the chosen row: everything applied
after it is taken back. A row in parentheses is not in force any more. f shows generated files (sendmail.cf, the
maps) in full, or folds them again.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "roll_back", "Take back"),
        Binding("g", "go_back_to", "Back to here"),
        Binding("space", "turn(1)", "Page", key_display="space"),
        Binding("b", "turn(-1)", "Page back", show=False),
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

    def on_mount(self) -> None:
        """Read it."""
        self.query_one("#commits").focus()

    def on_screen_resume(self) -> None:
        """There may be more by now."""
        self.run_worker(self._read, thread=True, exclusive=True, group="read")

    def _read(self) -> None:
        try:
            commits = self.wizard.machine.commits()
        except Exception as error:
            said = problems.words(error)
            if said is None:
                raise
            self.deliver(self._changed, Content(said))
            return
        self.deliver(self._show, commits)

    def _show(self, commits: Sequence[Commit]) -> None:
        self._commits = tuple(commits)
        force = {item.id for item in commits_in_force(commits)}
        rows, chosen = self._rows, self._rows.cursor_row
        cells = [_row(item, item.id in force) for item in commits]
        rows.clear(columns=True)
        for label, column in zip(HEADINGS, zip(*cells, strict=True), strict=False):
            # Not left to the table: what it has drawn before it has measured stays.
            rows.add_column(label, width=max(map(cell_len, (label, *column))) + 2)
        rows.add_rows(cells)
        if commits:
            rows.move_cursor(row=min(chosen, len(commits) - 1))
        else:
            self._changed(
                Content(
                    "There is no history yet: nothing was ever applied on this host, or you are not root."
                )
            )

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
        """Show what Debian's scripts have made too, or fold it again."""
        self._unfolded = not self._unfolded
        self._show_diff()

    def _show_diff(self) -> None:
        commit = self._chosen()
        if commit is not None:
            self.same(f"msa-wizard diff {commit.short}")
            self.run_worker(lambda: self._diff(commit), thread=True, exclusive=True, group="read")

    def _diff(self, commit: Commit) -> None:
        try:
            diff = self.wizard.machine.diff(commit)
            shown = diff_content(diff if self._unfolded else folded(diff))
        except StoreError as error:
            shown = Content(clean(str(error)))
        self.deliver(self._if_chosen, commit, shown)

    def _if_chosen(self, commit: Commit, shown: Content) -> None:
        if commit is self._chosen():
            self._changed(shown)

    def _changed(self, shown: Content) -> None:
        self.query_one("#changed", Static).update(shown)
        self.query_one("#difference").scroll_home(animate=False)

    def action_roll_back(self) -> None:
        """Take the chosen commit back, after a look at what that means."""
        self._open(to=False)

    def action_go_back_to(self) -> None:
        """Take back everything that was applied after the chosen commit."""
        self._open(to=True)

    def _open(self, *, to: bool) -> None:
        from screens.rollback import RollBack

        commit = self._chosen()
        if commit is not None and not self.wizard.desk.changing:
            self.app.push_screen(RollBack(commit.id if to else commit.short, to=to))

    def action_edge(self, row: int) -> None:
        """To the first row or the last: the table's own keys go to the first column."""
        self._rows.move_cursor(row=row % max(1, len(self._commits)))

    def action_turn(self, pages: int) -> None:
        """Scroll the diff."""
        difference = self.query_one("#difference")
        difference.scroll_relative(y=pages * max(1, difference.size.height - 2), animate=False)


def _row(commit: Commit, in_force: bool) -> tuple[str, ...]:
    when = commit.time.astimezone().strftime("%F %R")
    word = OPERATIONS.get(commit.operation, commit.operation)
    return when, word if in_force else f"({word})", clean(commit.subject), clean(commit.author.name)
