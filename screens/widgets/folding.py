"""A commit's diff with the generated files in one line each: sendmail.cf alone would fill screens."""

from __future__ import annotations

import re

from wizard.model.generated_files import derived

_BEGIN = re.compile(r"diff --git a/(.+) b/\1\Z")
_PATCH = re.compile(r"[ +\-@\\]|index |new file |deleted file |old mode |new mode |Binary ")


def folded(diff: str) -> str:
    """The diff (git's, as `Store.diff` gives it) where each generated file is a count of its lines."""
    made: list[str] = []
    inside = ""
    came = went = 0
    for line in [*diff.splitlines(), ""]:
        if inside and _PATCH.match(line):
            came += line.startswith("+") and not line.startswith("+++ ")
            went += line.startswith("-") and not line.startswith("--- ")
            continue
        if inside:
            count = f"{came} lines came, {went} went" if came or went else "changed"
            made.append(f"{inside}: {count}; generated, f shows all of it")
        begin = _BEGIN.match(line)
        inside, came, went = (begin[1] if begin and derived(begin[1]) else ""), 0, 0
        if not inside:
            made.append(line)
    return "\n".join(made[:-1])
