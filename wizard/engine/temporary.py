"""Changes that hold for a while, and go back whatever happens: at the end, at a signal, when this program crashes or is
killed (a script of the system's own then, and `recover`).

The same engine as for a step: changes in the journal before they are made, undone from the snapshot store."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from snapshots.git.private_folder import make_private_folder
from templates import render
from wizard.engine.apply import Run
from wizard.engine.execute import Done, carry_out
from wizard.engine.recorder import Recorder
from wizard.engine.undo import undo_effects
from wizard.errors import ChangeError, NotPutBackError
from wizard.model.plan import Change
from wizard.system import delayed_script as timer
from wizard.system.host import Say
from wizard.system.service_lock import LOCK

if TYPE_CHECKING:
    from snapshots.store import Store
    from wizard.engine.journal import Journal
    from wizard.system.host import Host

OPERATION = "debug"
"""In the journal; `recover` puts such a run back, there is nothing to finish."""
_GRACE = 20
"""Seconds beyond the end for us to put it back ourselves."""
_PATIENCE = 180.0
"""Seconds for a guard at work to end: as long as a restart may take."""
_SOON = 1
"""Seconds until the guard begins to look."""


@dataclass(frozen=True)
class Guard:
    """The commands of the script that puts it back without us; `kept` are files of ours that it needs, by their name
    below `timer.FOLDER`."""

    commands: tuple[str, ...]
    kept: tuple[tuple[str, bytes], ...] = ()


@dataclass
class ForAWhile:
    """One such piece of work, while the host is ours (`state_folder.at_work`)."""

    host: Host
    store: Store
    journal: Journal
    interrupt: Callable[[], None]
    say: Say

    @contextmanager
    def changed(self, name: str, changes: Sequence[Change], guard: Guard, seconds: int) -> Iterator[None]:
        """While inside `changes` hold, for `seconds` at most; `name` stands for it in the journal and the history.

        The caller must leave in time. Raises ChangeError and HostError when they could not be made (what was begun is
        undone then), NotPutBackError, StoreError, OSError."""
        run, done = Run(), Done()
        recorder = Recorder(self.host, self.store, run.id, lambda _: None)
        recorder.baseline()
        recorder.drift()
        before = recorder.head()
        self.journal.begin(OPERATION, run.id, recorder.who, before, {})
        began = time.monotonic()
        try:
            self.journal.step(name, before)
            decision = self._armed(guard, seconds)
            try:
                carry_out(changes, done, self.host, self.journal, self.say, self.interrupt)
                yield
            finally:
                self._put_back(recorder, done, before)
                if _decide(decision):  # only now: should we be killed on the way, the guard goes on with it
                    self._disarmed(decision)
            recorder.note(f"{name}: for {time.monotonic() - began:.0f} s, and put back", None)
        finally:
            self.journal.finish()

    def _armed(self, guard: Guard, seconds: int) -> Path:
        """Start the guard; returns the file that says who puts it back. Raises ChangeError."""
        stem = timer.FOLDER / f"while-{os.getpid()}-{time.monotonic_ns()}"
        decision = stem.with_suffix(".decision")
        try:
            make_private_folder(timer.FOLDER)
            clear()
            for name, content in guard.kept:
                timer.new_file(timer.FOLDER / name, content)
            uptime = float(Path("/proc/uptime").read_text().split()[0])
            script = render(
                "for_a_while_revert.sh.j2",
                decision=decision,
                lock=LOCK,
                commands=guard.commands,
                pid=os.getpid(),
                started=timer.started(os.getpid()),
                until=int(uptime) + seconds + _GRACE,
            )
            timer.new_file(stem.with_suffix(".sh"), script)
        except (OSError, StoreError) as error:
            self.journal.settled()
            raise ChangeError(f"the guard that puts it back could not be made: {error}") from error
        try:
            timer.start_timer(self.host, f"msa-wizard-{stem.name}", str(stem.with_suffix(".sh")), _SOON)
        except ChangeError:
            self.journal.settled()
            raise
        return decision

    def _disarmed(self, decision: Path) -> None:
        """End the guard; it would see the decision itself, a moment later."""
        unit = f"msa-wizard-{decision.stem}"
        if self.host.exists("/run/systemd/system"):
            self.host.run(["systemctl", "stop", f"{unit}.timer", f"{unit}.service"], timeout=30)
        with contextlib.suppress(OSError):
            clear()

    def _put_back(self, recorder: Recorder, done: Done, before: str) -> None:
        undone, not_undone = undo_effects(recorder, done.effects, before, self.say, self.journal)
        for line in undone:
            self.say(f"put back: {line}")
        if not_undone:
            raise NotPutBackError(
                f"not put back: {'; '.join(not_undone)}. Fix that, then run `msa-wizard recover`"
            )
        self.journal.settled()


def clear() -> None:
    """The guards of earlier runs find neither script nor file any more, or see that it is decided. Raises OSError."""
    for path in sorted(timer.FOLDER.glob("while-*")):
        if path.suffix == ".sh":
            _decide(path.with_suffix(".decision"))
        if path.suffix != ".decision":
            path.unlink(missing_ok=True)


def settled(host: Host) -> None:
    """The guards of earlier runs have nothing to do any more; one that is just putting something back is waited for,
    since two restarts of one service get in each other's way."""
    with contextlib.suppress(OSError):
        clear()
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and any(_is_guard(folder) for _, folder in host.processes()):
        time.sleep(0.1)


def _is_guard(folder: Path) -> bool:
    try:
        return f"{timer.FOLDER}/while-".encode() in (folder / "cmdline").read_bytes()
    except OSError:
        return False


def _decide(decision: Path) -> bool:
    """Whether it is us who put it back; else the guard was faster, and does the same."""
    try:
        timer.new_file(decision, "reverted\n")
    except FileExistsError:
        return False
    return True
