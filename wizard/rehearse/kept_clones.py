"""Clones that were kept, and what a killed rehearsal may have left: empty cgroups."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from wizard.rehearse import mounts
from wizard.rehearse.keeper import NAME, remove_cgroup

_MODULE = b"wizard.rehearse.keeper"
_CGROUP = re.compile(rf"{NAME}-(\d+)")
PATIENCE = 15.0


def keepers() -> Iterator[int]:
    """The processes of root that hold a clone."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone
        if name.isdigit():
            with contextlib.suppress(OSError):
                folder = Path("/proc", name)
                if _MODULE in (folder / "cmdline").read_bytes() and folder.stat().st_uid == 0:
                    yield int(name)


def end_kept() -> int:
    """End all clones that are up, and wait until they are gone; how many there were."""
    pids = list(keepers())
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while set(keepers()) & set(pids) and time.monotonic() < end:
        time.sleep(0.05)
    return len(pids)


def sweep() -> int:
    """Remove the empty cgroups of clones whose keeper was killed; how many there were."""
    swept = 0
    for mount in mounts.seen_here():
        if mount.kind != "cgroup2":
            continue
        for folder, folders, _ in os.walk(mount.path):
            for name in folders:
                named = _CGROUP.fullmatch(name)
                if named and not Path("/proc", named[1]).exists():
                    remove_cgroup(Path(folder, name), 0.2)
                    swept += 1
            folders[:] = [name for name in folders if not _CGROUP.fullmatch(name)]
    return swept
