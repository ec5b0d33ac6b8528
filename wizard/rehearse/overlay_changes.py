"""What was written in a clone, read from the overlays' upper folders themselves (the kernel's overlayfs.rst)."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard.system.host import Host
from wizard.system.private_view import is_opaque

_OVERLAY = "trusted.overlay."


@dataclass(frozen=True)
class Row:
    """One path: all that a program can see of it but times. `gone`: it was there, and is not any more."""

    kind: int
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    content: str = ""
    """The sha256 of a file's bytes (where the host has none there: size and time), a link's target, a device's numbers."""
    xattrs: tuple[tuple[str, bytes], ...] = ()

    @property
    def gone(self) -> bool:
        """A whiteout."""
        return self.kind == 0


GONE = Row(0)
Tree = Mapping[str, Row]


def scan(uppers: Iterable[tuple[str, Path]]) -> dict[str, Row]:
    """Every path in the upper folders, by its name in the clone; what an opaque folder hides is gone."""
    tree: dict[str, Row] = {}
    for mount, upper in uppers:
        for path in _walk(upper):
            inside = os.path.join(mount, path.relative_to(upper))  # noqa: PTH118
            row = read(path, digest=os.path.lexists(inside))
            if row is None:
                continue
            tree[inside] = row
            if stat.S_ISDIR(row.kind) and is_opaque(path):
                tree.update(_hidden(inside, path))
    return tree


def _walk(top: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            yield Path(folder, name)


def _hidden(inside: str, upper: Path) -> dict[str, Row]:
    names = Host().names(inside)
    return {f"{inside}/{name}": GONE for name in names if not os.path.lexists(upper / name)}


def read(path: Path, *, digest: bool = True) -> Row | None:
    """What is at `path`; None when nothing is. Without `digest` a file is not read through: it is compared with nothing
    but itself."""
    try:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        if stat.S_ISCHR(kind) and status.st_rdev == 0:
            return GONE
        content = ""
        if stat.S_ISREG(kind) and not digest:
            content = f"{status.st_size} bytes, {status.st_mtime_ns}"
        elif stat.S_ISREG(kind):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        elif stat.S_ISLNK(kind):
            content = str(path.readlink())
        elif stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        xattrs = tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
            if not name.startswith(_OVERLAY)
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Row(kind, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid), content, xattrs)


@dataclass(frozen=True)
class PathChange:
    """A path that is not as it was: `new`, `changed` or `removed`."""

    path: str
    how: str


def changes(before: Tree, after: Tree) -> list[PathChange]:
    """What differs between two scans, sorted by path; what only the second has is compared with the host's own.

    A file that was written again as it was is not a change."""
    differences = []
    for path in sorted(before.keys() | after.keys()):
        old = before[path] if path in before else read(Path(path))
        new = after[path] if path in after else read(Path(path))
        was, now = old is not None and not old.gone, new is not None and not new.gone
        if was and now and old != new:
            differences.append(PathChange(path, "changed"))
        elif now and not was:
            differences.append(PathChange(path, "new"))
        elif was and not now:
            differences.append(PathChange(path, "removed"))
    return differences
