"""How this program came here, and of which commit it is: read from what the build wrote, or from the checkout's git; and the
one file that it was started from."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, BinaryIO

from wizard import __version__

if TYPE_CHECKING:
    from pathlib import Path

_WORDS = {"pyz": "one file", "deb": "Debian package", "wheel": "wheel", "checkout": "checkout", "pip": "pip"}
"""Each kind, as it is shown. pip: built from the source by whoever installed it."""
SOURCE = "source"
"""What the build wrote into the source archive: unpacked it is a checkout, installed it is pip's."""
_TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib takes longer than --version


_started: tuple[object, ...] = ()
"""What `_version` was when the program was started."""


def begin() -> None:
    """From now on `replaced` tells of this program."""
    global _started
    _started = _version()


def replaced() -> bool:
    """Whether another version was put in the place of this one since it began. What it has not needed yet would be of that."""
    return bool(_started) and _started != _version()


def delivery(top: str = _TOP) -> tuple[str, str]:
    """The kind (pyz, deb, wheel, checkout, pip), and the commit, "" where it is not known."""
    kind, commit, *_ = [*_text(f"{top}/wizard/BUILD").split(" "), ""]
    if kind in _WORDS:
        return kind, _hash(commit)
    built_of = _hash(commit) if kind == SOURCE else ""
    if all(os.path.isfile(f"{top}/{name}") for name in ("msa-wizard", "requirements.txt")):  # noqa: PTH113
        return "checkout", _head(f"{top}/.git") or built_of
    return "pip", built_of


def version_line(top: str = _TOP) -> str:
    """Version, how it was installed, and the commit, of a checkout the one that is checked out."""
    kind, commit = delivery(top)
    of = f", commit {commit[:12]}" if commit else ""
    return f"msa-wizard {__version__} ({_WORDS[kind]}{of})"


def as_started() -> list[str]:
    """The words that start this program again as it was started, in the same folder; none where that is not known. A checkout's
    launcher may be a link of another name, and the one file has the name that its admin gave it."""
    started = sys.argv[0]
    if one_file():
        return ["python3", started]
    ours = os.path.basename(started) == "msa-wizard" or os.path.realpath(started) == f"{_TOP}/msa-wizard"  # noqa: PTH119
    return [started] if ours else []


def from_anywhere(*arguments: str) -> str:
    """A command line of ours as another session can run it, in whatever folder it is: a checkout, and the one file, are in no
    PATH, or it is another copy that is there."""
    import shlex
    from shutil import which

    *python, started = as_started() or [""]
    started, found = os.path.abspath(started), which("msa-wizard")  # noqa: PTH100
    in_path = found is not None and os.path.realpath(found) == os.path.realpath(started)
    by_name = in_path or not os.path.isfile(started) or delivery()[0] == "deb"  # noqa: PTH113
    return shlex.join([*(["msa-wizard"] if by_name else [*python, started]), *arguments])


def one_file() -> Path | None:
    """The one file from which this program was started, None where it was started in another way."""
    from pathlib import Path

    try:
        file = Path(sys.argv[0]).absolute().resolve(strict=True)
    except OSError:
        return None
    return file if is_one_file(file) else None


def is_one_file(file: Path | BinaryIO) -> bool:
    """Whether it is msa-wizard.pyz, of whatever version."""
    import zipfile  # as pathlib, only where it is needed: --version need not wait for it

    try:
        with zipfile.ZipFile(file) as outer:
            return {"__main__.py", "program.zip", "first_start.py"} <= set(outer.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _version() -> tuple[object, ...]:
    """Another one after `git pull`, and after something was unpacked over it."""
    try:
        written = os.stat(f"{_TOP}/wizard/__init__.py").st_mtime_ns  # noqa: PTH116
    except OSError:
        written = 0
    return *delivery(_TOP), written


def _head(git: str) -> str:
    """What HEAD is (gitrepository-layout(5)). Read, not asked of git, which refuses root in the checkout of somebody else."""
    # In a worktree and in a submodule .git is a file that names the folder; a worktree shares the branches.
    if link := _text(git).removeprefix("gitdir: "):
        git = os.path.join(os.path.dirname(git), link)  # noqa: PTH118, PTH120
    shared = os.path.join(git, _text(f"{git}/commondir"))  # noqa: PTH118
    head = _text(f"{git}/HEAD")
    if not head.startswith("ref: "):
        return _hash(head)
    name = head[5:]
    if loose := _hash(_text(f"{shared}/{name}")):
        return loose
    packed = [line.split() for line in _text(f"{shared}/packed-refs").splitlines()]
    return next((_hash(each[0]) for each in packed if each[1:] == [name]), "")


def _hash(text: str) -> str:
    return text if len(text) == 40 and not set(text) - set("0123456789abcdef") else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
