"""The editor of /etc/shorewall/rules and /etc/shorewall6/rules, and the reader of zones and interfaces (shorewall-rules(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wizard.editors import EditError, newline_of

_SECTION = re.compile(r"\s*\??SECTION\s+(\w+)", re.IGNORECASE)


def rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The number (from 0) and the columns of each line that is no comment; lines joined by a backslash are one."""
    joined, first = "", 0
    for number, raw in enumerate(text.split("\n")):
        line = raw.rstrip("\r")
        if not joined:
            first = number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        columns = (joined + line).partition("#")[0].split()
        joined = ""
        if columns:
            yield first, columns


def zones(text: str) -> dict[str, str]:
    """Each zone with its type: `firewall`, `ip`, `ipv4`, `ipv6`, `bport`, ... (shorewall-zones(5))."""
    return {
        columns[0].partition(":")[0]: columns[1] if len(columns) > 1 else "ip"
        for _, columns in rows(text)
        if not columns[0].startswith("?")
    }


def interfaces(text: str) -> dict[str, str]:
    """The zone of each network device (shorewall-interfaces(5)); physical= tells of a logical name."""
    zone_of = {}
    for _, columns in rows(text):
        if columns[0].startswith("?") or len(columns) < 2 or columns[0] == "-":
            continue
        physical = re.search(r"\bphysical=([^,\s]+)", columns[-1])
        zone_of[physical.group(1) if physical else columns[1].partition(":")[0]] = columns[0]
    return zone_of


def opens(text: str, zone: str, port: int) -> bool:
    """Whether a line accepts TCP connections from all of `zone` to `port` of the firewall itself."""
    for _, columns in rows(text):
        word, source, target = (*columns, "", "")[:3]
        if source not in (zone, "all", "any", "all+") or target not in ("$FW", "fw", "all"):
            continue
        action = word.partition(":")[0]
        if {"SMTP(ACCEPT)": 25, "Submission(ACCEPT)": 587, "SMTPS(ACCEPT)": 465}.get(action) == port:
            return True
        if action == "ACCEPT" and columns[3:4] in (["tcp"], ["6"]) and _names(columns[4:5], port):
            return len(columns) == 5 or all(column == "-" for column in columns[5:])
    return False


def add(text: str, block: str) -> str:
    """`block` at the end of the section NEW; a file without sections has one in front of it.

    Raises EditError where a section follows that is only allowed before it."""
    newline = newline_of(text)
    sections = [match.group(1).upper() for line in text.split("\n") if (match := _SECTION.match(line))]
    if sections and sections[-1] != "NEW" and "NEW" in sections:
        why = f"section {sections[-1]} follows NEW"
        raise EditError(None, "", why, "`shorewall check` says what is wrong")
    inside = "NEW" in sections or (not sections and any(True for _ in rows(text)))
    head = "" if inside else f"?SECTION NEW{newline}"
    glue = "" if not text or text.endswith("\n") else newline
    return text + glue + head + block.replace("\n", newline)


def _names(column: list[str], port: int) -> bool:
    known = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465}
    for part in (column[0] if column else "").split(","):
        low, _, high = part.partition(":")
        first = known.get(low, int(low) if low.isdigit() else -1)
        last = known.get(high, int(high) if high.isdigit() else first)
        if first <= port <= last:
            return True
    return False
