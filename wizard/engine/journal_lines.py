"""What the lines of the journal must hold. A journal is believed only when every field of it is what we write.

Keys that are not known here are let by: another version may write more, never something else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wizard.changes.records import recall
from wizard.errors import NewerError

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
    {"operation": str, "run": str, "who": str, "since": float, "head": str, "request": Fields({})},
)
_REQUESTS: dict[str, Fields] = {
    "apply": Fields(
        {"wanted": _TEXTS, "answers": Names(Either((_ANSWER, Names(_ANSWER))))},
        {"extra": Each(Each(Either((str, Fields({})))))},
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
    (
        None,
        Fields(
            {
                **{"kind": str, "mode": int, "uid": int, "gid": int, "content": str},
                "xattrs": Each(_TEXTS),
            }
        ),
    )
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
            _check(fields, Fields({"step": str, "head": str}, {"accepted": _TEXTS}), where)
            for name in ("step", "head"):
                _printable(fields[name], f"{where}: {name}")
        case ["change"]:
            _check(fields["change"], Fields({"touches": _TEXTS, "expected": Fields({"kind": str})}), where)
            _check_effect(fields["change"]["expected"], where)
        case ["settled"]:
            if fields["settled"] is not True:
                raise ValueError(f"{where}: settled is not true")
        case _:
            raise ValueError(f"{where} is of a kind that is not known")
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
            for name, inner in must.items():
                if name not in fields:
                    raise ValueError(f"{where} has no {name}")
                _check(fields[name], inner, f"{where}: {name}")
            for name, inner in may.items():
                if name in fields:
                    _check(fields[name], inner, f"{where}: {name}")
        case Either(shapes):
            if not any(_fits(value, one, where) for one in shapes):
                raise ValueError(f"{where} is of the wrong type")
        case type():
            _known(value, shape, where)
        case _:
            if value != shape:
                raise ValueError(f"{where} is something else")


def _fits(value: object, shape: Shape | str | None, where: str) -> bool:
    try:
        _check(value, shape, where)
    except ValueError:
        return False
    return True


def _known(value: object, kind: type, where: str) -> Any:
    if not _is(value, kind):
        raise ValueError(f"{where} is of the wrong type")
    return value


def _is(value: object, kind: type) -> bool:
    """Whether it is of the type, as JSON has it; a text has no NUL, for no path and no argument has one."""
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if kind is int:
        return isinstance(value, int) and value.bit_length() <= 64
    return isinstance(value, kind) and not (isinstance(value, str) and "\0" in value)


def _printable(text: str, where: str) -> None:
    if not text.isprintable():
        raise ValueError(f"{where} holds characters that cannot be shown")
