"""Lists whose Enter is a key of the screen, without priority: a key with priority overtakes the arrows, and the Esc, that were
typed just before it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import DataTable, OptionList


def _without_enter(bindings: list[BindingType]) -> list[BindingType]:
    return [each for each in bindings if isinstance(each, Binding) and each.key != "enter"]


class Rows(OptionList, inherit_bindings=False):
    """Textual's list."""

    BINDINGS: ClassVar[list[BindingType]] = _without_enter(OptionList.BINDINGS)


class Table(DataTable[str], inherit_bindings=False):
    """Textual's table."""

    BINDINGS: ClassVar[list[BindingType]] = _without_enter(DataTable.BINDINGS)
