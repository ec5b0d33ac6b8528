"""The write-ahead journal: what is about to be done is on disk before it is done.

One JSON object a line, each fsynced before the next move. The file is there exactly as long as a run is at work, so
one that a new start finds belongs to a run that was killed. A last line that is cut off was never acted on."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wizard.engine.journal_lines import SCHEMA, first_line, later_line
from wizard.errors import JournalError, NewerError

LARGEST = 64 << 20
"""Bytes of a journal at most."""


@dataclass
class Unfinished:
    """What the journal of a killed run says."""

    operation: str
    """`apply`, `rollback`, or that of a temporary change (`wizard.engine.temporary`)."""
    run: str
    who: str
    since: float
    """Seconds since the epoch."""
    head: str
    """The commit that holds everything as it was before the run."""
    request: dict[str, object]
    """What was asked for, enough to ask for it again."""
    step: str | None = None
    """What was in hand, None between two steps."""
    step_head: str = ""
    """The commit that holds everything as it was before that."""
    changes: list[dict[str, object]] = field(default_factory=list)
    """The changes of it that may have begun, in order: `touches`, and the record of the effect to expect."""
    accepted: list[str] = field(default_factory=list)
    """Ids of endings that somebody was asked about in the run, and accepted."""

    def words(self) -> str:
        """One sentence for the admin."""
        when = time.strftime("%F %T", time.localtime(self.since))
        where = f"in {self.step}" if self.step and self.step != self.operation else "half-way"
        return f"`{self.operation}`, begun by {self.who} on {when}, was interrupted {where}"


class Journal:
    """The journal of the run at work.

    States, and the calls between them:

        no run  --begin-->  between steps  --step-->  in hand  --change, as often as needed-->  in hand
        in hand  --settled (recorded, or undone)-->  between steps
        between steps  --finish-->  no run (the file is gone)
        in hand  --finish-->  left open: what could not be undone; a new start finds the file, as after a kill

    `close` ends it in any state: the host is as one of the two ends. Each line is on the disk before the method returns;
    every method that writes raises OSError, and then the move must not be made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.in_hand = False
        """Whether a step has begun and is neither recorded nor undone."""
        self._descriptor: int | None = None

    def begin(self, operation: str, run: str, who: str, head: str, request: dict[str, object]) -> None:
        """The first line of a run; where a killed run is taken up again its lines stay."""
        if self._descriptor is not None:
            return
        known = self.path.exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self.path, flags, 0o600)
        if known and self._whole_lines():
            return
        self._write(
            schema=SCHEMA,
            operation=operation,
            run=run,
            who=who,
            since=time.time(),
            head=head,
            request=request,
        )
        _sync_folder(self.path.parent)

    def step(self, name: str, head: str, accepted: Sequence[str] = ()) -> None:
        """A step begins; `head` is the commit that holds what it will change, `accepted` what was agreed to end."""
        self._write(step=name, head=head, **({"accepted": list(accepted)} if accepted else {}))
        self.in_hand = True

    def change(self, touches: tuple[str, ...], expected: dict[str, object]) -> None:
        """A change of the step begins: the paths it may write, and what it needs to be undone."""
        self._write(change={"touches": list(touches), "expected": expected})

    def settled(self) -> None:
        """The step is recorded, or undone. Should this line not get to the disk: recovery sees the commit, and undoes
        a second time what is undone."""
        if self._descriptor is not None:  # else not even the first line got to the disk
            with contextlib.suppress(OSError):
                self._write(settled=True)
        self.in_hand = False

    def finish(self) -> None:
        """The run has ended; the journal stays where something could not be undone."""
        if self._descriptor is not None and not self.in_hand:
            self.close()

    def close(self) -> None:
        """Nothing is half-made."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # should it come back: what is undone is undone twice
            _sync_folder(self.path.parent)

    def _whole_lines(self) -> bool:
        """Whether a killed run left any; a cut line at the end is taken away."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.truncate(self.path, whole)
        return whole > 0

    def _write(self, **line: object) -> None:
        assert self._descriptor is not None
        data = json.dumps(line).encode() + b"\n"
        end = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # the next line must not be joined to half of this one
                os.ftruncate(self._descriptor, end)
            raise


def unfinished(path: Path) -> Unfinished | None:
    """What the journal at `path` says, None when nothing was begun. Raises JournalError."""
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be read: {error.strerror}") from error
    try:
        return _read(content.split(b"\n")[:-1])
    except NewerError as error:
        raise JournalError(
            f"the journal {path} was written by a newer msa-wizard ({error}). Nothing was changed; run `recover` of that "
            f"version"
        ) from error
    except ValueError as error:
        raise JournalError(
            f"the journal {path} is damaged ({error}). `msa-wizard history` and `msa-wizard status` show how far the "
            f"run came; move the file away when the host is as it should be"
        ) from error


def _content(path: Path) -> bytes:
    """All that a regular file holds; a pipe in its place is not waited for. Raises OSError, JournalError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size > LARGEST:
            raise JournalError(f"the journal {path} cannot be read: it is larger than any journal")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise JournalError(f"the journal {path} cannot be read: it is not a regular file; move it away")
        return file.readall()


def _read(lines: list[bytes]) -> Unfinished | None:
    """Raises NewerError, and ValueError for a line that is not as it should be."""
    if not lines:
        return None
    first = first_line(lines[0])
    unfinished = Unfinished(
        first["operation"], first["run"], first["who"], first["since"], first["head"], first["request"]
    )
    for number, line in enumerate(lines[1:], 2):
        fields = later_line(line, number)
        if "step" in fields:
            unfinished.accepted += [str(ending) for ending in fields.get("accepted", ())]
            step = fields["step"], fields["head"]
            if step != (unfinished.step, unfinished.step_head):  # else it was taken up again
                (unfinished.step, unfinished.step_head), unfinished.changes = step, []
        elif "change" in fields:
            unfinished.changes.append(fields["change"])
        else:
            unfinished.step, unfinished.step_head, unfinished.changes = None, "", []
    return unfinished


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
