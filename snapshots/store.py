"""The history of /etc and of the declared paths outside it: one bare git repository, one linear branch."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapshots.difference import stat_cache
from snapshots.difference.scan import Scan, record_commit, scan, what
from snapshots.difference.stat_cache import Recorded
from snapshots.difference.tree import read_recorded
from snapshots.errors import StoreError
from snapshots.format.layout import Owners, PathChange
from snapshots.format.message import OPERATIONS, Author, Commit, compose, parse_commit
from snapshots.git.beside import lost_history, mark_history, read_declared, with_declared, write_declared
from snapshots.git.frame import frame_faults
from snapshots.git.private_folder import check_private_folder, make_private_folder
from snapshots.git.processes import Draft
from snapshots.git.repository import GitRepository
from snapshots.git.writers import remove_leftovers, wait_for_writers
from snapshots.history import History
from snapshots.live.entry import Entry
from snapshots.repair import find_damage, heal, heal_frame

if TYPE_CHECKING:
    from snapshots.merge.reversal import Reversal
    from snapshots.merge.three_way import Choice

__all__ = ["Author", "Commit", "Store", "StoreError"]

_CACHE = "stat-cache"


class Store(History):
    """The store of one machine. One process at a time may commit; any number may read.

    Paths are relative to the root, as text with surrogate escapes for what is not UTF-8:
    `etc/mail/sendmail.mc`. A `ref` is a commit, its id or the beginning of it (four digits or more), `HEAD`,
    or the id of a step, which means the newest commit that applied it.
    """

    def __init__(self, path: Path, root: Path, *, writable: bool) -> None:
        self.path = path
        """The folder of the store, a bare git repository."""
        self._root = root
        self._writable = writable
        super().__init__(GitRepository(path))
        self.declared = read_declared(path)
        """The paths outside /etc that the store holds, too."""
        self._recorded: Recorded | None = None
        self.healed: tuple[str, ...] = ()
        """What `open` found damaged and what it did, in sentences; empty where all was well."""

    @classmethod
    def open(cls, path: Path, *, root: Path = Path("/"), extra: Sequence[str] = ()) -> Store:
        """The store at `path`, made where there is none, holding `root`/etc and the `extra` paths.

        The folder and the one it is in are made with mode 0700, and refused when they are a symbolic
        link, someone else's, or open to others. For one writer at a time: what a killed one left is removed,
        and a damaged store is repaired; `healed` says so. Raises StoreError, also when nothing can be repaired.
        """
        path = path.absolute()
        if path.is_relative_to(root.absolute() / "etc"):
            raise StoreError(
                f"The store {str(path)!r} would lie inside the /etc that it records: choose another place."
            )
        make_private_folder(path.parent)
        check_private_folder(path.parent)
        if not check_private_folder(path) or not any(path.iterdir()):
            GitRepository.create(path)
        wait_for_writers(path)
        healed: tuple[str, ...] = ()
        if names := ", ".join(remove_leftovers(path)):
            healed = (f"An earlier run was cut short; what it left is removed: {names}.",)
        healed += heal_frame(path)
        store = cls(path, root, writable=True)
        damage = find_damage(store._repository)
        if damage:
            healed += heal(store._repository, damage, root, store._tops())
            (path / _CACHE).unlink(missing_ok=True)
        else:
            store._remember_newest(damage.newest)
        if store._repository.head() is not None:
            mark_history(path)
        elif sentence := lost_history(path):
            healed += (sentence,)
        store.healed = healed
        store.declare(extra)
        return store

    @classmethod
    def open_existing(cls, path: Path, *, root: Path = Path("/")) -> Store | None:
        """The store at `path`, read-only, None where there is none; makes and changes nothing. Raises
        StoreError as `open` does, and for a damaged store, which only `open` repairs."""
        path = path.absolute()
        if not check_private_folder(path.parent) or not check_private_folder(path) or not any(path.iterdir()):
            return None
        if faults := frame_faults(path):
            sentences = " ".join(f"{name} {fault}." for name, fault in faults.items())
            raise StoreError(
                f"The store {str(path)!r} is damaged: {sentences} It was only looked at; the next `apply`, `rollback` or "
                f"`recover` fixes it."
            )
        store = cls(path, root, writable=False)
        damage = find_damage(store._repository)
        if damage:
            wait_for_writers(path)  # a pack is there a moment before its index
            damage = find_damage(store._repository)
            if damage:
                raise StoreError(
                    f"The store {str(path)!r} is damaged: {' '.join(damage.sentences())} It was only looked at; "
                    f"the next `apply`, `rollback` or `recover` repairs it."
                )
        store._remember_newest(damage.newest)
        return store

    @staticmethod
    def lost(path: Path) -> str:
        """A sentence where there was a history at `path` and there is none; else "". Raises StoreError as `open_existing`."""
        sentence = lost_history(path)
        store = Store.open_existing(path) if sentence else None
        return "" if store is not None and store.head() is not None else sentence

    def declare(self, paths: Sequence[str]) -> None:
        """Holds these paths (a folder: with all below it) from now on, in later runs as well. Declare before
        the change, and commit the drift: what a path was before is known only so. Raises StoreError for what
        is not a plain path below the root."""
        known = with_declared(self.declared, paths)
        if known != self.declared:
            self._must_be_writable()
            write_declared(self.path, known)
            self.declared = known

    def pending(self) -> tuple[PathChange, ...]:
        """What differs between the live paths and the newest commit, sorted by path. Raises StoreError."""
        head = self._repository.head()
        recorded = self._recorded_by(head)
        outcome = scan(self._root, self._tops(), recorded)
        if outcome.refreshed and not outcome.changes:
            self._remember(recorded, outcome, head)
        changes = sorted(outcome.changes, key=lambda one: one.path)
        return tuple(PathChange(os.fsdecode(one.path), what(recorded, one)) for one in changes)

    def commit(
        self,
        *,
        operation: str,
        subject: str,
        run: str,
        author: Author,
        body: str = "",
        step: str | None = None,
        howto: str | None = None,
        record: bytes | None = None,
        reverts: Sequence[str] = (),
        time: datetime.datetime | None = None,
        entries: Mapping[str, Entry | None] | None = None,
    ) -> Commit | None:
        """Records the live paths as they are now; None when nothing changed and there is no `record`.

        With `entries` it records these in place of the live paths, and all others as the newest commit has them:
        what one writer did, while others were at work.

        `record` is kept with this commit alone (`record()` gives it back): effects that are not files.
        `reverts` are the whole ids of the commits that this one rolls back. The first commit is a baseline,
        and only the first. Raises StoreError; the history is then as it was.
        """
        self._must_be_writable()
        head = self._repository.head()
        _check_operation(operation, head)
        recorded = self._recorded_by(head)
        when = (time or datetime.datetime.now().astimezone()).replace(microsecond=0)
        text = compose(
            subject=subject, body=body, step=step, howto=howto, operation=operation, run=run, reverts=reverts
        )
        draft = Draft(head, author, when, text, record)
        given = {os.fsencode(path): entry for path, entry in (entries or {}).items()}
        source = self._tops() if entries is None else given
        outcome = record_commit(self._repository, self._root, source, recorded, draft)
        if not outcome.changes and record is None and head is not None:
            if outcome.refreshed:
                self._remember(recorded, outcome, head)
            return None
        new_head = self._repository.head()
        if new_head is None or new_head == head:
            raise StoreError(f"git made no commit in {str(self.path)!r}, and did not say why.")
        self._remember(recorded, outcome, new_head)
        if head is None:
            mark_history(self.path)
        self._repository.join_packs()
        commit = parse_commit(new_head, author.cleaned(), when, text)
        if head is not None:
            self._added(head, commit, [one.path for one in outcome.changes])
        return commit

    def not_kept(self) -> tuple[str, ...]:
        """The files of the newest commit that are too large for their content to be kept (`entry.LARGEST`).
        Raises StoreError."""
        return tuple(os.fsdecode(path) for path in self._recorded_by(self._repository.head()).large())

    def reverse(
        self,
        commits: Sequence[Commit],
        *,
        choice: Choice | None = None,
        derived: Callable[[str], bool] = lambda _: False,
        dated: re.Pattern[bytes] | None = None,
        grown: Callable[[str], bool] | None = None,
        stays: Callable[[str], bool] = lambda _: False,
        back: Callable[[Commit, str], bool] = lambda *_: False,
        kept_up: Callable[[str], bool] = lambda _: False,
    ) -> Reversal:
        """What rolling `commits` back comes to. A path that is as they left it goes back exactly; later work
        is kept by a merge of three states, and where both changed the same, `choice` decides or it is a
        conflict. A `derived` (generated) path goes back whatever it is now; a line that `dated` finds (with
        the day it was written, say) is no change; what has `grown` since in a folder that goes, goes with it; what
        `stays` is left as it is, and what of a commit is `back` already counts no more. Of what the system keeps up by
        itself (`kept_up`) nobody is asked: where both changed the same it is left, whatever `choice` is. Writes nothing.
        Raises StoreError."""
        head = self._repository.head()
        if head is None:
            raise StoreError("The store is empty: there is nothing to roll back.")
        from snapshots.merge.reversal import reverse

        return reverse(
            self._repository, head, commits, tops=("etc", *self.declared), owners=Owners(self._root),
            choice=choice, derived=derived, dated=dated, grown=grown, stays=stays, back=back,
            kept_up=kept_up,
        )  # fmt: skip

    def _tops(self) -> list[bytes]:
        return [b"etc", *(os.fsencode(path) for path in self.declared)]

    def _recorded_by(self, head: str | None) -> Recorded:
        """What the commit `head` holds, from memory, from the cache, or from the commit itself."""
        if self._recorded is None or self._recorded.commit != head:
            cached = stat_cache.load(self.path / _CACHE, head) if head else Recorded(None)
            self._recorded = cached or read_recorded(self._repository, head or "")
        return self._recorded

    def _remember(self, recorded: Recorded, outcome: Scan, head: str | None) -> None:
        self._recorded = Recorded(head, outcome.folders, recorded.fields)
        if self._writable:
            # The commit is made. A cache of another commit is not believed: the next run reads again.
            with contextlib.suppress(OSError):
                stat_cache.save(self.path / _CACHE, self._recorded)

    def _must_be_writable(self) -> None:
        if not self._writable:
            raise StoreError(f"The store {str(self.path)!r} was opened read-only.")


def _check_operation(operation: str, head: str | None) -> None:
    if operation not in OPERATIONS:
        raise StoreError(f"{operation!r} is no operation; there are {', '.join(OPERATIONS)}.")
    if head is None and operation != "baseline":
        raise StoreError(
            f"The store is empty: a commit of the operation {operation!r} needs the baseline first."
        )
    if head is not None and operation == "baseline":
        raise StoreError("The store has its baseline already: what changed since is drift.")
