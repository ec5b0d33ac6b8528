"""What a run says on the command line while it is at work: its events, and what its commands print."""

from __future__ import annotations

import re
from collections.abc import Callable

from wizard import log
from wizard.console import clean, count, out
from wizard.model.events import Event, Output
from wizard.render.text import show
from wizard.sendmail.sendmailconfig import ARGV

_BEGINS = "$ " + " ".join(ARGV)
_AFTER = re.compile(r"\$ |wrote |removed |undone")
"""How a line of ours begins: the command has ended by then."""
_MATTERS = re.compile(
    r"\? \[[YN]\]|error|(?<!\*\*\* )warning|fail|cannot|can't|could not|denied|unsafe|no space", re.IGNORECASE
)
"""A question of sendmailconfig with its answer, and what may be wrong; the rest it says at each run, or in a banner."""
_APT = "$ apt-get "
_OF_GIT = re.compile(
    r' (?:create|delete) mode | mode change | (?:rename|copy|rewrite) .*%\)|Auto packing|See "git help gc"'
)
"""What etckeeper's commit prints for each file."""


class Shown:
    """Prints it as it comes. Of sendmailconfig, which also prints the files that it makes, only what matters, and of apt not
    the files of etckeeper's commit, unless the `whole` is wanted."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._keeps: Callable[[str], bool] | None = None
        """What is shown of the command at work; None where all is."""
        self._left_out = 0
        self._told: set[str] = set()
        """What of it was shown: it says the same at each look at its configuration."""

    def report(self, event: Event) -> None:
        """An event of a run."""
        if isinstance(event, Output):
            if event.line.strip():
                self.say(event.line)
        else:
            self.end()
            show(event)

    def say(self, line: str) -> None:
        """A line that a command prints, or what is being changed."""
        if self._keeps and _AFTER.match(line):
            self.end()
        if self._keeps and not self._keeps(line):
            self._left_out += bool(line.strip())
            return
        if not (self._whole or self._keeps):
            of_apt = _of_apt if line.startswith(_APT) else None
            self._keeps = self._of_sendmailconfig if line == _BEGINS else of_apt
        out(f"   | {clean(line)}")

    def _of_sendmailconfig(self, line: str) -> bool:
        if line in self._told or not _MATTERS.search(line):
            return False
        self._told.add(line)
        return True

    def end(self) -> None:
        """The command has ended."""
        left_out, self._keeps, self._left_out = self._left_out, None, 0
        self._told.clear()
        if left_out:
            more = count(left_out, "more line")
            out(f"   | ... {more} of its output: `-v` shows them, {log.PATH} has them")


def _of_apt(line: str) -> bool:
    return not _OF_GIT.match(line)
