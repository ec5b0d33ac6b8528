"""What the worker sends to the screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from wizard.engine.local_edits import OwnEdit
    from wizard.maillog.correlate import ConversationLine
    from wizard.maillog.read import LogLine
    from wizard.model.events import Event
    from wizard.model.plan import Ending, Plan, Step
    from wizard.rollback.plan import Rollback
    from wizard.smtp.connection import Move


@dataclass
class EngineSaid(Message):
    """An event of the engine; its output lines go to `Desk.lines` instead."""

    event: Event


@dataclass
class StepWaits(Message):
    """The engine has planned a step and waits for an answer. `edits` are the admin's own that it would undo."""

    step: Step
    plan: Plan
    edits: tuple[OwnEdit, ...] = ()


@dataclass
class EndingsWait(Message):
    """Something that works would end with the plan, and nobody has accepted it."""

    step: Step
    ends: tuple[Ending, ...]


@dataclass
class RollbackWaits(Message):
    """A rollback is prepared, and waits for an answer."""

    rollback: Rollback


@dataclass
class RehearsalSaid(Message):
    """How far a rehearsal is, in the words of `wizard.rehearse.messages`."""

    said: dict[str, Any]


@dataclass
class SmtpLine(Message):
    """A line of the AUTH LOGIN conversation, or of the mail log beside it."""

    line: ConversationLine


@dataclass
class DebugSaid(Message):
    """A line that a daemon in debug mode printed: secrets are not masked yet."""

    line: str


@dataclass
class LogSaid(Message):
    """A line of the mail log, not cleaned."""

    line: LogLine


@dataclass
class About(Message):
    """What the pane says before the first line."""

    words: str


@dataclass
class MoveWaits(Message):
    """The next command of a manual login waits for its key; `end` on the monotonic clock, None without one."""

    move: Move
    end: float | None


@dataclass
class CertificateWaits(Message):
    """A server's certificate is not trusted: what is known of it, and whether to send the password all the same."""

    words: str


@dataclass
class JobEnded(Message):
    """The worker is done: with a result, or with what went wrong."""

    job: str
    result: object = None
    error: Exception | None = None
