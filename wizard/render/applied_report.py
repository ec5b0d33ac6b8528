"""What was done on this host, for the file: steps, diffs, how to undo. Only what anybody on the host may read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from templates import html_page, render
from wizard.changes.file import file_diff
from wizard.engine.in_force import applied
from wizard.engine.overview import Overview
from wizard.model.plan import Sign
from wizard.steps import STEPS

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from snapshots.store import Store

_WORDS = {Sign.OK: "ok", Sign.WARNING: "warning", Sign.FAILED: "FAILED", Sign.UNKNOWN: "unknown"}
LONGEST = 200
"""Lines of one diff; generated files have thousands."""


def report(form: str, overview: Overview, store: Store | None) -> str:
    """The report as `md` or `html`. Raises StoreError."""
    states = overview.states
    markdown = render(
        "report.md.j2",
        host=overview.facts.fqdn or overview.facts.hostname,
        release=overview.facts.release.name,
        when=_now(),
        steps=[(step, states[step.id], overview.plans[step.id].reason) for step in STEPS],
        done=[
            (commit, [(f"/{path}", _diff(path, *pair)) for path, pair in store.changes(commit).items()])
            for commit in reversed(applied(overview.commits))
        ]
        if store
        else [],
        checks=[(_WORDS[check.sign], check.says) for check in overview.checks],
    )
    return html_page(markdown) if form == "html" else markdown


def _now() -> str:
    return time.strftime("%F %R %Z")


def _diff(path: str, before: Entry | None, after: Entry | None) -> str:
    if any(
        entry is not None and (entry.kind != "file" or not entry.mode & 0o004) for entry in (before, after)
    ):
        return ""
    lines = file_diff(f"/{path}", before, after).splitlines()
    more = [f"... {len(lines) - LONGEST} more lines"] if len(lines) > LONGEST else []
    return "\n".join([*lines[:LONGEST], *more])
