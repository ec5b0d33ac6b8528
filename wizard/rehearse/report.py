"""A rehearsal's outcome as text, Markdown or HTML. Every word from outside is cleaned."""

from __future__ import annotations

import time
from typing import Any

from templates import html_page, render
from wizard.console import clean
from wizard.rehearse.attribution import PACKAGES, AttributedPath
from wizard.rehearse.outcome import Rehearsal
from wizard.render.text import line_text
from wizard.steps import STEPS

_FILES = {"text": "txt", "md": "md", "html": "md", "screen": "screen"}
_LISTED = 40
"""Paths of one group that are named one by one; more than that, and they are counted."""
_LONGEST = 200
"""Lines of one diff; generated files have thousands."""


def shown(rehearsal: Rehearsal, form: str) -> str:
    """The outcome as `md`, `html`, `text` (what follows the live output) or `screen` (without diffs)."""
    order = [step.id for step in STEPS]
    groups: dict[str, list[AttributedPath]] = {}
    for item in rehearsal.paths:
        if item.by:
            groups.setdefault(item.by, []).append(AttributedPath(clean(item.path), item.how, item.by))
    names = sorted(groups, key=lambda name: (order.index(name) if name in order else len(order), name))
    report = render(
        f"rehearsal.{_FILES[form]}.j2",
        ok=rehearsal.ok,
        verdict=_words(rehearsal.verdict),
        host=clean(rehearsal.host),
        release=clean(rehearsal.release),
        when=time.strftime("%F %R %Z"),
        notes=[_words(note) for note in rehearsal.notes],
        init="systemd" if rehearsal.systemd else "init scripts, as this host does",
        memory=-(-rehearsal.memory >> 20),
        limit=rehearsal.limit >> 20,
        seconds=f"{rehearsal.seconds:.1f}",
        apply_seconds=f"{rehearsal.apply_seconds:.1f}",
        total=len(rehearsal.paths),
        groups=[
            {
                "by": "files of the packages" if name == PACKAGES else name,
                "paths": groups[name],
                "listed": name in order and len(groups[name]) <= _LISTED,
            }
            for name in names
        ],
        unknown=[AttributedPath(clean(item.path), item.how, "") for item in rehearsal.unknown],
        rollback_lines=[_words(line) for line in rollback_lines(rehearsal)],
        conversation=[line_text(**line) for line in rehearsal.login.get("lines", ())],
        login_why=_words(str(rehearsal.login.get("why") or "the rehearsal ended before it")),
        log=[clean(line) for line in rehearsal.log],
        steps=[_step(rehearsal, item) for item in rehearsal.run.get("steps", ())],
        ends=[
            {"id": item["id"], "says": _words(item["says"]), "lines": [clean(line) for line in item["lines"]]}
            for item in rehearsal.ends
        ],
    )
    return html_page(report) if form == "html" else report


def _words(text: str) -> str:
    return " ".join(clean(line).strip() for line in text.splitlines())


def _step(rehearsal: Rehearsal, step: dict[str, Any]) -> dict[str, Any]:
    name = step["step"]
    stops = {"failed": "FAILED", "undecided": "STOPS HERE"}
    stopped = next(
        (word for key, word in stops.items() if rehearsal.run.get(key) == name), str(step["outcome"])
    )
    state = "done" if step["commit"] else stopped
    return {
        "step": name,
        "title": step["title"],
        "reason": _words(step["reason"]),
        "state": state,
        "seconds": f"{rehearsal.step_seconds[name]:.1f}" if name in rehearsal.step_seconds else "",
        "changes": [
            {
                "title": _words(change["title"]),
                "commands": [clean(line) for line in change["commands"]],
                "diff": _diff(change["diff"]),
            }
            for change in step["changes"]
        ],
        "checks": [{"sign": check["sign"], "says": _words(check["says"])} for check in step["checks"]],
    }


def _diff(diff: str) -> str:
    lines = [clean(line) for line in diff.splitlines()]
    more = [f"... {len(lines) - _LONGEST} lines more"] if len(lines) > _LONGEST else []
    return "\n".join([*lines[:_LONGEST], *more])


def rollback_lines(rehearsal: Rehearsal) -> list[str]:
    """What the rollback proved, a sentence each."""
    rollback = rehearsal.rollback
    if not rollback:
        return ["nothing was rolled back: the rehearsal ended before it"]
    if rollback.get("nothing"):
        lines = ["there was nothing to roll back: no step had anything to do"]
    else:
        lines = [f"all steps were rolled back in {rollback.get('took', 0):.1f} s"]
    if rollback.get("failed"):
        lines = [f"FAILED: {rollback['failed']}"]
    lines += [f"FAILED: not undone: {line}" for line in rollback.get("not_undone") or ()]
    lines += [f"left: {line}" for line in rollback.get("left") or ()]
    lines += [f"FAILED: {line}" for line in rehearsal.different]
    lines += [f"FAILED: {item.path} is not as it was before ({item.how})" for item in rehearsal.left]
    if rehearsal.clean:
        lines += [
            "every file is as it was before, with mode, owner and attributes, except logs and the records of apt and dpkg",
            "packages, listeners and what starts at boot are as before",
        ]
    return lines
