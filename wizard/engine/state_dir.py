"""/var/lib/msa-wizard: the lock, the journal and the snapshot store, and who may work on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.errors import StoreError
from snapshots.git.private_folder import check_private_folder, make_private_folder
from wizard.changes.confirm_or_revert import give_up
from wizard.console import clean_block, error
from wizard.delivery import replaced
from wizard.engine.journal import Journal, Unfinished, unfinished
from wizard.errors import INTERRUPTED, CannotHere, JournalError, NotRoot, WizardError
from wizard.system.lock import free, held, holder
from wizard.system.signals import Interrupt, postponed

if TYPE_CHECKING:
    from snapshots.store import Store

HOME = Path("/var/lib/msa-wizard")
STORE = HOME / "etc.git"
JOURNAL = HOME / "journal"
LOCK = HOME / "lock"


WAYS = "`msa-wizard recover` undoes that run, `msa-wizard recover --finish` finishes it"
"""What can be done about a killed run."""


class InterruptedRun(WizardError):
    """A killed run waits for `recover`."""

    exit_code = INTERRUPTED

    def __init__(self, unfinished: Unfinished) -> None:
        super().__init__(
            f"{unfinished.words()}; first run `msa-wizard recover` (undoes the whole run), `recover --finish` (finishes it) or "
            "`recover --show` (says what it had done)"
        )


@contextmanager
def at_work(
    *,
    recovering: bool = False,
    signals: Interrupt | None = None,
    say: Callable[[str], None] | None = None,
    work: str = "",
) -> Iterator[tuple[Store, Journal, Interrupt]]:
    """The store, the journal and the signals, while we alone change this host.

    Signals are caught here, which the main thread alone may do; in another thread `signals` is an Interrupt that
    somebody else tells of them. `say`, or standard error, is told before anything is done what the store was found to
    be: damaged and healed, or wiped. `work` is what others are told that this is for.

    Raises CannotHere, Locked, and InterruptedRun unless we are `recovering`."""
    with ExitStack() as stack:
        stack.enter_context(alone(work=work))
        interrupt = stack.enter_context(postponed() if signals is None else nullcontext(signals))
        interrupt.at_signal = give_up
        killed = killed_run()
        if killed is not None and not recovering:
            raise InterruptedRun(killed)
        with _the_store() as stores:
            store = stores.open(STORE)
        for line in store.healed:
            say(line) if say else error(f"msa-wizard: {clean_block(line)}")
        yield store, Journal(JOURNAL), interrupt


@contextmanager
def alone(what: str = "change this host", work: str = "") -> Iterator[None]:
    """While inside, this host and its settings are ours alone to change. Raises CannotHere, NotRoot with `what` only
    root can do, Locked."""
    must_be_root(what)
    if replaced():
        raise CannotHere(
            "msa-wizard was replaced while it was open. Nothing was changed; end it, and start it again"
        )
    who = os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or "root"
    with ExitStack() as stack:
        try:
            make_private_folder(HOME)
            check_private_folder(HOME)
            stack.enter_context(held(LOCK, who, work))
        except StoreError as problem:
            raise CannotHere(str(problem)) from problem
        except OSError as problem:
            raise CannotHere(
                f"{LOCK} cannot be written: {problem.strerror}. Nothing was changed; fix that, then try again"
            ) from problem
        yield


@contextmanager
def _the_store() -> Iterator[type[Store]]:
    """The class of the store, which is imported late; what it cannot do, this host cannot: CannotHere."""
    from snapshots.store import Store

    try:
        yield Store
    except StoreError as problem:
        raise CannotHere(str(problem)) from problem


def killed_run() -> Unfinished | None:
    """What the journal says of a killed run, None where there is none, or a run at work. Raises CannotHere."""
    try:
        return unfinished(JOURNAL)
    except JournalError as problem:
        raise CannotHere(str(problem)) from problem


def waiting_run() -> Unfinished | None:
    """A killed run that waits for `recover`; None also while a run is at work. Raises CannotHere, OSError."""
    return killed_run() if free(LOCK) else None


def others_at_work(lock: Path | None = None) -> str:
    """A sentence where another msa-wizard is at work, of which a look at the host may show what is half done, or done for a
    while; else "". Raises OSError."""
    who = holder(lock or LOCK)
    return f"{who}: what is seen of the host meanwhile may not stay" if who else ""


def must_not_wait() -> None:
    """Raises InterruptedRun where a killed run waits for `recover`."""
    killed = killed_run()
    if killed is not None:
        raise InterruptedRun(killed)


def must_be_root(what: str = "change this host", *, reads: bool = False) -> None:
    """Raises NotRoot for anybody else; `what` only root can do, which `reads` and changes nothing."""
    if os.geteuid() != 0:
        raise NotRoot(what, reads=reads)


def existing_store() -> Store | None:
    """The store, read-only, None where there is none, or nothing in it. Raises CannotHere."""
    with _the_store() as stores:
        return stores.open_existing(STORE)


def has_history() -> bool:
    """Whether a history was begun, be it damaged."""
    return STORE.exists()


def store_to_add_to() -> Store | None:
    """The store for a commit beside all runs, once we are `alone`; None where there is no history yet, or a killed run
    waits for `recover`. Raises CannotHere."""
    store = existing_store()
    if store is None or store.head() is None or killed_run() is not None:
        return None
    with _the_store() as stores:
        return stores.open(STORE)


def history_mark(store: Path = STORE) -> tuple[int, int] | None:
    """The same as long as nobody has added to the history; None where there is none, or it is not ours to read."""
    from snapshots.git.repository import BRANCH

    try:
        seen = (store / BRANCH).stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino


def lost_history() -> str:
    """A sentence where a history was wiped, and no new one was begun; else "". Raises CannotHere."""
    with _the_store() as stores:
        return stores.lost(STORE)
