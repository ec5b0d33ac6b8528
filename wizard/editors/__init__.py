"""Pure text -> text editors of the files that the steps change. No I/O.

Texts are bytes decoded as latin-1, which loses nothing: what need not change comes back byte for byte, newlines included.
"""

from __future__ import annotations

from snapshots.visible import visible
from wizard.errors import WizardError

_LONGEST = 120


def line_number(text: str, offset: int) -> int:
    """The number, from 1, of the line that holds `offset`."""
    return text.count("\n", 0, offset) + 1


def line_start(text: str, offset: int) -> int:
    """Where the line of `offset` begins."""
    return text.rfind("\n", 0, offset) + 1


def newline_of(text: str) -> str:
    """The newline that most lines of the file end with."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


class EditError(WizardError):
    """A file that an editor leaves alone, because it does not understand it or because the edit would break it.

    `line` counts from 1 and is None where no single line is to blame; `text` is that line as it is in the file;
    `why` is what is wrong with it; `remedy` is what the admin can do. The message names no file: the caller knows it.
    """

    def __init__(self, line: int | None, text: str, why: str, remedy: str) -> None:
        super().__init__(line, text, why, remedy)
        self.line = line
        self.text = text
        self.why = why
        self.remedy = remedy

    @classmethod
    def at(cls, text: str, offset: int, why: str, remedy: str) -> EditError:
        """The error for the line of `text` that holds `offset`; no line where offset is negative."""
        if offset < 0:
            return cls(None, "", why, remedy)
        line = text[line_start(text, offset) :].partition("\n")[0]
        return cls(line_number(text, offset), line, why, remedy)

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        shown = visible(self.text.strip(), _LONGEST)
        return f"{where}{shown}: {self.why}" if shown else f"{where}{self.why}"


class EndlessError(EditError):
    """A file on which m4 would never end."""
