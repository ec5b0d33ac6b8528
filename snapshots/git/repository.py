"""The bare git repository behind the store, through GitPython, shut off from everything around it.

No hook, no signing, no process in the background: the same bytes whoever runs it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from snapshots.errors import StoreError
from snapshots.git.alone import import_alone
from snapshots.git.frame import CONFIG, FORMAT, environment, read_options, read_regular
from snapshots.git.writers import writer_mark
from snapshots.visible import visible_bytes

BRANCH = "refs/heads/main"
SHALLOW = "shallow"
"""The file with which git, too, takes a commit for the beginning of the history."""

_ID = re.compile(rb"[0-9a-f]{40}\n?")
_PACKED = re.compile(rb"^([0-9a-f]{40}) %s$" % BRANCH.encode(), re.MULTILINE)
_MANY_PACKS = 32
_environ_lock = threading.Lock()


@contextlib.contextmanager
def _without_git_variables() -> Iterator[None]:
    """GitPython itself reads GIT_* when it is imported. One thread at a time."""
    with _environ_lock:
        hidden = {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
        for name in hidden:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(hidden)


def _git(path: Path) -> tuple[Any, type[Exception]]:
    """GitPython for the repository at `path`, imported on first use, and what it raises. Raises StoreError."""
    try:
        if shutil.which("git", path=environment()["PATH"]) is None:
            raise ImportError("there is no git in the PATH")
        with _without_git_variables():
            import_alone("git.cmd")
            error: type[Exception] = import_alone("git.exc").GitError
            from snapshots.git.confined import ConfinedGit
    except ImportError as cause:
        raise StoreError(
            f"The snapshot store needs git and GitPython: {cause}. Install the package git."
        ) from cause
    return ConfinedGit(str(path)), error


class GitRepository:
    """Git commands on one bare repository. Every failure of git is a StoreError with what git said."""

    def __init__(self, path: Path) -> None:
        """Opens the repository at `path`. Raises StoreError when it is none, or of a newer program."""
        self.path = path
        self._git, self._git_error = _git(path)
        try:
            number = read_options(path).get("msa-wizard.format")
            if not all((path / folder).is_dir() for folder in ("objects", "refs")):
                raise ValueError("it has no objects or no refs")
        except (OSError, ValueError) as cause:
            raise StoreError(
                f"{str(path)!r} is not a usable git repository ({visible_bytes(str(cause).encode())[:300]}). Bring it back "
                f"from a backup, or move it away to begin a new history."
            ) from cause
        if number != str(FORMAT):
            raise StoreError(
                f"{str(path)!r} has the format {number!r} and this program knows format {FORMAT}: "
                f"use the program that made it, or a newer one."
            )

    @staticmethod
    def create(path: Path) -> None:
        """Makes the repository, whole or not at all. Raises StoreError."""
        draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        git, git_error = _git(draft)
        try:
            draft.mkdir(mode=0o700)
            draft.chmod(0o700)
            # By git itself: what GitPython's init takes for its own differs between its releases.
            how = ["--bare", "--quiet", "--template=", "--initial-branch=main", "--object-format=sha1"]
            git.execute(["git", "init", *how])
            with (draft / "config").open("a") as config:
                for section, option, value in CONFIG:
                    config.write(f"[{section}]\n\t{option} = {value}\n")
            (draft / "config").chmod(0o600)  # git writes it under the umask of the caller
            draft.rename(path)
        except (git_error, OSError) as cause:
            shutil.rmtree(draft, ignore_errors=True)
            raise StoreError(f"The snapshot store {str(path)!r} could not be made: {cause}.") from cause

    def head(self) -> str | None:
        """The id of the newest commit, None before the first. Raises StoreError when it cannot be told."""
        try:
            identity = read_regular(self.path / BRANCH)
        except FileNotFoundError:
            return self._packed_head()
        except (OSError, ValueError) as cause:
            raise self._damaged(str(cause)) from cause
        if not _ID.fullmatch(identity):
            # Never taken for an empty store: a new baseline would hide the whole history.
            raise self._damaged(f"it says {identity[:60]!r}")
        return identity.decode().strip()

    def _packed_head(self) -> str | None:
        """The branch among those that an admin's `git gc` has packed."""
        try:
            match = _PACKED.search(read_regular(self.path / "packed-refs"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as cause:
            raise self._damaged(str(cause)) from cause
        return match[1].decode() if match else None

    def _damaged(self, why: str) -> StoreError:
        return StoreError(
            f"The newest commit of {str(self.path)!r} cannot be told: {BRANCH} is damaged, {why}. "
            f"Nothing was changed; `git fsck --lost-found` there names the commits."
        )

    def run(self, *arguments: str | bytes, stdin: bytes = b"", keep: Sequence[int] = ()) -> bytes:
        """What a git command prints; `keep` as in `start`. Raises StoreError when it fails."""
        process = self.start(*arguments, keep=keep)
        out, err = process.communicate(stdin)
        if process.returncode:
            raise self.failure(os.fsdecode(arguments[0]), process.returncode, err)
        return bytes(out)

    def start(self, *arguments: str | bytes, keep: Sequence[int] = ()) -> Any:
        """A git command as a process with pipes, which has the descriptors `keep`, too. Raises StoreError
        when there is no git to start."""
        try:
            return self._git.execute(
                ["git", *map(os.fsdecode, arguments)], istream=subprocess.PIPE, as_process=True, pass_fds=keep
            )
        except (self._git_error, OSError) as cause:
            raise StoreError(f"git could not be started: {cause}. Install the package git.") from cause

    def join_packs(self, *, fewest: int = _MANY_PACKS) -> None:
        """Joins small packs (each commit adds one) and loose objects, once there are `fewest` packs. What
        fails here fails again, and is said, at the next commit that needs the space; the history is
        unharmed."""
        if sum(1 for _ in self.path.glob("objects/pack/*.pack")) >= fewest:
            with contextlib.suppress(StoreError), writer_mark(self.path) as mark:
                self.run("repack", "--geometric=2", "-d", "-q", keep=[mark])

    def failure(self, command: str, status: int, errors: bytes) -> StoreError:
        """The error for a git command that ended with `status` (negative: killed by that signal)."""
        how = f"was killed by signal {-status}" if status < 0 else f"failed with status {status}"
        text = visible_bytes(errors).strip()[-2000:] or "it printed nothing"
        todo = ""
        if any(words in text for words in ("No space left", "Out of diskspace", "Disk quota exceeded")):
            todo = f" No space left: free some on the file system of {str(self.path)!r}, then do it again."
        elif "Read-only file system" in text:
            todo = (
                f" The file system of {str(self.path)!r} is read-only: mount it writable, then do it again."
            )
        return StoreError(f"git {command} {how} in {str(self.path)!r}: {text}.{todo}")
