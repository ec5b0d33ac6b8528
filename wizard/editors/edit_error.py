"""The one error that every editor raises when it does not understand a file."""

from __future__ import annotations

from snapshots.visible import visible
from wizard.errors import WizardError

_LONGEST = 120


def line_number(text: str, offset: int) -> int:
    """The number, from 1, of the line that holds `offset`."""
    return text.count("\n", 0, offset) + 1


def line_at(text: str, offset: int) -> str:
    """The line that holds `offset`, without its newline."""
    end = text.find("\n", offset)
    return text[text.rfind("\n", 0, offset) + 1 : end if end >= 0 else len(text)]


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
        return cls(line_number(text, offset), line_at(text, offset), why, remedy)

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        shown = visible(self.text.strip(), _LONGEST)
        return f"{where}{shown}: {self.why}" if shown else f"{where}{self.why}"


class EndlessError(EditError):
    """A file on which m4 would never end."""
