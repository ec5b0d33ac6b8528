"""What an older version has recorded below a folder that is a symbolic link: where it really is."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping

from snapshots.difference.tree import Comparison, read_entries, read_folders
from snapshots.git.processes import ObjectReader
from snapshots.live.entry import Entry, Kind

Pairs = Mapping[str, tuple[Entry | None, Entry | None]]
"""By path: what it was before a commit, and after."""
_MOST = 40


def behind_links(reader: ObjectReader, head: str, compared: Comparison, changed: Pairs) -> Pairs:
    """What a commit changed, each by the name under which the newest commit, `head`, has it. What a link leads to that is not
    below /etc is in no commit, and left out. Raises StoreError."""
    folders = {path[:at] for path in changed for at, letter in enumerate(path) if letter == "/"}
    above = read_folders(reader, compared.after, {os.fsencode(posixpath.dirname(path)) for path in folders})
    kinds = {
        path: above[os.fsencode(posixpath.dirname(path))].get(os.fsencode(posixpath.basename(path)))
        for path in folders
    }
    if not any(kind is not None and kind.kind is Kind.SYMLINK for kind in kinds.values()):
        return changed
    placed: dict[str, tuple[Entry | None, Entry | None]] = {}
    for path, (before, after) in changed.items():
        place = _place(reader, head, path)
        if place == path:
            placed[path] = before, after
        elif place.startswith("etc/"):
            there = read_entries(reader, compared.before or "", [os.fsencode(place)])[os.fsencode(place)]
            placed[place] = before or there, after
    return placed


def _place(reader: ObjectReader, head: str, path: str) -> str:
    """The path with the links of its folders followed, as they are in the commit."""
    ahead, behind, followed = path.split("/")[::-1], list[str](), 0
    while ahead and followed <= _MOST:
        name = ahead.pop()
        if name in ("", ".", ".."):
            behind = behind[:-1] if name == ".." else behind
            continue
        behind.append(name)
        there = os.fsencode("/".join(behind))
        entry = read_entries(reader, head, [there])[there] if ahead else None
        if entry is not None and entry.kind is Kind.SYMLINK:
            target = os.fsdecode(entry.content)
            behind = [] if target.startswith("/") else behind[:-1]
            ahead += target.split("/")[::-1]
            followed += 1
    return "/".join(behind)
