"""Changes that hold for a while, and go back whatever happens: at the end, at a signal, when this program crashes or is
killed (a script of the system's own then, and `recover`).

The same engine as for a step: changes in the journal before they are made, undone from the snapshot store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.engine.recorder import Recorder
from wizard.engine.run import Run
from wizard.engine.undo import carry_out, undo_effects
from wizard.errors import ChangeError, NotPutBackError
from wizard.model.plan import Change, Effect
from wizard.system.guard import Decision, Guard, Revert, clear_guards, settle_guards
from wizard.system.host import Say

if TYPE_CHECKING:
    from snapshots.store import Store
    from wizard.engine.journal import Journal
    from wizard.system.host import Host

OPERATION = "debug"
"""In the journal; `recover` puts such a run back, there is nothing to finish."""
_GRACE = 20
"""Seconds beyond the end for us to put it back ourselves."""
_KIND = "while"
"""Of its guards (`wizard.system.guard`)."""


@dataclass
class ForAWhile:
    """One such piece of work, while the host is ours (`state_dir.at_work`)."""

    host: Host
    store: Store
    journal: Journal
    interrupt: Callable[[], None]
    say: Say
    begun: bool = False
    """Whether something was changed."""

    @contextmanager
    def changed(self, name: str, changes: Sequence[Change], revert: Revert, seconds: int) -> Iterator[None]:
        """While inside `changes` hold, for `seconds` at most; `name` stands for it in the journal and the history.

        The caller must leave in time. Raises ChangeError and HostError when they could not be made (what was begun is
        undone then), NotPutBackError, StoreError, OSError."""
        run, effects = Run(), list[Effect]()
        recorder = Recorder(self.host, self.store, run.id, lambda _: None)
        recorder.baseline()
        recorder.drift()
        before = recorder.head()
        self.journal.begin(OPERATION, run.id, recorder.who, before, {})
        began = time.monotonic()
        try:
            self.journal.step(name, before)
            try:
                guard = Guard.arm(self.host, _KIND, revert, seconds + _GRACE, watch=True)
            except ChangeError:
                self.journal.settled()
                raise
            try:
                self.begun = True
                carry_out(changes, effects, self.host, self.journal, self.say, self.interrupt)
                yield
            finally:
                self._put_back(recorder, effects, before)
                # Only now: if we are killed on the way, the guard takes over.
                if guard.claim(Decision.REVERTED):
                    guard.stop_timer(self.host)
                    with contextlib.suppress(OSError):
                        clear_guards(self.host, _KIND)
            recorder.note(f"{name}: for {time.monotonic() - began:.0f} s, then undone", None)
        finally:
            self.journal.finish()

    def _put_back(self, recorder: Recorder, effects: list[Effect], before: str) -> None:
        undone, not_undone = undo_effects(recorder, effects, before, self.say, self.journal)
        for line in undone:
            self.say(f"undone: {line}")
        if not_undone:
            raise NotPutBackError(
                f"not undone: {'; '.join(not_undone)}. Fix that, then run `msa-wizard recover`"
            )
        self.journal.settled()


def settled(host: Host) -> None:
    """The guards of earlier runs have nothing to do any more; one that is at work is waited for."""
    settle_guards(host, _KIND)
