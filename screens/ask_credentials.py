"""A user name and a password, for one look; they stay in memory, and nowhere else."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static

from screens.base import typed
from screens.ends_once import Dialog
from wizard.console import clean
from wizard.smtp.transcript import Credentials


class AskCredentials(Dialog[Credentials | None]):
    """What was typed, None for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True),
        Binding("escape", "leave", "Close"),
    ]

    def compose(self) -> ComposeResult:
        """Two fields; the password is masked."""
        with Vertical(classes="dialog tall"):
            for name, label in (("user", "User name"), ("password", "Password")):
                with Horizontal(classes="field"):
                    yield Label(label, classes="label", markup=False)
                    field = Input(id=name, password=name == "password")
                    field.cursor_blink = False
                    yield field
            yield Static(
                "A login is tried once, as a mail program would. Enter goes on.", id="asked", markup=False
            )

    async def action_enter(self) -> None:
        """To the password, then away."""
        await typed(self)
        user, password = (self.query_one(name, Input) for name in ("#user", "#password"))
        if not user.value.strip():
            self.set_focus(user)
        elif not password.value:
            self.set_focus(password)
        else:
            try:
                given = Credentials(user.value.strip(), password.value)
            except ValueError as problem:
                self.query_one("#asked", Static).update(clean(str(problem)))
                return
            self._leave(given)

    def action_leave(self) -> None:
        """None of it."""
        self._leave(None)

    def _leave(self, given: Credentials | None) -> None:
        self.query_one("#password", Input).clear()
        self.dismiss(given)
