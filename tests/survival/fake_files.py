"""Files below a fake root, written as the programs of a system write them: beside the place, then renamed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = os.geteuid() == 0
"""Whether we may give files away."""

NEW = ".dpkg-new"


def put(path: Path, content: str, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Write the file whole, with the mode, and for root with the owner. Raises OSError; then nothing is left."""
    draft = path.with_name(
        path.name + ("+" if path.name in ("passwd", "group", "group-", "passwd-") else NEW)
    )
    try:
        _write(draft, content, mode, owner)
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _write(draft: Path, content: str, mode: int, owner: tuple[int, int] | None) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, content.encode())
        if draft.stat().st_mode & 0o7777 != mode:
            draft.chmod(mode)
        if owner and ROOT:
            os.chown(draft, *owner)
    finally:
        os.close(descriptor)


def rewrite(path: Path, content: str) -> None:
    """A new content with the mode and the owner that the file has."""
    found = path.stat()
    put(path, content, found.st_mode & 0o7777, (found.st_uid, found.st_gid))


def text(path: Path) -> str:
    """The content, empty where there is no such file."""
    return path.read_text() if path.is_file() else ""


def make_folders(path: Path) -> None:
    """The folder, and those that it is in."""
    if not path.is_dir():
        make_folders(path.parent)
        path.mkdir()


def drop(path: Path) -> None:
    """Remove it, if it is there."""
    if path.is_symlink() or path.exists():
        path.unlink()


def drop_folder(path: Path) -> None:
    """Remove the folder with all that is in it, whoever put it there."""
    if path.is_dir():
        shutil.rmtree(path)


def undated(content: str) -> str:
    """The content without the lines that say when it was made."""
    return "".join(line for line in content.splitlines(keepends=True) if not line.startswith("# made at"))


State = tuple[str, int, int, int, bytes, tuple[tuple[str, bytes], ...]]
"""Kind, mode, owner, group, content, attributes."""


def picture(root: Path, *folders: str) -> dict[str, State]:
    """Everything in the folders, and these themselves: what a file system keeps of them but the times."""
    found: dict[str, State] = {}
    for folder in folders:
        if (root / folder).is_dir():
            found[folder] = _state(root / folder)
        for place, names, files in os.walk(root / folder):
            for name in (*names, *files):
                path = Path(place) / name
                found[str(path.relative_to(root))] = _state(path)
    return found


def _state(path: Path) -> State:
    seen = path.lstat()
    kind, content = "other", b""
    if path.is_symlink():
        kind, content = "symlink", os.fsencode(path.readlink())
    elif path.is_dir():
        kind = "folder"
    elif path.is_file():
        kind, content = "file", path.read_bytes()
    names = sorted(os.listxattr(path, follow_symlinks=False))
    xattrs = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    return kind, seen.st_mode & 0o7777, seen.st_uid, seen.st_gid, content, xattrs


def differences(before: dict[str, State], after: dict[str, State]) -> list[str]:
    """What is not the same, a line each."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one != other:
            lines.append(f"{path}: {_shown(one)} -> {_shown(other)}")
    return lines


def _shown(state: State | None) -> str:
    if state is None:
        return "absent"
    kind, mode, uid, gid, content, xattrs = state
    return f"{kind} {mode:04o} {uid}:{gid} {content[-200:]!r} {dict(xattrs) or ''}".rstrip()
