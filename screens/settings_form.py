"""Settings as a form: checked while typing; F2 saves them where every command reads them, and leaving asks about the rest."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import DescendantFocus
from textual.widgets import Checkbox, Input

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

    BUTTON_LEFT = "["
    BUTTON_RIGHT = "]"
    BUTTON_INNER = " "
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_button", "Tick", tooltip="Tick the box, or clear it")
    ]

    def watch_value(self) -> None:
        """Another content."""
        self.BUTTON_INNER = "x" if self.value else " "
        super().watch_value()


class Unsaved(Dialog[str | None]):
    """`save`, `drop`, or None to stay, which is the default."""

    HEADING = "Unsaved settings"
    HELP_TEXT = """
y saves what you have changed on the settings, d leaves without saving it, and Enter, n and Esc stay on the settings with
all that you have typed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss('save')", "Save"),
        Binding("d", "dismiss('drop')", "Drop"),
        Binding("n,escape,enter", "dismiss(None)", "Stay"),
    ]

    def compose(self) -> ComposeResult:
        """The question and its three answers."""
        with Vertical(classes="dialog tall"):
            yield headline("! You have changed settings but not saved them")
            yield keys(
                ("y", "save them"), ("d", "leave without saving"), ("Enter", "stay here (n and Esc too)")
            )


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
    _wrong = ""
    """The field whose value is refused."""

    @abstractmethod
    def typed(self) -> Answers:
        """The settings with what the form holds. Raises AnswersError."""

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
            self.app.push_screen(Unsaved(), decided)
        else:
            go_on()

    @on(DescendantFocus)
    @on(Input.Changed)
    @on(Checkbox.Changed)
    def check(self) -> Answers | None:
        """The settings, None when something is wrong; says which, or helps with the field."""
        try:
            answers = self.typed()
        except AnswersError as problem:
            key, colon, why = clean(_WHERE.sub("", str(problem), count=1)).partition(": ")
            field = next((field for field in self.FIELDS if self.key(field) == key), None)
            self._wrong = field.id if field is not None else ""
            self.say(f"✗ {field.label if field is not None else key}{colon}{why}")
            return None
        self.say(self.about())
        self.show_command(answers)
        return answers

    def go_where_it_is_wrong(self) -> None:
        """To the field whose value is refused."""
        if self._wrong:
            self.query_one(f"#{self._wrong}").focus()
