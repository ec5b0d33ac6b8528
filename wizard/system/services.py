"""Services: what init knows of them, and one command for one at a time: ours, those of a killed run, and those of a guard's
script.

systemd ends a start that is on its way for a second restart, but not the daemon that the init script has begun by then:
the unit is failed after that, for good."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from snapshots.errors import StoreError
from snapshots.git.private_folder import make_private_folder
from wizard.errors import ChangeError
from wizard.system.guard import FOLDER
from wizard.system.host import Host
from wizard.system.lock import taken

LOCK = FOLDER / "service.lock"
_ASKS = 30.0
"""Seconds for a question to init."""
_PATIENCE = 300.0
"""Seconds, as in the guard's script: longer than a service command may take."""


def rc_enabled(host: Host, name: str) -> bool:
    """Whether an init script starts in runlevel 2 to 5 (update-rc.d(8))."""
    pattern = re.compile(rf"S\d\d{re.escape(name)}\Z")
    return any(pattern.match(link) for level in "2345" for link in host.names(f"/etc/rc{level}.d"))


def at_work(host: Host, name: str) -> bool:
    """Whether init says that the service runs. Raises HostError."""
    if host.exists("/run/systemd/system"):
        said = host.run(["systemctl", "is-active", name], timeout=_ASKS).stdout.strip()
        return said in ("active", "activating", "reloading")
    script = f"/etc/init.d/{name}"
    return host.exists(script) and host.run([script, "status"], timeout=_ASKS).code == 0


@contextmanager
def service_lock(host: Host) -> Iterator[tuple[int, ...]]:
    """Nobody else restarts a service while inside, as long as they take the lock too. Raises ChangeError.

    Gives the descriptors that a command must inherit: the lock is then held until it ends, also when we are killed.
    None without systemd, where a daemon would keep it."""
    path = host.path(str(LOCK))
    try:
        path.parent.parent.mkdir(exist_ok=True)
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (OSError, StoreError) as error:
        raise ChangeError(f"the lock {LOCK} could not be made: {error}") from error
    try:
        if not taken(lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), _PATIENCE):
            raise ChangeError(
                f"another restart of a service does not end (it holds {LOCK}): see `systemctl list-jobs`. "
                "Nothing was restarted; try again when it has ended"
            )
        yield (descriptor,) if host.exists("/run/systemd/system") else ()
    finally:
        os.close(descriptor)
