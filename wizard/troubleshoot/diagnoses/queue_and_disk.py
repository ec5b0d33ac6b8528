"""The queue: room, rights, and somebody who runs it."""

from __future__ import annotations

import re

from wizard.console import count
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import DAEMON, Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.storage import CLIENT_QUEUE, MTA_QUEUE

ROOM = 10 * 1024
"""KiB below which a disk is called full, whatever MinFreeBlocks says: one mail with a picture."""


def _least(picture: Picture) -> int:
    """KiB that sendmail wants free (MinFreeBlocks, in blocks of the file system)."""
    value = sendmail_cf.option(picture.cf, "MinFreeBlocks") or "100"
    return max(ROOM, int(value) * 4 if value.isdecimal() else 0)


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
        Sign.FAILED if any(folder.path in (MTA_QUEUE, CLIENT_QUEUE) for folder in out) else Sign.WARNING,
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


def _not_written(picture: Picture) -> Finding | None:
    """What no look at the folder tells: a quota, chattr +i, an error of the disk. Over once a message was taken."""
    process = picture.facts.process(DAEMON)
    since = max(process.started if process else 0.0, picture.began - 3600)
    lines = [line for line in picture.log or () if line.time > since and not line.file]
    refused = [line for line in lines if line.own_words and _NOT_WRITTEN.search(line.text)]
    if not refused:
        return None
    ids, last = {line.queue_id for line in refused}, refused[-1].time
    taken = (line for line in lines if re.match(r"\w+: from=.*, nrcpts=[1-9]", line.text))
    if any(line.time > last and line.queue_id not in ids for line in taken):
        return None
    return Finding(
        "sendmail cannot write into its queue, and refuses each message",
        tuple(Evidence(line.text, line.source) for line in refused[-2:]),
        Mend(text=f"`lsattr -d {MTA_QUEUE}`, `quota -u root smmta`, `df -h {MTA_QUEUE}`, `dmesg | tail -50`"),
    )


def _msp(picture: Picture) -> Finding | None:
    """Debian's cron job runs the queue of local programs, unless sendmail.conf says otherwise (MSP_MODE)."""
    queue = next((queue for queue in picture.storage.queues if queue.path == CLIENT_QUEUE), None)
    mode = (picture.setting(f.SENDMAIL_CONF, "MSP_MODE") or "Cron").lower()
    if queue is None or not queue.count or queue.oldest < 3600 or mode == "daemon":
        return None
    if mode == "cron" and Text.CRON_PID in picture.texts:
        return None
    return Finding(
        "nothing runs the queue of local programs: what could not be handed to the daemon at once stays there",
        (
            Evidence(
                f"{count(queue.count, 'message')}, the oldest for {queue.oldest / 3600:.0f} h", CLIENT_QUEUE
            ),
            Evidence(f"MSP_MODE={mode}, and no {Text.CRON_PID}", f.SENDMAIL_CONF),
        ),
        Mend(
            text='`sendmail -Ac -q -v` tries them now; for good: `apt-get install cron`, and MSP_MODE="Cron"'
        ),
        Sign.WARNING,
    )


def _held(picture: Picture) -> Finding | None:
    held = [file for queue in picture.storage.queues for file in queue.held]
    if not held:
        return None
    return Finding(
        f"no run of the queue tries these messages, which are quarantined (hf) or damaged (Qf): {len(held)}",
        tuple(Evidence("in the queue", file) for file in held[:3]),
        Mend(
            text="`mailq -qQ` shows the quarantined; `sendmail -Q -qQ` releases them; look into a Qf file by hand"
        ),
        Sign.WARNING,
    )


def _dead(picture: Picture) -> Finding | None:
    if not picture.storage.dead_letters:
        return None
    return Finding(
        "in the last day mail from a program on this host was refused, not returned, and saved in dead.letter",
        tuple(Evidence("changed in the last day", path) for path in picture.storage.dead_letters),
        Mend(
            text=f"read it: `less {picture.storage.dead_letters[0]}`; why: `journalctl -g 'SYSERR|dead.letter' -n 20`"
        ),
        Sign.WARNING,
    )


def _load(picture: Picture) -> Finding | None:
    set_to = sendmail_cf.option(picture.cf, "QueueLA") or ""
    limit = int(set_to) if set_to.isdecimal() else 8 * picture.storage.processors
    if not picture.runs or not 0 < limit <= picture.storage.load:
        return None
    return Finding(
        "the load is so high that sendmail takes mail, but does not deliver it at once (QueueLA)",
        (Evidence(f"load {picture.storage.load:.1f}, QueueLA {limit}", "/proc/loadavg, sendmail.cf"),),
        Mend(
            text="`top` shows what works so hard; the limits are confQUEUE_LA and confREFUSE_LA in sendmail.mc"
        ),
        Sign.WARNING,
    )


_NOT_WRITTEN = re.compile(
    r"(?:collect|queueup|queuename)\S*:? [Cc]annot (?:write|create|open)|error writing message"
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
        "queue-not-written",
        _Q,
        "421 or 451, no message is taken",
        "",
        "the last hour of the log",
        _not_written,
        cause="sendmail cannot write into its queue, for lack of permission, of quota or of a sound disk",
        fix="see why: `lsattr -d /var/spool/mqueue`, `df -h /var/spool/mqueue`, `dmesg | tail -50`",
    ),
    Diagnosis(
        "msp-queue-not-run",
        _Q,
        "mail from cron does not arrive",
        "",
        CLIENT_QUEUE,
        _msp,
        cause="nothing runs the queue of local programs",
        fix="try it now: `sendmail -Ac -q -v`; for good: `apt-get install cron`",
    ),
    Diagnosis(
        "messages-held",
        _Q,
        "single messages never arrive",
        "",
        "the queue's files",
        _held,
        cause="messages in the queue are quarantined or damaged, and no run of the queue tries them",
        fix="see them: `mailq -qQ`; release them: `sendmail -Q -qQ`",
    ),
    Diagnosis(
        "dead-letter",
        _Q,
        "mail from programs is lost",
        "",
        "dead.letter",
        _dead,
        cause="mail from a program was refused, not returned, and saved in dead.letter",
        fix="read it, and why: `journalctl -g 'SYSERR|dead.letter' -n 20`",
    ),
    Diagnosis(
        "load-high",
        _Q,
        "mail arrives late",
        "",
        "/proc/loadavg",
        _load,
        cause="the load is higher than QueueLA, so sendmail takes mail and delivers it later",
        fix="see what works so hard: `top`",
    ),
    Diagnosis(
        "queue-not-run",
        _Q,
        "mail is accepted, but does not arrive",
        "",
        Text.PID_FILE,
        _not_run,
        cause="the daemon was started without -q, so nothing tries a waiting message again",
        fix="set QUEUE_INTERVAL in sendmail.conf (--fix: mend-queue-run)",
    ),
)
