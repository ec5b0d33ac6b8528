"""Settings as a form: checked while typing; F2 saves them where every command reads them, and leaving asks about the rest."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.widgets import Checkbox, Input, Label

from screens.base import Field, Frame
from screens.dialog import Dialog, headline, keys
from screens.sentences import sentence
from wizard.console import clean
from wizard.errors import AnswersError, OthersSaved, WizardError
from wizard.model.answers import Answers

if TYPE_CHECKING:
    from wizard.model.facts import Facts

SAVE = Binding("f2", "save", "Save", tooltip="Save the settings")
_WHERE = re.compile(r"answers\.toml, line \d+: |--set ")
"""Where an AnswersError has found something: here it was typed into a field."""


class Flag(Checkbox, inherit_bindings=False):
    """A box that says yes or no by its content, not by its colour: [x] or [ ]. Space changes it, Enter does not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_button", "Tick", tooltip="Tick the box, or clear it")
    ]

    @property
    def _button(self) -> Content:
        """The brackets are drawn as what is between them: Textual draws its own in the colour of their background."""
        return Content.styled("[x]" if self.value else "[ ]", self.get_visual_style("toggle--button"))


class Unsaved(Dialog[str | None]):
    """`save`, `drop`, or None to stay, which is the default."""

    HEADING = "Unsaved settings"
    HELP_TEXT = """
y saves what you have changed on the settings, unless something in it is wrong; d leaves without saving it, and Enter, n
and Esc stay on the settings with all that you have typed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss('save')", "Save"),
        Binding("d", "dismiss('drop')", "Drop"),
        Binding("n,escape,enter", "dismiss(None)", "Stay"),
    ]

    def __init__(self, wrong: bool = False, used: bool = False) -> None:
        super().__init__()
        self._wrong = wrong
        """Whether something in them is wrong, so that they cannot be saved."""
        self._used = used
        """Whether they are used all the same, since saving them has failed."""

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        but = ", and something in them is wrong" if self._wrong else " but not saved them"
        save = [] if self._wrong else [("y", "save them")]
        leave = f"leave without saving{' (they are used here until you quit)' * self._used}"
        with Vertical(classes="dialog tall"):
            yield headline(f"! You have changed settings{but}")
            yield keys(*save, ("d", leave), ("Enter", "stay here (n and Esc too)"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is wrong cannot be saved."""
        if self._wrong and parameters == ("save",):
            return False
        return super().check_action(action, parameters)


class SettingsForm(Frame[None]):
    """A form with some of the settings; the others stay as they are saved."""

    SAYS = "#about"
    PLACE: ClassVar[str] = ""
    """The name of the screen in `screens.welcome`."""
    FIELDS: ClassVar[tuple[Field, ...]] = ()

    facts: Facts | None = None
    """The host, where it was looked at."""
    before: Answers | None = None
    """What the form held before anybody changed it."""
    _saved: object = None
    """What the form is about, as it was saved when the form was filled."""

    def __init__(self) -> None:
        super().__init__()
        self._faults: dict[str, str] = {}
        """What is wrong, in the order of the settings, each by the id of its field, or its key where the form has none."""

    @abstractmethod
    def typed(self, without: Collection[str] = ()) -> Answers:
        """The settings with what the form holds, the fields `without` as if they were empty. Raises AnswersError."""

    @abstractmethod
    def own(self, answers: Answers) -> object:
        """Of these what the form is about."""

    @abstractmethod
    def show_command(self, answers: Answers) -> None:
        """Show the command that does the same."""

    @staticmethod
    def key(field: Field) -> str:
        """The field's key in answers.toml."""
        return field.id.replace("-", ".", 1)

    def about(self) -> str:
        """What helps with the field that has the focus."""
        return self.about_focused()

    def on_saving(self, answers: Answers) -> str:
        """What to say about these settings once they are saved; may be empty."""
        return ""

    def alone(self, answers: Answers) -> Answers | None:
        """What is saved, where that is not all that is in use."""
        return None

    def settings(self) -> Answers:
        """The settings that the form is filled with."""
        with suppress(AnswersError):  # then none are saved over them
            self.backend.read_settings()
        self._saved = self.own(self.backend.saved)
        return self.backend.answers

    def on_mount(self) -> None:
        """A run that waits goes by the settings as they were: it ends, and the steps are planned again."""
        self.before = self.typed()
        self.show_command(self.before)
        self.wizard.before_it_ends(self.desk.end_what_waits, self.dismiss)

    def action_save(self) -> None:
        """Use them, and save them for every command."""
        self.save()

    def save(self) -> bool:
        """Use what the form holds, and save it for every command; whether it is saved. Says it either way."""
        if self.check() is None:
            self.go_where_it_is_wrong()
            return False
        if self.desk.changing:
            self.say("A run is at work with the settings as they were. Save when it has ended.")
            return False
        try:
            self.backend.read_settings()
            if self.own(self.backend.saved) != self._saved:
                raise OthersSaved
            answers = self.typed()  # with what others have saved that is not in this form
        except WizardError as problem:
            self.say(f"✗ {sentence(problem)}")
            return False
        try:
            if self._saved == self.own(answers) == self.own(self.backend.answers):
                saved = "These settings are saved already."
            else:
                saved = self.backend.choose(answers, self.facts, self.alone(answers))
            words = f"✓ {saved} Every command uses them now."
            words = "\n".join(filter(None, (words, self.on_saving(answers))))
            self.before, self._saved = answers, self.own(self.backend.saved)
        except WizardError as problem:
            saved, words = "", f"They are used here until you quit, but are not saved. {sentence(problem)}"
        self.show_command(answers)
        self.say(words)
        return bool(saved)

    @property
    def changed(self) -> bool:
        """Whether the form holds what is not saved."""
        try:
            return self.before is not None and self.own(self.typed()) != self.own(self.before)
        except AnswersError:
            return True

    def action_back(self) -> None:
        """Leave; ask about what is not saved."""
        self.leave_for(self.dismiss)

    def leave_for(self, go_on: Callable[[], object]) -> None:
        """Ask about what is not saved."""

        def decided(answer: str | None) -> None:
            if answer == "drop" or (answer == "save" and self.save()):
                go_on()

        if self.changed:
            self.wizard.go(self.PLACE)  # here is what it is about, and what is wrong with it
            answers = self.check()
            used = answers is not None and self.own(answers) == self.own(self.backend.answers)
            self.app.push_screen(Unsaved(answers is None, used), decided)
        else:
            go_on()

    @on(DescendantFocus)
    @on(Input.Changed)
    @on(Checkbox.Changed)
    def check(self) -> Answers | None:
        """The settings, None when something is wrong. Marks each field that is, and says what is wrong with the one that has
        the focus, else with the first, and helps with the one that has the focus."""
        answers = self._read()
        for field in self.FIELDS:
            self._mark(field)
        focused = self.focused.id if self.focused is not None else None
        if own := self._faults.get(focused or ""):
            self.say(own)
        else:
            self.say("\n".join(filter(None, (*[*self._faults.values()][:1], self.about()))))
        if answers is not None:
            self.show_command(answers)
        else:
            self.same("")
        return answers

    def _read(self) -> Answers | None:
        """The settings, None when something is wrong: that is found one by one, what was found being left empty."""
        self._faults = {}
        while True:
            try:
                answers = self.typed(self._faults)
            except AnswersError as problem:
                key, colon, why = clean(_WHERE.sub("", str(problem), count=1)).partition(": ")
                field = next((field for field in self.FIELDS if self.key(field) == key), None)
                name = field.id if field is not None else key
                if self._faults and (field is None or name in self._faults):
                    return None  # wrong because another one was left empty
                self._faults[name] = f"✗ {field.label if field is not None else key}{colon}{why}"
            else:
                return None if self._faults else answers

    def _mark(self, field: Field) -> None:
        """Mark a field that is wrong."""
        row, wrong = self.query_one(f"#{field.id}").parent, field.id in self._faults
        if isinstance(row, Horizontal) and row.has_class("wrong") is not wrong:
            row.set_class(wrong, "wrong")
            row.query_one(Label).update(f"✗ {field.label}" if wrong else field.label)

    def go_where_it_is_wrong(self) -> None:
        """To the first field whose value is refused."""
        if name := next((field.id for field in self.FIELDS if field.id in self._faults), ""):
            self.query_one(f"#{name}").focus()
