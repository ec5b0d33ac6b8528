"""Other programs on this terminal for a while: a shell, the admin's editor. The screen is back, as it was, after them."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from textual.app import App, SuspendNotSupported


def shell(app: App[int]) -> None:
    """The admin's shell."""
    _run(app, [os.environ.get("SHELL") or "/bin/sh"], "A shell. `exit` brings msa-wizard back.")


def edit(app: App[int], path: Path) -> bool:
    """A file in the admin's editor: VISUAL, EDITOR, or Debian's sensible-editor. Whether that ended well."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "sensible-editor"
    return _run(app, [*shlex.split(editor), str(path)], f"{path}: leave the editor to come back.")


def _run(app: App[int], argv: Sequence[str], words: str) -> bool:
    try:
        with app.suspend():
            print(words)
            return subprocess.run(argv, check=False).returncode == 0
    except (SuspendNotSupported, OSError, ValueError) as problem:
        app.notify(f"That could not be started here: {problem}", markup=False)
        return False
