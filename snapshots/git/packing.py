"""Joining the packs of a store: each commit adds one."""

from __future__ import annotations

import contextlib

from snapshots.errors import StoreError
from snapshots.git.repository import GitRepository
from snapshots.git.writers import writer_mark

_MANY = 32


def join_many_packs(repository: GitRepository) -> None:
    """Keeps the store small and quick, once there are 32 packs."""
    if sum(1 for _ in repository.path.glob("objects/pack/*.pack")) >= _MANY:
        join_packs(repository)


def join_packs(repository: GitRepository) -> None:
    """Joins small packs, and objects that are files of their own.

    What fails here fails again, and is said, at the next commit that needs the space; the history is unharmed.
    """
    with contextlib.suppress(StoreError), writer_mark(repository.path) as mark:
        repository.run("repack", "--geometric=2", "-d", "-q", keep=[mark])
