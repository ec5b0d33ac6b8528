"""The history of /etc and of the declared paths outside it: one bare git repository, one linear branch."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from snapshots import layout, stat_cache
from snapshots.author import Author, author_from_environment
from snapshots.entry import Entry, EntryError, Kind, read_entry, write_entry
from snapshots.errors import StoreError
from snapshots.fast_import import FastImport
from snapshots.git_repository import GitRepository
from snapshots.history import History
from snapshots.message import OPERATIONS, Commit, compose, parse_commit
from snapshots.private_folder import check_private_folder, make_private_folder
from snapshots.scan import PathChange, Scan, scan
from snapshots.stat_cache import Recorded
from snapshots.tree import read_recorded
from snapshots.tree_changes import content_changes, listing_changes, what

__all__ = ["Author", "Commit", "PathChange", "Store", "StoreError", "author_from_environment"]

_CACHE = "stat-cache"
_DECLARED = "declared-paths.json"
_MANY_PACKS = 32
"""Each commit adds one pack; at this many they are joined."""


class Store:
    """The store of one machine. One process at a time may commit; any number may read.

    Paths are relative to the root, as text with surrogate escapes for what is not UTF-8:
    `etc/mail/sendmail.mc`. A `ref` is a commit, its id or the beginning of it (four digits or more), `HEAD`,
    or the id of a step, which stands for the newest commit that applied it.
    """

    def __init__(self, path: Path, root: Path, *, writable: bool) -> None:
        self._path = path
        self._root = root
        self._writable = writable
        self._repository = GitRepository(path)
        self._history = History(self._repository)
        self._declared = self._read_declared()
        self._recorded: Recorded | None = None

    @classmethod
    def open(cls, path: Path, *, root: Path = Path("/"), extra: Sequence[str] = ()) -> Store:
        """The store at `path`, made where there is none, holding `root`/etc and the `extra` paths.

        The folder and the one it is in are made with mode 0700, and refused when they are a symbolic
        link, someone else's, or open to others. Raises StoreError.
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
        store = cls(path, root, writable=True)
        store.declare(extra)
        return store

    @classmethod
    def open_existing(cls, path: Path, *, root: Path = Path("/")) -> Store | None:
        """The store at `path` for reading alone, None where there is none; makes and changes nothing.

        Raises StoreError as `open` does.
        """
        path = path.absolute()
        if not check_private_folder(path.parent) or not check_private_folder(path):
            return None
        return cls(path, root, writable=False)

    @property
    def path(self) -> Path:
        """The folder of the store, a bare git repository."""
        return self._path

    @property
    def declared(self) -> tuple[str, ...]:
        """The paths outside /etc that the store holds, too."""
        return self._declared

    def declare(self, paths: Sequence[str]) -> None:
        """Holds these paths (a folder: with all below it) from now on, in later runs as well.

        Declare before the change, and commit the drift: what a path was before is known only so.
        Raises StoreError for what is no plain path below the root.
        """
        known = [*self._declared]
        for path in paths:
            _check_declarable(path)
            covered = ("etc", *known)
            if not any(path == one or path.startswith(one + "/") for one in covered):
                known.append(path)
        if tuple(known) != self._declared:
            self._must_be_writable()
            self._write_declared(tuple(known))
            self._declared = tuple(known)

    def pending(self) -> tuple[PathChange, ...]:
        """What differs between the live paths and the newest commit, sorted by path. Raises StoreError."""
        head = self._repository.head()
        recorded = self._recorded_by(head)
        found = scan(self._root, self._tops(), recorded)
        if found.refreshed and not found.changes:
            self._remember(recorded, found, head)
        changes = (PathChange(os.fsdecode(one.path), what(recorded, one)) for one in found.changes)
        return tuple(sorted(changes, key=lambda one: os.fsencode(one.path)))

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
        time: datetime.datetime | None = None,
    ) -> Commit | None:
        """Records the live paths as they are now; None when nothing changed and there is no `record`.

        `record` is kept with this commit alone (`record()` gives it back): effects that are not files. The
        first commit is a baseline, and only the first. Raises StoreError; the history is then as it was.
        """
        self._must_be_writable()
        head = self._repository.head()
        _check_operation(operation, head)
        recorded = self._recorded_by(head)
        when = (time or datetime.datetime.now().astimezone()).replace(microsecond=0)
        text = compose(subject=subject, body=body, step=step, howto=howto, operation=operation, run=run)
        with FastImport(self._repository) as stream:
            found = scan(self._root, self._tops(), recorded, stream.blob)
            if not found.changes and record is None and head is not None:
                if found.refreshed:
                    self._remember(recorded, found, head)
                return None
            deleted, blobs = content_changes(recorded, found.changes)
            empty, texts = listing_changes(recorded, found)
            if record is None:
                empty.append(layout.RECORD)
            else:
                texts.append((layout.RECORD, record))
            stream.commit(
                parent=head,
                author=author.signature(),
                committer=Author("msa-wizard", author.email).signature(),
                time=when,
                message=text.encode("utf-8", "replace"),
                deleted=deleted + empty,
                blobs=blobs,
                texts=texts,
            )
        new_head = self._repository.head()
        if new_head is None or new_head == head:
            raise StoreError(f"git made no commit in {str(self._path)!r}, and did not say why.")
        self._remember(recorded, found, new_head)
        self._join_packs()
        return parse_commit(new_head, author.cleaned(), when, text)

    def head(self) -> Commit | None:
        """The newest commit, None before the baseline. Raises StoreError."""
        return self._history.head()

    def history(self, limit: int | None = None, path: str | None = None) -> Iterator[Commit]:
        """The commits, newest first, at most `limit`; with `path` those that changed it or what is below it.

        Raises StoreError.
        """
        return self._history.commits(limit, None if path is None else os.fsencode(path))

    def find(self, ref: str) -> Commit:
        """The commit that `ref` names. Raises StoreError, which says what there is."""
        return self._history.find(ref)

    def diff(self, ref: str | Commit) -> str:
        """What a commit changed, for people: metadata in words (`etc/x: mode 0640 -> 0600`), text files as a
        unified diff, binary and huge files by name; for the baseline a list. Raises StoreError."""
        return self._history.diff(ref)

    def changed(self, ref: str | Commit) -> tuple[PathChange, ...]:
        """The paths that a commit changed, sorted. Raises StoreError."""
        return self._history.changed(ref)

    def entry(self, ref: str | Commit, path: str) -> Entry | None:
        """What `path` was in a commit, None where it was not. Raises StoreError."""
        return self._history.entry(ref, os.fsencode(path))

    def record(self, ref: str | Commit) -> bytes | None:
        """The `record` that was given with a commit, None where there was none. Raises StoreError."""
        return self._history.record(ref)

    def _tops(self) -> list[bytes]:
        return [b"etc", *(os.fsencode(path) for path in self._declared)]

    def _recorded_by(self, head: str | None) -> Recorded:
        """What the commit `head` holds, from memory, from the cache, or from the commit itself."""
        if self._recorded is None or self._recorded.commit != head:
            cached = stat_cache.load(self._path / _CACHE, head) if head else Recorded(None)
            self._recorded = cached or read_recorded(self._repository, head or "")
        return self._recorded

    def _remember(self, recorded: Recorded, found: Scan, head: str | None) -> None:
        self._recorded = Recorded(head, found.folders, recorded.fields)
        if not self._writable:
            return
        try:
            stat_cache.save(self._path / _CACHE, self._recorded)
        except OSError:
            return  # The commit stands. A cache of another commit is not believed: the next run reads anew.

    def _join_packs(self) -> None:
        """Keeps the store small and quick. What fails here fails again, and is said, at the next commit that
        needs the space; the commit just made stands."""
        packs = sum(1 for _ in (self._path / "objects/pack").glob("*.pack"))
        if packs >= _MANY_PACKS:
            with contextlib.suppress(StoreError):
                self._repository.run("repack", "--geometric=2", "-d", "-q")

    def _must_be_writable(self) -> None:
        if not self._writable:
            raise StoreError(f"The store {str(self._path)!r} was opened for reading alone.")

    def _read_declared(self) -> tuple[str, ...]:
        try:
            found = read_entry(self._path / _DECLARED)
            paths = json.loads(found.content) if found else []
        except (EntryError, ValueError) as cause:
            raise StoreError(
                f"The list of declared paths in {str(self._path)!r} is damaged ({cause}): "
                f"remove {_DECLARED} there, and declare them again."
            ) from cause
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise StoreError(
                f"The list of declared paths in {str(self._path)!r} is damaged: remove {_DECLARED} there."
            )
        return tuple(paths)

    def _write_declared(self, paths: tuple[str, ...]) -> None:
        content = json.dumps(paths).encode()
        try:
            write_entry(self._path / _DECLARED, Entry(Kind.FILE, 0o600, os.geteuid(), os.getegid(), content))
        except EntryError as cause:
            raise StoreError(f"The declared paths could not be kept: {cause}") from cause


def _check_declarable(path: str) -> None:
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..", ".git") for part in parts) or parts[0].startswith("."):
        raise StoreError(
            f"{path!r} cannot be held by the store: it takes a plain path below the root, "
            f"without a leading slash, without '.', '..' and '.git'."
        )


def _check_operation(operation: str, head: str | None) -> None:
    if operation not in OPERATIONS:
        raise StoreError(f"{operation!r} is no operation; there are {', '.join(OPERATIONS)}.")
    if head is None and operation != "baseline":
        raise StoreError(
            f"The store is empty: a commit of the operation {operation!r} needs the baseline first."
        )
    if head is not None and operation == "baseline":
        raise StoreError("The store has its baseline already: what changed since is drift.")
