"""What fixes are made of: a file or a setting written, a daemon restarted, a check."""

from __future__ import annotations

import dataclasses
from typing import Literal

from snapshots.live.entry import Entry, Kind
from wizard.changes.file import FileChange
from wizard.changes.service import ServiceChange
from wizard.editors import shell_defaults
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign


def written(path: str, entry: Entry | None, text: str, why: str) -> FileChange:
    """The change that gives the file this text (Latin-1); a new one is root's, and anybody may read it."""
    content = text.encode("latin-1")
    new = Entry(Kind.FILE, 0o644, 0, 0, content)
    return FileChange(
        path, entry, dataclasses.replace(entry, content=content) if entry is not None else new, why
    )


def setting(facts: Facts, path: str, key: str, value: str, why: str) -> FileChange | None:
    """The change of one setting of a file that sh reads; None where it has that value, or there is no file.

    Raises EditError."""
    entry, text = facts.files.get(path), facts.text(path)
    if entry is None or text is None or shell_defaults.value(text, key) == value:
        return None
    return written(path, entry, shell_defaults.set_value(text, key, value), why)


def restart(facts: Facts, name: str, signal: Literal["", "CONT", "KILL"] = "") -> ServiceChange:
    """Restart `name`, sendmail or saslauthd; undo stops it again where it did not run. `signal` goes first to a daemon
    that runs."""
    running = facts.saslauthd_runs if name == "saslauthd" else facts.sendmail_runs
    return ServiceChange(
        name, facts.init, enable=False, was_running=running, signal=signal if running else ""
    )


def not_regular(step: str, path: str, what: str = "is not a regular file") -> Plan:
    """Blocked, since the file at `path` is none that can be written."""
    return Plan.blocked(step, f"{path} {what}", f"look at it: `ls -l {path}`")


def verdict(name: str, fine: bool, says: str) -> list[Check]:
    """The one check of a fix."""
    return [Check(name, Sign.OK if fine else Sign.FAILED, says)]
