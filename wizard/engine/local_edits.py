"""What the admin did, since a step was applied, to the very lines that it is about to write again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from snapshots.format.secret_text import PasswordMask, hidden
from snapshots.live.entry import Kind
from snapshots.visible import visible_bytes
from wizard.changes.file import FileChange
from wizard.console import count
from wizard.engine.in_force import applied
from wizard.model.plan import Plan
from wizard.system.host import Host
from wizard.system.links import real

if TYPE_CHECKING:
    from snapshots.live.entry import Entry
    from snapshots.store import Store

LABELS = ("yours, as it is now", "as the step left it", "as the step would make it")
_PEM = b"-----BEGIN "
_SHOWN = 40
"""Lines of each version that are shown."""


@dataclass(frozen=True)
class OwnEdit:
    """A file in which the step would undo work of the admin: its path, and three versions of the lines, for people.
    Nothing secret is in them."""

    path: str
    text: str


def own_edits(host: Host, store: Store, plan: Plan) -> tuple[OwnEdit, ...]:
    """The files that the step has written before, and would now write where the admin did, or will once its commands have run:
    nobody is asked then. Raises StoreError, HostError."""
    changes = [change for change in plan.changes if isinstance(change, FileChange)]
    if not (changes or plan.then) or store.head() is None:
        return ()
    last = next((commit for commit in applied(store.history()) if commit.step == plan.step), None)
    if last is None:
        return ()
    paths = [*(change.path for change in changes), *(path for path, _ in plan.then)]
    names = {path: real(host, path).lstrip("/") for path in paths}  # which the history has, behind a link
    left = store.entries(last, names.values())
    then = ((path, now, left[names[path]]) for path, now in plan.then)
    changes += [FileChange(path, now, again) for path, now, again in then if _is_written_again(now, again)]
    edits = ((change.path, met(left[names[change.path]], change)) for change in changes)
    return tuple(OwnEdit(path, text) for path, text in edits if text)


def _is_written_again(now: Entry | None, left: Entry | None) -> bool:
    """Whether a step writes much the same there each time. A certificate is another one each time, and is renewed meanwhile."""
    return (
        left is not None
        and left.kind is Kind.FILE
        and not any(_PEM in side.content for side in (left, now) if side)
    )


def met(left: Entry | None, change: FileChange) -> str:
    """The three versions of what the admin changed since `left` and `change` would change again; empty without any."""
    now, then = change.before, change.after
    if now == left or then == now:
        return ""
    lines = list(_metadata(left, now, then))
    versions = _versions(*(side.content.splitlines() if side else [] for side in (now, left, then)))
    mask = PasswordMask(change.path)
    instead = hidden(change.path, *(side.content for side in (now, left, then) if side))
    if any(versions) and instead:
        return "\n".join([*lines, instead])
    for label, version in zip(LABELS, versions, strict=True) if any(versions) else ():
        shown = map(mask.line, version[:_SHOWN] or [b"(not there)"])
        lines += [f"{label}:", *(f"  {visible_bytes(line)}" for line in shown)]
        lines += [f"  ... {count(len(version) - _SHOWN, 'line')} more"] if len(version) > _SHOWN else []
    return "\n".join(lines)


def _metadata(left: Entry | None, now: Entry | None, then: Entry | None) -> Iterator[str]:
    if left is None or now is None or then is None:
        return
    sides = (now, left, then)
    fields: Mapping[str, tuple[str, ...]] = {
        "mode": tuple(f"{each.mode:04o}" for each in sides),
        "owner": tuple(f"{each.uid}:{each.gid}" for each in sides),
        "kind": tuple(each.kind.value for each in sides),
    }
    for word, (mine, its, planned) in fields.items():
        if mine != its and mine != planned:
            yield f"{word}: {mine} {LABELS[0]}, {its} {LABELS[1]}, {planned} {LABELS[2]}"


def _versions(now: list[bytes], left: list[bytes], then: list[bytes]) -> tuple[list[bytes], ...]:
    """The lines in question: as they are, as they were left, as they would be."""
    mine, planned = _regions(now, left), _regions(now, then)
    pairs = [(one, other) for one in mine for other in planned if _meet(one, other)]
    met_mine = [one for one in mine if any(one is pair[0] for pair in pairs)]
    met_planned = [other for other in planned if any(other is pair[1] for pair in pairs)]
    return (
        [line for one in met_mine for line in now[one.start : one.end]],
        [line for one in met_mine for line in one.other],
        [line for other in met_planned for line in other.other],
    )


@dataclass(frozen=True)
class _Region:
    """Lines `start` to `end` of what is there, which another version has as `other`."""

    start: int
    end: int
    other: tuple[bytes, ...]


def _meet(mine: _Region, planned: _Region) -> bool:
    if set(filter(bytes.strip, mine.other)) & set(planned.other):
        return True  # what was deleted comes again, wherever that is
    touch = mine.start <= planned.end and planned.start <= mine.end
    return touch and (bool(mine.other) or max(mine.start, planned.start) < min(mine.end, planned.end))


def _regions(now: list[bytes], other: list[bytes]) -> list[_Region]:
    codes = SequenceMatcher(None, now, other, autojunk=False).get_opcodes()
    return [_Region(i, j, tuple(other[k:m])) for tag, i, j, k, m in codes if tag != "equal"]
