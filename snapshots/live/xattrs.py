"""The extended attributes that a snapshot keeps: user.*, file capabilities and POSIX ACLs.

security.selinux is left to the policy of the machine, which labels by path.
"""

from __future__ import annotations

import errno
import os

Xattrs = tuple[tuple[str, bytes], ...]
"""Names and values, sorted by name."""

_KEPT = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
_NONE_HERE = (errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EACCES)


def kept(name: str) -> bool:
    """Whether a snapshot keeps the attribute of this name."""
    return name.startswith("user.") or name in _KEPT


def read_xattrs(target: bytes | int) -> Xattrs:
    """The kept attributes of a path (never of what a symbolic link points to) or of an open file.

    A file system without attributes has none. Raises OSError.
    """
    names = _names(target)
    if not names:
        return ()
    pairs = []
    for name in sorted(names):
        try:
            pairs.append((name, _get(target, name)))
        except OSError as cause:
            if cause.errno != errno.ENODATA:  # gone since it was listed
                raise
    return tuple(pairs)


def apply_xattrs(target: bytes | int, xattrs: Xattrs) -> None:
    """Makes the kept attributes of `target` exactly `xattrs`, others stay as they are. Raises OSError."""
    wanted = dict(xattrs)
    for name in _names(target):
        # A default ACL of the folder gives a new file an ACL of its own.
        if name not in wanted:
            _remove(target, name)
    for name, value in xattrs:
        if isinstance(target, int):
            os.setxattr(target, name, value)
        else:
            os.setxattr(target, name, value, follow_symlinks=False)


def _names(target: bytes | int) -> list[str]:
    try:
        listed = (
            os.listxattr(target) if isinstance(target, int) else os.listxattr(target, follow_symlinks=False)
        )
    except OSError as cause:
        if cause.errno in _NONE_HERE:
            return []
        raise
    return [name for name in listed if kept(name)]


def _get(target: bytes | int, name: str) -> bytes:
    if isinstance(target, int):
        return os.getxattr(target, name)
    return os.getxattr(target, name, follow_symlinks=False)


def _remove(target: bytes | int, name: str) -> None:
    if isinstance(target, int):
        os.removexattr(target, name)
    else:
        os.removexattr(target, name, follow_symlinks=False)
