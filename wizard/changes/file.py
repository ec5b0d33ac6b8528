"""A file before and after: the diff that is shown is exactly what is written."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from snapshots.errors import StoreError
from snapshots.format.layout import Owners
from snapshots.format.secret_text import PasswordMask, hidden
from snapshots.live.entry import Entry, Kind
from snapshots.live.held import HeldFile
from snapshots.merge.accounts import database
from snapshots.merge.path_merge import EntryMerge, merge_path
from snapshots.merge.three_way import Choice
from snapshots.visible import visible
from wizard.console import count
from wizard.errors import ChangeError, GateError, HostError, StaleError
from wizard.model.claim import Claim
from wizard.model.generated_files import derived, in_order, made_of
from wizard.model.plan import Description
from wizard.system.host import Host, Say, group_name, user_name
from wizard.system.links import inside_etc

ATTEMPTS = 200
"""How often a file that others keep writing to is merged again, within milliseconds each, until a write meets it."""
GATED = 2
"""How often of these the gate, which takes longer, is asked before the write; after that it looks at what was written."""
_WRITERS_END_WITHIN = 1.0
"""The longest wait, in seconds, for somebody who has a replaced file open for writing."""


@dataclass(frozen=True)
class FileEffect:
    """A file that was written; `held` is what it replaced, open, for what others write into that late."""

    path: str
    before: Entry | None
    after: Entry | None
    held: tuple[HeldFile, ...] = field(default=(), compare=False, repr=False)
    dated: int | None = field(default=None, compare=False)
    """When `before` was last changed, in nanoseconds since the epoch: what is made out of a file is told by its date
    whether it must be made again."""

    def undo(self, host: Host, say: Say) -> None:
        """Take out what was written: what others did to the path since stays, also where both wrote the same. Raises
        ChangeError."""
        why = f"undo the change of {self.path}"
        FileChange(self.path, self.after, self.before, why, over=True, dated=self.dated).apply(host, say)

    def claim(self, host: Host) -> Claim:
        """Nothing by evidence: the bytes are known."""
        return Claim()

    def settle(self, host: Host, say: Say) -> None:
        """Bring what others have written into the replaced file since into the one that is there now.

        Raises ChangeError where both wrote the same lines."""
        waiting = list(self.held)
        while waiting:
            held = waiting.pop(0)
            held.wait(_WRITERS_END_WITHIN)  # for those who have opened it, and not written yet
            seen = held.content
            if (late := held.late()) is not None:
                waiting += _bring_over(host, self.path, seen, late, say)
            held.close()

    def record(self) -> dict[str, object]:
        """The path, and the date of what was there; its bytes are in the snapshot itself."""
        date = {} if self.dated is None else {"dated": self.dated}
        return {"kind": "file", "path": self.path, **date}


@dataclass(frozen=True)
class FileChange:
    """`path` goes from `before` to `after` (None: is removed), with a gate only if that accepts it.

    Where the path is no longer `before`: with `over` the change is merged into what is there, and account databases
    are always written so, record by record and under the system's lock; else nothing is written (StaleError)."""

    path: str
    before: Entry | None
    after: Entry | None
    why: str = ""
    gate: FileGate | None = field(default=None, compare=False)
    over: bool = field(default=False, compare=False)
    beside: bool = field(default=False, compare=False)
    """Of a merge: lines that were added in the same place stay beside those of the change."""
    gives: str | None = field(default=None, compare=False, repr=False)
    """Of sendmail.mc or submit.mc: the .cf that its gate saw come out of it when it was planned just now: it is not asked
    again. None where it was not asked yet."""
    dated: int | None = field(default=None, compare=False)
    """The date that `after` is to have (FileEffect.dated), None: of now."""

    kind = "file"

    @property
    def touches(self) -> tuple[str, ...]:
        """The file itself."""
        return (self.path,)

    def describe(self) -> Description:
        """The unified diff, with mode and owner in its heading, and the texts that it is of."""
        title = self.why or f"edit {self.path}"
        before, after = file_texts(self.path, self.before, self.after) or ("", "")
        return Description(title, file_diff(self.path, self.before, self.after), before=before, after=after)

    def expect(self, host: Host) -> FileEffect:
        """The file before and after, where it really is. Raises HostError where that is in no snapshot."""
        path = inside_etc(host, self.path)
        return FileEffect(path, self.before, self.after, dated=host.dated(path))

    def apply(self, host: Host, say: Say) -> FileEffect:
        """Pass the gate, look again, write; what others wrote at that very moment is kept.

        Raises StaleError (nothing was written), or ChangeError: where the merge met lines that both had changed these
        are as they were, and the effect says what was written."""
        accounts = database(self.path.lstrip("/")) is not None
        try:
            with host.accounts_locked() if accounts else contextlib.nullcontext():
                return self._written(host, say, self.over or accounts)
        except (HostError, PermissionError) as error:
            raise ChangeError(f"{error}. Nothing was written") from error

    def _written(self, host: Host, say: Say, over: bool) -> FileEffect:
        passed = self.after if self.gives is not None else None
        if passed is not None:
            say("checked: it was accepted when it was planned")
        met: Entry | None = None
        for attempt in range(ATTEMPTS):
            path = inside_etc(host, self.path)  # others may have made links since it was planned
            old = host.hold(path)
            live, dated = host.entry(path), host.dated(path)
            if old is not None and (live is None or live.content != old.content):
                continue  # written to between these two looks
            merge = self._merged(host, live, over)
            wanted = merge.entry
            if attempt < GATED and self._must_pass(wanted, passed):
                self._let_by(host, wanted, say)
                passed = wanted
                continue
            if wanted != live or self.before == self.after:  # the same once more: with a new date
                try:
                    date = self.dated if wanted == self.after else None
                    met = _put(host, path, wanted, old, say, date)
                except HostError as error:  # nobody knows whether the rename was before it
                    raise ChangeError(str(error), FileEffect(path, live, wanted, dated=dated)) from error
            # What is there already came by what we did before: apt removed it, or a killed run wrote it.
            replaced = self.before if live == self.after else live
            date = dated if replaced == live else None
            effect = FileEffect(path, replaced, wanted, (old,) if old else (), date)
            try:
                effect = (
                    self._bring_back(host, effect, met, say) if met else self._look_again(host, effect, say)
                )
                if self._must_pass(wanted, passed):  # it was written to faster than the gate can look
                    self._let_by(host, host.entry(path), say, effect)
            except (HostError, PermissionError) as error:
                # It cannot be looked at, and is written all the same.
                raise ChangeError(str(error), effect) from error
            if merge.conflicts:
                raise ChangeError(kept_sentence(path, merge), effect)
            return effect
        raise StaleError(f"{self.path} is written to again and again; nothing was written")

    def _must_pass(self, wanted: Entry | None, passed: Entry | None) -> bool:
        return self.gate is not None and wanted is not None and wanted != passed

    def _let_by(self, host: Host, entry: Entry | None, say: Say, effect: FileEffect | None = None) -> None:
        assert self.gate is not None
        try:
            self.gate.check(host, entry.content if entry else b"", say)
        except GateError as error:
            raise ChangeError(str(error), effect) from error

    def _merged(self, host: Host, live: Entry | None, over: bool) -> EntryMerge:
        """What is to be there. Raises StaleError."""
        if live == self.before or live == self.after:
            return EntryMerge(self.after)
        if not over:
            raise StaleError(f"{self.path} has changed since its diff was shown; nothing was written")
        return merged(host, self.path, self.before, live, self.after, Choice.BOTH if self.beside else None)

    def _bring_back(self, host: Host, effect: FileEffect, met: Entry, say: Say) -> FileEffect:
        """Somebody saved another file under this name between our last look and the rename: it is merged, too."""
        seen = next((held.content for held in effect.held), b"")
        if met.kind is not Kind.FILE:
            _put(host, effect.path, met, None, say, None)
            why = f"{effect.path} was replaced by something else at the same time; that stays"
            raise ChangeError(why, effect)
        return _into(host, effect, seen, met.content, say)

    def _look_again(self, host: Host, effect: FileEffect, say: Say) -> FileEffect:
        """What came into the old file while it was replaced goes into the new one, at once."""
        now = host.entry(effect.path)
        for held in effect.held:
            seen = held.content
            if (late := held.late()) is not None:
                return _into(host, effect, seen, late, say)
        if now != effect.after and not (derived(self.path[1:]) or _still_there(effect.after, now)):
            why = f"{effect.path} does not hold what was written; see `dmesg` for file system errors"
            raise ChangeError(why, effect)
        return effect


def merged(
    host: Host,
    path: str,
    base: Entry | None,
    live: Entry | None,
    wanted: Entry | None,
    first: Choice | None = None,
) -> EntryMerge:
    """What the change from `base` to `wanted` makes of what is there; where both changed the same, and `first` does not
    say what is to be, that stays.

    With its conflicts, to be reported. Raises ChangeError when it cannot be merged."""
    try:
        merge, kept = (
            merge_path(path.lstrip("/"), base, live, wanted, choice=choice, owners=Owners(host.root))
            for choice in (first, Choice.KEEP)
        )
    except StoreError as error:
        raise ChangeError(str(error)) from error
    return replace(kept, conflicts=merge.conflicts) if merge.conflicts else merge


Dates = Mapping[str, tuple[Entry | None, int]]
"""By path (relative to the root): what was there before us, and when that was last changed (FileEffect.dated)."""


def in_turn(
    targets: Mapping[str, tuple[Entry | None, Entry | None]], dates: Dates | None = None
) -> list[FileChange]:
    """One change a path (relative to the root), from what it is to what it is to be, merged into what is there then:
    what goes first, deepest first, then what comes or changes, folders before what is in them, and what is made out of
    other files last. What becomes what it was gets the date of it, too; what is made of another file only where that one
    does, since otherwise the next start of sendmail would make it again."""
    dates = dates or {}
    known = {path: date for path, (was, date) in dates.items() if path in targets and targets[path][1] == was}
    known = {path: date for path, date in known.items() if not derived(path) or made_of(path) in known}
    goes = sorted((path for path, (_, after) in targets.items() if after is None), reverse=True)
    comes = in_order(path for path, (_, after) in targets.items() if after is not None)
    changes = []
    for path in (*goes, *comes):
        before, after = targets[path]
        why = f"bring back /{path}" if before is None else f"roll back what was changed in /{path}"
        why = why if after is not None else f"remove /{path}"
        changes.append(FileChange(f"/{path}", before, after, why, over=True, dated=known.get(path)))
    return changes


def dates_of(effects: Iterable[FileEffect]) -> dict[str, tuple[Entry | None, int]]:
    """What was there before the first of the effects on each path, oldest first, and its date."""
    dates: dict[str, tuple[Entry | None, int]] = {}
    for effect in effects:
        if effect.dated is not None:
            dates.setdefault(effect.path.lstrip("/"), (effect.before, effect.dated))
    return dates


def _put(
    host: Host, path: str, entry: Entry | None, old: HeldFile | None, say: Say, dated: int | None
) -> Entry | None:
    """Returns what somebody else has put there in place of `old`, and was replaced."""
    met = None
    if entry is not None:
        met = host.write(path, entry, old, dated)
    elif host.path(path).is_dir() and not host.path(path).is_symlink() and host.names(path):
        say(f"{path} stays: it still holds {host.names(path)[0]}")
        return None
    else:
        host.remove(path)
    say(f"{'removed' if entry is None else 'wrote'} {path}")
    return met


def _into(host: Host, effect: FileEffect, seen: bytes, late: bytes, say: Say) -> FileEffect:
    """As `_bring_over`, for what was just written: the effect with all that was replaced. Raises ChangeError, which says
    what was written."""
    try:
        return replace(effect, held=(*effect.held, *_bring_over(host, effect.path, seen, late, say)))
    except ChangeError as error:
        raise ChangeError(str(error), effect) from error


def _bring_over(host: Host, path: str, seen: bytes, late: bytes, say: Say) -> tuple[HeldFile, ...]:
    """Do to the file at `path` what others did to the one that it replaced. Returns what was replaced now: to that, too,
    somebody may still be writing. Raises ChangeError."""
    now = host.entry(path)
    if now is None or now.kind is not Kind.FILE:
        # Removed by us, and written to by somebody who had it open: it is their file now.
        raise ChangeError(f"{path} was written to while it was removed")
    base, theirs = replace(now, content=seen), replace(now, content=late)
    merge = merged(host, path, base, theirs, now, Choice.BOTH)  # where both changed the same theirs stays
    say(f"{path} was written to at the same time: that is kept")
    effect = FileChange(path, now, merge.entry, over=True, beside=True).apply(host, say)
    if merge.conflicts:
        raise ChangeError(kept_sentence(path, merge))
    return effect.held


def _still_there(wrote: Entry | None, now: Entry | None) -> bool:
    """Whether somebody has only added to what was written, in the instant since."""
    if wrote is None:  # made again by somebody else, or a folder that is not empty
        return True
    if now is None or not wrote.kind is now.kind is Kind.FILE:
        return False
    return set(wrote.content.splitlines()) <= set(now.content.splitlines())


def kept_sentence(path: str, merge: EntryMerge) -> str:
    """What is to be said of a path where both changed the same, and nobody could be asked. What is to be done the caller
    knows: a rollback asks when it is begun again."""
    places = ", ".join(dict.fromkeys(each.what for each in merge.conflicts))
    return f"{path} stays as it is where you have changed the same ({places})"


def file_diff(path: str, before: Entry | None, after: Entry | None) -> str:
    """A unified diff of two entries of one path; mode and owner follow the names. Nothing secret is in it."""
    names = f"{path}  {_metadata(before)}", f"{path}  {_metadata(after)}"
    heading = f"--- {names[0]}\n+++ {names[1]}"
    instead = _instead(path, before, after)
    if before != after and instead:
        return f"{heading}\n{instead}"
    mask = PasswordMask(path)
    lines = difflib.unified_diff(_lines(before, mask), _lines(after, mask), *names, lineterm="")
    text = "\n".join(visible(line, keep="\t") for line in lines)
    return text or (heading if before != after else "")


def file_texts(path: str, before: Entry | None, after: Entry | None) -> tuple[str, str] | None:
    """The texts whose unified diff `file_diff` is, None where it shows none. Nothing secret is in them."""
    if _instead(path, before, after):
        return None
    mask = PasswordMask(path)
    old, new = (
        "".join(f"{visible(line, keep=chr(9))}\n" for line in _lines(entry, mask))
        for entry in (before, after)
    )
    return old, new


def _instead(path: str, before: Entry | None, after: Entry | None) -> str:
    """What is shown in place of the lines, empty where these may be shown."""
    contents = [side.content for side in (before, after) if side]
    if instead := hidden(path, *contents):
        return instead
    if any(b"\0" in content for content in contents):
        return f"(binary, {' -> '.join(count(len(content), 'byte') for content in contents)})"
    return ""


def _lines(entry: Entry | None, mask: PasswordMask) -> list[str]:
    if entry is None:
        return []
    if entry.kind == Kind.SYMLINK:
        return [f"(symbolic link to {entry.content.decode('utf-8', 'replace')})"]
    *lines, last = mask.text(_in_words(entry.content)).decode("utf-8", "replace").split("\n")
    return [*lines, last + "\N{SYMBOL FOR END OF TEXT}"] if last else lines


def _in_words(content: bytes) -> bytes:
    """The content, certificates said in words."""
    if b"-----BEGIN CERTIFICATE-----" not in content:
        return content
    from wizard.certificates import in_words  # slow to import, seldom needed

    return in_words(content)


def _metadata(entry: Entry | None) -> str:
    if entry is None:
        return "(absent)"
    return f"({entry.mode:04o} {user_name(entry.uid)}:{group_name(entry.gid)})"


class FileGate(Protocol):
    """Tries new content out, without touching what is there."""

    def check(self, host: Host, content: bytes, say: Say, /) -> object:
        """Raises GateError where it must not be written: why, and what to do."""
