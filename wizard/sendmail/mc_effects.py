"""What an edit of sendmail.mc changes in the sendmail.cf that m4 makes of it, beyond what its step plans. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wizard.sendmail import cf as sendmail_cf

TRUSTED = "C{TrustAuthMech}"
_OPTION = re.compile(r"O\s+(?P<name>[A-Za-z0-9.]+)[ \t]*(?:=(?P<value>.*))?\Z", re.DOTALL)
_DENIED = '"550 Relaying denied"'
_DENIED_WITH_AUTH = '"550 Relaying denied. Proper authentication required."'


@dataclass(frozen=True)
class Planned:
    """The lines of sendmail.cf that a step means to change: options by their names, TRUSTED among them."""

    sets: frozenset[str] = frozenset()
    """They may change in any way: the gate looks at their values by itself."""
    adds: frozenset[str] = frozenset()
    """They come, where there was none."""
    grows: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """They may gain these words, and lose none."""


def unplanned(old: str, new: str, planned: Planned) -> tuple[str, ...]:
    """The lines that differ between two .cf and that nobody planned, `-` or `+` before each; comments do not count."""
    differing = sendmail_cf.changed(old, new)
    before, after = _values(sendmail_cf.statements(old)), _values(sendmail_cf.statements(new))
    sides = frozenset(differing)
    trusts = TRUSTED in planned.adds and TRUSTED not in before

    def meant(line: str) -> bool:
        parsed = _parsed(line[1:])
        if parsed is None:  # the words of a refusal follow from TRUST_AUTH_MECH, wherever they are
            bare = line[1:].replace(_DENIED_WITH_AUTH, _DENIED)
            pair = {f"-{bare}", f"+{bare.replace(_DENIED, _DENIED_WITH_AUTH)}"}
            return trusts and len(pair) == 2 and line in pair <= sides
        name = parsed[0]
        if name in planned.sets or (name in planned.adds and name not in before):
            return True
        had, has = _words(before.get(name, ())), _words(after.get(name, ()))
        return name in planned.grows and name in before and had <= has and has - had <= planned.grows[name]

    return tuple(line for line in differing if not meant(line))


def _parsed(line: str) -> tuple[str, str] | None:
    if line.startswith(TRUSTED):
        return TRUSTED, line[len(TRUSTED) :]
    match = _OPTION.match(line)
    return (match["name"], match["value"] or "") if match else None


def _values(lines: Iterable[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for parsed in map(_parsed, lines):
        if parsed is not None:
            values.setdefault(parsed[0], []).append(parsed[1])
    return values


def _words(values: Iterable[str]) -> set[str]:
    return {word for value in values for word in re.split(r"[,\s]+", value) if word}
