"""Which of the host's mounts the clone gets, and how: copy on write, read-only, or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["overlay", "readonly", "copy"]

FRESH = ("/proc", "/sys", "/dev", "/run", "/tmp")
"""The clone has its own of these, empty."""
DATA = ("/home", "/srv", "/mnt", "/media", "/boot", "/lost+found")
"""Data folders, not of the set-up: file systems mounted there can be read, and are not copied."""
CONTAINERS = ("/var/lib/docker", "/var/lib/containers", "/var/lib/lxc", "/var/lib/lxd", "/var/lib/machines")
"""Others' file systems: what is mounted below these is left out."""
EMPTIED = (
    "/var/spool/mqueue",
    "/var/spool/mqueue-client",
    "/var/spool/postfix/deferred",
    "/var/spool/postfix/active",
    "/var/spool/postfix/incoming",
    "/var/spool/postfix/maildrop",
    "/var/spool/postfix/hold",
    "/var/spool/exim4/input",
    "/var/spool/exim4/msglog",
    "/var/spool/cron/atjobs",
    "/var/log/journal",
)
"""Empty in the clone: no queued mail is delivered, and no journal is shared or copied."""
GONE = ("/var/lib/msa-wizard/etc.git", "/var/lib/msa-wizard/etc.git-history", "/var/lib/msa-wizard/journal")
"""Not there in the clone: it has a history of its own, so that `rollback --all` leads to what is there now."""

_NO_DISK = frozenset(
    (
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs"),
        *("configfs", "pstore", "bpf", "mqueue", "hugetlbfs", "fusectl", "binfmt_misc", "autofs", "efivarfs"),
        *("rpc_pipefs", "nsfs", "selinuxfs", "ramfs"),
    )
)
_REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "afs"))


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo (proc(5)): number, mount point, type, and whether it is read-only."""

    number: int
    path: str
    kind: str
    readonly: bool


@dataclass(frozen=True)
class Layer:
    """A file system of the clone. `size` is the most bytes that may be written to it; 0: none are."""

    path: str
    kind: Kind
    readonly: bool
    size: int = 0


def parse(mountinfo: str) -> list[Mount]:
    """The lines of /proc/self/mountinfo."""
    mounts = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, behind = left.split(), right.split()
        readonly = "ro" in fields[5].split(",") or "ro" in behind[-1].split(",")
        mounts.append(Mount(int(fields[0]), _unescaped(fields[4]), behind[0], readonly))
    return mounts


def seen_here() -> list[Mount]:
    """The mounts of our own namespace."""
    return parse(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))


def _unescaped(path: str) -> str:
    """proc(5) writes blanks and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


def kind_of(mount: Mount, *, is_file: bool) -> Kind | None:
    """How the clone gets it; None: not at all."""
    if mount.path != "/" and (mount.kind in _NO_DISK or _below(mount.path, (*FRESH, *CONTAINERS))):
        return None
    if is_file:
        return "copy"
    if mount.kind.startswith("fuse") or mount.kind in _REMOTE or _below(mount.path, DATA):
        return "readonly"
    return "overlay"


def _below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def layers(limit: int) -> list[Layer]:
    """The clone's file systems, parents first; each takes at most `limit` bytes, and no more than its disk has free.

    So a disk that would be full is full in the clone. Raises OSError."""
    stack = []
    for mount in sorted(seen_here(), key=lambda item: item.path.count("/") if item.path != "/" else 0):
        if kind_of(mount, is_file=False) is None or not _on_top(mount):
            continue
        kind = kind_of(mount, is_file=not os.path.isdir(mount.path))  # noqa: PTH112
        room = os.statvfs(mount.path)
        size = min(limit, room.f_bfree * room.f_frsize) if kind == "overlay" else 0
        assert kind is not None
        stack.append(Layer(mount.path, kind, mount.readonly, size))
    return stack


def _on_top(mount: Mount) -> bool:
    """Whether it is what one sees at its mount point: no other mount covers it."""
    try:
        descriptor = os.open(mount.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        information = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    finally:
        os.close(descriptor)
    number = re.search(r"^mnt_id:\s*(\d+)$", information, re.MULTILINE)
    return number is not None and int(number[1]) == mount.number
