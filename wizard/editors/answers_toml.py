"""The editor of answers.toml: a setting is changed where it stands, and all else stays as the admin has written it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wizard.editors import EditError

Value = bool | int | str | Sequence[str]
_COMMENT = re.compile(r"(?:\"(?:\\.|[^\"\\])*\"|'[^']*'|[^\"'#])*#(.*)")


def set_value(text: str, name: str, value: Value | None) -> str:
    """The setting `name` (listen.ipv6, accept) set to `value`, or left out with None. Its comments stay, and those within a
    list are above it then. A new one comes below a commented-out one, else at the end of its section. Raises EditError where
    `text` is no TOML."""
    raw = text.rstrip("\r\n").split("\n")
    lines, end = [line.removesuffix("\r") for line in raw], "\r" if "\r\n" in text else ""
    raw[-1] += end
    statements = list(_statements(lines))
    section = name.rpartition(".")[0]
    statement = next((each for each in statements if name in each.values), None)
    if statement is None and value is not None:
        statement = next((each for each in statements if each.inline == section != ""), None)
    if statement is not None:
        new = _changed(statement, lines[statement.start : statement.end], name, value)
        raw[statement.start : statement.end] = [line + end for line in new]
    elif value is not None:
        at, new = _place(lines, statements, name, value)
        raw[at:at] = [line + end for line in new]
    return "\n".join(raw) + "\n"


@dataclass(frozen=True)
class _Statement:
    """A header, or a key with its value: its lines, the section that it is in, and what it sets by the settings' names."""

    start: int
    end: int
    section: str
    values: dict[str, Value]
    inline: str
    """The section that it holds whole, as { } in a line."""


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    section, end = "", 0
    while end < len(lines):
        start, end = end, end + 1
        bare = lines[start].strip()
        if not bare or bare.startswith("#"):
            continue
        while (table := _table(lines[start:end])) is None:  # a list or a string goes on in the next line
            end += 1
            if end > len(lines):
                raise EditError(start + 1, bare, "this is no TOML", "put it right by hand")
        if bare.startswith("["):
            section, table = next(iter(table)), {}
        inline = next(iter(table)) if re.match(r"[^=]*=[ \t]*\{", bare) else ""
        yield _Statement(start, end, section, dict(_named(table, section)), inline)


def _table(lines: Sequence[str]) -> dict[str, object] | None:
    try:
        return tomllib.loads("\n".join(lines))
    except ValueError:
        return None


def _named(values: dict[str, object], section: str) -> Iterator[tuple[str, Value]]:
    for key, value in values.items():
        name = f"{section}.{key}" if section else key
        if isinstance(value, dict):
            yield from _named(value, name)
        else:
            yield name, value  # type: ignore[misc]


def _changed(statement: _Statement, lines: Sequence[str], name: str, value: Value | None) -> list[str]:
    """The lines of the statement with this value."""
    comments, behind = _comments(lines, any(isinstance(each, list) for each in statement.values.values()))
    if statement.inline:  # which nothing can be added to: it becomes a line for each
        values = {**statement.values, name: value}
        own = [_line(key, new) for key, new in values.items() if new is not None]
    else:
        key = re.match(r"[^=]*=[ \t]*", lines[0])
        assert key is not None
        own = [] if value is None else [f"{key[0]}{_toml(value)}"]
    if own:
        own[-1] += behind
    else:
        comments = [*comments, *filter(None, [behind.strip()])]
    return [*comments, *own]


def _comments(lines: Sequence[str], is_list: bool) -> tuple[list[str], str]:
    """Those within a list, and the one behind the value with the space before it."""
    *before, last = lines
    within = [comment[1].strip() for line in before if is_list and (comment := _COMMENT.match(line))]
    behind = ""
    for mark in re.finditer(r"[ \t]*#", last):
        if _table([*before, last[: mark.start()]]) is not None:
            behind = last[mark.start() :]
            break
    return [f"# {words}" for words in within if words], behind


def _place(
    lines: Sequence[str], statements: Sequence[_Statement], name: str, value: Value
) -> tuple[int, list[str]]:
    """Where a setting that is not there comes, and its lines."""
    section, _, key = name.rpartition(".")
    dotted = [each for each in statements if any(other.startswith(f"{section}.") for other in each.values)]
    own = [each for each in statements if each.section == section]
    if section and not own:
        if dotted:
            return dotted[-1].end, [_line(name, value)]
        return len(lines), ["", f"[{section}]", _line(key, value)]
    begin = own[0].start if section else 0
    end = min(
        (each.start for each in statements if each.section != section and each.start >= begin),
        default=len(lines),
    )
    occupied = {number for each in statements for number in range(each.start, each.end)}
    for number in sorted({*range(begin, end)} - occupied):
        if re.match(rf"[ \t]*#[ \t]*{key}[ \t]*=", lines[number]):
            return number + 1, [_line(key, value)]
    return (own[-1].end, [_line(key, value)]) if own else (0, [_line(key, value), ""])


def _line(name: str, value: Value) -> str:
    return f"{name} = {_toml(value)}"


def _toml(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)
