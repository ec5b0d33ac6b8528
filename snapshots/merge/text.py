"""Three states of a text made one, by git's line merge."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence

from snapshots.errors import StoreError
from snapshots.format.secret_text import HIDDEN, encoded, holds_private_key
from snapshots.git.frame import environment
from snapshots.merge.three_way import LABELS, Choice, ContentMerge, three_way
from snapshots.visible import visible_bytes

_MANY_LINES = 400
"""How many lines of conflicting hunks are shown."""

_CONFLICTS_AT_MOST = 127
_REFUSED = 255
"""The exit status of git merge-file is the number of conflicts, up to the one, or the other."""


def merge_text(base: bytes, ours: bytes, theirs: bytes, choice: Choice | None) -> ContentMerge:
    """What `theirs` changed in `base`, done to `ours`; a hunk that both changed goes as `choice` says.

    Every byte that no hunk changes stays as it is in `ours`. What is no text, is encoded, or too large for
    git, is one conflict as a whole. Raises StoreError.
    """
    sides = (ours, base, theirs)
    if any(b"\0" in content for content in sides):
        return _whole("binary", sides, choice)
    if any(map(encoded, sides)):
        return _whole(HIDDEN[1:-1] if holds_private_key(*sides) else "encoded as PEM", sides, choice)
    # A last line without newline gets one inside a hunk: it is taken off again at the end.
    whole = tuple(side + b"\n" if side[-1:] not in (b"", b"\n") else side for side in sides)
    size = _marker_size(sides)
    labels = [word for label in LABELS for word in ("-L", label)]
    with _in_memory((whole[0], whole[1], whole[2])) as files:
        # Never on a disk, and under no name: it may be /etc/shadow.
        names = [f"/proc/self/fd/{file}" for file in files]
        arguments = ("-p", "-q", "--diff3", f"--marker-size={size}", *labels, *names)
        status, merged, errors = _merge_file(arguments, files)
    if status == 0:
        return ContentMerge(_ended(merged, sides, choice))
    if 0 < status <= _CONFLICTS_AT_MOST:
        decided = _decided(merged, size, ours, choice)
        return decided if decided.conflict else ContentMerge(_ended(decided.content, sides, choice))
    if status == _REFUSED:
        return _whole("which git does not merge", sides, choice)
    raise StoreError(f"git merge-file failed with status {status}: {visible_bytes(errors).strip()[-500:]}")


def _merge_file(arguments: Sequence[str], files: Sequence[int]) -> tuple[int, bytes, bytes]:
    """Status, output and error of git merge-file, which needs no repository and reads no configuration here."""
    try:
        process = subprocess.run(
            ["git", "merge-file", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            pass_fds=files,
            env={**environment(), "GIT_CEILING_DIRECTORIES": "/"},
            cwd="/proc",
            start_new_session=True,
        )
    except OSError as cause:
        raise StoreError(f"git could not be started: {cause}. Install the package git.") from cause
    return process.returncode, process.stdout, process.stderr


def _ended(merged: bytes, sides: tuple[bytes, bytes, bytes], choice: Choice | None) -> bytes:
    """With a newline at the end, or without: as the side has it that changed it."""
    ours, base, theirs = (side[-1:] in (b"", b"\n") for side in sides)
    newline, _ = three_way(base, ours, theirs, choice)
    return merged if newline else merged.removesuffix(b"\n")


def _decided(merged: bytes, size: int, ours: bytes, choice: Choice | None) -> ContentMerge:
    """The hunks that are no conflict for us, or that `choice` settles, made one; else the rest of them, for people."""
    pieces: list[bytes] = []
    open_hunks: list[bytes] = []
    for piece in _pieces(merged, size):
        if isinstance(piece, bytes):
            pieces.append(piece)
            continue
        mine, base, theirs, shown_as = piece
        at = mine.find(base) if base else -1
        if at >= 0 and (at == 0 or mine[at - 1 : at] == b"\n"):
            # All that the change had left is still there in one piece: lines beside it are work of the admin's.
            pieces.append(mine[:at] + theirs + mine[at + len(base) :])
        elif choice is Choice.BOTH and not base:
            pieces.append(mine + theirs)
        elif choice in (Choice.KEEP, Choice.RESTORE):
            pieces.append(mine if choice is Choice.KEEP else theirs)
        else:
            open_hunks.append(shown_as)
    if open_hunks:
        return ContentMerge(ours, shown(b"".join(open_hunks).removesuffix(b"\n").split(b"\n")))
    return ContentMerge(b"".join(pieces))


def _pieces(merged: bytes, size: int) -> Iterator[bytes | tuple[bytes, bytes, bytes, bytes]]:
    """What git merged: text without conflict, and the hunks as (ours, base, theirs, all of it with its markers)."""
    parts: list[list[bytes]] = [[]]
    hunk: list[bytes] = []
    for line in re.findall(rb"[^\n]*\n", merged):
        mark = line[:size]
        inside = bool(hunk)
        if not inside and mark == b"<" * size:
            yield b"".join(parts[0])
            parts, hunk = [[]], [line]
            continue
        if not inside:
            parts[-1].append(line)
            continue
        hunk.append(line)
        if mark in (b"|" * size, b"=" * size):
            parts.append([])
        elif mark == b">" * size:
            mine, base, theirs = (b"".join(part) for part in parts)
            yield mine, base, theirs, b"".join(hunk)
            parts, hunk = [[]], []
        else:
            parts[-1].append(line)
    yield b"".join(parts[0])


def _whole(why: str, sides: tuple[bytes, bytes, bytes], choice: Choice | None) -> ContentMerge:
    if choice in (Choice.KEEP, Choice.RESTORE):
        return ContentMerge(sides[0] if choice is Choice.KEEP else sides[2])
    sizes = ", ".join(f"{len(content)} bytes {label}" for content, label in zip(sides, LABELS, strict=True))
    return ContentMerge(sides[0], f"content, {why}: {sizes}")


@contextlib.contextmanager
def _in_memory(contents: tuple[bytes, ...]) -> Iterator[list[int]]:
    with contextlib.ExitStack() as stack:
        files = []
        for content in contents:
            descriptor = os.memfd_create("merge")
            stack.callback(os.close, descriptor)
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content)
            files.append(descriptor)
        yield files


def _marker_size(contents: tuple[bytes, ...]) -> int:
    """Longer than anything in the contents that looks like a marker."""
    markers = (
        run for content in contents for run in re.findall(rb"^(?:<{7,}|\|{7,}|={7,}|>{7,})", content, re.M)
    )
    return max((len(run) + 1 for run in markers), default=7)


def shown(lines: list[bytes]) -> str:
    """Lines for people: control characters visible, and not too many."""
    text = "\n".join(map(visible_bytes, lines[:_MANY_LINES]))
    left_out = len(lines) - _MANY_LINES
    return f"{text}\n… {left_out} more lines" if left_out > 0 else text
