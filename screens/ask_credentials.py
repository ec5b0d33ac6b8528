"""A user name and a password, for one look; they stay in memory and go nowhere else."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from screens.base import Dialog, Field
from wizard.console import clean
from wizard.smtp.transcript import Credentials


class AskCredentials(Dialog[Credentials | None]):
    """What was typed, None for nothing."""

    SAYS = "#asked"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True),
        Binding("escape", "leave", "Close"),
    ]

    def compose(self) -> ComposeResult:
        """Two fields; the password is masked."""
        with Vertical(classes="dialog tall"):
            yield Field("user", "User name").line()
            yield Field("password", "Password").line()
            yield Static(
                "A login is tried once, as a mail program would. Enter continues.", id="asked", markup=False
            )

    async def action_enter(self) -> None:
        """To the password, then away."""
        await self.caught_up()
        user, password = (self.query_one(name, Input) for name in ("#user", "#password"))
        if not user.value.strip():
            self.set_focus(user)
        elif not password.value:
            self.set_focus(password)
        else:
            try:
                credentials = Credentials(user.value.strip(), password.value)
            except ValueError as problem:
                self.say(clean(str(problem)))
                return
            self._leave(credentials)

    def action_leave(self) -> None:
        """None of it."""
        self._leave(None)

    def _leave(self, credentials: Credentials | None) -> None:
        self.query_one("#password", Input).clear()
        self.dismiss(credentials)
