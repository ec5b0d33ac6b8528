"""The queues and the disks below them: room, inodes, rights, and what waits and why."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass

from wizard.system.host import Host

MTA_QUEUE = "/var/spool/mqueue"
CLIENT_QUEUE = "/var/spool/mqueue-client"
FOLDERS = (MTA_QUEUE, CLIENT_QUEUE, "/var/mail", "/var/log", "/etc/mail", "/tmp")
DEAD_LETTERS = ("/var/lib/sendmail/dead.letter", "/root/dead.letter")
"""Debian's DeadLetterDrop, and root's own."""
_MOST = 300
"""Messages of a queue that are looked into."""


@dataclass(frozen=True)
class Folder:
    """A folder that mail needs; `None`s where it is not there."""

    path: str
    there: bool
    mode: int = 0
    uid: int = 0
    gid: int = 0
    free_kib: int = 0
    """For those who are not root."""
    free_inodes: int | None = None
    """None where the file system does not count them."""
    read_only: bool = False


@dataclass(frozen=True)
class Queue:
    """What waits in a queue: how many, since when (seconds), and the reasons that sendmail noted."""

    path: str
    count: int = 0
    oldest: float = 0.0
    reasons: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    """Files of messages that no run of the queue tries: quarantined (hf), or damaged (Qf)."""


@dataclass(frozen=True)
class Storage:
    """All of them."""

    folders: tuple[Folder, ...] = ()
    queues: tuple[Queue, ...] = ()
    dead_letters: tuple[str, ...] = ()
    """Those that changed in the last day."""
    load: float = 0.0
    """Of the last minute, which sendmail asks, too."""
    processors: int = 1

    def folder(self, path: str) -> Folder | None:
        """One folder."""
        return next((folder for folder in self.folders if folder.path == path), None)


def look(host: Host) -> Storage:
    """Read them; what may not be read counts as empty."""
    return Storage(
        tuple(_folder(host, path) for path in FOLDERS),
        tuple(_queue(host, path) for path in (MTA_QUEUE, CLIENT_QUEUE)),
        tuple(path for path in DEAD_LETTERS if _changed(host, path)),
        _load(host),
        os.cpu_count() or 1,
    )


def _load(host: Host) -> float:
    """What sendmail reads; getloadavg(3) of newer C libraries asks the kernel, which in a container tells the host's."""
    words = host.text("/proc/loadavg").split()
    try:
        return float(words[0]) if words else 0.0
    except ValueError:
        return 0.0


def _changed(host: Host, path: str) -> bool:
    try:
        status = host.path(path).stat()
    except OSError:
        return False
    return status.st_size > 0 and status.st_mtime > time.time() - 24 * 3600


def _folder(host: Host, path: str) -> Folder:
    real = host.path(path)
    try:
        status, room = real.stat(), os.statvfs(real)
    except OSError:
        return Folder(path, there=False)
    return Folder(
        path,
        stat.S_ISDIR(status.st_mode),
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        room.f_bavail * room.f_frsize // 1024,
        room.f_favail if room.f_files else None,
        bool(room.f_flag & os.ST_RDONLY),
    )


def _queue(host: Host, path: str) -> Queue:
    """With its subfolders: queue groups, and qf beside df (op.me, section 2.3.1)."""
    inside = [
        f"{path}/{name}"
        for name in host.names(path)
        if name == "qf" or (name.startswith("q") and name[:2] != "qf")
    ]
    folders = [path, *inside, *(f"{folder}/qf" for folder in inside)]
    files = [f"{folder}/{name}" for folder in folders for name in host.names(folder)]
    names = [file for file in files if file.rpartition("/")[2].startswith("qf") and file not in folders]
    oldest, reasons = 0.0, dict[str, None]()
    now = time.time()
    for name in names[:_MOST]:
        try:
            text = host.path(name).read_text("latin-1")
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith("M") and len(line) > 1:
                reasons[line[1:]] = None
            elif line.startswith("T") and line[1:].isdigit():
                oldest = max(oldest, now - int(line[1:]))
    held = tuple(file for file in files if file.rpartition("/")[2].startswith(("hf", "Qf")))
    return Queue(path, len(names), oldest, tuple(reasons)[:5], held)
