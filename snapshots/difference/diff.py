"""What a commit changed, as text for people: metadata in words, text files as git's unified diff."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from snapshots.difference.scan import What
from snapshots.difference.tree import Comparison, Difference, RawChange
from snapshots.format import layout
from snapshots.format.metadata import Metadata
from snapshots.format.secret_text import PasswordMask, hidden, may_be_of_a_key
from snapshots.git.object_reader import ObjectReader
from snapshots.git.repository import GitRepository
from snapshots.live.entry import Kind, is_large
from snapshots.visible import visible, visible_bytes

_HUGE = "1m"
"""Files larger than this are named, not shown."""


def difference_text(repository: GitRepository, compared: Comparison) -> str:
    """The text for the differences between two commits; for the first commit a list of what it holds.

    Control characters are shown as escapes; what `secret_text` hides is not shown. Raises StoreError.
    """
    patches = _patches(repository, compared.raw, compared.before, compared.after) if compared.before else {}
    lines: list[str] = []
    for one in compared.differences:
        name = visible(os.fsdecode(one.path))
        lines += [f"{name}: {line}" for line in metadata_lines(one)]
        lines += map(visible_bytes, patches.get(one.path, ()))
    return "".join(line + "\n" for line in lines)


def metadata_lines(one: Difference) -> list[str]:
    """What differs beside the content, such as `mode 0640 -> 0600`, `owner root -> smmta`."""
    before, after = one.before, one.after
    if before is None or after is None:
        there = after or before
        return [f"{one.what}, {_described(there)}"] if there else []
    lines = []
    if one.what is What.KIND or before.special != after.special:
        lines.append(f"{_kind(before)} -> {_kind(after)}")
    if before.mode != after.mode:
        lines.append(f"mode {before.mode:04o} -> {after.mode:04o}")
    if before.uid != after.uid:
        lines.append(f"owner {_change(before.owner, before.uid, after.owner, after.uid)}")
    if before.gid != after.gid:
        lines.append(f"group {_change(before.group, before.gid, after.group, after.gid)}")
    old, new = dict(before.xattrs), dict(after.xattrs)
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            lines.append(f"attribute {name} removed")
        elif name not in old:
            lines.append(f"attribute {name} added ({len(new[name])} bytes)")
        elif old[name] != new[name]:
            lines.append(f"attribute {name} changed ({len(new[name])} bytes)")
    return lines


def _described(there: Metadata) -> str:
    owner, group = there.owner or there.uid, there.group or there.gid
    text = f"{_kind(there)}, mode {there.mode:04o}, owner {owner}, group {group}"
    return ", ".join((text, *(f"attribute {name}" for name, _ in there.xattrs)))


def _kind(there: Metadata) -> str:
    if is_large(there.special):
        size, time = map(int, there.special.split(":")[1:])
        when = datetime.fromtimestamp(time // 1_000_000_000, UTC).isoformat(" ", "seconds")
        return f"large file ({size} bytes of {when}, content not kept)"
    return there.special if there.kind is Kind.SPECIAL else there.kind.value


def _change(old_name: str, old: int, new_name: str, new: int) -> str:
    if old_name == new_name:  # the name moved to another number
        return f"{old_name}({old}) -> {new_name}({new})" if old_name else f"{old} -> {new}"
    return f"{old_name or old} -> {new_name or new}"


def _patches(
    repository: GitRepository, raw: list[RawChange], before: str, after: str
) -> dict[bytes, list[bytes]]:
    """Git's patch for each live path, by path."""
    output = repository.run(
        "-c", f"core.bigFileThreshold={_HUGE}", "diff-tree", "-r", "-p", "--no-renames", "--no-color",
        "--no-ext-diff", "--no-textconv", before, after,
        "--", ".", f":(exclude){layout.METADATA.decode()}", f":(exclude){layout.RECORD.decode()}",
    )  # fmt: skip
    sections: list[list[bytes]] = []
    for line in output.split(b"\n")[:-1]:
        if line.startswith(b"diff --git "):
            sections.append([])
        sections[-1].append(line)
    # The sections come in the order of the tree; a file that became a link, or the reverse, has two.
    patches: dict[bytes, list[bytes]] = {}
    remaining = iter(sections)
    with ObjectReader(repository) as reader:
        for one in raw:
            if layout.is_live(one.name):
                patch = [line for _ in range(2 if one.type_changed else 1) for line in next(remaining)]
                path = layout.from_tree(one.name)
                patches[path] = _shown(reader, os.fsdecode(path), one, patch)
    return patches


def _shown(reader: ObjectReader, path: str, one: RawChange, patch: list[bytes]) -> list[bytes]:
    """The patch without what is secret. Only where a line could be of a key the whole contents are looked at."""
    sides = [name for name in (one.before, one.after) if name]
    contents = reader.read(sides) if may_be_of_a_key(b"\n".join(patch)) else []
    if instead := hidden(path, *contents):
        return [instead.encode()]
    return list(map(PasswordMask(path).line, patch))
