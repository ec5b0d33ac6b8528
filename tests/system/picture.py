"""A picture of a machine's whole file system, and what differs between two of them.

before = picture(machine)
...
assert differences(before, picture(machine)) == []
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.system.machine import Machine

LEFT_OUT = ("/proc", "/sys", "/dev", "/run", "/tmp")
"""Not files, or gone with the next boot."""

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


class Row(NamedTuple):
    """One path: all that a program there can see of it but times, numbers and sizes of inodes."""

    kind: str
    mode: str
    owner: str
    xattrs: tuple[tuple[str, bytes], ...] = ()
    target: str = ""
    """Where a symbolic link leads; the numbers of a device."""
    digest: str = ""
    """The sha256 of a file's content."""


def picture(machine: Machine, top: str = "/", *, left_out: Sequence[str] = LEFT_OUT) -> dict[str, Row]:
    """Every path at and below `top` with what it is, on that one file system; read from outside, by path.

    The machine has to run. Names that are not UTF-8 come with surrogate escapes.
    """
    root = f"/proc/{machine.init_pid}/root"
    mounts = Path(f"/proc/{machine.init_pid}/mountinfo").read_text().splitlines()
    skipped = {_unescaped(line.split()[4]) for line in mounts} - {top} | set(left_out)
    return dict(_rows(root, top, skipped))


def differences(before: dict[str, Row], after: dict[str, Row]) -> list[str]:
    """What differs, in words, sorted by path: `/etc/x: mode 0640 -> 0600`; one line for each thing that differs."""
    said = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        said += [f"{_shown(path)}: {words}" for words in _changes(old, new)]
    return said


def _changes(old: Row | None, new: Row | None) -> Iterator[str]:
    if old is None or new is None:
        if new is not None:
            yield f"new {new.kind}"
        elif old is not None:
            yield f"{old.kind} is gone"
        return
    if old.kind != new.kind:
        yield f"{old.kind} -> {new.kind}"
    for name in ("mode", "owner"):
        if getattr(old, name) != getattr(new, name):
            yield f"{name} {getattr(old, name)} -> {getattr(new, name)}"
    then, now = dict(old.xattrs), dict(new.xattrs)
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield f"xattr {name} {then.get(name)!r} -> {now.get(name)!r}"
    if old.kind == new.kind and old.target != new.target:
        yield f"leads to {old.target} -> {new.target}"
    if old.kind == new.kind and old.digest != new.digest:
        yield "content"


def _rows(root: str, path: str, skipped: set[str]) -> Iterator[tuple[str, Row]]:
    try:
        row = _row(root + path)
    except FileNotFoundError:
        return  # the machine is alive: it was there a moment ago
    yield path, row
    if row.kind != "folder":
        return
    try:
        names = sorted(os.listdir(root + path))  # noqa: PTH208 - in bulk
    except FileNotFoundError:
        return
    for name in names:
        below = f"{path.rstrip('/')}/{name}"
        if below not in skipped:
            yield from _rows(root, below, skipped)


def _row(path: str) -> Row:
    found = os.lstat(path)
    kind = _KINDS[stat.S_IFMT(found.st_mode)]
    names = sorted(os.listxattr(path, follow_symlinks=False))
    target = digest = ""
    if kind == "symbolic link":
        target = os.readlink(path)  # noqa: PTH115
    elif kind == "file":
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    elif kind.endswith("device"):
        target = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return Row(
        kind,
        f"{stat.S_IMODE(found.st_mode):04o}",
        f"{found.st_uid}:{found.st_gid}",
        tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
        target,
        digest,
    )


def _unescaped(mount: str) -> str:
    """A mount point, of which proc(5) writes blanks and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount)


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\n", "\\n")
