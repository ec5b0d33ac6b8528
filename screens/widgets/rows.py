"""Lists whose Enter is a key of the screen, without priority: a key with priority overtakes the arrows, and the Esc, that were
typed just before it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.visual import Visual
from textual.widgets import OptionList
from textual.widgets.option_list import Option


def without_enter(bindings: list[BindingType]) -> list[BindingType]:
    """The keys of a widget of Textual's but for Enter."""
    return [each for each in bindings if isinstance(each, Binding) and each.key != "enter"]


class Rows(OptionList, inherit_bindings=False):
    """Textual's list. Its chosen row has one colour: in sixteen, red or cyan on the blue bar cannot be read."""

    BINDINGS: ClassVar[list[BindingType]] = without_enter(OptionList.BINDINGS)

    def _get_visual(self, option: Option) -> Visual:
        visual = super()._get_visual(option)
        plain = option is self.highlighted_option and isinstance(visual, Content)
        return Content(str(visual)) if plain else visual
