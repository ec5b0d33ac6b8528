"""A commit's diff with each generated file in one line: sendmail.cf alone would fill screens."""

from __future__ import annotations

import re

from wizard.model.generated_files import derived

_BEGIN = re.compile(r"diff --git a/(.+) b/\1\Z")
_PATCH = re.compile(r"[ +\-@\\]|index |new file |deleted file |old mode |new mode |Binary ")


def folded(diff: str) -> str:
    """The diff of a commit (git's, as `Store.diff` gives it) where each generated file is a count of its lines."""
    lines: list[str] = []
    generated = ""
    added = removed = 0
    for line in [*diff.splitlines(), ""]:
        if generated and _PATCH.match(line):
            added += line.startswith("+") and not line.startswith("+++ ")
            removed += line.startswith("-") and not line.startswith("--- ")
            continue
        if generated:
            count = f"{added} lines added, {removed} removed" if added or removed else "changed"
            lines.append(f"{generated}: {count}; generated, f shows all of it")
        begin = _BEGIN.match(line)
        generated, added, removed = (begin[1] if begin and derived(begin[1]) else ""), 0, 0
        if not generated:
            lines.append(line)
    return "\n".join(lines[:-1])
