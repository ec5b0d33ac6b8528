"""Folders that hold secrets: nobody but their owner may enter, and they are refused when that is not so."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from snapshots.errors import StoreError


def make_private_folder(path: Path) -> None:
    """Makes the folder, mode 0700 whatever the umask, unless it is there. Raises StoreError."""
    try:
        path.mkdir(mode=0o700)
        path.chmod(0o700)
    except FileExistsError:
        return
    except OSError as cause:
        raise StoreError(f"The folder {str(path)!r} could not be made: {cause.strerror}.") from cause


def check_private_folder(path: Path) -> bool:
    """Whether the folder is there. Raises StoreError when it is and cannot be trusted."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as cause:
        raise StoreError(f"The folder {str(path)!r} could not be looked at: {cause.strerror}.") from cause
    if stat.S_ISLNK(status.st_mode):
        why = "it is a symbolic link, so someone else may decide where the history of /etc is kept"
    elif not stat.S_ISDIR(status.st_mode):
        why = "it is not a folder"
    elif status.st_uid != os.geteuid():
        why = f"it belongs to user {status.st_uid}, not to user {os.geteuid()} who runs this"
    elif status.st_mode & 0o077:
        why = f"its mode {stat.S_IMODE(status.st_mode):04o} lets other users in, and it must be 0700"
    else:
        return True
    raise StoreError(
        f"The folder {str(path)!r} is refused: {why}. Nothing was changed. "
        f"Find out who did this; then move it away or fix it (a folder of its owner, mode 0700)."
    )
