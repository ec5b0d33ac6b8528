"""The write-ahead journal: what is about to be done is on disk before it is done.

One JSON object a line, each fsynced before the next move. The file is there exactly as long as a run is at work, so
one that a new start finds belongs to a run that was killed. A last line that is cut off was never acted on. A journal is
believed only when every field of it is what we write; keys that are not known here are let by: another version may write
more, never something else."""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import localtime, strftime, time
from typing import Any

from wizard.changes.records import recall
from wizard.errors import JournalError, NewerError

LARGEST = 64 << 20
"""Bytes of a journal at most."""


@dataclass
class Unfinished:
    """What the journal of a killed run says."""

    operation: str
    """`apply`, `rollback`, or that of a temporary change (`wizard.engine.temporary`)."""
    run: str
    who: str
    since: float
    """Seconds since the epoch."""
    head: str
    """The commit that holds everything as it was before the run."""
    request: dict[str, object]
    """What was asked for, enough to ask for it again."""
    step: str | None = None
    """What was in hand, None between two steps."""
    step_head: str = ""
    """The commit that holds everything as it was before that."""
    changes: list[dict[str, object]] = field(default_factory=list)
    """The changes of it that may have begun, in order: `touches`, and the record of the effect to expect."""
    accepted: list[str] = field(default_factory=list)
    """Ids of endings that somebody was asked about in the run, and accepted."""
    begun: list[str] = field(default_factory=list)
    """The steps that were in hand, now or before, and that somebody has agreed to."""
    declined: list[str] = field(default_factory=list)
    """The steps that were left out, or declined, also half-way."""

    @property
    def unattended(self) -> bool:
        """Whether nobody was to be asked (`--yes`)."""
        return self.request.get("unattended") is True

    @property
    def of_the_howto(self) -> bool:
        """Whether it was for no steps beyond the howto, which `apply` and the screen of the steps do not know."""
        return "extra" not in self.request

    def words(self) -> str:
        """One sentence for the admin."""
        when = strftime("%F %T", localtime(self.since))
        where = f"in {self.step}" if self.step and self.step != self.operation else "half-way"
        return f"`{self.operation}`, begun by {self.who} on {when}, was interrupted {where}"


class Journal:
    """The journal of the run at work.

    States, and the calls between them:

        no run  --begin-->  between steps  --step-->  in hand  --change, as often as needed-->  in hand
        in hand  --settled (recorded, or undone)-->  between steps
        between steps  --finish-->  no run (the file is gone)
        in hand  --finish-->  left open: what could not be undone; a new start finds the file, as after a kill

    `close` ends it in any state: the host is as one of the two ends. Each line is on the disk before the method returns;
    every method that writes raises OSError, and then the move must not be made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.in_hand = False
        """Whether a step has begun and is neither recorded nor undone."""
        self._descriptor: int | None = None

    def begin(self, operation: str, run: str, who: str, head: str, request: dict[str, object]) -> None:
        """The first line of a run; where a killed run is taken up again its lines stay."""
        if self._descriptor is not None:
            return
        known = self.path.exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self.path, flags, 0o600)
        content = self.path.read_bytes() if known else b""
        whole = content.rfind(b"\n") + 1
        if whole != len(content):  # the line at which the run was killed
            os.truncate(self.path, whole)
        if whole:
            return
        self._write(
            schema=SCHEMA, operation=operation, run=run, who=who, since=time(), head=head, request=request
        )
        _sync_folder(self.path.parent)

    def step(
        self,
        name: str,
        head: str,
        accepted: Sequence[str] = (),
        declined: Sequence[str] = (),
        *,
        agreed: bool = True,
    ) -> None:
        """A step begins; `head` is the commit that holds what it will change, `accepted` what was agreed to end, `declined` the
        steps that the run goes without so far. It is not `agreed` to where only others are rolled back before it."""
        ends = {"accepted": list(accepted)} if accepted else {}
        self._write(
            step=name, head=head, **ends, **_without(declined), **({} if agreed else {"agreed": False})
        )
        self.in_hand = True

    def change(self, touches: tuple[str, ...], expected: dict[str, object]) -> None:
        """A change of the step begins: the paths it may write, and what it needs to be undone."""
        self._write(change={"touches": list(touches), "expected": expected})

    def settled(self, declined: Sequence[str] = ()) -> None:
        """The step is recorded, or undone; or one between steps is among those `declined`. Should this line not get to the disk:
        recovery sees the commit, undoes a second time what is undone, and asks a second time."""
        if self._descriptor is not None:  # else not even the first line got to the disk
            with contextlib.suppress(OSError):
                self._write(settled=True, **_without(declined))
        self.in_hand = False

    def finish(self) -> None:
        """The run has ended; the journal stays where something could not be undone."""
        if self._descriptor is not None and not self.in_hand:
            self.close()

    def close(self) -> None:
        """Nothing is half-made."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # should it come back: what is undone is undone twice
            _sync_folder(self.path.parent)

    def _write(self, **line: object) -> None:
        assert self._descriptor is not None
        data = json.dumps(line).encode() + b"\n"
        end = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):  # the next line must not be joined to half of this one
                os.ftruncate(self._descriptor, end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def _without(declined: Sequence[str]) -> dict[str, list[str]]:
    return {"declined": list(declined)} if declined else {}


def unfinished(path: Path) -> Unfinished | None:
    """What the journal at `path` says, None when nothing was begun. Raises JournalError."""
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be read: {error.strerror}") from error
    try:
        return _read(content.split(b"\n")[:-1])
    except NewerError as error:
        raise JournalError(
            f"the journal {path} was written by a newer msa-wizard ({error}). Nothing was changed; run `recover` of that "
            f"version"
        ) from error
    except ValueError as error:
        raise JournalError(
            f"the journal {path} is damaged ({error}). `msa-wizard history` and `msa-wizard status` show how far the "
            f"run came; move the file away when the host is as it should be"
        ) from error


def _content(path: Path) -> bytes:
    """All that a regular file holds; a pipe in its place is not waited for. Raises OSError, JournalError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size > LARGEST:
            raise JournalError(f"the journal {path} cannot be read: it is larger than any journal")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise JournalError(f"the journal {path} cannot be read: it is not a regular file; move it away")
        return file.readall()


def _read(lines: list[bytes]) -> Unfinished | None:
    """Raises NewerError, and ValueError for a line that is not as it should be."""
    if not lines:
        return None
    first = first_line(lines[0])
    unfinished = Unfinished(*(first[name] for name in _FIRST.must))
    for number, line in enumerate(lines[1:], 2):
        fields = later_line(line, number)
        unfinished.declined += [
            name for name in fields.get("declined", ()) if name not in unfinished.declined
        ]
        if "step" in fields:
            if fields.get("agreed", True):
                unfinished.begun.append(fields["step"])
            unfinished.accepted += [str(ending) for ending in fields.get("accepted", ())]
            step = fields["step"], fields["head"]
            if step != (unfinished.step, unfinished.step_head):  # else it was taken up again
                (unfinished.step, unfinished.step_head), unfinished.changes = step, []
        elif "change" in fields:
            unfinished.changes.append(fields["change"])
        else:
            unfinished.step, unfinished.step_head, unfinished.changes = None, "", []
    return unfinished


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


SCHEMA = 1
_LATEST = 1e11
"""Seconds since the epoch: no run began later."""


@dataclass(frozen=True)
class Each:
    """A list of these."""

    shape: Shape


@dataclass(frozen=True)
class Names:
    """An object of any names, each with one of these."""

    shape: Shape


@dataclass(frozen=True)
class Either:
    """One of these; a text stands for itself, None for null."""

    shapes: tuple[Shape | str | None, ...]


@dataclass(frozen=True)
class Fields:
    """An object with these fields, and perhaps those."""

    must: Mapping[str, Shape]
    may: Mapping[str, Shape] = field(default_factory=dict)


Shape = type | Each | Names | Either | Fields
_TEXTS, _MODES, _VERSIONS = Each(str), Names(int), Names(str)
_BEFORE_AND_AFTER = Fields({"before": bool, "after": bool})
_ANSWER = Either((str, bool, int, _TEXTS))

_FIRST = Fields(
    {"operation": str, "run": str, "who": str, "since": float, "head": str, "request": Fields({})}
)
"""As the fields of Unfinished."""
_REQUESTS: dict[str, Fields] = {
    "apply": Fields(
        {"wanted": _TEXTS, "answers": Names(Either((_ANSWER, Names(_ANSWER))))},
        {"extra": Each(Each(Either((str, Fields({}))))), "unattended": bool},
    ),
    "rollback": Fields(
        {
            **dict.fromkeys(("commits", "steps", "dependents", "running"), _TEXTS),
            "everything": bool,
            "choice": Either((None, "keep", "restore")),
        },
    ),
    "debug": Fields({}),
    "recover": Fields({}),
}
"""By operation: what was asked for."""

_PACKAGES_BEFORE = Fields(
    {"before": _VERSIONS, "auto": _TEXTS, "modes": _MODES, "overrides": _TEXTS, "half_way": _TEXTS},
    {"transactions": _TEXTS, "named": _TEXTS, "tops": _TEXTS, "accounts": _TEXTS},
)
_PACKAGES = Fields(
    {"installed": _VERSIONS, "removed": _VERSIONS, "upgraded": _TEXTS},
    {"auto": _TEXTS, "modes": _MODES, "overrides": _TEXTS},
)
_ENTRY = Either(
    (None, Fields({"kind": str, "mode": int, "uid": int, "gid": int, "content": str, "xattrs": Each(_TEXTS)}))
)
_RULE = Fields(
    {"tool": str, "chain": str, "port": int, "family": int},
    {"marked": bool, "shared": bool, "at": Either((None, int))},
)
_EFFECTS: dict[str, Fields] = {
    "file": Fields({"path": str}, {"before": _ENTRY, "after": _ENTRY, "dated": int}),
    "command": Fields({"argv": _TEXTS}, {"output": str, "live": bool}),
    "watch": Fields({"seconds": int}),
    "service": Fields(
        {"name": str, "enabled": _BEFORE_AND_AFTER, "running": _BEFORE_AND_AFTER}, {"init": str}
    ),
    "rules": Fields({"rules": Each(_RULE), "removed": bool, "confirm": int}),
    "lineage": Fields({"name": str, "rules": Each(_RULE)}),
}
"""By kind: the record of an effect; that of packages has two forms."""


def first_line(line: bytes) -> dict[str, Any]:
    """The line with which a run begins. Raises NewerError, or ValueError that says what is wrong with it."""
    fields = _object(line)
    schema = fields.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise ValueError("its first line names no schema")
    if schema > SCHEMA:
        raise NewerError(f"it has schema {str(schema)[:20]}, and this one knows schema {SCHEMA}")
    _check(fields, _FIRST, "line 1")
    if fields["operation"] not in _REQUESTS:
        raise ValueError(f"line 1 is of an operation that is not known, {fields['operation']!r}"[:120])
    for name in ("run", "who", "head"):
        _printable(fields[name], f"line 1: {name}")
    if not 0 <= fields["since"] <= _LATEST:
        raise ValueError("line 1: since is no time")
    _check(fields["request"], _REQUESTS[fields["operation"]], "line 1: request")
    return fields


def later_line(line: bytes, number: int) -> dict[str, Any]:
    """Any line after it: a `step`, a `change` or `settled`. Raises ValueError that says what is wrong with it."""
    fields, where = _object(line), f"line {number}"
    match [name for name in ("step", "change", "settled") if name in fields]:
        case ["step"]:
            may: dict[str, Shape] = {"accepted": _TEXTS, "declined": _TEXTS, "agreed": bool}
            _check(fields, Fields({"step": str, "head": str}, may), where)
            for name in ("step", "head"):
                _printable(fields[name], f"{where}: {name}")
        case ["change"]:
            _check(fields["change"], Fields({"touches": _TEXTS, "expected": Fields({"kind": str})}), where)
            _check_effect(fields["change"]["expected"], where)
        case ["settled"]:
            if fields["settled"] is not True:
                raise ValueError(f"{where}: settled is not true")
            _check(fields, Fields({}, {"declined": _TEXTS}), where)
        case _:
            raise ValueError(f"{where} is of a kind that is not known")
    for name in fields.get("declined", ()):
        _printable(name, f"{where}: declined")
    return fields


def _check_effect(record: dict[str, Any], where: str) -> None:
    kind = record["kind"]
    shape = _EFFECTS.get(kind)
    if kind == "packages":
        shape = _PACKAGES_BEFORE if "before" in record else _PACKAGES
    if shape is None:
        raise ValueError(f"{where} is a change of a kind that is not known, {kind!r}"[:120])
    _check(record, shape, f"{where}: {kind}")
    try:
        recall(record)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: {kind} cannot be read: {error}"[:200]) from error


def _object(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a line is not JSON: {error}"[:200]) from error
    if not isinstance(fields, dict):
        raise ValueError("a line is no JSON object")
    return fields


def _check(value: object, shape: Shape | str | None, where: str) -> None:
    """Raises ValueError where `value` is not of the shape."""
    match shape:
        case Each(inner):
            for member in _known(value, list, where):
                _check(member, inner, where)
        case Names(inner):
            for name, member in _known(value, dict, where).items():
                _check(name, str, where)
                _check(member, inner, f"{where}: {name}"[:200])
        case Fields(must, may):
            fields = _known(value, dict, where)
            for name, inner in (*must.items(), *may.items()):
                if name in fields:
                    _check(fields[name], inner, f"{where}: {name}")
                elif name in must:
                    raise ValueError(f"{where} has no {name}")
        case Either(shapes):
            if not any(_fits(value, one, where) for one in shapes):
                raise ValueError(f"{where} is of the wrong type")
        case type():
            _known(value, shape, where)
        case _:
            if value != shape:
                raise ValueError(f"{where} is something else")


def _fits(value: object, shape: Shape | str | None, where: str) -> bool:
    with contextlib.suppress(ValueError):
        _check(value, shape, where)
        return True
    return False


def _known(value: object, kind: type, where: str) -> Any:
    """It, if it is of the type, as JSON has it; a text has no NUL, for no path and no argument has one."""
    fits = isinstance(value, kind) and not (isinstance(value, str) and "\0" in value)
    if isinstance(value, bool):
        fits = kind is bool
    elif kind is float:
        fits = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    elif kind is int:
        fits = isinstance(value, int) and value.bit_length() <= 64
    if not fits:
        raise ValueError(f"{where} is of the wrong type")
    return value


def _printable(text: str, where: str) -> None:
    if not text.isprintable():
        raise ValueError(f"{where} holds characters that cannot be shown")
