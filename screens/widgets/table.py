"""The table of the history: see screens.widgets.rows for its Enter."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import DataTable

from screens.widgets.rows import without_enter


class Table(DataTable[str], inherit_bindings=False):
    """Textual's table."""

    BINDINGS: ClassVar[list[BindingType]] = without_enter(DataTable.BINDINGS)
