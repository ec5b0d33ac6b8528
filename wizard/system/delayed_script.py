"""A script that the system itself runs later, also when this program has ended: a transient systemd timer, else a
detached process."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from wizard.errors import ChangeError, HostError
from wizard.system.host import Host

FOLDER = Path("/run/msa-wizard")
"""For the scripts, and for what they need to know; gone after a reboot, as the timers are."""


def start_timer(host: Host, unit: str, script: str, seconds: int) -> None:
    """Run the script `script` in `seconds`. Raises ChangeError; then nothing was started."""
    if host.exists("/run/systemd/system"):
        stop_timer(host, unit)
        timer = [f"--on-active={seconds}s", "--timer-property=AccuracySec=100ms"]
        argv = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", *timer, "/bin/sh", script]
    else:
        later = f"sleep {seconds}; exec sh {shlex.quote(script)}"
        quiet = "</dev/null >/dev/null 2>&1 &"
        argv = ["sh", "-c", f"env -u MSA_WIZARD setsid sh -c {shlex.quote(later)} {quiet}"]
    try:
        done = host.run(argv, timeout=30)
    except HostError as error:
        raise ChangeError(f"the timer that takes it back could not be started: {error}") from error
    if done.code != 0:
        raise ChangeError(f"`{done.command}` failed with status {done.code}: {done.tail(3)}")


def stop_timer(host: Host, unit: str) -> None:
    """No matter whether it comes off: the script sees the decision, and ends."""
    if host.exists("/run/systemd/system"):
        host.run(["systemctl", "stop", f"{unit}.timer"], timeout=30)
        host.run(["systemctl", "reset-failed", f"{unit}.service"], timeout=30)


def new_file(path: Path, content: str | bytes) -> None:
    """A new file that only root can read. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def started(pid: int) -> str:
    """When a process started, in the kernel's own words; raises OSError when it has ended (proc(5))."""
    stat = Path(f"/proc/{pid}/stat").read_text("latin-1")
    return stat[stat.rindex(")") + 2 :].split()[19]
