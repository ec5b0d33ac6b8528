"""Which commits are in force. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snapshots.store import Commit


@dataclass(frozen=True)
class Target:
    """What is rolled back together: the commits, newest first; the steps asked for; those that need them and go too."""

    commits: tuple[Commit, ...]
    steps: tuple[str, ...]
    dependents: tuple[str, ...] = ()
    everything: bool = False
    killed: str = ""
    """The operation that was killed, where these are the commits of its run."""

    @property
    def words(self) -> str:
        """For a heading and for the history."""
        ids = ", ".join(dict.fromkeys((*self.steps, *self.dependents)))
        if self.killed:
            return f"the interrupted {self.killed}{f' ({ids})' * bool(ids)}"
        if self.everything:
            return "everything"
        return ids or ", ".join(map(_named, self.commits))


def _named(commit: Commit) -> str:
    """A commit that is no step's: what it did, and its id, which a row of the history has."""
    done, _, what = commit.subject.partition(": ")
    if commit.operation == "rollback" and done in ("Rolled back", "Taken back"):
        return f"the rollback of {_ID.sub('', what)} ({commit.short})"
    return f"{commit.short} ({commit.subject})"


_ID = re.compile(r" \([0-9a-f]{10}\)$")


def of_debugging(commit: Commit) -> bool:
    """Whether it only tells of a change for a while (`temporary`): all other rollbacks name what they rolled back."""
    return commit.operation == "rollback" and not commit.reverts and commit.step is None


def commits_in_force(history: Iterable[Commit]) -> list[Commit]:
    """Of the commits `history` (newest first) those whose change is in force, newest first.

    A rollback takes the commits that it names out of force; taking back a rollback brings them into force again."""
    force: list[Commit] = []
    taken_back: set[str] = set()
    for commit in history:
        if commit.id not in taken_back:
            force.append(commit)
            taken_back.update(commit.reverts)
    return force


def applied(history: Iterable[Commit]) -> list[Commit]:
    """Of the commits that stand those that applied a step, newest first."""
    return [commit for commit in commits_in_force(history) if commit.operation == "apply"]
