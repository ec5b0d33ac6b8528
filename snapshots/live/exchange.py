"""Two names of one folder exchange their files in one operation: what was replaced is still there to be looked at."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exchange(folder: int, one: bytes, other: bytes) -> bool:
    """Exchange what the names `one` and `other` in the open folder are; both must be there.

    False where this kernel or file system cannot; then nothing was changed. Raises OSError."""
    rename = _renameat2()
    if rename is None:
        return False
    if rename(folder, one, folder, other, _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """That of the C library; None for one that is older than glibc 2.28."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return function
