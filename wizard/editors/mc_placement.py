"""Where new lines go in a sendmail.mc, and how they are put there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.editors import cf_macros
from wizard.editors.edit_error import EditError
from wizard.editors.m4_text import Call
from wizard.editors.mc_document import Document

_MAILERS = ("MAILER", "MAILER_DEFINITIONS")
_COMMENT = re.compile(r"[ \t]*dnl\b(?P<text>[^\n]*)\n?\Z")
_SEPARATOR = re.compile(r"[\s#*=-]*\Z")
_HEADING = re.compile(r"mailer|local|rule", re.I)


def newline_of(text: str) -> str:
    """The newline that most lines of the file end with."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def insert(text: str, offset: int, block: str) -> str:
    """`block` put in at a line start (or at the end of the text), with the newlines that the file uses."""
    newline = newline_of(text)
    lines = block.replace("\r\n", "\n")
    if lines and not lines.endswith("\n"):
        lines += "\n"
    before = newline if offset == len(text) and text and not text.endswith("\n") else ""
    return text[:offset] + before + lines.replace("\n", newline) + text[offset:]


def macro_part_end(document: Document) -> int:
    """The place for includes and defines: before the MAILER lines, the comment that heads them, and every section of
    raw .cf text; at the end of a file that has none. Raises EditError where all of that is thrown away by divert(-1)."""
    return place_before(document, document.named(*_MAILERS, *cf_macros.SECTIONS))


def place_before(document: Document, calls: Iterable[Call]) -> int:
    """The last line start before all of `calls` where text still reaches sendmail.cf."""
    limit = min((line_start(document.text, call.outer) for call in calls), default=len(document.text))
    usable = document.live_starts(limit)
    if not usable:
        raise EditError.at(
            document.text, max(0, min(limit, len(document.text) - 1)), "divert(-1) above this line is never left",
            "put divert(0)dnl on a line of its own after the last comment of the head",
        )  # fmt: skip
    return _above_heading(document, usable[-1]) if usable[-1] < len(document.text) else usable[-1]


def after_call(document: Document, call: Call) -> int:
    """The first line start wholly behind `call` and whatever is around it."""
    behind = max(call.end, call.outer + 1)
    return next(start.offset for start in document.line_starts if start.offset >= behind)


def line_start(text: str, offset: int) -> int:
    """Where the line of `offset` begins."""
    return text.rfind("\n", 0, offset) + 1


def _above_heading(document: Document, offset: int) -> int:
    """Above the `dnl # Default Mailer setup` directly before the line, if there is one."""
    starts = set(document.live_starts(offset))
    top, heading = offset, False
    while top > 0:
        above = line_start(document.text, top - 1)
        comment = _COMMENT.match(document.text[above:top])
        if comment is None or above not in starts or _SEPARATOR.match(comment["text"]):
            break
        heading = heading or bool(_HEADING.search(comment["text"]))
        top = above
    return top if heading else offset
