"""Whether somebody still has a file open for writing."""

from __future__ import annotations

import fcntl
import signal
import time


def wait_until_quiet(descriptor: int, seconds: float) -> None:
    """Return once nobody has the file, which is open read-only here, open for writing, or after that many seconds."""
    end = time.monotonic() + seconds
    while not _quiet(descriptor) and time.monotonic() < end:
        time.sleep(0.005)


def _quiet(descriptor: int) -> bool:
    """Whether a read lease is given: then nobody writes (fcntl(2), F_SETLEASE). True also where the file system knows no
    leases."""
    try:
        # One that is broken tells by SIGIO, which would end us; a file without a name can be opened by nobody.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
