"""Private places on the host that vanish with the tests: namespaces and a cgroup held by a process.

All mounts of a machine live in a mount namespace of their own, and all its processes in a PID namespace whose
first process the kernel kills when the tests die (PR_SET_PDEATHSIG). So a killed test run leaves no mount,
process or network namespace behind; only empty cgroup folders, which the next run sweeps.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_SYSTEMD_HOST = Path("/run/systemd/system")
_CGROUPS = Path("/sys/fs/cgroup")
_CGROUP_NAME = re.compile(r"msa-wizard-tests-(\d+)-(\d+)-\d+")
_serial = itertools.count()


class RoomError(RuntimeError):
    """A namespace or cgroup could not be made; the message holds the tool's own words."""


def why_no_machines() -> str | None:
    """The reason why this host cannot run machines, as a sentence, or None where it can."""
    if os.geteuid() != 0:
        return "machines need root: overlay mounts and namespaces"
    tools = ("systemd-nspawn", "nsenter", "unshare", "setpriv", "ip", "tar")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        return f"machines need {', '.join(missing)}, not installed here (./tests/run installs them)"
    probe = (
        "mount -t tmpfs tmpfs /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/r && "
        "mount -t overlay overlay -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", probe], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return f"this host allows no overlay mount in a new namespace: {done.stderr.strip()}"
    if _unified() is None:
        return (
            "machines need the unified cgroup hierarchy, not mounted here (mount -t cgroup2 cgroup2 FOLDER)"
        )
    return None


class Room:
    """A process that holds new namespaces, and optionally a cgroup, until `close` or the death of the tests.

    `unshare` names the namespaces ("--mount", "--net"); `script` is run in them by sh with `arguments` before
    the room is ready. A room with a cgroup also has process numbers of its own: all that was started in it
    dies with it; and it sees the unified hierarchy alone, as a real host does. Raises RoomError, with what the
    script said, when the room cannot be made.
    """

    def __init__(
        self, unshare: Sequence[str], script: str, arguments: Sequence[str] = (), *, own_cgroup: bool = False
    ) -> None:
        self.cgroup: Path | None = None
        """As the host names it."""
        self._namespaces = [name for name in unshare if name in ("--mount", "--net")]
        scope: tuple[str, ...] = ()
        if own_cgroup:
            unshare = [*unshare, "--pid", "--fork", "--kill-child", "--mount-proc"]
            if _SYSTEMD_HOST.is_dir():
                # There systemd owns the cgroups: it has to lend us one.
                scope = ("systemd-run", "--quiet", "--scope", "--collect", "--property=Delegate=yes")
            else:
                self.cgroup = _make_cgroup()
            if (hierarchy := _hierarchy()) != _CGROUPS:
                # systemd 258 and newer boot on nothing else. By a bind mount, for a new one would set its options anew.
                script = f"mount --bind {shlex.quote(str(hierarchy))} {_CGROUPS}\n{script}"
        holding = f"{script}\necho ready\nexec sleep infinity"
        self._process = subprocess.Popen(
            [*_DIES_WITH_US, *scope, "unshare", *unshare, "sh", "-euc", holding, "sh", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if own_cgroup:
            self._namespaces.append(f"--pid=/proc/{self.pid}/ns/pid_for_children")
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            if line == "ready\n":
                if scope:
                    self.cgroup = _cgroup_of(self.pid)
                return
            said.append(line)
        self.close()
        raise RoomError(f"unshare {' '.join(unshare)}: {''.join(said).strip()}")

    @property
    def pid(self) -> int:
        """The process whose namespaces these are, for `ip link set netns`."""
        return self._process.pid

    @property
    def root(self) -> Path:
        """The host's file tree as seen inside, with the mounts that only exist there."""
        return Path(f"/proc/{self.pid}/root")

    def entering(self) -> list[str]:
        """The start of a command line that runs the rest in here and in its cgroup; dies with the tests."""
        joining = '[ -z "$1" ] || echo $$ >"$1/cgroup.procs"; shift; exec "$@"'
        inside = self.cgroup and _CGROUPS / self.cgroup.relative_to(_hierarchy())
        return [
            *_DIES_WITH_US,
            *("nsenter", "--target", str(self.pid), *self._namespaces, "--"),
            *("sh", "-euc", joining, "sh", str(inside or "")),
        ]

    def close(self) -> None:
        """Ends the holder and with it the namespaces, and what runs in a room with a cgroup."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self.cgroup and not _SYSTEMD_HOST.is_dir():
            _remove_cgroup(self.cgroup)


def _make_cgroup() -> Path:
    """A new cgroup below our own.

    Without it all machines would share one (nspawn's --keep-unit makes `payload` in the caller's), and a
    `systemctl stop` in one machine would meet the processes of the others.
    """
    name = f"msa-wizard-tests-{os.getpid()}-{_start_time(os.getpid())}-{next(_serial)}"
    parent = _cgroup_of(os.getpid())
    for left in parent.iterdir():
        named = _CGROUP_NAME.fullmatch(left.name)
        if named and _start_time(int(named[1])) != int(named[2]):
            _remove_cgroup(left, seconds=0)
    (parent / name).mkdir()
    return parent / name


def _unified() -> Path | None:
    """Where this host has the unified hierarchy; see cgroups(7)."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(mounted)
    return None


def _hierarchy() -> Path:
    if (found := _unified()) is None:
        raise RoomError("the unified cgroup hierarchy is mounted nowhere")
    return found


def _cgroup_of(pid: int) -> Path:
    """A process's folder in the unified hierarchy."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    folder = _hierarchy() / own.lstrip("/")
    return folder if folder.is_dir() else _hierarchy()


def _start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (proc(5), stat field 22); None: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _remove_cgroup(cgroup: Path, seconds: float = 5) -> None:
    """Removes an empty cgroup tree; the kernel may need a moment to bury its last processes."""
    deadline = time.monotonic() + seconds
    while cgroup.exists():
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        if time.monotonic() >= deadline:
            return  # the next run sweeps it
        if cgroup.exists():
            time.sleep(0.02)
