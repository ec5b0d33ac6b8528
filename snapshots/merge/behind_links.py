"""What was recorded below a folder that is a symbolic link: where it really is. Somebody has put the link there since, or an
older version has recorded it so."""

from __future__ import annotations

import os
from collections.abc import Mapping

from snapshots.difference.tree import Comparison, read_entries, read_folders
from snapshots.format import layout
from snapshots.git.processes import ObjectReader
from snapshots.live.entry import Entry, Kind

Pairs = Mapping[str, tuple[Entry | None, Entry | None]]
"""By path: what it was before a commit, and after."""
_MOST = 40


def behind_links(reader: ObjectReader, head: str, compared: Comparison, changed: Pairs) -> Pairs:
    """What a commit changed, each by the name under which the newest commit, `head`, has it. What lies below a link that it
    has itself put there keeps its name, and so does what a link leads to that is not below /etc. Raises StoreError."""
    links = _links(reader, head, changed)
    placed: dict[str, tuple[Entry | None, Entry | None]] = {}
    for path, (before, after) in changed.items():
        behind = any(path.startswith(f"{link}/") for link in links)
        place = _place(reader, head, path) if behind else path
        if place == path or not place.startswith("etc/"):
            placed[path] = before, after
            continue
        name = os.fsencode(place)
        there = read_entries(reader, compared.before or "", [name])[name]
        placed[place] = before or there, after
    return placed


def _links(reader: ObjectReader, head: str, changed: Pairs) -> list[str]:
    """The folders of what was changed that are links now, and were not made so by the same commit."""
    folders = {
        path[:at] for path in changed for at, letter in enumerate(path) if letter == "/"
    } - changed.keys()
    names = {folder: layout.split(os.fsencode(folder)) for folder in folders}
    above = read_folders(reader, head, {parent for parent, _ in names.values()})
    kinds = {folder: above[parent].get(name) for folder, (parent, name) in names.items()}
    return sorted(folder for folder, kind in kinds.items() if kind is not None and kind.kind is Kind.SYMLINK)


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
