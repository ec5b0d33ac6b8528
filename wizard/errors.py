"""How the program can fail: each error says what, why, and what to do, and knows its exit code."""

from __future__ import annotations

import errno
import os
import shlex
import signal
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, ClassVar, Protocol

DONE, FAILED, USAGE, CANNOT, CONFLICT, LOCKED, INTERRUPTED, PENDING = 0, 1, 2, 3, 4, 5, 6, 10
EXIT_CODES = {
    DONE: "done, or nothing to do",
    FAILED: "failed and undone, or a test failed",
    USAGE: "bad usage or settings",
    CANNOT: "not possible here: not root, not a supported release, or something is missing or prevents it",
    CONFLICT: "a decision is needed (a conflict, or something that works would end)",
    LOCKED: "another msa-wizard is running",
    INTERRUPTED: "an interrupted run waits for recover",
    PENDING: "plan --exit-code: something is to do",
}
"""What each exit code means; a signal's is 128 and its number."""


class WizardError(Exception):
    """The root of every failure that the program expects. Its message is a clause that names what and why.

    Anything else (except StoreError and OSError) is a bug: its traceback is in the log."""

    exit_code: ClassVar[int] = FAILED
    next: str = ""
    """How the host is now, and what to do: follows the message, without its full stop."""

    @property
    def sentence(self) -> str:
        """The message and what to do next. It can hold what came from outside."""
        return f"{self}. {self.next}" if self.next else str(self)


def cause_of(error: Exception) -> str:
    """What went wrong, in words: of the system's own errors also where, and what to do about a full disk."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    words = f"{place}: {error.strerror}" if place else error.strerror
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return words
    folder = f" {shlex.quote(str(PurePath(place).parent))}" if place else ""
    return f"{words}. Make room on its file system (`df -h{folder}`)"


class UsageError(WizardError):
    """Wrong arguments, or arguments that do not fit this host: what is wrong, and what to do."""

    exit_code = USAGE


class NeededError(UsageError):
    """A named step needs others that are not done: these, and all that are named, are `steps`, in their order; `first` are those
    up to the last that was not named. The command line adds the very command."""

    def __init__(self, what: str, steps: Sequence[str], first: Sequence[str]) -> None:
        self.what, self.steps, self.first = what, tuple(steps), tuple(first)
        super().__init__(f"{what}. {self.remedy()}")

    def remedy(self, typed: Sequence[str] = ()) -> str:
        """What to run instead of the `apply` or `rehearse` that was typed, with its options; before anything else."""
        if typed[:1] not in (["apply"], ["rehearse"]):
            return f"Run `{shlex.join(['msa-wizard', 'apply', *self.first])}` first, then do the same again"
        options = [word for word in typed[1:] if word not in self.steps]
        named, everything = (
            shlex.join(["msa-wizard", typed[0], *names, *options]) for names in (self.steps, ())
        )
        return f"Name all that it needs: `{named}`; or {typed[0]} all: `{everything}`"


class AnswersError(WizardError):
    """A wrong answers file: which file, line and key, what is wrong, and what is allowed."""

    exit_code = USAGE


class OthersSaved(WizardError):
    """Somebody else has saved settings meanwhile: those that were to be saved do not know of them."""

    next = "Nothing was saved: Esc and d leave these, then open them again"

    def __init__(self) -> None:
        super().__init__("somebody has saved other settings since you opened these")


class CannotHere(WizardError):
    """This host, or this user, cannot do it."""

    exit_code = CANNOT


class NotRoot(CannotHere):
    """Only root can do `what`; the command line adds the very command."""

    def __init__(self, what: str, *, reads: bool = False) -> None:
        self.what = f"only root can {what}"
        self.next = "" if reads else "Nothing was changed"
        super().__init__(f"{self.what}: run it with sudo")


class Locked(WizardError):
    """Another msa-wizard is at work."""

    exit_code = LOCKED
    next = "Nothing was changed; wait for it to end, then try again"


class Interrupted(WizardError):
    """A signal asked us to end; `number` is its number. Who knows that nothing is in hand sets `next` anew."""

    next = "What was begun is undone, unless it says NOT undone above"

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


class HostError(WizardError):
    """The machine refused: a command that is missing, hung or failed, a file that cannot be read."""


class Overdue(HostError):
    """A command took too long, and was stopped."""


class MissingError(HostError):
    """What the command is about is not on this host: what, and what brings it."""

    exit_code = CANNOT


class NotPutBackError(HostError):
    """Not everything that was changed for a limited time could be restored; the journal stays, for `recover`."""


class Undoable(Protocol):
    """What a change did: `wizard.model.plan.Effect`, which is above this file."""

    def undo(self, host: Any, say: Callable[[str], None]) -> None: ...

    def claim(self, host: Any) -> Any: ...

    def record(self) -> dict[str, object]: ...


class ChangeError(WizardError):
    """A change failed: what, why, and what to do next, in one message. `effect` is what it had done by then."""

    def __init__(self, message: str, effect: Undoable | None = None) -> None:
        super().__init__(message)
        self.effect = effect


class StaleError(ChangeError):
    """The machine is no longer what the diff showed; nothing was written."""


class UnconfirmedError(ChangeError):
    """Nobody confirmed it in time; the live rules are removed again."""


class DeclinedError(UnconfirmedError):
    """Somebody said no, instead of confirming it."""


class GateError(WizardError):
    """The new sendmail.mc was rejected: what it would have done, and what to do."""


class RollbackRefused(WizardError):
    """It cannot be rolled back as it was asked: why, and what to do."""

    next = "Nothing was changed"


class NothingToRollBack(WizardError):
    """It was never applied, or is rolled back already: which, and by what."""


class JournalError(WizardError):
    """The journal cannot be read: where, why, and what to do."""


class NewerError(WizardError):
    """A newer version of this program has written it."""


class PemError(WizardError, ValueError):
    """The file does not hold what it should: a clause, such as `holds no certificate`. Never a part of the file."""
