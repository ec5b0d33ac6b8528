"""Files that the user names to be written: the one way to them, which replaces nothing but regular files."""

from __future__ import annotations

import errno
import os
import select
import shlex
import stat
import time
from dataclasses import replace
from pathlib import Path

from snapshots.live.entry import Entry, EntryError, Kind, read_entry, write_entry
from wizard.console import clean
from wizard.errors import AnswersError
from wizard.system.links import file_itself

PATIENCE = 3.0
"""Seconds that a pipe without a reader is waited for, and a device or pipe that takes nothing."""


class OutputError(AnswersError):
    """The path cannot be written to: what was to be done, where, why, and what to do. Nothing was changed there."""

    def __init__(self, path: Path, why: str, remedy: str) -> None:
        self.why = why
        where = clean(str(path))
        super().__init__(f"{where} could not be written: {why.rstrip('.')}. Nothing was changed; {remedy}.")


class AlreadyThere(OutputError):
    """A file is there already, and nobody has said that it may be replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "it is there already", "--force replaces it")


def check_output(path: Path, *, force: bool = True) -> None:
    """Raises OutputError when `path` is nothing that `save` would write to; for a look before long work."""
    if _kind(path) == stat.S_IFREG and not force:
        raise AlreadyThere(path)


def save(path: Path, content: str | bytes, mode: int = 0o600, *, force: bool = False) -> str:
    """Write `content` to `path`, text in UTF-8, and say so in a sentence. Raises OutputError.

    A new file has this `mode`; one that is there is replaced only with `force`, in one rename, and keeps its owner, mode
    and attributes. A device, a terminal or a pipe is written to. A folder, a link or a socket is refused."""
    shown = clean(str(path.absolute()))
    held = content.encode() if isinstance(content, str) else content
    match _kind(path):
        case 0:
            _replace(path, Entry(Kind.FILE, mode, os.geteuid(), os.getegid(), held))
            return f"{shown} is written, readable for {'everybody' if mode & 0o004 else 'you alone'}."
        case stat.S_IFREG if not force:
            raise AlreadyThere(path)
        case stat.S_IFREG:
            there = _there(path)
            _replace(path, replace(there, content=held))
            return f"{shown} is replaced; it keeps its owner and its mode, {there.mode:04o}."
        case kind:
            _send(path, kind, held)
            return f"It is written to the {_WORDS[kind]} {shown}."


def keep(path: Path, text: str) -> str:
    """Save the settings of this host, in a folder of their own, and say so. Anybody may read a new file; one that is there keeps
    its owner, mode and attributes. Raises OutputError."""
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
    except PermissionError as error:
        raise OutputError(path, _why(error), "only root can save the settings: run it with sudo") from error
    except OSError as error:
        raise OutputError(path, _why(error), "see what is in the way") from error
    new = Entry(Kind.FILE, 0o644, os.geteuid(), os.getegid())
    try:
        if (kind := _kind(path)) not in (0, stat.S_IFREG):
            raise OutputError(path, f"it is a {_WORDS[kind]}", "")
        _replace(path, replace(_there(path) if kind else new, content=text.encode()))
    except OutputError as error:  # whose remedies are for a file that somebody has named
        raise OutputError(path, error.why, _way_to_keep(path)) from error
    return f"The settings are saved in {clean(str(path))}."


def _way_to_keep(path: Path) -> str:
    """What makes room at `path` for a file of settings; those that a link leads to are not to be lost."""
    where = clean(shlex.quote(str(path)))
    if path.is_symlink() and not path.exists():
        return f"remove the link: `rm {where}`"
    if path.is_symlink():
        return file_itself(str(path))
    if os.path.lexists(path) and not path.is_file():
        return f"move it away: `mv {where} {where}.old`"
    return "make room for it, then save the settings again"


_WORDS = {stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFIFO: "pipe"}
_REFUSED = {
    stat.S_IFDIR: ("it is a folder", "name a file in it"),
    stat.S_IFLNK: (
        "it is a symbolic link, and whoever made it may point it elsewhere",
        "name the file itself, or leave the option out for standard output",
    ),
    stat.S_IFSOCK: ("it is a socket", "name a file"),
}


def _kind(path: Path) -> int:
    """The type of what is there, as stat(2) has it, 0 for nothing. Raises OutputError for what is never written to."""
    try:
        kind = stat.S_IFMT(path.absolute().lstat().st_mode)
    except FileNotFoundError:
        if not path.absolute().parent.is_dir():
            raise OutputError(
                path, "the folder it would be in is not there", "make it, or name another"
            ) from None
        return 0
    except (OSError, ValueError) as error:
        raise OutputError(path, _why(error), "name another file") from error
    if kind in _REFUSED:
        raise OutputError(path, *_REFUSED[kind])
    return kind


def _there(path: Path) -> Entry:
    try:
        entry = read_entry(path.absolute())
    except EntryError as error:
        raise OutputError(path, str(error), "name another file") from error
    if entry is None or entry.kind is not Kind.FILE:
        raise OutputError(path, "it was replaced at this very moment", "try again")
    return replace(entry, mode=entry.mode & 0o777)


def _replace(path: Path, entry: Entry) -> None:
    try:
        write_entry(path.absolute(), entry)
    except EntryError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(path, why, "name another file, or make room for it") from error


def _send(path: Path, kind: int, content: bytes) -> None:
    """Write to what is there already, never making or truncating anything."""
    descriptor = _opened(path)
    try:
        if stat.S_IFMT(os.fstat(descriptor).st_mode) != kind:
            raise OutputError(path, "it was replaced at this very moment", "try again")
        view = memoryview(content)
        while view:
            if not select.select([], [descriptor], [], PATIENCE)[1]:
                raise OutputError(
                    path, "it takes nothing more: its reader has stopped", "see who reads there"
                )
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise OutputError(path, _why(error), "name another file") from error
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return os.open(path, flags)
        except OSError as error:
            if error.errno != errno.ENXIO or not path.is_fifo():
                raise OutputError(path, _why(error), "name another file") from error
            if time.monotonic() > end:
                raise OutputError(path, "nobody reads from this pipe", "start its reader first") from error
        time.sleep(0.05)


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
