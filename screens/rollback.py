"""The history, and a rollback with its conflicts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from screens.base import PAGES, Frame
from screens.external_programs import edit
from screens.jobs import Job, JobEnded, Reply, RollbackWaits
from screens.review_and_run import ReviewAndRun
from screens.widgets.contents import check_content, diff_content, folded, hanging
from screens.widgets.table import Table
from wizard.console import clean, width
from wizard.render.text import (
    DIFF_INDENT,
    commit_text,
    commit_time,
    commit_words,
    conflict_text,
    rollback_text,
)
from wizard.rollback.apply import RollbackResult

if TYPE_CHECKING:
    from pathlib import Path

    from snapshots.merge.three_way import Choice
    from snapshots.store import Commit
    from wizard.engine.in_force import Target
    from wizard.rollback.plan import Rollback
    from wizard.rollback.rollback import RollbackRun


class RollbackScreen(ReviewAndRun[None]):
    """One rollback, of `ref` or with `to` back to it. Cancelling is the default everywhere."""

    HEADING = "Roll back"
    FIRST = "Preparing the rollback preview ..."
    HELP_TEXT = """
First you see what the rollback would do: the steps that go too because they need this one, each file as it will be,
what is generated again, what is restarted. Nothing is changed before you press y.

Your own later work in the same files stays. Where what the step wrote has been changed since, the three
versions are shown: as it is now, as the step left it, as it was before. k keeps what is there now, r restores what was
before, e opens your file in your editor and then prepares the rollback again, Esc leaves everything as it is. A
rollback is a commit too and can itself be rolled back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Roll back", tooltip="Roll back as shown"),
        Binding("k", "choose('keep')", "Keep", tooltip="Keep what is there now"),
        Binding("r", "choose('restore')", "Restore", tooltip="Restore what was before"),
        Binding("e", "edit", "Edit", tooltip="Edit the file, then look again"),
        *PAGES,
        Binding("escape,enter", "cancel", "Cancel"),
        Binding("escape,enter", "back", "Back"),
    ]

    def __init__(self, ref: str, *, to: bool = False) -> None:
        super().__init__()
        self._ref = ref
        self._to = to
        self._rollback: Rollback | None = None
        """What waits for an answer."""
        self._notes: tuple[str, ...] = ()
        """What the newest preview said that nobody would expect."""
        self._to_edit: Path | None = None
        """The file that the admin wants to edit once the job has ended."""

    def on_mount(self) -> None:
        """Begin; the preview comes as a message."""
        self.same(f"msa-wizard rollback {f'--to {self._ref[:10]}' if self._to else self._ref}")
        self.wizard.before_it_ends(self._begin, self.dismiss)

    def _begin(self) -> None:
        roll_back, ref, to = self.backend.roll_back, self._ref, self._to

        def target(work: RollbackRun) -> Target:
            return work.back_to(ref) if to else work.target(ref)

        self.start("rollback", lambda job: roll_back(job, target, partial(_decide, job)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the keys that answer what is asked."""
        if action in ("cancel", "back"):
            return (self._rollback is not None) is (action == "cancel")
        asked = self._rollback if self.listens else None
        conflicts = asked is not None and bool(asked.reversal.conflicts)
        if action == "go":
            return asked is not None and not conflicts
        return conflicts if action in ("choose", "edit") else True

    def on_rollback_waits(self, message: RollbackWaits) -> None:
        """Show what it would do, and ask."""
        self._rollback = rollback = message.rollback
        conflicts, self._notes = rollback.reversal.conflicts, rollback.reversal.notes
        parts = [diff_content(conflict_text(conflict), columns=width()) for conflict in conflicts]
        if parts:
            parts.insert(0, Content.styled("Changed since the step:\n", "bold ansi_red"))
        parts[:0] = [Content.styled(f"! {clean(each)}.\n", "bold ansi_red") for each in rollback.warnings]
        self.show(
            *parts,
            diff_content(rollback_text(rollback, warn=False), indent=DIFF_INDENT, columns=width()),
        )
        back_to = f", back to {self._ref[:10]}" if self._to else ""
        self.add_to_title(f"  {rollback.target.words}{back_to}")
        words = "y rolls this back. Enter and Esc cancel: nothing is changed."
        if conflicts:
            words = (
                "k keeps what is there now, r restores what was before, e edits; Esc cancels (the default)."
            )
        self.ask(words)

    def answer(self, reply: Reply) -> None:
        """Answer; then nothing waits any more."""
        self._rollback = None
        super().answer(reply)

    def action_choose(self, side: str) -> None:
        """Decide the conflicts; the preview comes again."""
        self.count("Preparing")
        self.answer(Reply(side))

    def action_edit(self) -> None:
        """Edit the first of the files, once this job has ended."""
        if self._rollback is not None and self.desk.asks(self):
            self._to_edit = self.backend.host.path(f"/{self._rollback.reversal.conflicts[0].path}")
            self.answer(Reply.NO)

    def on_job_ended(self, message: JobEnded) -> None:
        """After an edit it begins again."""
        self._rollback = None
        if self._to_edit is not None:
            message.prevent_default()
            path, self._to_edit = self._to_edit, None
            edit(self.app, path)
            self._begin()

    def ended(self, result: object) -> None:
        """Show the result; there is none if it was cancelled."""
        if not isinstance(result, RollbackResult):
            return
        if result.failed:
            undone = "undone in part" if result.not_undone else "itself undone"
            self.show_failure(
                f"The rollback failed and was {undone}: {result.failed}", result.undone, result.not_undone
            )
            then = "Fix what is NOT undone, then finish or undo this: first screen, first line."
            self.say(then if result.not_undone else "The host is as before. Esc goes back.")
        else:
            self.show(
                Content.styled(f"✓ Rolled back, recorded as {result.commit}.", "bold ansi_green"),
                *(check_content(check, width()) for check in result.checks),
                *(clean(note) for note in self._notes),
                *left_lines(result),
            )
            self.say("Done. Esc goes back. In the history this rollback can itself be rolled back.")


def left_lines(result: RollbackResult) -> list[str]:
    """What stays on the host though it was rolled back."""
    return [f"Left: {clean(line)}" for line in result.left]


def _decide(job: Job, rollback: Rollback) -> Choice | bool:
    from snapshots.merge.three_way import Choice

    reply = job.ask(RollbackWaits(rollback))
    return Choice(str(reply)) if reply in (Reply.KEEP, Reply.RESTORE) else reply is Reply.YES


HEADINGS = ("Commit", "When", "What", "Change", "By")


class History(Frame[None]):
    """Newest first; the diff of the chosen commit below."""

    HEADING = "History"
    AUTO_FOCUS = "#commits"
    SCROLLED = "#difference"
    SAYS = "#changed"
    HELP_TEXT = """
Each row is one commit of /etc in the snapshot store: what msa-wizard did and, recorded separately, what others
changed in between. Below is what the chosen one changed; of a rollback also the commits that it rolled back, by the
names that their rows have.

r rolls the chosen commit back, with the steps that need it, and first shows what that means. A row that says
"rolled back" is a rollback: r on it undoes the rollback. "debugging" changed something only for a while, and "as
found" is the host before the first step. g goes back to the chosen row: everything applied
after it is rolled back. A row in parentheses is no longer in effect. f shows generated files (sendmail.cf, the
maps) in full, or folds them again.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "read", "Read", tooltip="Go to the text below"),
        Binding("r", "roll_back(False)", "Roll back", tooltip="Roll the chosen row back"),
        Binding("g", "roll_back(True)", "Back to here", tooltip="Go back to the chosen row"),
        Binding("f", "unfold", "Full or folded", tooltip="Show generated files in full, or fold them"),
        *PAGES,
        Binding("home", "edge(0)", "Newest", show=False, priority=True, tooltip="To the newest row"),
        Binding("end", "edge(-1)", "Oldest", show=False, priority=True, tooltip="To the oldest row"),
        Binding("escape", "back", "Back"),
    ]

    _commits: tuple[Commit, ...] = ()
    _unfolded = False
    """Whether generated files are shown in full."""
    _foldable = False
    """Whether the chosen row has any."""

    def body(self) -> ComposeResult:
        """Rows above, diff below."""
        yield Table(id="commits", cursor_type="row", cell_padding=0)
        with VerticalScroll(id="difference"):
            yield Static("", id="changed", markup=False)

    def on_screen_resume(self) -> None:
        """There may be more by now."""
        self.look(self.backend.commits, self._show)

    def _show(self, commits: Sequence[Commit]) -> None:
        rows, chosen = self._rows, self._chosen()
        words = commit_words(commits)
        columns = _fitted([_row(commit, words[commit.id]) for commit in commits], width())
        rows.clear(columns=True)
        for label, *cells in columns:
            # Not left to the table: what it draws before it has measured stays.
            rows.add_column(label, width=max(map(cell_len, (label, *cells))) + 1)
        self._commits = tuple(commits)
        self.refresh_bindings()
        # As they are: a name may hold brackets.
        rows.add_rows(zip(*[[Text(cell) for cell in column[1:]] for column in columns], strict=True))
        if commits:
            ids = [commit.id for commit in commits]
            rows.move_cursor(row=ids.index(chosen.id) if chosen is not None and chosen.id in ids else 0)
        elif os.geteuid() == 0:
            self.say("There is no history yet: nothing was ever applied on this host.")
        else:
            self.say("Only root can read the history: leave with F10, then start this with sudo.")

    def on_resize(self) -> None:
        """There is another room for the columns."""
        if self._commits:
            self.call_after_refresh(self._show, self._commits)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is done to a row waits for one."""
        if action == "unfold":
            return self._foldable
        return bool(self._commits) if action in ("read", "roll_back") else True

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

        def take() -> tuple[Content, bool]:
            diff = self.backend.diff(commit)
            short = folded(diff)
            lines = commit_text(commit, self._commits).splitlines()
            words = "\n".join(hanging(line, width()) for line in lines)
            head = Content.styled(f"{words}\n\n", "bold")
            shown = diff_content(diff if self._unfolded else short, columns=width())
            return head + shown, short.splitlines() != diff.splitlines()

        def show(seen: tuple[Content, bool]) -> None:
            if (chosen := self._chosen()) is not None and chosen.id == commit.id:
                content, self._foldable = seen
                self.refresh_bindings()
                self.say(content)
                self.query_one("#difference").scroll_home(animate=False)

        self.same(f"msa-wizard diff {commit.short}")
        self.look(take, show, of="diff")  # beside the one at the rows, which must not be lost

    def action_roll_back(self, to: bool) -> None:
        """Roll the chosen commit back, or everything that was applied after it, after a preview."""
        commit = self._chosen()
        if commit is not None and not self.desk.changing:
            self.app.push_screen(RollbackScreen(commit.id if to else commit.short, to=to))

    def action_back(self) -> None:
        """From the diff to the rows; then away."""
        if not self.stopped_reading():
            self.dismiss()

    def action_edge(self, row: int) -> None:
        """To the first row or the last (the table's own keys go to the first column), or the ends of the diff."""
        difference = self.query_one("#difference", VerticalScroll)
        if not difference.has_focus:
            self._rows.move_cursor(row=row % max(1, len(self._commits)))
        elif row:
            difference.scroll_end(animate=False)
        else:
            difference.scroll_home(animate=False)


def _fitted(rows: Sequence[Sequence[str]], room: int) -> list[list[str]]:
    """The columns with their headings, in so many cells: who did it is left out where it has no room, and what was done is cut
    then; the text below has both."""
    columns = [list(column) for column in zip(HEADINGS, *rows, strict=True)] if rows else []

    def beyond() -> int:
        return sum(max(map(cell_len, column)) + 1 for column in columns) - room

    if columns and beyond() > 0:
        columns.pop()
    if columns and (cut := beyond()) > 0:
        most = max(map(cell_len, columns[-1])) - cut
        columns[-1] = [
            each if cell_len(each) <= most else f"{set_cell_size(each, most - 1)}…" for each in columns[-1]
        ]
    return columns


def _row(commit: Commit, word: str) -> tuple[str, ...]:
    return commit.short, commit_time(commit), word, clean(commit.subject), clean(commit.author.name)
