"""The dialogs: each asks one thing on top of a screen, and its safe answer is what Enter and Esc give."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label, Static

from screens.base import FORM, PAGES, Field, WizardScreen
from screens.dialog import INSIDE, SCROLLS, Dialog, headline, keys, scrolled
from screens.external_programs import shell
from screens.jobs import CertificateWaits, Job, Reply
from screens.sentences import about_input, sentence
from screens.widgets.contents import emphatic, endings_content, hanging
from wizard.console import clean, count
from wizard.delivery import from_anywhere
from wizard.smtp.transcript import Credentials

if TYPE_CHECKING:
    from wizard.certificates import Certificate
    from wizard.engine.local_edits import OwnEdit
    from wizard.model.plan import Ending, Plan, Step


Listed = tuple[Sequence["Step"], Sequence["Plan"], Sequence[str]]
"""The steps with their plans; and what is left out, a line each."""


class ApplyAll(Dialog[bool]):
    """True: all these steps may be applied, one after the other. It is asked once they are known, and the packages that
    come with them."""

    HEADING = "Apply all"
    SCROLLED = "#content"
    HELP_TEXT = """
y applies these steps in this order. Each shows its diff while it is applied, and each can be rolled back. The run
stops and asks where something that works would end, or where a step would undo your own edit.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Apply all"),
        Binding("escape,n,enter", "dismiss(False)", "Cancel"),
        *PAGES,
    ]

    def __init__(self, looking: Callable[[], str], listed: Callable[[], Listed]) -> None:
        super().__init__()
        self._looking, self._listed = looking, listed
        """What is still looked for, empty once nothing is; then what is to be applied."""
        self._waited = False

    def compose(self) -> ComposeResult:
        """A line a step; the keys stay below."""
        with Vertical(classes="dialog tall"):
            yield Static("", id="how-many", classes="headline", markup=False)
            yield scrolled("")
            yield keys(("y", "apply all"), ("Enter", "cancel (n and Esc too)"), SCROLLS)

    def say_now(self) -> None:
        """Show them, as soon as they are known."""
        words, content = self.query_one("#how-many", Static), self.query_one("#content Static", Static)
        if looking := self._looking():
            self._waited = True
            self.set_listens(False)
            words.update(Content.styled("Apply all that remain?", "bold"))
            content.update(f"First it is known what that is: {looking}. Esc cancels.")
            return
        self._watch.stop()
        steps, plans, left_out = self._listed()
        lines = [f"{step.id:<19}{step.title}" for step in steps]
        brings = [line for plan in plans for change in plan.changes for line in change.describe().details]
        lines += ["", "Installed with it:", *map(clean, brings)] if brings else []
        lines += ["", "Left out:", *map(clean, left_out)] if left_out else []
        words.update(Content.styled(f"Apply {count(len(steps), 'step')}?", "bold"))
        content.update("\n".join(hanging(line, INSIDE) for line in lines))
        if self._waited:
            self.ask_when_quiet()

    def set_listens(self, listens: bool) -> None:
        """What is not known yet cannot be agreed to."""
        super().set_listens(listens and not self._looking())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """To cancel is always possible."""
        return parameters == (False,) or super().check_action(action, parameters)


class WhatWouldEnd(Dialog[bool]):
    """True: it may end. Cancelling is the default; then nothing of the step is done."""

    COMES = True
    HEADING = "Would end"
    SCROLLED = "#content"
    HELP_TEXT = """
What is listed works on this host now, but would not any more after this step. y says that it may end. Enter and
Esc cancel: this step changes nothing, and the run stops before it.

"by" and a step: that later step would end it. It is asked about now because the run must not stop between the edits of
sendmail.mc. To keep what works, cancel, go to that step on the list and press s: it is skipped.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "It may end"),
        Binding("escape,enter", "dismiss(False)", "Cancel"),
        *PAGES,
    ]

    def __init__(self, step: str, ends: Sequence[Ending]) -> None:
        super().__init__()
        self._step, self._ends = step, ends

    def compose(self) -> ComposeResult:
        """All of it; the keys stay below."""
        with Vertical(classes="dialog tall"):
            steps = ", ".join(dict.fromkeys(ending.step or self._step for ending in self._ends))
            yield headline(f"! With {steps} something that works would end")
            yield scrolled(endings_content(self._ends, INSIDE))
            yield keys(("y", "it may end"), ("Enter", "cancel (the default)"), SCROLLS)


def ask_certificate(screen: WizardScreen[Any], message: CertificateWaits) -> None:
    """Ask whether the password may go to an untrusted server; the answer goes to the screen's own job."""

    def decide(yes: bool | None) -> None:
        screen.desk.answer(Reply.YES if yes else Reply.NO, screen)

    screen.app.push_screen(AskCertificate(message.words), decide)


def asking(job: Job) -> Callable[[Certificate, str], bool]:
    """What asks the admin about a certificate, from the job's thread."""
    from wizard.smtp.server_trust import question

    return lambda certificate, why: job.ask(CertificateWaits(question(certificate, why))) is Reply.YES


class AskCertificate(Dialog[bool]):
    """True: the password may be sent; everything but y is a no."""

    COMES = True
    HEADING = "Certificate"
    HELP_TEXT = """
Whoever holds this certificate's key gets the password. It is the right one if its fingerprint is the one that the
server's admin has given you by other means. y sends the password, n or Enter does not.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Send it"),
        Binding("n,enter,escape", "dismiss(False)", "Do not"),
        Binding("q,f10,ctrl+q,ctrl+c", "app.leave", "Quit", show=False),
        *PAGES,
    ]
    SCROLLED = "#content"

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """What is known of it, and the two keys."""
        with Vertical(classes="dialog tall"):
            yield scrolled(self._words)
            yield keys(("y", "send the password to this server"), ("n", "do not (Enter, too)"), SCROLLS)


class AskCredentials(Dialog[Credentials | None]):
    """What was typed, None for nothing."""

    HEADING = "Try a login"
    SAYS = "#asked"
    HELP_TEXT = """
Enter goes from the user name to the password, and then tries the login once. That tells a locked account or a wrong
password from a server that does not work. The password stays in memory and is written nowhere.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True, tooltip="Next field, then begin"),
        *FORM,
        Binding("escape", "dismiss(None)", "Close"),
    ]

    def compose(self) -> ComposeResult:
        """Two fields; the password is masked."""
        with Vertical(classes="dialog tall"):
            yield Field("user", "User name").line(self.backend.user)
            yield Field("password", "Password").line()
            yield Static(
                "A login is tried once, as a mail client would. Enter continues.", id="asked", markup=False
            )

    async def action_enter(self) -> None:
        """To the password, then away."""
        await self.caught_up()
        user, password = (self.query_one(name, Input) for name in ("#user", "#password"))
        needed = ((user.value.strip(), user, "user name"), (password.value, password, "password"))
        for value, field, words in needed:
            if not value:
                if self.focused is field:
                    self.say(f"The {words} is missing.")
                self.set_focus(field)
                break
        else:
            try:
                credentials = Credentials(user.value.strip(), password.value)
            except ValueError as problem:
                self.say(about_input(problem))
                return
            self.backend.session.tested = credentials.user
            self.dismiss(credentials)


class LocalEdits(Dialog[str | None]):
    """`keep`: the step is skipped. `take`: it is applied. A path: that file is to be edited. None: nothing is done."""

    COMES = True
    HEADING = "Your own edit"
    SCROLLED = "#content"
    HELP_TEXT = """
This step was applied, and you have changed its lines since. Applying it again would undo that. k keeps yours: the
step is skipped. t takes the step's version; yours stays in the history and can be restored from there. e opens
your file in your editor; then the step is planned again. Esc cancels: nothing is changed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "dismiss('keep')", "Keep mine"),
        Binding("t", "dismiss('take')", "Take the step's"),
        Binding("e", "edit", "Edit"),
        Binding("escape,enter", "dismiss(None)", "Cancel"),
        *PAGES,
    ]

    def __init__(self, step: str, edits: Sequence[OwnEdit]) -> None:
        super().__init__()
        self._step, self._edits = step, edits

    def compose(self) -> ComposeResult:
        """The versions; the keys stay below them."""
        with Vertical(classes="dialog tall"):
            yield headline(f"! You changed what {self._step} had done")
            yield scrolled(Content("\n").join(list(self._versions())))
            yield keys(("k", "keep mine"), ("t", "take the step's"), ("e", "edit"))
            yield keys(("Enter", "cancel (the default)"), SCROLLS).add_class("more")

    def _versions(self) -> Iterator[Content]:
        for edit in self._edits:
            yield from ([Content("")] if edit is not self._edits[0] else [])
            yield Content.styled(hanging(clean(edit.path), INSIDE), "bold")
            for line in edit.text.splitlines():
                style = "" if line.startswith(" ") else "ansi_cyan"
                yield Content.styled(hanging(clean(line), INSIDE), style)

    def action_edit(self) -> None:
        """Edit the first of the files."""
        self.dismiss(self._edits[0].path)


class StepFailed(Dialog[str | None]):
    """The next move: `again`, `settings`, `troubleshoot`, `history`, or None to look around."""

    COMES = True
    HEADING = "A step failed"
    HELP_TEXT = (
        "The step is undone already, unless it says NOT undone. The host is as it was before the step."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss('again')", "Try again"),
        Binding("e", "dismiss('settings')", "Settings"),
        Binding("t", "dismiss('troubleshoot')", "Troubleshoot"),
        Binding("h", "dismiss('history')", "History"),
        Binding("exclamation_mark", "shell", "A shell"),
        Binding("escape,enter", "dismiss(None)", "Look around"),
    ]

    def __init__(
        self,
        step: str,
        why: str,
        last: Sequence[str],
        undone: Sequence[str] = (),
        left: Sequence[str] = (),
        first: str = "",
    ) -> None:
        super().__init__()
        self._step, self._why, self._last, self._undone, self._not_undone = step, why, last, undone, left
        self._again = f"again from {first}" if first else "try again"
        """What y does: steps that the failure took with it come first."""

    def compose(self) -> ComposeResult:
        """All of it, with the keys below."""
        with Vertical(classes="dialog tall"):
            yield headline(f"✗ {self._step} failed", "ansi_red")
            yield scrolled(self._content())
            yield keys(("y", self._again), ("e", "settings"), ("t", "troubleshoot"))
            yield keys(("h", "history"), ("!", "a shell"), ("Enter", "look around"), SCROLLS).add_class(
                "more"
            )

    def _content(self) -> Content:
        parts: list[str | tuple[str, str]] = [
            f"{hanging(clean(line), INSIDE)}\n" for line in self._why.splitlines()
        ]
        undone = ", ".join(map(clean, self._undone)) or "there was nothing to undo"
        parts += ["\n", *_led("Undone: ", "bold", undone)]
        for line in self._not_undone:
            parts += _led("NOT undone: ", "bold ansi_red", clean(line))
        if self._not_undone:
            parts += ["Fix that manually (! opens a shell), then run `msa-wizard recover`.\n"]
        if self._last:
            parts += [("\nLast output:\n", "bold")]
            parts += [f"{hanging(f'  {clean(line)}', INSIDE)}\n" for line in self._last[-6:]]
        return Content.assemble(*parts).rstrip()

    def action_shell(self) -> None:
        """A shell on this terminal; the screen comes back when it ends."""
        shell(self.app)


def _led(lead: str, style: str, words: str) -> list[str | tuple[str, str]]:
    """Words behind a lead of their own style, in lines that begin below it."""
    return [(lead, style), f"{hanging(lead + words, INSIDE).removeprefix(lead)}\n"]


HOW = """
Open a second SSH session to this host now. If you can log in, press y here, or run there:

    {confirm}

If nobody confirms in time, a system timer removes the rules, also if this connection is lost or msa-wizard is \
killed. A reboot removes them too.
"""


class FirewallCountdown(Dialog[None]):
    """Closes by itself once somebody, or the timer, has decided."""

    COMES = True
    HEADING = "Confirm"
    SAYS = "#left"
    HELP_TEXT = """
A firewall rule could cut the connection that you are using. So it is active for a minute only, unless you confirm
it: y, or in another session the command that is shown. Its files are written after that. n reverts it at once.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide(True)", "Keep the rules"),
        Binding("n", "decide(False)", "Revert"),
        Binding("q,f10,ctrl+q,ctrl+c", "app.leave", "Quit", show=False),
    ]

    _problem: tuple[Content, ...] = ()
    """Why the answer could not be written down."""

    def __init__(self, left: float) -> None:
        super().__init__()
        self._left = left

    def compose(self) -> ComposeResult:
        """How long is left, what to do, and the two keys. Enter is none of them: it may be held down."""
        with Vertical(classes="dialog tall"):
            yield Static(_time_left(self._left), id="left", markup=False)
            yield Static(HOW.rstrip().format(confirm=from_anywhere("confirm")), markup=False)
            yield keys(("y", "I can still log in, keep them"), ("n", "revert now"))

    def over(self) -> bool:
        """Whether somebody, or the timer, has decided, or the step has ended."""
        return self.ending or self.backend.confirmation() is None or not self.desk.changing

    def say_now(self) -> None:
        """Count down, in a window that is too small, too."""
        if (left := self.backend.confirmation()) is not None:
            self.say(Content("\n").join([_time_left(left), *self._problem]))
            words = "\nThis window is too small to answer: make it larger."
            self.query_one("#small", Static).update(_time_left(left) + words)

    def action_decide(self, yes: bool) -> None:
        """Whoever was first has decided; the result is on the screen below."""
        try:
            self.backend.confirm(yes)
        except OSError as problem:
            words = f"{sentence(problem)} So nothing is decided yet: try again."
            self._problem = (Content.styled(words, "bold ansi_red"),)
            self.say_now()
        else:
            self.dismiss()


def _time_left(left: float) -> Content:
    return emphatic(f"! The firewall gets new rules: {math.ceil(left)} s left to confirm them")


class Search(Dialog[str | None]):
    """The words to look for, None for nothing."""

    HEADING = "Search the output"
    HELP_TEXT = """
Enter shows the next line of the output that holds these words. Then / and Enter find the one after it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def compose(self) -> ComposeResult:
        """One field."""
        with Vertical(classes="dialog tall"):
            yield Label("Find in the output (Enter; / and Enter finds the next):", markup=False)
            yield Input(id="words")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Done."""
        self.dismiss(event.value or None)
