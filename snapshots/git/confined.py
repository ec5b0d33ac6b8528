"""GitPython's Git with every command cut off from the caller's environment. Imports git: import it late.

No GIT_* variable, no configuration of the user or the machine, no signal of the terminal reaches git.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from git.cmd import Git

from snapshots.git.frame import environment


class ConfinedGit(Git):
    """Runs git in an environment of our own making, in a session of its own."""

    def execute(self, command: str | Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        """Runs `command` ("git" and its arguments), see GitPython."""
        fixed = {**environment(), "GIT_DIR": str(self.working_dir)}
        confined = ["env", "-i", *(f"{name}={value}" for name, value in fixed.items()), "git", *command[1:]]
        # An own session: Ctrl-C and a dropped line go to the program, which decides; a commit is not torn.
        return super().execute(confined, *args, start_new_session=True, umask=0o077, **kwargs)
