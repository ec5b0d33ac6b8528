"""Wait for a mail client on another machine: only its login proves that no firewall blocks clients."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from screens.base import Frame
from screens.error_text import sentence
from screens.jobs import About, Job, JobEnded, LogSaid
from screens.widgets.explained_lines import ExplainedLines
from screens.widgets.signs import check_content
from wizard.model.plan import Check

if TYPE_CHECKING:
    from wizard.maillog.read import LogLine

SECONDS = 300
"""How long it waits."""


class RemoteLogin(Frame[None]):
    """Begins by itself; it changes nothing."""

    HEADING = "A test from outside"
    AUTO_FOCUS = "#said"
    HELP_TEXT = """
A test on the server itself passes neither the server's firewall nor the provider's. So log in from another machine, with
one of the commands that are shown or with a mail program. What the server logs of it is shown here; logins from
the server's own addresses do not count. It succeeds when somebody has logged in.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "begin", "Again"),
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """What to do elsewhere, the lines, the verdict."""
        yield ExplainedLines("")
        yield Static("", id="says", markup=False)

    def on_mount(self) -> None:
        """Wait at once."""
        self._stop = threading.Event()
        self._end = 0.0
        self.same("msa-wizard test --from-outside")
        self.set_interval(1.0, self._count)
        self.action_begin()

    def action_begin(self) -> None:
        """Wait, from now on."""
        if self.wizard.desk.busy:
            return
        self._stop = stop = threading.Event()
        self._end = time.monotonic() + SECONDS
        backend = self.wizard.backend
        self.query_one(ExplainedLines).clear()

        def work(job: Job) -> object:
            job.post(About(backend.outside_commands()))
            return backend.from_outside(
                SECONDS,
                lambda line: job.post(LogSaid(line)),
                lambda: stop.is_set() or job.stopped,
            )

        self.wizard.desk.start(self, "a test from outside", work)

    def action_back(self) -> None:
        """Close; nothing was changed."""
        self._stop.set()
        self.dismiss()

    def on_about(self, message: About) -> None:
        """What to run on another machine."""
        self.query_one(ExplainedLines).clear(message.words)

    def on_log_said(self, message: LogSaid) -> None:
        """A line of the log on somebody from outside."""
        from wizard.maillog.correlate import word

        line: LogLine = message.line
        self.query_one(ExplainedLines).add(
            f"{line.name}[{line.pid}]: {line.text}", word(line.name, line.text)
        )

    def on_job_ended(self, message: JobEnded) -> None:
        """The verdict."""
        self._end = 0.0
        self.query_one(ExplainedLines).draw()
        if message.error is not None:
            self.say(f"✗ {sentence(message.error)}")
        elif isinstance(message.result, Check):
            self.say(check_content(message.result))

    def _count(self) -> None:
        if self._end and not self._stop.is_set():
            left = max(0.0, self._end - time.monotonic())
            self.say(f"Waiting for a login from outside, {left:.0f} s left.")
