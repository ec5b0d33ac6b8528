"""Programs that take the terminal for a while: the admin's shell and editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import App, SuspendNotSupported

from wizard.console import clean_block

if TYPE_CHECKING:
    from screens.base import Wizard


def shell(app: App[int]) -> None:
    """The admin's shell."""
    _run(app, os.environ.get("SHELL") or "/bin/sh", (), "A shell. `exit` brings msa-wizard back.")


EDITORS = ("sensible-editor", "editor", "nano", "vi")
"""Tried in this order where neither VISUAL nor EDITOR names one."""


def edit(app: App[int], path: Path) -> None:
    """A file in the admin's editor: VISUAL, EDITOR, or one of EDITORS."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    editor = named or next(filter(shutil.which, EDITORS), "")
    if editor:
        _run(app, editor, (str(path),), f"{path}: leave the editor to come back.")
    else:
        _tell(
            app, f"This host has no editor that is known here. Set EDITOR, or edit {path} in another session."
        )


def _tell(app: App[int], words: str) -> None:
    """A notification of what went wrong, cleaned."""
    app.notify(clean_block(words), severity="error", markup=False)


def _run(app: App[int], command: str, more: Sequence[str], words: str) -> None:
    problem = ""
    try:
        argv = [*shlex.split(command), *more]
        with app.suspend():
            try:  # inside: Textual takes the terminal back only where its body raises nothing
                print(words)
                code = subprocess.run(argv, check=False).returncode
                problem = f"it ended with status {code}" if code and more else ""
            except OSError as error:
                problem = error.strerror or str(error)
        cast("Wizard", app).backend.changed()  # by hand
    except (SuspendNotSupported, ValueError) as error:
        problem = str(error)
    if problem:
        _tell(app, f"`{command}` did not work here: {problem}.")
