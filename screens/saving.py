"""A file that the admin has named is written; one that is there already only after a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from screens.base import PAGES, Frame
from screens.dialog import Dialog, headline, keys, scrolled
from screens.sentences import sentence
from wizard.console import clean
from wizard.errors import AnswersError
from wizard.system.output_file import AlreadyThere, save

FOR_USERS = 0o644
"""The mode of what is meant for others; all else is for the admin alone."""


class ConfirmReplace(Dialog[bool]):
    """True: the file may be replaced. Keeping it is the default."""

    HEADING = "Replace a file"
    HELP_TEXT = """
y writes over the file, whose content is not kept anywhere. Enter, n and Esc write nothing: choose another name then.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Replace"),
        Binding("n,escape,enter", "dismiss(False)", "Keep it"),
        *PAGES,
    ]
    SCROLLED = "#content"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        """Which file it is, and the two keys."""
        with Vertical(classes="dialog tall"):
            yield headline("! This file exists already")
            yield scrolled(f"{clean(str(self._path))}\n\nWhat it holds now would be lost.")
            yield keys(("y", "replace it"), ("Enter", "keep it, and write nothing (n and Esc too)"))


def named(name: str) -> str:
    """The file of this name, for a command in which no shell puts the home in the place of a tilde."""
    try:
        return str(Path(name).expanduser())
    except RuntimeError:  # no such account, which is said when it is saved
        return name


def save_asking(screen: Frame[Any], name: str, text: str, mode: int = 0o600) -> None:
    """Write `text` to the file of this name, and say so on the screen; ask first where it would replace one."""
    try:
        path = Path(name).expanduser().absolute()
    except (RuntimeError, OSError) as problem:  # no such account; a working folder that is gone
        screen.say(clean(f"{name}: {problem}. Nothing was written."))
        return

    def write(force: bool | None) -> None:
        try:
            screen.say(f"✓ {save(path, text, mode, force=bool(force))}")
        except AlreadyThere:
            screen.app.push_screen(ConfirmReplace(path), lambda yes: write(True) if yes else kept())
        except AnswersError as problem:
            screen.say(sentence(problem))

    def kept() -> None:
        screen.say("Nothing was written.")

    write(False)
