"""Runs a command and keeps the bytes of each file that it writes:
`python -I -S witness_process.py FOLDER SINCE PATH... -- COMMAND`. What others have changed since SINCE (seconds since the
epoch) is kept as well; nothing where it is 0.

Stands alone, with the standard library only, and is the command's parent, so it goes on when the program that started
it is killed. Writes to FOLDER what wizard.packages.witness reads; where the kernel or the container does not let it watch, it
says so there and runs the command all the same. Exit status, signals, terminal and descriptors are the command's.

The command gets mounts of its own (unshare(2), CLONE_NEWNS: the same files, another struct mount), and fanotify(7)
tells what was written through these: by the command and its children, and by nobody else, however short they lived.
What they ask systemd to start is not among them."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import resource
import select
import signal
import stat
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

NAME = "witness"
"""The file in FOLDER: lines of JSON, each record of a file with its bytes behind it."""
TEMPORARY = ("/tmp", "/var/tmp", "/run", "/root")
"""Where scripts prepare a file that they then rename into place."""
LARGEST = 16 * 1024 * 1024
"""Bytes of a file that are kept; of a longer one only that it was written."""

_FAN_CLOSE_WRITE, _FAN_Q_OVERFLOW = 0x8, 0x4000
_FAN_CLOEXEC, _FAN_NONBLOCK, _FAN_UNLIMITED_QUEUE = 0x1, 0x2, 0x10
_FAN_MARK_ADD, _FAN_MARK_MOUNT = 0x1, 0x10
_CLONE_NEWNS = 0x20000
_AT_FDCWD = -100
_EVENT = struct.Struct("=IBBHQii")  # struct fanotify_event_metadata
_SIGNALLED = struct.Struct("=IiiI")  # the head of struct signalfd_siginfo
_SI_KERNEL = 0x80
_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, signal.SIGTSTP)
"""What a terminal sends to the whole group: the command has it already."""
_PASSED_ON = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
DPKG = Path("/var/lib/dpkg")
_HALF_WAY = re.compile(rb"^Status: \S+ \S+ (?:half-|unpacked)", re.MULTILINE)
_FLUSH = 0.5
"""Seconds at most until what was seen is on the disk."""
_HELD = 4096
"""Descriptors of written files that are kept open: so their inodes are not used again, and their names are known."""
_COARSE = 0.02
"""Seconds by which the clock of the inodes may be behind (CLOCK_REALTIME_COARSE, clock_gettime(2))."""
_AT_ONCE = 32
"""Events that are read at once, each with a descriptor."""
_FOR_OTHERS = _AT_ONCE + 16
"""Descriptors that are left for what is not held."""

_DELETED = " (deleted)"
"""Behind the name of a file that has none any more (proc(5))."""
_libc = ctypes.CDLL(None, use_errno=True)


class Record:
    """The file that the evidence goes to. A disk that is full stops the record, which then has no end, and not the
    command."""

    def __init__(self, folder: Path) -> None:
        self._descriptor, self._since = -1, 0.0
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with suppress(OSError):  # `evidence` finds none, then
            folder.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(folder / NAME, flags, 0o600)

    def say(self, line: dict[str, Any], content: bytes = b"") -> None:
        """A line, and bytes behind it."""
        left = memoryview(json.dumps(line).encode() + b"\n" + content)
        self._since = self._since or time.monotonic()
        try:
            while left and self._descriptor >= 0:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            self._stop()

    def flush(self, *, now: bool = False) -> None:
        """Onto the disk, at most each half second: a flush for each file would cost more than the command."""
        if self._descriptor >= 0 and self._since and (now or time.monotonic() - self._since > _FLUSH):
            self._since = 0.0
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                self._stop()

    def _stop(self) -> None:
        """What comes after a line that was cut off could not be read."""
        os.close(self._descriptor)
        self._descriptor = -1


class Group:
    """A fanotify group: what is written through the mounts that it watches, from now on. Its lines carry `mark`.

    What was written is held open, so that its inode is not used again, and the last name that it had is known."""

    def __init__(self, below: tuple[str, ...], record: Record, mark: dict[str, Any]) -> None:
        """Watches nothing yet; raises OSError where the kernel has no fanotify for us."""
        self._below, self._record, self._marked = below, record, mark
        self._held: dict[tuple[int, int], int] = {}
        self._room = min(_HELD, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - _FOR_OTHERS) // 2)
        flags = _FAN_CLOEXEC | _FAN_NONBLOCK | _FAN_UNLIMITED_QUEUE
        self.descriptor = _checked(_libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC | os.O_LARGEFILE))

    def watch(self, mounts: Sequence[str]) -> None:
        """These mount points, as they are mounted for us now; raises OSError."""
        for path in mounts:
            arguments = _FAN_MARK_ADD | _FAN_MARK_MOUNT, ctypes.c_uint64(_FAN_CLOSE_WRITE), _AT_FDCWD
            _checked(_libc.fanotify_mark(self.descriptor, *arguments, os.fsencode(path)))

    def look(self) -> None:
        """Record all that is waiting."""
        while True:
            try:
                events = os.read(self.descriptor, _EVENT.size * _AT_ONCE)
            except BlockingIOError:
                return
            except OSError:  # the kernel has dropped an event: the file could not be opened
                self._record.say({**self._marked, "lost": True})
                continue
            for mask, descriptor in parsed(events):
                if mask & _FAN_Q_OVERFLOW:
                    self._record.say({**self._marked, "lost": True})
                if descriptor >= 0 and not self._take(descriptor):
                    os.close(descriptor)

    def _take(self, descriptor: int) -> bool:
        """Record a file that was closed after writing; whether its descriptor is kept."""
        path = _name(descriptor)
        # Nearly all files of a package end here: what that costs, each of them costs.
        if not path.startswith(self._below):
            return False
        status = os.fstat(descriptor)
        if not (stat.S_ISREG(status.st_mode) and below(path, self._below)):
            return False
        try:
            content = _content(descriptor)
        except OSError:
            content = None
        identity = status.st_dev, status.st_ino
        line = {**self._marked, "path": path, "device": status.st_dev, "inode": status.st_ino}
        if content is None:
            self._record.say({**line, "lost": True})
        else:
            line |= {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}
            sha = hashlib.sha256(content).hexdigest()
            self._record.say({**line, "size": len(content), "sha256": sha}, content)
        if identity in self._held or len(self._held) >= self._room:
            return False
        self._held[identity] = descriptor
        return True

    def changed_since(self, seconds: float) -> None:
        """Record the files whose inode has changed since that time."""
        folders = [path for path in self._below if Path(path).is_dir()]
        while folders:
            with suppress(OSError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.stat(follow_symlinks=False).st_ctime >= seconds - _COARSE:
                        self._open(entry.path)

    def _open(self, path: str) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with suppress(OSError):
            descriptor = os.open(path, flags)
            if not self._take(descriptor):
                os.close(descriptor)

    def end(self) -> None:
        """Record what became of each file: it may have been renamed since."""
        self.look()
        for (device, inode), descriptor in self._held.items():
            there = os.fstat(descriptor).st_nlink > 0
            line = {"now": _name(descriptor), "device": device, "inode": inode, "there": there}
            self._record.say({**self._marked, **line})


def watch(paths: Sequence[str], record: Record) -> tuple[Group, Group]:
    """What the command and its children write, from now on, and what everybody else does at the same time: these write
    through the mounts that all see, the command through copies of them. Raises OSError where that cannot be watched."""
    if not Path("/run/systemd/system").is_dir():  # sd_booted(3)
        # A daemon that a script itself starts would stay on the mounts of its own for good.
        raise OSError(0, "systemd does not run here")
    ours = Group((*paths, *TEMPORARY), record, {})
    others = Group(tuple(paths), record, {"others": True})
    mounts = ("/", *mounts_below(Path("/proc/self/mountinfo").read_bytes(), paths))
    others.watch(mounts)
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.unshare(_CLONE_NEWNS))  # how mounts propagate stays: an umount outside reaches us
        try:
            ours.watch(mounts)
        except OSError:
            _checked(_libc.setns(before, _CLONE_NEWNS))
            raise
    finally:
        os.close(before)
    return ours, others


def parsed(events: bytes) -> Iterator[tuple[int, int]]:
    """Mask and descriptor (-1: none) of each event that fanotify gave."""
    at = 0
    while at + _EVENT.size <= len(events):
        length, _, _, _, mask, descriptor, _ = _EVENT.unpack_from(events, at)
        yield mask, descriptor
        at += max(length, _EVENT.size)


def below(path: str, tops: Sequence[str]) -> bool:
    """Whether a path is one of `tops` or below one."""
    return any(path == top or path.startswith(top.rstrip("/") + "/") for top in tops)


def mounts_below(mountinfo: bytes, tops: Sequence[str]) -> list[str]:
    """The mount points that `tops` lie on or that lie below them, out of /proc/self/mountinfo."""
    points = [line.split(b" ")[4] for line in mountinfo.splitlines()]
    names = [os.fsdecode(point.decode("unicode_escape").encode("latin-1")) for point in points]
    return sorted({each for each in names if below(each, tops) or any(below(top, [each]) for top in tops)})


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _name(descriptor: int) -> str:
    """The path of an open file, or the last one that it had (proc(5))."""
    name = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - called for each file of a package
    if not name.endswith(_DELETED) or os.fstat(descriptor).st_nlink:
        return name
    return name.removesuffix(_DELETED)


def _content(descriptor: int) -> bytes | None:
    """The bytes of a file; None where there are too many. Raises OSError."""
    pieces, at = [], 0
    while piece := os.pread(descriptor, 1024 * 1024, at):
        at += len(piece)
        if at > LARGEST:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _signal_descriptor() -> int:
    """A descriptor that tells of the signals that are passed on (signalfd(2)); they are blocked from now on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    bits = sum(1 << (number - 1) for number in _PASSED_ON)
    mask = ctypes.create_string_buffer(bits.to_bytes(128, sys.byteorder), 128)
    return _checked(_libc.signalfd(-1, mask, os.O_CLOEXEC | os.O_NONBLOCK))


def _start(command: Sequence[str], mask: set[int]) -> int:
    child = os.fork()
    if child == 0:
        try:
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python alone
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.execvp(command[0], list(command))
        except OSError as error:
            print(f"{command[0]} could not be started: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            os._exit(127)
    return child


def _follow(child: int, signals: int, groups: Sequence[Group], record: Record) -> int:
    """The command's wait status, once it has ended."""
    ended, poll = os.pidfd_open(child), select.poll()
    for descriptor in (ended, signals, *(group.descriptor for group in groups)):
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(_FLUSH * 1000)}
        if signals in ready:
            number, _, code, _ = _SIGNALLED.unpack_from(os.read(signals, 128))
            if not (code == _SI_KERNEL and number in _TERMINAL):
                with suppress(ProcessLookupError):
                    os.kill(child, number)
        for group in groups:
            group.look()
        record.flush()
        if ended in ready:
            return os.waitpid(child, 0)[1]


def _end_like(status: int) -> int:
    """The exit status; does not return where the command was ended by a signal: then this process is, too."""
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number


def main(arguments: Sequence[str]) -> int:
    """Run the command behind `--`; the exit status is the command's."""
    split = arguments.index("--")
    folder, since, *paths = arguments[:split]
    mask = {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())}
    signals = _signal_descriptor()
    record = Record(Path(folder))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    groups: tuple[Group, ...] = ()
    try:
        groups = watch(paths, record)
        record.say({"schema": 1, "watching": paths})
        if float(since):
            groups[1].changed_since(float(since))
    except OSError as error:
        record.say({"schema": 1, "watching": [], "why": error.strerror})
    record.flush(now=True)
    child = _start(arguments[split + 1 :], mask)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))  # for the files that are held
    status = _follow(child, signals, groups, record)
    for group in groups:
        group.end()
    record.say({"end": True, "half_way": True} if status != 0 and half_way(DPKG) else {"end": True})
    record.flush(now=True)
    return _end_like(status)


def half_way(dpkg: Path) -> bool:
    """Whether dpkg, whose database is in the folder, was left in the middle of something: what ends that is not watched."""
    try:
        journal = [each.name for each in (dpkg / "updates").iterdir()]
        known = (dpkg / "status").read_bytes()
    except OSError:
        return True
    return any(name.isdigit() for name in journal) or bool(_HALF_WAY.search(known))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
