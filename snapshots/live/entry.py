"""What one path is on disk: its kind, content, mode, owner and extended attributes.

This is the only place that reads and writes live files. Reading never follows a symbolic link in the
last component and never opens a fifo, a socket or a device. A regular file larger than LARGEST is recorded by its
metadata, size and time; its content is not read, and it is never written, replaced or removed. Writing is atomic: a temporary file in the
same folder, owner and mode before content, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import operator
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from snapshots.live.held import wait_until_quiet

Xattrs = tuple[tuple[str, bytes], ...]
"""Names and values of extended attributes, sorted by name. Kept are user.*, file capabilities and POSIX ACLs;
security.selinux is left to the policy of the machine, which labels by path."""

_ATTEMPTS = 5
"""How often a file that changes while it is read is read again before the last reading is taken."""

_STAMP = operator.attrgetter("st_mode", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
"""What of a stat is the same as long as a file is."""

LARGEST = 32 * 1024 * 1024
"""Bytes of the largest regular file whose content is read and kept: no configuration is larger, and a disk image in
/etc is not to be read, held in memory and stored."""

ACL = "system.posix_acl_access"
"""The attribute that is a file's access control list (acl(5))."""
_KEPT_XATTRS = ("security.capability", ACL, "system.posix_acl_default")
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)

_SAVED_WITHIN = 1.0
"""The longest wait, in seconds, for somebody who is about to save a file."""

TEMPORARY_PREFIX = ".msa-wizard-"
"""How the name of every temporary file begins that a killed run may leave in a folder."""


class Kind(StrEnum):
    """What a path is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SPECIAL = "special"
    """A fifo, a socket, a device or a regular file larger than LARGEST: recorded, never read."""


def is_temporary(path: str) -> bool:
    """Whether a path has the name of such a file."""
    return path.rpartition("/")[2].startswith(TEMPORARY_PREFIX)


@dataclass(frozen=True, slots=True)
class Entry:
    """One path as it is on disk, or as a commit recorded it."""

    kind: Kind
    mode: int
    """The permission bits, 07777."""
    uid: int
    gid: int
    content: bytes = b""
    """The bytes of a file, the target of a symbolic link, empty for anything else."""
    xattrs: Xattrs = ()
    special: str = ""
    """`fifo`, `socket`, `char:MAJOR:MINOR`, `block:MAJOR:MINOR` or `large:BYTES:MTIME` (in nanoseconds) for SPECIAL,
    else empty."""

    @property
    def large(self) -> bool:
        """Whether it is a regular file larger than LARGEST, whose content is not kept."""
        return is_large(self.special)


def is_large(special: str) -> bool:
    """Whether an entry's `special` says that it is a regular file larger than LARGEST."""
    return special.startswith("large:")


class EntryError(Exception):
    """A path could not be read or written: a sentence that says what, where and why. `path` is the path,
    `errno` the system's error number where there is one."""

    def __init__(self, message: str, path: Path, number: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.errno = number


def entry_error(what: str, path: Path, cause: OSError) -> EntryError:
    """The error for `cause`: `what` says the deed that failed ("could not be read")."""
    return EntryError(f"{os.fspath(path)!r} {what}: {os.strerror(cause.errno or 0)}.", path, cause.errno)


def read_entry(path: Path) -> Entry | None:
    """What is at `path` now, or None when nothing is there. Raises EntryError when something is there that
    cannot be read."""
    try:
        captured = capture(os.fsencode(path))
    except OSError as cause:
        raise entry_error("could not be read", path, cause) from cause
    return captured[0] if captured else None


def capture(path: bytes) -> tuple[Entry, os.stat_result] | None:
    """What is at `path`, with the stat that belongs to exactly that reading. Raises OSError."""
    captured = None
    for _ in range(_ATTEMPTS):
        try:
            status = os.lstat(path)
            captured, settled = _read(path, status)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if settled and captured is not None:
            return captured
    if captured is None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return captured


def _read(path: bytes, status: os.stat_result) -> tuple[tuple[Entry, os.stat_result] | None, bool]:
    """The entry for a path just found, and whether it stayed the same while it was read."""
    if stat.S_ISREG(status.st_mode):
        return _read_file(path)
    content, special = b"", ""
    if stat.S_ISLNK(status.st_mode):
        kind = Kind.SYMLINK
        try:
            content = os.readlink(path)  # noqa: PTH115 - the bytes, not a Path
        except OSError as cause:
            if cause.errno == errno.EINVAL:  # no longer a link
                return None, False
            raise
    elif stat.S_ISDIR(status.st_mode):
        kind = Kind.DIRECTORY
    else:
        kind, special = Kind.SPECIAL, _special(status)
    xattrs = read_xattrs(path)
    after = os.lstat(path)
    return (_entry(kind, after, content, xattrs, special), after), _STAMP(status) == _STAMP(after)


def _read_file(path: bytes) -> tuple[tuple[Entry, os.stat_result] | None, bool]:
    # O_NONBLOCK: a fifo that took the file's place since the lstat must not stop us here for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as cause:
        if cause.errno in (errno.ELOOP, errno.ENXIO):
            return None, False
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return None, False
        content = file.readall() if before.st_size <= LARGEST else b""
        xattrs = read_xattrs(descriptor)
        after = os.fstat(descriptor)
    if before.st_size > LARGEST:
        kind, special = Kind.SPECIAL, f"large:{before.st_size}:{before.st_mtime_ns}"
    else:
        kind, special = Kind.FILE, ""
    return (_entry(kind, after, content, xattrs, special), after), _STAMP(before) == _STAMP(after)


def _entry(kind: Kind, status: os.stat_result, content: bytes, xattrs: Xattrs, special: str) -> Entry:
    mode = stat.S_IMODE(status.st_mode)
    return Entry(kind, mode, status.st_uid, status.st_gid, content, xattrs, special)


def _special(status: os.stat_result) -> str:
    if stat.S_ISFIFO(status.st_mode):
        return "fifo"
    if stat.S_ISSOCK(status.st_mode):
        return "socket"
    name = "char" if stat.S_ISCHR(status.st_mode) else "block"
    return f"{name}:{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def write_entry(path: Path, entry: Entry, over: int | None = None, dated: int | None = None) -> Entry | None:
    """Makes `path` exactly `entry`, in one rename. `over` is the file that this replaces, open: returns what was
    replaced where that is another one, which somebody has put there since; else None.

    A symbolic link at `path` is replaced, never followed. A folder that is there already keeps what is in it and gets
    the mode, owner and attributes. A regular file is dated `dated` (nanoseconds since the epoch), None: now. The umask
    of the caller has no effect. On failure the temporary file is removed and what was at `path` is still there.
    Raises EntryError: for SPECIAL, for a file in the place of a folder that is not empty or of a file larger than
    LARGEST, and for whatever the system refuses."""
    if entry.kind is Kind.SPECIAL:
        raise EntryError(
            f"{os.fspath(path)!r} was a {entry.special}: special files are recorded, not written.",
            path,
        )
    try:
        with _folder_of(path) as (folder, name):
            _refuse_large(folder, name, path)
            if entry.kind is Kind.DIRECTORY and _is_directory(folder, name):
                _dress_directory(folder, name, entry)
                met = None
            else:
                met = _replace(folder, name, path, entry, over, dated)
            os.fsync(folder)
            return met
    except OSError as cause:
        raise entry_error("could not be written", path, cause) from cause


def remove_entry(path: Path) -> None:
    """Removes the file, symbolic link, special file or empty folder at `path`; nothing there is fine. Raises
    EntryError, also for a folder that is not empty and for a file larger than LARGEST."""
    try:
        with _folder_of(path) as (folder, name):
            _refuse_large(folder, name, path)
            if _is_directory(folder, name):
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
            os.fsync(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as cause:
        raise entry_error("could not be removed", path, cause) from cause


@contextlib.contextmanager
def _folder_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The folder of `path`, open, and the name in it: every later step works in that same folder."""
    parent, name = os.path.split(os.fsencode(path))
    if name in (b"", b".", b".."):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    folder = os.open(parent or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder, name
    finally:
        os.close(folder)


def _refuse_large(folder: int, name: bytes, path: Path) -> None:
    status = _status(folder, name)
    if status and stat.S_ISREG(status.st_mode) and status.st_size > LARGEST:
        raise EntryError(
            f"{os.fspath(path)!r} is larger than {LARGEST} bytes: its content is in no snapshot, so it is neither "
            "replaced nor removed.",
            path,
        )


def _is_directory(folder: int, name: bytes) -> bool:
    status = _status(folder, name)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _status(folder: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _replace(
    folder: int, name: bytes, path: Path, entry: Entry, over: int | None, dated: int | None
) -> Entry | None:
    temporary = (TEMPORARY_PREFIX + os.urandom(8).hex()).encode()
    try:
        if entry.kind is Kind.FILE:
            _make_file(folder, temporary, entry, dated)
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.content, temporary, dir_fd=folder)
            os.chown(temporary, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
            if entry.xattrs:  # there is no call that takes a folder and a name here
                apply_xattrs(os.fsencode(path.with_name(os.fsdecode(temporary))), entry.xattrs)
        else:
            os.mkdir(temporary, 0o700, dir_fd=folder)
            _dress_directory(folder, temporary, entry)
        if over is not None and exchange(folder, temporary, name):
            return _displaced(folder, temporary, path, over)
        _take_place(folder, temporary, name, entry.kind)
        return None
    except BaseException:
        _discard(folder, temporary)
        raise


def _displaced(folder: int, temporary: bytes, path: Path, over: int) -> Entry | None:
    """What is under the temporary name by now, where it is not the file that was to be replaced; it goes."""
    there, expected = os.stat(temporary, dir_fd=folder, follow_symlinks=False), os.fstat(over)
    if (there.st_dev, there.st_ino) == (expected.st_dev, expected.st_ino):
        _discard(folder, temporary)
        return None
    if stat.S_ISREG(there.st_mode):  # vim moves the old file away, and writes a new one under its name
        descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            wait_until_quiet(descriptor, _SAVED_WITHIN)
        finally:
            os.close(descriptor)
    met = read_entry(path.with_name(os.fsdecode(temporary)))
    _discard(folder, temporary)
    return met


def _make_file(folder: int, temporary: bytes, entry: Entry, dated: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        os.fchown(descriptor, entry.uid, entry.gid)
        # setuid only once the content is whole; a write takes capabilities away, so they come last too.
        apply_xattrs(descriptor, tuple(pair for pair in entry.xattrs if pair[0] != "security.capability"))
        os.fchmod(descriptor, entry.mode & 0o777)
        view = memoryview(entry.content)
        while view:
            view = view[file.write(view) :]
        if entry.mode & 0o7000:
            os.fchmod(descriptor, entry.mode)
        apply_xattrs(descriptor, entry.xattrs)
        if dated is not None:
            os.utime(descriptor, ns=(dated, dated))
        os.fsync(descriptor)


def _dress_directory(folder: int, name: bytes, entry: Entry) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        os.fchown(descriptor, entry.uid, entry.gid)
        apply_xattrs(descriptor, entry.xattrs)
        os.fchmod(descriptor, entry.mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_place(folder: int, temporary: bytes, name: bytes, kind: Kind) -> None:
    # rename(2) puts neither a folder in the place of a file nor a file in that of a folder.
    if kind is Kind.DIRECTORY:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    elif _is_directory(folder, name):
        os.rmdir(name, dir_fd=folder)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _discard(folder: int, temporary: bytes) -> None:
    try:
        os.unlink(temporary, dir_fd=folder)
    except IsADirectoryError:
        os.rmdir(temporary, dir_fd=folder)
    except FileNotFoundError:
        return


def exchange(folder: int, one: bytes, other: bytes) -> bool:
    """Exchange what the names `one` and `other` in the open folder are, in one operation; both must be there.
    False where this kernel or file system cannot; then nothing was changed. Raises OSError."""
    rename = _renameat2()
    if rename is None:
        return False
    import ctypes

    if rename(folder, one, folder, other, _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """That of the C library; None for one that is older than glibc 2.28."""
    import ctypes  # here, since few commands replace a file

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return function


def read_xattrs(target: bytes | int) -> Xattrs:
    """The kept attributes of a path (never of what a symbolic link points to) or of an open file. A file
    system without attributes has none. Raises OSError."""
    pairs = []
    for name in sorted(_xattr_names(target)):
        try:
            pairs.append((name, os.getxattr(target, name, follow_symlinks=_is_open(target))))
        except OSError as cause:
            if cause.errno != errno.ENODATA:  # gone since it was listed
                raise
    return tuple(pairs)


def apply_xattrs(target: bytes | int, xattrs: Xattrs) -> None:
    """Makes the kept attributes of `target` exactly `xattrs`, others stay as they are. Raises OSError."""
    wanted = dict(xattrs)
    for name in _xattr_names(target):
        # A default ACL of the folder gives a new file an ACL of its own.
        if name not in wanted:
            os.removexattr(target, name, follow_symlinks=_is_open(target))
    for name, value in xattrs:
        os.setxattr(target, name, value, follow_symlinks=_is_open(target))


def _xattr_names(target: bytes | int) -> list[str]:
    try:
        names = os.listxattr(target, follow_symlinks=_is_open(target))
    except OSError as cause:
        if cause.errno in (errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EACCES):
            return []
        raise
    return [name for name in names if name.startswith("user.") or name in _KEPT_XATTRS]


def _is_open(target: bytes | int) -> bool:
    """Whether it is a descriptor, for which the calls refuse `follow_symlinks=False`."""
    return isinstance(target, int)
