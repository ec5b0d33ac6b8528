"""The editor of rules files of iptables-restore(8): /etc/iptables/rules.v4 and rules.v6, and ufw's user.rules."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.editors import EditError, newline_of
from wizard.packet_filter.iptables import filter_table

_END_OF_RULES = "### END RULES ###"


def insert(text: str, chain: str, place: int | None, lines: Sequence[str]) -> str:
    """`lines` before the rule at `place` (from 1) of `chain` of the filter table, at the chain's end for None.

    Raises EditError where the text has no such table or chain."""
    table, remedy = filter_table(text), "save the rules again with `netfilter-persistent save`"
    if table.commit is None or chain not in table.declared:
        raise EditError(None, "", f"there is no chain {chain} with its COMMIT in a table *filter", remedy)
    rules = table.of(chain)
    if place is not None and not 1 <= place <= len(rules):
        raise EditError(None, "", f"chain {chain} has no rule {place}", remedy)
    end = rules[-1].number + 1 if rules else table.commit
    return _insert_at(text, end if place is None else rules[place - 1].number, lines)


def insert_ufw(text: str, blocks: Sequence[str]) -> str:
    """ufw's own way to write a rule: a `### tuple ###` with its rules, then an empty line, at the end of the rules.

    Raises EditError where the mark of that end is missing."""
    marks = [number for number, line in enumerate(text.split("\n")) if line.strip() == _END_OF_RULES]
    if len(marks) != 1:
        why = f"there is not one line `{_END_OF_RULES}`"
        raise EditError(None, "", why, "`ufw reload` says what is wrong with the file")
    lines = [line for block in blocks for line in (*block.rstrip("\n").split("\n"), "")]
    return _insert_at(text, marks[0], lines)


def _insert_at(text: str, number: int, lines: Sequence[str]) -> str:
    ending = "\r" if newline_of(text) == "\r\n" else ""
    rows = text.split("\n")
    return "\n".join((*rows[:number], *(line + ending for line in lines), *rows[number:]))
