"""The queue: room, rights, and somebody who runs it."""

from __future__ import annotations

from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.storage import CLIENT_QUEUE, MTA_QUEUE

ROOM = 10 * 1024
"""KiB below which a disk is called full, whatever MinFreeBlocks says: one mail with a picture."""


def _least(picture: Picture) -> int:
    """KiB that sendmail wants free (MinFreeBlocks, in blocks of the file system)."""
    value = sendmail_cf.option(picture.cf, "MinFreeBlocks") or "100"
    return max(ROOM, int(value) * 4 if value.isdigit() else 0)


def _full(picture: Picture) -> Finding | None:
    least = _least(picture)
    full = [
        folder
        for folder in picture.storage.folders
        if folder.there and folder.free_kib < least and not folder.read_only
    ]
    if not full and not picture.no_room:
        return None
    queue = bool(picture.no_room) or any(folder.path == MTA_QUEUE for folder in full)
    first = full[0].path if full else MTA_QUEUE
    return Finding(
        f"the disk below {first} is full"
        + (": sendmail answers 452 and accepts no message" if queue else ""),
        (
            *(Evidence(f"{folder.free_kib} KiB free", folder.path) for folder in full),
            *(line for talk in picture.no_room for line in picture.conversation_evidence(talk)),
        ),
        Mend(text=f"make room: `df -h {first}`, `du -xh --max-depth=2 /var | sort -h | tail`"),
        Sign.FAILED if queue or picture.login is False else Sign.WARNING,
    )


def _inodes(picture: Picture) -> Finding | None:
    out = [
        folder
        for folder in picture.storage.folders
        if folder.free_inodes is not None and folder.free_inodes < 100
    ]
    if not out:
        return None
    return Finding(
        f"the file system below {out[0].path} has no inodes left: no file can be created, even with free space",
        tuple(Evidence(f"{folder.free_inodes} inodes free", folder.path) for folder in out),
        Mend(text=f"remove many small files: `df -i {out[0].path}`"),
    )


def _read_only(picture: Picture) -> Finding | None:
    bad = [folder for folder in picture.storage.folders if folder.there and folder.read_only]
    if not bad:
        return None
    return Finding(
        f"the file system below {bad[0].path} is mounted read-only, perhaps after a disk error",
        tuple(Evidence("read-only", folder.path) for folder in bad),
        Mend(text="look for disk errors: `dmesg | tail -50`"),
        Sign.FAILED if any(folder.path in (MTA_QUEUE, CLIENT_QUEUE) for folder in bad) else Sign.WARNING,
    )


def _folder(picture: Picture) -> Finding | None:
    if "sendmail-bin" not in picture.facts.packages:
        return None
    bad = []
    for path in (MTA_QUEUE, CLIENT_QUEUE):
        folder = picture.storage.folder(path)
        if folder is None or not folder.there:
            bad.append(Evidence("no such folder", path))
        elif folder.mode & 0o007 or folder.mode & 0o700 != 0o700:
            bad.append(Evidence(f"mode {folder.mode:04o}", path))
    if not bad:
        return None
    return Finding(
        "a queue folder is missing or has the wrong owner or mode: sendmail accepts no message",
        (*bad, *picture.logged("mqueue", "queue directory", since=picture.began - 3600, limit=2)),
        Mend(("mend-queue-folder",)),
    )


def _not_run(picture: Picture) -> Finding | None:
    """The daemon's own command line is in its pid file; the interval comes from sendmail.conf."""
    if not picture.runs:
        return None
    argv = (picture.texts.get(Text.PID_FILE, "").splitlines() or [""])[-1].split()
    runs = any(word.startswith("-q") for word in argv)
    if not argv or runs:
        return None
    interval = picture.setting(f.SENDMAIL_CONF, "QUEUE_INTERVAL")
    return Finding(
        "nothing runs the queue: a message that cannot be delivered at once stays forever",
        (
            Evidence(" ".join(argv), Text.PID_FILE),
            Evidence(f"QUEUE_INTERVAL={interval or '(nothing)'}", f.SENDMAIL_CONF),
        ),
        Mend(("mend-queue-run",)),
    )


_Q = Layer.QUEUE
DIAGNOSES = (
    Diagnosis(
        "disk-full",
        _Q,
        "452 Insufficient disk space",
        "",
        "statvfs",
        _full,
        cause="the disk of the queue is full",
        fix="make room: `du -xh --max-depth=2 /var | sort -h | tail`",
    ),
    Diagnosis(
        "inodes-out",
        _Q,
        "451 or 452, no message is taken",
        "",
        "statvfs",
        _inodes,
        cause="the file system of the queue has no inodes left, so no file can be created",
        fix="remove many small files; `df -i` shows where",
    ),
    Diagnosis(
        "read-only",
        _Q,
        "451, no message is taken",
        "",
        "statvfs",
        _read_only,
        cause="the file system of the queue is mounted read-only, perhaps after a disk error",
        fix="look for disk errors (`dmesg | tail -50`), then mount it again",
    ),
    Diagnosis(
        "queue-folder",
        _Q,
        "451, no message is taken",
        "",
        "the folders",
        _folder,
        cause="a queue folder is missing, or has the wrong owner or mode",
        fix="make it as Debian does (--fix: mend-queue-folder)",
    ),
    Diagnosis(
        "queue-not-run",
        _Q,
        "mail is taken and does not arrive",
        "",
        Text.PID_FILE,
        _not_run,
        cause="the daemon was started without -q, so nothing tries a waiting message again",
        fix="set QUEUE_INTERVAL in sendmail.conf (--fix: mend-queue-run)",
    ),
)
