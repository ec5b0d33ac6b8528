"""Three states of a value made one, and of a text, by git's line merge."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from snapshots.errors import StoreError
from snapshots.format.secret_text import HIDDEN, encoded, holds_private_key
from snapshots.git.frame import environment
from snapshots.visible import visible_bytes

_T = TypeVar("_T")

LABELS = ("as it is now", "as the step left it", "as it was before")
"""What the three sides of a conflict are called: ours, the base, theirs."""

_MANY_LINES = 400
"""How many lines of conflicting hunks are shown."""

_CONFLICTS_AT_MOST = 127
_REFUSED = 255
"""The exit status of git merge-file is the number of conflicts, up to the one, or the other."""


class Choice(StrEnum):
    """Whose side a conflict takes: KEEP what is there now, RESTORE what was before; BOTH where two have added lines in
    the same place, and a conflict where they have changed the same ones."""

    KEEP = "keep"
    RESTORE = "restore"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class ContentMerge:
    """Contents made one. `conflict` is empty where there is none, and `content` is ours otherwise. It may
    hold secrets: what shows it is a `Conflict`."""

    content: bytes
    conflict: str = ""


def three_way(base: _T, ours: _T, theirs: _T, choice: Choice | None) -> tuple[_T, bool]:
    """The value that two changes of `base` come to, and whether that is settled: `ours` otherwise."""
    if ours == base:
        return theirs, True
    if theirs in (base, ours):
        return ours, True
    return (theirs if choice is Choice.RESTORE else ours), choice is not None


def merge_text(base: bytes, ours: bytes, theirs: bytes, choice: Choice | None) -> ContentMerge:
    """What `theirs` changed in `base`, done to `ours`; a hunk that both changed goes as `choice` says. Every
    byte that no hunk changes stays as it is in `ours`. What is no text, is encoded, or too large for git, is
    one conflict as a whole. Raises StoreError."""
    sides = (ours, base, theirs)
    if any(b"\0" in side for side in sides):
        return _whole("binary", sides, choice)
    if any(map(encoded, sides)):
        return _whole(HIDDEN[1:-1] if holds_private_key(*sides) else "encoded as PEM", sides, choice)
    runs = (run for side in sides for run in re.findall(rb"^(?:<{7,}|\|{7,}|={7,}|>{7,})", side, re.M))
    size = max((len(run) + 1 for run in runs), default=7)  # longer than anything that looks like a marker
    # A last line without newline gets one inside a hunk: it is taken off again at the end.
    git = _merge_file([side + b"\n" if side[-1:] not in (b"", b"\n") else side for side in sides], size)
    if git.returncode == 0:
        return ContentMerge(_ended(git.stdout, sides, choice))
    if 0 < git.returncode <= _CONFLICTS_AT_MOST:
        merge = _decided(git.stdout, size, ours, choice)
        return merge if merge.conflict else ContentMerge(_ended(merge.content, sides, choice))
    if git.returncode == _REFUSED:
        return _whole("which git does not merge", sides, choice)
    words = visible_bytes(git.stderr).strip()[-500:]
    raise StoreError(f"git merge-file failed with status {git.returncode}: {words}")


def _merge_file(contents: Sequence[bytes], size: int) -> subprocess.CompletedProcess[bytes]:
    """git merge-file, which needs no repository and reads no configuration here."""
    with contextlib.ExitStack() as stack:
        files = []
        for content in contents:  # never on a disk, and under no name: it may be /etc/shadow
            stream = stack.enter_context(os.fdopen(os.memfd_create("merge"), "wb"))
            stream.write(content)
            stream.flush()
            files.append(stream.fileno())
        try:
            return subprocess.run(
                [
                    *("git", "merge-file", "-p", "-q", "--diff3", f"--marker-size={size}"),
                    *(word for label in LABELS for word in ("-L", label)),
                    *(f"/proc/self/fd/{file}" for file in files),
                ],
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


def _ended(merged: bytes, sides: tuple[bytes, bytes, bytes], choice: Choice | None) -> bytes:
    """With a newline at the end, or without: as the side has it that changed it."""
    ours, base, theirs = (side[-1:] in (b"", b"\n") for side in sides)
    newline, _ = three_way(base, ours, theirs, choice)
    return merged if newline else merged.removesuffix(b"\n")


def _decided(merged: bytes, size: int, ours: bytes, choice: Choice | None) -> ContentMerge:
    """The hunks that are no conflict for us, or that `choice` settles, made one; else the rest of them, for people."""
    pieces: list[bytes] = []
    open_hunks: list[bytes] = []
    end = 0
    side = rb"((?s:.*?))"
    markers = (mark + rb"{%d}.*\n" % size for mark in (b"^<", rb"^\|", b"^=", b"^>"))
    for hunk in re.finditer(side.join(markers), merged, re.MULTILINE):
        pieces.append(merged[end : hunk.start()])
        end = hunk.end()
        mine, base, theirs = hunk.groups()
        at = mine.find(base) if base else -1
        if at >= 0 and (at == 0 or mine[at - 1 : at] == b"\n"):
            # All that the change had left is still there in one piece: lines beside it are work of the admin's.
            pieces.append(mine[:at] + theirs + mine[at + len(base) :])
        elif choice is Choice.BOTH and not base:
            pieces.append(mine + theirs)
        elif choice in (Choice.KEEP, Choice.RESTORE):
            pieces.append(mine if choice is Choice.KEEP else theirs)
        else:
            open_hunks.append(hunk[0])
    if open_hunks:
        return ContentMerge(ours, shown(b"".join(open_hunks).removesuffix(b"\n").split(b"\n")))
    return ContentMerge(b"".join(pieces) + merged[end:])


def _whole(why: str, sides: tuple[bytes, bytes, bytes], choice: Choice | None) -> ContentMerge:
    if choice in (Choice.KEEP, Choice.RESTORE):
        return ContentMerge(sides[0] if choice is Choice.KEEP else sides[2])
    sizes = ", ".join(f"{len(content)} bytes {label}" for content, label in zip(sides, LABELS, strict=True))
    return ContentMerge(sides[0], f"content, {why}: {sizes}")


def shown(lines: list[bytes]) -> str:
    """Lines for people: control characters visible, and not too many."""
    text = "\n".join(map(visible_bytes, lines[:_MANY_LINES]))
    left_out = len(lines) - _MANY_LINES
    return f"{text}\n… {left_out} more lines" if left_out > 0 else text
