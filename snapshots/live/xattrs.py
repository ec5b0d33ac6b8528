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
    pairs = []
    for name in sorted(_names(target)):
        try:
            pairs.append((name, os.getxattr(target, name, follow_symlinks=_is_open(target))))
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
            os.removexattr(target, name, follow_symlinks=_is_open(target))
    for name, value in xattrs:
        os.setxattr(target, name, value, follow_symlinks=_is_open(target))


def _names(target: bytes | int) -> list[str]:
    try:
        listed = os.listxattr(target, follow_symlinks=_is_open(target))
    except OSError as cause:
        if cause.errno in _NONE_HERE:
            return []
        raise
    return [name for name in listed if kept(name)]


def _is_open(target: bytes | int) -> bool:
    """Whether it is a descriptor, for which the calls refuse `follow_symlinks=False`."""
    return isinstance(target, int)
