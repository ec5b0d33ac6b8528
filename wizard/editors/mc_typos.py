"""Misspelt macro names. m4 copies them into sendmail.cf unchanged, and `sendmail -bC` does not mind (trap 1)."""

from __future__ import annotations

import difflib
import re

from wizard.editors import cf_macros
from wizard.editors.edit_error import line_number
from wizard.editors.mc_document import read

_UPPER = re.compile(r"[A-Z][A-Z0-9_]{3,}\Z")
_LOWER = re.compile(r"[a-z]{4,9}\Z")
_BUILTINS = ("define", "undefine", "include", "sinclude", "divert", "ifdef", "ifelse")
_ALONE = (*cf_macros.SECTIONS, "MAILER_DEFINITIONS")
_MACRO_PART = (0, cf_macros.MAILER_DEFINITIONS)


def unknown_macros(text: str) -> tuple[tuple[int, str, str], ...]:
    """Calls at line starts that no macro answers: line, word, and the nearest known name (empty if none is near).

    An upper-case word without a near name is only reported where no other file could have defined it."""
    document = read(text)
    defined = {setting.name for setting in document.settings}
    foreign = {path.rpartition("/")[2] for path, _ in document.included} - cf_macros.DEBIAN_INCLUDES
    unknown = []
    for word in document.words:
        if word.offset < 0 or word.diversion < 0 or word.name in defined:
            continue
        start = text.rfind("\n", 0, word.offset) + 1
        if text[start : word.offset].strip(" \t"):
            continue
        near = ""
        if word.called and _UPPER.match(word.name):
            near = _near(word.name, (*cf_macros.KNOWN, *defined), 0.75)
            if not near and (foreign or word.diversion not in _MACRO_PART):
                continue
        elif word.called and _LOWER.match(word.name):
            near = _near(word.name, _BUILTINS, 0.75)
        elif _UPPER.match(word.name) and re.match(
            r"[ \t\r]*(dnl\b.*)?$", text[word.offset + len(word.name) :].partition("\n")[0]
        ):
            near = _near(word.name, _ALONE, 0.8)
        if near or (word.called and _UPPER.match(word.name)):
            unknown.append((line_number(text, word.offset), word.name, near))
    return tuple(unknown)


def _near(name: str, known: tuple[str, ...], cutoff: float) -> str:
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, cutoff)), "")
