"""A clone of this machine, from outside: its file systems chosen; made, entered, looked at, ended; those that were kept."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from wizard.errors import WizardError
from wizard.rehearse.keeper import NAME, remove_cgroup
from wizard.system.host import PATH, Host, environment
from wizard.system.private_view import Mount, seen_here

TOP = Path(__file__).resolve().parents[2]
"""Where the program is: it is at the same path in the clone."""

_ENTRY = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from wizard.rehearse.{module} import main; sys.exit(main())"
)
_START_SECONDS = 30
_END_SECONDS = 15.0

Kind = Literal["overlay", "readonly", "copy"]
"""How the clone gets a file system: copy on write, read-only, or, of a file, as a copy."""

FRESH = ("/proc", "/sys", "/dev", "/run", "/tmp")
"""The clone has its own of these, empty."""
DATA = ("/home", "/srv", "/mnt", "/media", "/boot", "/lost+found")
"""Data folders, not of the set-up: file systems mounted there can be read, and are not copied."""
CONTAINERS = ("/var/lib/docker", "/var/lib/containers", "/var/lib/lxc", "/var/lib/lxd", "/var/lib/machines")
"""Others' file systems: what is mounted below these is left out."""
_NO_DISK = frozenset(
    (
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs"),
        *("configfs", "pstore", "bpf", "mqueue", "hugetlbfs", "fusectl", "binfmt_misc", "autofs", "efivarfs"),
        *("rpc_pipefs", "nsfs", "selinuxfs", "ramfs"),
    )
)
_REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "afs"))
_CGROUP = re.compile(rf"{NAME}-(\d+)-\w+")


class CloneError(WizardError):
    """The clone cannot be made on this host: what the kernel said."""


@dataclass(frozen=True)
class Layer:
    """A file system of the clone. `size` is the most bytes that may be written to it; 0: none are."""

    path: str
    kind: Kind
    readonly: bool
    size: int = 0


@dataclass(frozen=True)
class CloneSpec:
    """What a clone is to be. `limit` is the most bytes that it may write in all."""

    limit: int
    hostname: str
    init: tuple[str, ...]
    systemd: bool
    addresses: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    """Names of network devices that it has besides the loopback; they lead nowhere."""
    ipv6_off: bool = False
    files: dict[str, str] = field(default_factory=dict)
    """Of its /run."""
    units: dict[str, str] = field(default_factory=dict)
    """Of its /run, where it runs systemd, as are the links."""
    links: dict[str, str] = field(default_factory=dict)
    folders: tuple[tuple[str, int, int, int], ...] = ()
    """Of its /run, where it does not."""
    changed: tuple[tuple[str, str], ...] = ()
    """Paths that are `empty` or `gone` in it."""


def python(module: str) -> list[str]:
    """The command line of a Python that runs `main` of a module of this package, and imports from where we do."""
    site = ["-S"] if sys.flags.no_site else []
    prefix = ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
    path = json.dumps([str(TOP), *filter(None, sys.path)])
    return [sys.executable, "-I", *site, *prefix, "-B", "-c", _ENTRY.format(module=module), path]


class Clone:
    """One clone, from `__enter__` to `__exit__`; then nothing of it is left. Raises CloneError."""

    def __init__(self, wish: CloneSpec) -> None:
        self.wish = wish
        self.layers = layers(wish.limit)
        self.init = 0
        """Its first process, in the host's numbers."""
        self.systemd = False
        self.keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Clone:
        programs = sorted({str(TOP), sys.prefix, *filter(None, [sys.pycache_prefix])})
        spec = {**asdict(self.wish), "layers": [asdict(layer) for layer in self.layers], "programs": programs}
        keeper = self.keeper = subprocess.Popen(
            python("keeper"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd="/",
            start_new_session=True,  # no signal of the terminal reaches it: it ends when we say so, or are gone
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(spec), file=keeper.stdin, flush=True)
            answer = json.loads(keeper.stdout.readline() or "{}")
            if not answer.get("ready"):
                raise CloneError(str(answer.get("why", "it ended before it began")))
            self.init, self.systemd = answer["init"], answer["systemd"]
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End it and wait until it is gone."""
        keeper, self.keeper = self.keeper, None
        if keeper is None:
            return
        for pipe in filter(None, (keeper.stdin, keeper.stdout)):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            keeper.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()

    @property
    def ended(self) -> bool:
        """Whether it is gone, though nobody has ended it."""
        return self.keeper is None or self.keeper.poll() is not None

    def keep(self) -> int:
        """Let it outlive us; the number of the process that ends it when it gets SIGTERM."""
        keeper, self.keeper = self.keeper, None
        assert keeper is not None
        assert keeper.stdin is not None
        print("keep", file=keeper.stdin, flush=True)
        keeper.stdin.close()
        return keeper.pid

    def entering(self, *, network: bool = False) -> list[str]:
        """The start of a command line that runs the rest in the clone; with `network` in the host's network, for
        fetching only."""
        spaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", *([] if network else ["--net"])]
        nsenter = shutil.which("nsenter", path=PATH) or "nsenter"
        return [nsenter, "--target", str(self.init), *spaces, "--root", "--wd", "--"]

    def path(self, path: str) -> Path:
        """Where `path` of the clone is for us."""
        return Path(f"/proc/{self.init}/root", path.lstrip("/"))

    def uppers(self) -> list[tuple[str, Path]]:
        """Each copied file system: its mount point, and the folder of all that was written to it."""
        assert self.keeper is not None
        base = Path(f"/proc/{self.keeper.pid}/root/run")
        folders = []
        for number, layer in enumerate(self.layers):
            if layer.kind == "overlay":
                memory = f"memory-{number}" if layer.size < self.wish.limit else "memory"
                folders.append((layer.path, base / memory / f"{number}/up"))
        return folders

    def memory(self) -> int:
        """Bytes that it has written and that are in memory now."""
        rooms = [os.statvfs(folder) for folder in {upper.parents[1] for _, upper in self.uppers()}]
        return sum((room.f_blocks - room.f_bfree) * room.f_frsize for room in rooms)

    def start(self, module: str) -> subprocess.Popen[str]:
        """Run a module of this package in the clone, with pipes."""
        return subprocess.Popen(
            [*self.entering(), *python(module)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(),
            cwd="/",
            start_new_session=True,
        )


def kind_of(mount: Mount, *, is_file: bool) -> Kind | None:
    """How the clone gets it; None: not at all."""
    if mount.path != "/" and (mount.kind in _NO_DISK or _below(mount.path, (*FRESH, *CONTAINERS))):
        return None
    if is_file:
        return "copy"
    if mount.kind.startswith("fuse") or mount.kind in _REMOTE or _below(mount.path, DATA):
        return "readonly"
    return "overlay"


def _below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def layers(limit: int) -> list[Layer]:
    """The clone's file systems, parents first; each takes at most `limit` bytes, and no more than its disk has free.

    So a disk that would be full is full in the clone. Raises OSError."""
    stack = []
    for mount in sorted(seen_here(), key=lambda mount: mount.path.count("/") if mount.path != "/" else 0):
        if kind_of(mount, is_file=False) is None or not _on_top(mount):
            continue
        kind = kind_of(mount, is_file=not os.path.isdir(mount.path))  # noqa: PTH112
        assert kind is not None
        room = os.statvfs(mount.path)
        size = min(limit, room.f_bfree * room.f_frsize) if kind == "overlay" else 0
        stack.append(Layer(mount.path, kind, mount.readonly, size))
    return stack


def _on_top(mount: Mount) -> bool:
    """Whether it is what one sees at its mount point: no other mount covers it."""
    try:
        descriptor = os.open(mount.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        information = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    finally:
        os.close(descriptor)
    number = re.search(r"^mnt_id:\s*(\d+)$", information, re.MULTILINE)
    return number is not None and int(number[1]) == mount.number


def keepers() -> Iterator[int]:
    """The processes of root that hold a clone."""
    for pid, folder in Host().processes():
        with contextlib.suppress(OSError):
            if b"wizard.rehearse.keeper" in (folder / "cmdline").read_bytes() and folder.stat().st_uid == 0:
                yield pid


def end_kept() -> int:
    """End all clones that are up, and wait until they are gone; how many there were."""
    pids = list(keepers())
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _END_SECONDS
    while set(keepers()) & set(pids) and time.monotonic() < end:
        time.sleep(0.05)
    return len(pids)


def sweep() -> None:
    """Remove the empty cgroups of clones whose keeper was killed."""
    for mount in seen_here():
        if mount.kind != "cgroup2":
            continue
        for folder, folders, _ in os.walk(mount.path):
            for name in folders:
                keeper = _CGROUP.fullmatch(name)
                if keeper and not Path("/proc", keeper[1]).exists():
                    remove_cgroup(Path(folder, name), 0.2)
            folders[:] = [name for name in folders if not _CGROUP.fullmatch(name)]
