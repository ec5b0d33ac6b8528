"""/etc/hosts: which line gives this host its name, and that very line put right (hosts(5)).

The canonical name is the first one of the first line that holds the name that is asked for: `127.0.0.1 localhost mail`
makes localhost of `hostname -f`, whatever the lines below it say (tried on Debian 12 and 13)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"^([ \t]*[0-9A-Fa-f:.%]+[ \t]+)([^#\n]*?)([ \t]*(?:#.*)?)$")


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
    rows, mine, left = text.splitlines(keepends=True), (name, short), False
    for found in naming(text, mine):
        others = [each for each in found.names if not _is(each, mine)]
        new = others if found.local else list(dict.fromkeys((name, short, *others)))
        left = left or not found.local
        row = rows[found.number - 1]
        match = _LINE.match(row.rstrip("\r\n"))
        assert match is not None, "it was read"
        rows[found.number - 1] = (
            f"{match[1]}{' '.join(new)}{match[3]}{row[len(row.rstrip(chr(13) + chr(10))) :]}"
        )
    whole = "".join(rows)
    if left:
        return whole
    return whole + ("" if not whole or whole.endswith("\n") else "\n") + line


def _lines(text: str) -> list[HostsLine]:
    found = []
    for number, row in enumerate(text.splitlines(), 1):
        if match := _LINE.match(row):
            found.append(HostsLine(number, row.strip(), match[1].strip(), tuple(match[2].split())))
    return found


def _is(name: str, names: Sequence[str]) -> bool:
    return name.lower().rstrip(".") in [each.lower().rstrip(".") for each in names]
