"""The history, and the ways back: a rollback with its conflicts, and what follows a run that was killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from screens.base import PAGES, Frame, edit, sentence
from screens.jobs import Job, JobEnded, Reply, RollbackWaits
from screens.review_and_run import ReviewAndRun
from screens.widgets.contents import check_content, diff_content, folded
from wizard.console import clean
from wizard.engine.engine import Run
from wizard.engine.in_force import commits_in_force
from wizard.render.text import DIFF_INDENT, conflict_text, rollback_text
from wizard.rollback.apply import RollbackResult

if TYPE_CHECKING:
    from pathlib import Path

    from snapshots.merge.three_way import Choice
    from snapshots.store import Commit
    from wizard.engine.in_force import Target
    from wizard.engine.journal import Unfinished
    from wizard.rollback.plan import Rollback
    from wizard.rollback.recovery import Recovery
    from wizard.rollback.rollback import RollbackRun


class RollbackScreen(ReviewAndRun[None]):
    """One rollback, of `ref` or with `to` back to it. Cancelling is the default everywhere."""

    HEADING = "Roll back"
    FIRST = "Preparing the rollback preview ..."
    HELP_TEXT = """
First you see what the rollback would do: the steps that go too because they need this one, each file as it will be,
what is generated again, what is restarted. Nothing is changed before you press y.

Your own later work in the same files stays. Where you and the step changed the very same lines, the three
versions are shown: yours, as the step left it, as it was before. k keeps yours there, r restores what was
before, e opens your file in your editor and then prepares the rollback again, Esc leaves everything as it is. A
rollback is a commit too and can itself be rolled back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "go", "Roll back"),
        Binding("k", "choose('keep')", "Keep mine"),
        Binding("r", "choose('restore')", "Restore"),
        Binding("e", "edit", "Edit"),
        *PAGES,
        Binding("escape,enter", "back", "Cancel"),
    ]

    def __init__(self, ref: str, *, to: bool = False) -> None:
        super().__init__()
        self._ref = ref
        self._to = to
        self._rollback: Rollback | None = None
        """What waits for an answer."""
        self._to_edit: Path | None = None
        """The file that the admin wants to edit once the job has ended."""

    def on_mount(self) -> None:
        """Begin; the preview comes as a message."""
        if not self._to:
            self.same(f"msa-wizard rollback {self._ref}")
        self._begin()

    def _begin(self) -> None:
        roll_back, ref, to = self.backend.roll_back, self._ref, self._to

        def target(work: RollbackRun) -> Target:
            return work.back_to(ref) if to else work.target(ref)

        self.start("rollback", lambda job: roll_back(job, target, partial(_decide, job)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the keys that answer what is asked."""
        conflicts = self._rollback is not None and bool(self._rollback.reversal.conflicts)
        if action == "go":
            return self._rollback is not None and not conflicts
        return conflicts if action in ("choose", "edit") else True

    def on_rollback_waits(self, message: RollbackWaits) -> None:
        """Show what it would do, and ask."""
        self._rollback = rollback = message.rollback
        conflicts = rollback.reversal.conflicts
        parts = [diff_content(conflict_text(conflict)) for conflict in conflicts]
        if parts:
            parts.insert(0, Content.styled("You and the step changed the same:\n", "bold ansi_red"))
        if rollback.exposes:
            parts.insert(0, Content.styled(f"! {rollback.exposes}.\n", "bold ansi_red"))
        self.show(*parts, diff_content(rollback_text(rollback, warn=False), indent=DIFF_INDENT))
        self.add_to_title(f"  {rollback.target.words}")
        self.say(
            "k keeps yours there, r restores what was before, e edits; Esc cancels (the default)."
            if conflicts
            else "y rolls this back. Enter and Esc cancel: nothing is changed."
        )
        self.refresh_bindings()

    def answer(self, reply: Reply) -> None:
        """Answer; then nothing waits any more."""
        self._rollback = None
        super().answer(reply)

    def action_choose(self, side: str) -> None:
        """Decide the conflicts; the preview comes again."""
        self.answer(Reply(side))

    def action_edit(self) -> None:
        """Edit the first of the files, once this job has ended."""
        if self._rollback is not None and self.desk.waiting:
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
            words = f"The rollback failed and was itself undone: {result.failed}"
            self.show_failure(words, result.undone, result.not_undone)
            self.say("The host is as before, except for what is named NOT undone. Esc goes back.")
        else:
            self.show(
                Content.styled(f"✓ Rolled back, recorded as {result.commit}.", "bold ansi_green"),
                *map(check_content, result.checks),
                *(f"Left: {clean(line)}" for line in result.left),
            )
            self.say("Done. Esc goes back. In the history this rollback can itself be rolled back.")


def _decide(job: Job, rollback: Rollback) -> Choice | bool:
    from snapshots.merge.three_way import Choice

    reply = job.ask(RollbackWaits(rollback))
    return Choice(str(reply)) if reply in (Reply.KEEP, Reply.RESTORE) else reply is Reply.YES


Act = Callable[["Recovery"], "RollbackResult | Run | str"]


class RecoveryScreen(ReviewAndRun[None]):
    """Undoing is the default; nothing happens before a key is pressed."""

    HEADING = "An interrupted run"
    HELP_TEXT = """
A run did not finish: the power was cut, or the process was killed. What it had begun is in the journal, and
what everything was before is in the snapshot store. u undoes the run: the host is then as it was before. f continues
it from where it was. Both may be interrupted too, and started again. Anything that cannot be undone is named, and a
keeps the host as it is now: that is recorded, and the run is closed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u,enter", "undo", "Undo it", key_display="u"),
        Binding("f", "finish", "Finish it"),
        Binding("a", "accept", "Keep as it is"),
        Binding("escape", "back", "Back"),
    ]
    _problem = False
    """Whether it could not be undone or finished."""
    _outcome = ""
    """What the run is, once it has ended well."""

    def on_mount(self) -> None:
        """Show what is known of it."""
        self.same("msa-wizard recover --show")
        killed: Unfinished | None = None
        try:
            killed = self.backend.killed()
            self.show(_content(killed) if killed else "No run is interrupted.")
        except Exception as error:
            self.show(sentence(error))
        self.over = killed is None
        if killed:
            self.say("u undoes it (the default), f finishes it, Esc leaves it as it is.")

    def action_undo(self) -> None:
        """As before the run."""
        self._begin("recover", "undone", lambda recovery: recovery.undo())

    def action_finish(self) -> None:
        """Continue it."""
        self._begin("recover --finish", "finished", lambda recovery: recovery.finish())

    def action_accept(self) -> None:
        """The host stays as it is now."""
        self._begin("recover --accept", "accepted as it is", lambda recovery: recovery.accept())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """To keep what is half-done is offered once it could not be undone or finished."""
        return self._problem if action == "accept" else True

    def _begin(self, name: str, outcome: str, act: Act) -> None:
        if self.over and not self._problem:
            self.dismiss()
            return
        if self.desk.busy:
            return
        self._outcome = outcome
        self.same(f"msa-wizard {name}")
        self.go_on()
        self.start(name, partial(self.backend.recover, act=act))

    def failed(self, why: str) -> None:
        """Say why, and what can be tried."""
        self._problem = True
        self.say(f"✗ {why.rstrip('.')}. Then press u or f again, or a to keep the host as it is.")

    def ended(self, result: object) -> None:
        """Say how it ended."""
        self._problem = False
        match result:
            case RollbackResult() if result.not_undone or result.failed:
                self.failed("; ".join(map(clean, filter(None, (*result.not_undone, result.failed)))))
            case Run() if result.undecided:
                self.failed(
                    f"Stopped before {result.undecided}: something that works would end (the steps, with Enter, ask)"
                )
            case Run() if result.stopped:
                self.failed(f"Stopped at {result.stopped}")
            case str():
                self.say(f"✓ Accepted as it is, recorded as {result}. Enter closes this.")
            case _:
                self.say(
                    f"✓ The interrupted run was {self._outcome}; the host is consistent again. Enter closes this."
                )


def _content(killed: Unfinished) -> Content:
    parts: list[str | tuple[str, str]] = [
        (f"{clean(killed.words())}.\n", "bold"), f"Everything as it was before is commit {killed.head[:10]}.\n"
    ]  # fmt: skip
    if killed.step:
        parts.append(f"In hand: {clean(killed.step)}. It may have written:\n")
        paths = [path for change in killed.changes for path in cast("list[str]", change["touches"])]
        parts += [f"  {clean(path)}\n" for path in dict.fromkeys(paths)] or ["  nothing yet\n"]
    return Content.assemble(*parts)


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

    _commits: tuple[Commit, ...] = ()
    _unfolded = False
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
