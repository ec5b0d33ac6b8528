"""A sendmail.mc that does not say what it means to: the word that is misspelt, the quote that is open, and the text that
puts it right, as far as m4 itself agrees.

m4 minds none of these but a file that it cannot open, and copies what it does not know (docs/debian.md trap 1)."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from snapshots.live.entry import Kind
from wizard.editors import EditError, sendmail_mc
from wizard.errors import HostError, WizardError
from wizard.model import facts as f
from wizard.model.facts import Facts, McFault
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.m4 import Expansion, expand_text
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Store

STEP = "mend-sendmail-mc"
"""The step that writes that text."""
_MOST = 20
"""How many texts of the history are tried: m4 takes 25 ms for each."""
_PARTS = "/usr/share/sendmail/cf"
_OPENED = re.compile(
    rf"(?:m4:)?\S*sendmail\.mc:(\d+): cannot open `{_PARTS}/(feature|mailer|ostype|domain|hack)/([^/'\s]+)\.m4'"
)
"""What m4 says of FEATURE(`name') where there is no such file."""
_END = re.compile(r"[')\s]*(?:dnl\b[^\n]*)?\Z")


def fault(host: Host, facts: Facts, history: Callable[[], Store | None]) -> McFault | None:
    """What is wrong with the live sendmail.mc, None where nothing is.

    `history` is asked only where the words themselves do not say how to put it right."""
    text = facts.text(f.SENDMAIL_MC) if facts.euid == 0 and "m4" in facts.tools else None
    if text is None:
        return None
    try:
        expansion = expand_text(host, text.encode("latin-1"))
    except HostError:
        return None
    words, new = _typos(host, text, expansion)
    opened = _never_closed(text)
    if opened is not None:
        words.insert(0, (opened.line or 0, opened.text.strip(), opened.why))
        new = _closed(text, opened)
    if not words and len(expansion.text) >= sendmail_cf.SMALLEST:
        return None
    line, shown, why = words[0] if words else (0, "", "m4 does not accept it")
    seen = McFault(line, shown, why, typo=opened is None and bool(words))
    if new != text and _accepted(host, facts, new):
        return replace(seen, text=new.encode("latin-1"))
    with contextlib.suppress(StoreError, WizardError, OSError):  # without a history there is none
        store = history()
        for commit, old in islice(_texts(store), _MOST) if store is not None else ():
            if old != text and _accepted(host, facts, old):
                return replace(seen, text=old.encode("latin-1"), commit=commit)
    return seen


def _typos(host: Host, text: str, expansion: Expansion) -> tuple[list[tuple[int, str, str]], str]:
    """Line, word and what is wrong with it, of macros and of names that sendmail has no file for; and the text with the
    near ones in their place."""
    typos = [
        (int(line), kind, name, _near_file(host, kind, name))
        for line, kind, name in _OPENED.findall(expansion.messages)
    ]
    made = expansion.text
    with contextlib.suppress(EditError):
        typos += [
            (line, "macro", name, near)
            for line, name, near in sendmail_mc.unknown_macros(text)
            if not sendmail_cf.statements(made) or sendmail_cf.holds(made, name)
        ]
    lines, words = text.split("\n"), []
    for line, kind, name, near in sorted(typos):
        nearest = f" (the nearest is {near})" if near else ""
        words.append((line, name, f"sendmail has no {kind} {name}{nearest}"))
        if near and line <= len(lines):
            lines[line - 1] = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", near, lines[line - 1], count=1)
    return words, "\n".join(lines)


def _near_file(host: Host, kind: str, name: str) -> str:
    names = [each.removesuffix(".m4") for each in host.names(f"{_PARTS}/{kind}")]
    return next(iter(difflib.get_close_matches(name, names, 1, 0.75)), "")


def _never_closed(text: str) -> EditError | None:
    try:
        sendmail_mc.check(text)
    except EditError as error:
        return error if "never closed" in error.why else None
    return None


def _closed(text: str, error: EditError) -> str:
    """The text with the line ended as one of DAEMON_OPTIONS or define ends."""
    lines = text.split("\n")
    at = (error.line or 1) - 1
    lines[at] = _END.sub("')dnl", lines[at], count=1)
    return "\n".join(lines)


def _texts(store: Store) -> Iterator[tuple[str, str]]:
    """The texts of sendmail.mc in the history, newest first, each behind the short id of its commit."""
    path = f.SENDMAIL_MC.lstrip("/")
    for commit in store.history(path=path):
        entry = store.entries(commit, [path])[path]
        if entry is not None and entry.kind is Kind.FILE:
            yield commit.short, entry.content.decode("latin-1")


def _accepted(host: Host, facts: Facts, text: str) -> bool:
    """Whether m4 makes a whole sendmail.cf of it, nothing is copied or left open, and it has each port of the live one."""
    try:
        sendmail_mc.check(text)
        new = expand_text(host, text.encode("latin-1"))
        unknown = any(sendmail_cf.holds(new.text, name) for _, name, _ in sendmail_mc.unknown_macros(text))
    except (EditError, HostError):
        return False
    ports, live = (
        {each.port for each in sendmail_cf.daemons(cf)} for cf in (new.text, facts.text(f.SENDMAIL_CF) or "")
    )
    return (
        new.code == 0
        and len(new.text) >= sendmail_cf.SMALLEST
        and not unknown
        and not sendmail_cf.unexpanded(new.text)
        and live <= ports
    )
