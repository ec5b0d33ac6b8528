"""Daemons that their packages do not start: a step that follows starts them, once, with what it has written.

Debian asks /usr/sbin/policy-rc.d before a package's scripts start a service (invoke-rc.d(8), deb-systemd-invoke(1p)). One
of ours is there for as long as our apt run, and answers for the named services alone. Where the program is killed, it answers
as if it were not there: it looks whether the program that wrote it is still at work. Recovery removes it then."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from snapshots.live.entry import Entry, Kind
from wizard.errors import HostError
from wizard.system.host import Host

POLICY = "/usr/sbin/policy-rc.d"
_OURS = "#!/bin/sh\n# By msa-wizard, while it installs packages; it may be removed.\n"
_SCRIPT = """\
# These services start once they are configured. All others start as ever: see invoke-rc.d(8).
case $1 in {services}) ;; *) exit 0 ;; esac
[ "$(cut -d ' ' -f 22 /proc/{pid}/stat 2>/dev/null)" = {started} ] || exit 0 # the program has ended
exit 101
"""


@contextlib.contextmanager
def not_started(host: Host, services: Collection[str]) -> Iterator[None]:
    """No package starts these services while inside. Where the host has a policy of its own, or cannot take one, that
    decides."""
    remove_left_over(host)
    with contextlib.suppress(HostError):
        if services and host.entry(POLICY) is None:
            content = _OURS + _SCRIPT.format(
                services=_patterns(services), pid=os.getpid(), started=_started()
            )
            host.write(POLICY, Entry(Kind.FILE, 0o755, 0, 0, content.encode()))
    try:
        yield
    finally:
        remove_left_over(host)


def remove_left_over(host: Host) -> None:
    """Remove a policy of ours: of this run, or of one that was killed. It does no harm where that fails."""
    with contextlib.suppress(HostError):
        entry = host.entry(POLICY)
        if entry is not None and entry.content.startswith(_OURS.encode()):
            host.remove(POLICY)


def _patterns(services: Collection[str]) -> str:
    """As init scripts and systemd name them."""
    return " | ".join(f"{name} | {name}.service" for name in sorted(services))


def _started() -> str:
    """When this process was started, in clock ticks since the boot (proc(5)): its number alone may come again."""
    return Path("/proc/self/stat").read_text("latin-1").rpartition(") ")[2].split()[19]
