"""A file that a step edits: what is said where it is not there, or is not a regular file; else its change."""

from __future__ import annotations

from dataclasses import replace

from wizard.changes.file import FileChange, FileGate
from wizard.model import facts as f
from wizard.model.facts import Facts
from wizard.model.plan import Plan
from wizard.system.links import file_itself


def not_there_yet(facts: Facts, step: str, path: str, *shown: str) -> Plan | None:
    """A plan that explains why `path` cannot be planned on now, None when it can (or is simply absent).

    `shown` are lines that say what will be done once it is there."""
    if path in facts.unreadable:
        return Plan.unseen(step, f"{path} can only be read by root; run this as root to see the diff", shown)
    entry = facts.files.get(path)
    if entry is None:
        if "install" in facts.planned:
            return Plan.later(step, f"once {_bringer(path)[0]} {path}", shown)
        return None
    if entry.kind == "symlink":
        target = entry.content.decode("utf-8", "replace")
        why = f"{path} is a symbolic link (to {target!r}); msa-wizard writes to regular files only"
        return Plan.blocked(step, why, file_itself(path))
    if entry.kind != "file":
        return Plan.blocked(step, f"{path} is not a regular file", f"look at it: `ls -ld {path}`")
    return None


def _bringer(path: str) -> tuple[str, str]:
    """Who will have brought the file, and brings it: of Sendmail.conf the package has only what Debian's script makes it of."""
    if path == f.SASL_CONF:
        return "update_auth has made", "update_auth makes"
    return "the packages have brought", "the package ships"


def as_wanted(facts: Facts, step: str, path: str, reason: str, notes: tuple[str, ...] = ()) -> Plan:
    """Already done because `reason`; not before the packages have brought the file."""
    if path not in facts.assumed:
        return Plan.done(step, reason, notes)
    return Plan.later(step, f"nothing to change as {_bringer(path)[1]} it: {reason}", notes)


def assumed_note(facts: Facts, path: str) -> tuple[str, ...]:
    """Says that the diff is on the package's text, when it is."""
    note = (
        f"planned on {path} as {_bringer(path)[1]} it; the real file is looked at again before it is written"
    )
    return (note,) if path in facts.assumed else ()


def edited(facts: Facts, path: str, text: str, title: str, gate: FileGate | None = None) -> FileChange:
    """The regular file at `path` with this text; its mode and owner stay."""
    entry = facts.files[path]
    assert entry is not None
    return FileChange(path, entry, replace(entry, content=text.encode("latin-1")), title, gate)
