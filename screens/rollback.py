"""The history, and the ways back: a rollback with its conflicts, and what follows a run that was killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, OptionList, Static
from textual.widgets.option_list import Option

from screens.base import PAGES, Frame, sentence
from screens.external_programs import edit
from screens.jobs import Job, JobEnded, Reply, RollbackWaits
from screens.review_and_run import ReviewAndRun
from screens.widgets.contents import check_content, diff_content, folded, hanging
from screens.widgets.rows import Rows
from screens.widgets.table import Table
from wizard.console import clean, width
from wizard.engine.in_force import commits_in_force
from wizard.engine.run import Run
from wizard.render.text import (
    DIFF_INDENT,
    begun_text,
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
        Binding("y", "go", "Roll back", tooltip="Roll back as shown"),
        Binding("k", "choose('keep')", "Keep mine", tooltip="Keep your version"),
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
        self._to_edit: Path | None = None
        """The file that the admin wants to edit once the job has ended."""

    def on_mount(self) -> None:
        """Begin; the preview comes as a message."""
        self.same(f"msa-wizard rollback {f'--to {self._ref[:10]}' if self._to else self._ref}")
        self._begin()

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
        conflicts = rollback.reversal.conflicts
        parts = [diff_content(conflict_text(conflict), columns=width()) for conflict in conflicts]
        if parts:
            parts.insert(0, Content.styled("You and the step changed the same:\n", "bold ansi_red"))
        if rollback.exposes:
            parts.insert(0, Content.styled(f"! {rollback.exposes}.\n", "bold ansi_red"))
        self.show(
            *parts,
            diff_content(rollback_text(rollback, warn=False), indent=DIFF_INDENT, columns=width()),
        )
        back_to = f", back to {self._ref[:10]}" if self._to else ""
        self.add_to_title(f"  {rollback.target.words}{back_to}")
        words = "y rolls this back. Enter and Esc cancel: nothing is changed."
        if conflicts:
            words = "k keeps yours there, r restores what was before, e edits; Esc cancels (the default)."
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
                *_left(result),
            )
            self.say("Done. Esc goes back. In the history this rollback can itself be rolled back.")


def _left(result: RollbackResult) -> list[str]:
    return [f"Left: {clean(line)}" for line in result.left]


def _decide(job: Job, rollback: Rollback) -> Choice | bool:
    from snapshots.merge.three_way import Choice

    reply = job.ask(RollbackWaits(rollback))
    return Choice(str(reply)) if reply in (Reply.KEEP, Reply.RESTORE) else reply is Reply.YES


Act = Callable[["Recovery"], "RollbackResult | Run | str"]


class RecoveryScreen(ReviewAndRun[None]):
    """The ways above, what the highlighted one does below; y takes it, and nothing else does."""

    HEADING = "An interrupted run"
    AUTO_FOCUS = "#ways"
    HELP_TEXT = """
A run did not finish: the power was cut, or the process was killed. What it had begun is in the journal, and
what everything was before is in the snapshot store. It can be finished, from where it was, or undone: then the host is
as it was before the run. Choose one with the arrows, read below what it does, and press y. Both may be interrupted too,
and started again. Where neither works, what is in the way is named, and you can keep the host as it is now: that is
recorded, and the run is closed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "read", "Read", tooltip="Go to the text below"),
        Binding("y", "take", "Take this way", tooltip="Take the chosen way"),
        *PAGES,
        Binding("escape", "back", "Back"),
    ]
    _problem = False
    """Whether it could not be undone or finished."""
    _outcome = ""
    """What the run is, once it has ended well."""
    _on_the_steps = True
    """Whether it was a run of the howto's steps, which goes on there; any other one is begun again where it was."""

    def __init__(self) -> None:
        super().__init__()
        self._ways: dict[str, Way] = {}

    def body(self) -> ComposeResult:
        """The ways, then as everywhere."""
        yield Rows(id="ways", markup=False)
        yield from super().body()

    def on_mount(self) -> None:
        """Show what is known of it."""
        self.same("msa-wizard recover --show")
        self.over = True
        try:
            killed = self.backend.killed()
            if killed is None:
                self.show("No run is interrupted.")
                return
            self._on_the_steps = "extra" not in killed.request
            self._ways = ways(killed, self.backend.commits())
        except Exception as error:
            self.show(sentence(error))
            return
        self.over = False
        self._offer()

    def _offer(self) -> None:
        listed, chosen = self.query_one("#ways", OptionList), self._chosen()
        names = [name for name in self._ways if name != "accept" or self._problem]
        listed.set_options([Option(self._ways[name].title, id=name) for name in names])
        # The one that was taken and failed stays the chosen one: y tries it again.
        listed.highlighted = next((at for at, name in enumerate(names) if self._ways[name] is chosen), 0)
        listed.focus()
        if not self._problem:
            self.say("y takes the highlighted way. Esc leaves everything as it is.")
        self.refresh_bindings()

    def _chosen(self) -> Way | None:
        option = self.query_one("#ways", OptionList).highlighted_option
        return self._ways.get(str(option.id)) if option is not None else None

    def on_option_list_option_highlighted(self) -> None:
        """What the other way does."""
        way = self._chosen()
        if way is not None and not self.running and (self._problem or not self.over):
            self.show(way.preview)
            self.query_one("#preview").scroll_home(animate=False)
            self.same(way.command)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A way can be taken while none is, and none has come to its end."""
        if action == "take":
            open_yet = self._problem or not self.over
            return bool(self._ways) and not self.running and open_yet and self.listens
        return True

    def action_take(self) -> None:
        """The highlighted way."""
        way = self._chosen()
        if way is not None and not self.desk.changing:
            self._outcome = way.outcome
            self.go_on()
            work = partial(self.backend.recover, act=way.act, outcome=way.outcome)
            self.start(way.command.removeprefix("msa-wizard "), work, "At work")

    def action_back(self) -> None:
        """From the text to the ways; then away."""
        if not self.query_one("#ways").display or not self.stopped_reading():
            super().action_back()

    def failed(self, why: str) -> None:
        """Say why, and what can be tried."""
        self._problem = True
        self._offer()
        self.ask_when_quiet()
        self.say(f"✗ {why.rstrip('.')}. Fix that and try again, or keep the host as it is now.")

    def ended(self, result: object) -> None:
        """Say how it ended."""
        self._problem = False
        match result:
            case RollbackResult() if result.not_undone or result.failed:
                self.failed("; ".join(map(clean, filter(None, (*result.not_undone, result.failed)))))
            case Run() if result.stopped and self.backend.killed() is not None:
                self.failed(self._stopped(result))
            case Run() if result.stopped:
                words = f"The interrupted run is over. {self._stopped(result)}."
                self._show_end(words, *_applied(result), stopped=True)
            case None:
                self._show_end("No run is interrupted any more.")
            case str():
                self._show_end(f"Accepted as it is, recorded as {result}.")
            case RollbackResult():
                checks = [check_content(check, width()) for check in result.checks]
                self._show_end(f"The interrupted run was {self._outcome}.", *checks, *_left(result))
            case Run():
                self._show_end(f"The interrupted run was {self._outcome}.", *_applied(result))

    def _show_end(self, words: str, *parts: Content | str, stopped: bool = False) -> None:
        """What has become of the run, in place of the ways; whether it has `stopped` before its end."""
        sign, style = ("!", "bold ansi_yellow") if stopped else ("✓", "bold ansi_green")
        self.query_one("#ways").display = False
        self.show(Content.styled(f"{sign} {words}", style), *parts)
        self.query_one("#preview").focus()
        rest = ""
        if stopped:
            rest = "; the rest is on the steps" if self._on_the_steps else "; the run can be begun again"
        self.say(f"The host is consistent again. Esc goes back{rest}.")

    def _stopped(self, run: Run) -> str:
        if run.undecided:
            where = "y on the steps asks" if self._on_the_steps else "begun again, it asks"
            why = "something that works would end" if run.ends else "nobody was asked about it yet"
            return f"Stopped before {run.undecided}: {why} ({where})"
        return f"Stopped at {run.stopped}"


def _applied(run: Run) -> list[str]:
    return [f"Applied: {', '.join(run.applied)}."] if run.applied else []


@dataclass(frozen=True)
class Way:
    """One way out of an interrupted run."""

    title: str
    command: str
    outcome: str
    preview: Content
    act: Act


def ways(killed: Unfinished, commits: Sequence[Commit]) -> dict[str, Way]:
    """The ways out, the one first that keeps what was done; `commits` are the history, newest first."""
    recorded = [
        commit.step or commit.subject
        for commit in commits_in_force(commits)
        if commit.run == killed.run and commit.operation == killed.operation
    ]
    done = ", ".join(map(clean, reversed(recorded)))
    begun = _begun(killed)
    finish: list[str | tuple[str, str]] = [("Finishes the run: it goes on from where it was.\n", "bold")]
    if killed.operation == "apply":
        finish += [f"Stays: {done}.\n"] if done else []
        finish += [f"Done again: {clean(killed.step)}.\n"] if killed.step else []
        finish += [f"Stays left out: {', '.join(map(clean, killed.declined))}.\n"] if killed.declined else []
        whole = killed.request.get("unattended") is True
        finish += [
            "Then the steps that were left follow, without another question.\n"
            if whole
            else "It ends before the first step that nobody was asked about.\n"
        ]
    elif killed.operation == "rollback":
        finish += ["The rollback is done once more, exactly as it was asked for.\n"]
    else:
        finish = [("There is nothing to finish: what was changed for a while is restored.\n", "bold")]
    undo: list[str | tuple[str, str]] = [
        ("Undoes the run: the host is then as it was before it began", "bold"), f" (commit {killed.head[:10]}).\n"
    ]  # fmt: skip
    undo += [(f"Rolled back, though done: {done}.\n", "bold ansi_yellow")] if done else []
    about = Content.assemble((f"{clean(killed.words())}.\n\n", ""))
    return {
        "finish": Way(
            *("Finish the run", "msa-wizard recover --finish", "finished"),
            *(about + Content.assemble(*finish, *begun), lambda recovery: recovery.finish()),
        ),
        "undo": Way(
            *("Undo the run", "msa-wizard recover", "undone"),
            *(about + Content.assemble(*undo, *begun), lambda recovery: recovery.undo()),
        ),
        "accept": Way(
            *("Keep the host as it is now", "msa-wizard recover --accept", "accepted as it is"),
            about + Content("Changes nothing: the host as it is now is recorded, and the run is closed."),
            lambda recovery: recovery.accept(),
        ),
    }


def _begun(killed: Unfinished) -> list[str]:
    if not killed.step:
        return []
    begun = [
        part
        for change in killed.changes
        for part in cast("list[str]", change["touches"]) or [begun_text(change)]
    ]
    return [
        f"\nIn hand: {clean(killed.step)}. It may have changed:\n",
        *([f"  {clean(part)}\n" for part in dict.fromkeys(begun)] or ["  nothing yet\n"]),
    ]


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
        return bool(self._commits) if action in ("read", "roll_back", "unfold") else True

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
            lines = commit_text(commit, self._commits).splitlines()
            words = "\n".join(hanging(line, width()) for line in lines)
            head = Content.styled(f"{words}\n\n", "bold")
            return head + diff_content(diff if self._unfolded else folded(diff), columns=width())

        def show(content: Content) -> None:
            if (chosen := self._chosen()) is not None and chosen.id == commit.id:
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
