"""/etc/hosts: which line gives this host its name, and that very line put right (hosts(5)).

The canonical name is the first one of the first line that holds the name that is asked for: `127.0.0.1 localhost mail`
makes localhost of `hostname -f`, whatever the lines below it say (tried on Debian 12 and 13)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"^([ \t]*[0-9A-Fa-f:.%]+[ \t]+)([^#\n]*?)([ \t]*(?:#.*)?\r?)$")


@dataclass(frozen=True)
class HostsLine:
    """One that is in force; `number` counts from 1."""

    number: int
    text: str
    address: str
    names: tuple[str, ...]

    @property
    def local(self) -> bool:
        """Whether it is the one of localhost, which is to keep that name."""
        return any(name.lower().partition(".")[0] == "localhost" for name in self.names)


def naming(text: str, names: Sequence[str]) -> tuple[HostsLine, ...]:
    """The lines that hold one of the names, in capitals or not, with a dot at the end or without."""
    return tuple(line for line in _lines(text) if any(_is(name, names) for name in line.names))


def with_name(text: str, name: str, short: str, line: str) -> str:
    """`text` with the qualified `name` as the canonical one of the host that calls itself `short`: each line that holds
    one of the two gets both in their order, the line of localhost loses them; `line` is added where none is left."""
    rows, mine, left = text.split("\n"), (name, short), False
    for each in naming(text, mine):
        others = [other for other in each.names if not _is(other, mine)]
        new = others if each.local else list(dict.fromkeys((name, short, *others)))
        left = left or not each.local
        if match := _LINE.match(rows[each.number - 1]):
            rows[each.number - 1] = f"{match[1]}{' '.join(new)}{match[3]}"
    whole = "\n".join(rows)
    if left:
        return whole
    return whole + ("" if not whole or whole.endswith("\n") else "\n") + line


def _lines(text: str) -> list[HostsLine]:
    return [
        HostsLine(number, row.strip(), match[1].strip(), tuple(match[2].split()))
        for number, row in enumerate(text.split("\n"), 1)
        if (match := _LINE.match(row))
    ]


def _is(name: str, names: Sequence[str]) -> bool:
    return name.lower().rstrip(".") in [each.lower().rstrip(".") for each in names]
