"""The process that holds a clone: it makes the namespaces and the overlays, starts the clone's first process, and removes
it all when it is told to, or when nobody is left to tell it (its standard input ends). The first process puts the fresh
file systems in their places, and becomes systemd, or stays and reaps children where the host has no systemd either.

It is a Python of its own, for threads and open files of its caller must not get into the clone. All mounts are in its
own mount namespace, below /run, which it has covered: on the host not one folder is made. The clone's first process
dies with it (PR_SET_PDEATHSIG), and all others of the clone with that one (pid_namespaces(7)).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from wizard.rehearse import syscalls as kernel

PLACE = Path("/run")
"""Covered in the keeper's own namespace: what is below it is the clone."""
ROOT = PLACE / "root"
CGROUP = PLACE / "cgroup"
NAME = "msa-wizard-rehearsal"
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
"""Of /dev, and where in /proc/self they lead."""
_GUARDED = ("sys", "sysrq-trigger", "irq", "bus", "acpi", "fs", "scsi")
"""Of /proc: what would reach the host's kernel is read-only."""
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


def main() -> int:
    """Make the clone that standard input asks for (one line of JSON), tell of it, and hold it."""
    with contextlib.suppress(OSError):
        kernel.set_process_name(NAME)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    spec = json.loads(sys.stdin.readline())
    cgroup: Path | None = None
    first = 0
    try:
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNET)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
        programs = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in spec["programs"]}
        kernel.mount("tmpfs", str(PLACE), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0700,size=1m")
        cgroup = _cgroup() if spec["systemd"] else None
        spec["systemd"] = bool(spec["systemd"] and cgroup)
        _file_systems(spec)
        _fresh(spec, programs)
        kernel.loopback_up(tuple(spec["addresses"]))
        _devices(spec["devices"])
        socket.sethostname(spec["hostname"])
        first = _start(spec, cgroup)
        _tell(ready=True, init=first, systemd=spec["systemd"], cgroup=str(cgroup) if cgroup else "")
        _hold()
    except (OSError, ValueError) as error:
        _tell(ready=False, why=str(error))
        return 1
    finally:
        _end(first, cgroup)
    return 0


def _tell(**values: object) -> None:
    with contextlib.suppress(OSError):
        print(json.dumps(values), flush=True)


def _hold() -> None:
    """Until the caller closes our input; `keep` said before lets us outlive it, until SIGTERM."""
    kept = False
    for line in sys.stdin:
        kept = kept or line.strip() == "keep"
    while kept:
        signal.pause()


def _start(spec: dict[str, Any], cgroup: Path | None) -> int:
    """The clone's first process, once it is where it belongs. Raises OSError with what hindered it."""
    kernel.unshare(kernel.CLONE_NEWPID)  # not before: whoever is started first there is its first process
    reading, writing = os.pipe2(os.O_CLOEXEC)
    first = os.fork()
    if first == 0:
        os.close(reading)
        live(spec, cgroup, writing)
    os.close(writing)
    with os.fdopen(reading, "r") as pipe:
        why = pipe.read()
    if why:
        raise OSError(why)
    return first


def _end(first: int, cgroup: Path | None) -> None:
    """End all processes of the clone, and wait: afterwards nothing of it is left."""
    if first:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(first, 0)
    if cgroup is not None:
        remove_cgroup(cgroup, 5.0)


def remove_cgroup(cgroup: Path, seconds: float) -> None:
    """Remove an empty cgroup and those below it; the kernel may need a moment to bury its last processes."""
    end = time.monotonic() + seconds
    while cgroup.exists():
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        if time.monotonic() >= end:
            return
        if cgroup.exists():
            time.sleep(0.02)


def _cgroup() -> Path | None:
    """A cgroup of the clone's own, which systemd needs; None where the kernel or the container gives none."""
    try:
        CGROUP.mkdir()
        # Its root is our cgroup. In the host's own namespace a mount would set the options of the whole hierarchy anew.
        kernel.unshare(kernel.CLONE_NEWCGROUP)
        kernel.mount("cgroup2", str(CGROUP), "cgroup2")
        # Containers whose programs share a cgroup number their processes alike: the number alone may be taken.
        cgroup = Path(tempfile.mkdtemp(prefix=f"{NAME}-{os.getpid()}-", dir=CGROUP))
    except OSError:
        return None
    try:
        # Tried with ourselves: a container may show cgroups, and forbid to enter them.
        (cgroup / "cgroup.procs").write_text(str(os.getpid()))
        (CGROUP / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        remove_cgroup(cgroup, 0)
        return None
    return cgroup


def _file_systems(spec: dict[str, Any]) -> None:
    """Mount the overlays below ROOT, as `wizard.rehearse.clone` laid them out."""
    shared = PLACE / "memory"
    _memory(shared, spec["limit"])
    for number, layer in enumerate(spec["layers"]):
        target = ROOT / layer["path"].lstrip("/")
        flags = kernel.MS_RDONLY if layer["readonly"] else 0
        if number == 0:
            ROOT.mkdir()
        if layer["kind"] == "readonly":
            _readonly(layer["path"], target, shared / f"{number}")
        elif layer["kind"] == "copy":
            copy = shared / f"{number}"
            shutil.copy2(layer["path"], copy)
            status = Path(layer["path"]).stat()
            os.chown(copy, status.st_uid, status.st_gid)
            kernel.bind(str(copy), str(target), flags)
        else:
            memory = shared
            if layer["size"] < spec["limit"]:
                memory = PLACE / f"memory-{number}"
                _memory(memory, layer["size"])
            _overlay(layer, memory / f"{number}", target, flags, spec["changed"])


def _readonly(path: str, target: Path, empty: Path) -> None:
    """By an overlay that nobody can write to: the host's sockets in it answer nobody. Where the file system cannot be a
    lower layer, by a bind mount."""
    empty.mkdir()
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    lower = f"lowerdir=/proc/self/fd/{descriptor}:{empty}"
    try:
        kernel.mount("overlay", str(target), "overlay", kernel.MS_RDONLY, lower)
    except OSError:
        kernel.bind(path, str(target), kernel.MS_RDONLY)
    finally:
        os.close(descriptor)


def _devices(names: list[str]) -> None:
    """Devices that lead nowhere, by the names of the host's: firewalls name them in their rules. Without iproute2, or
    where the kernel has no such device, there are none."""
    for name in names:
        for command in (["add", name, "type", "dummy"], ["set", name, "up"]):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                quiet = subprocess.DEVNULL
                subprocess.run(
                    ["ip", "link", *command], stdin=quiet, stdout=quiet, stderr=quiet, timeout=10, check=False
                )


def _memory(folder: Path, size: int) -> None:
    folder.mkdir()
    # At least a page: 0 would mean half of the memory.
    kernel.mount("tmpfs", str(folder), "tmpfs", 0, f"mode=0755,size={max(size, 4096)},nr_inodes=0")


def _overlay(layer: dict[str, Any], memory: Path, target: Path, flags: int, changed: list[list[str]]) -> None:
    upper, work = memory / "up", memory / "work"
    work.mkdir(parents=True)
    upper.mkdir()
    lower = Path(layer["path"])
    _same(lower, upper)
    for path, how in changed:
        if _layer_of(path, layer):
            _hide(lower, upper, path.removeprefix(layer["path"]).lstrip("/"), how)
    # By descriptor: a mount point's name may hold what separates the options.
    descriptor = os.open(lower, os.O_PATH | os.O_CLOEXEC)
    try:
        options = f"lowerdir=/proc/self/fd/{descriptor},upperdir={upper},workdir={work}"
        kernel.mount("overlay", str(target), "overlay", flags, options)
    finally:
        os.close(descriptor)


def _layer_of(path: str, layer: dict[str, Any]) -> bool:
    """Whether `path` is on this layer: on the deepest mount that it is below."""
    below = path.startswith(layer["path"].rstrip("/") + "/") and os.path.realpath(path) == path
    return below and Path(path).parent.lstat().st_dev == Path(layer["path"]).lstat().st_dev


def _same(lower: Path, upper: Path) -> None:
    """Mode, owner and extended attributes of a folder or file of the host."""
    status = lower.stat()
    os.chown(upper, status.st_uid, status.st_gid)
    upper.chmod(status.st_mode & 0o7777)
    for name in os.listxattr(lower):
        with contextlib.suppress(OSError):
            os.setxattr(upper, name, os.getxattr(lower, name))


def _hide(lower: Path, upper: Path, path: str, how: str) -> None:
    """In the upper layer: `empty` a folder or file, or have it `gone` (the kernel's overlayfs.rst, whiteouts)."""
    for parent in reversed(Path(path).parents[:-1]):
        if not (upper / parent).exists():
            (upper / parent).mkdir()
            _same(lower / parent, upper / parent)
    target = upper / path
    if how == "gone":
        os.mknod(target, stat.S_IFCHR | 0o600, 0)
        return
    if (lower / path).is_dir():
        target.mkdir()
        os.setxattr(target, "trusted.overlay.opaque", b"y")
    else:
        target.touch()
    _same(lower / path, target)


def _fresh(spec: dict[str, Any], programs: dict[str, int]) -> None:
    """The clone's own /run and /tmp, with what it needs there."""
    for name, mode in (("run", "0755"), ("tmp", "1777")):
        kernel.mount("tmpfs", str(ROOT / name), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"mode={mode}")
    for path, mode, uid, gid in [] if spec["systemd"] else spec["folders"]:
        folder = ROOT / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, uid, gid)
        folder.chmod(mode)
    units = spec["units"] if spec["systemd"] else {}
    for path, text in {**spec["files"], **units}.items():
        file = ROOT / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for path, target in spec["links"].items() if spec["systemd"] else ():
        link = ROOT / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    for path, descriptor in programs.items():
        place = ROOT / path.lstrip("/")
        if not place.exists():  # it is in what the clone has of its own, such as /tmp
            place.mkdir(parents=True)
            kernel.bind(f"/proc/self/fd/{descriptor}", str(place))
        os.close(descriptor)


def live(spec: dict[str, Any], cgroup: Path | None, channel: int) -> NoReturn:
    """Never returns. What hinders it is written to `channel`, which is closed when the clone begins to live."""
    try:
        kernel.die_with_parent()
        _settle(spec, cgroup)
        kernel.no_audit()
        kernel.drop_kernel_capabilities()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if spec["systemd"]:
            variables = {"container": "msa-wizard", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
            os.execve(spec["init"][0], spec["init"], variables)
        os.closerange(3, channel)
        os.closerange(channel + 1, 1024)
        os.close(channel)
        _bury()
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(channel, (str(error) or type(error).__name__).encode())
        os._exit(1)


def _bury() -> NoReturn:
    """All that a first process must do: wait for those whose parents have ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _settle(spec: dict[str, Any], cgroup: Path | None) -> None:
    """Into the clone's cgroup and mounts; afterwards / is the clone."""
    os.setsid()
    kernel.unshare(kernel.CLONE_NEWNS)
    if cgroup is not None:
        (cgroup / "cgroup.procs").write_text("0")
        kernel.unshare(kernel.CLONE_NEWCGROUP)
    _proc_and_sys(cgroup is not None, spec["ipv6_off"])
    _dev(ROOT / "dev")
    kernel.make_root(str(ROOT))


def _proc_and_sys(cgroup: bool, ipv6_off: bool) -> None:
    proc = ROOT / "proc"
    kernel.mount("proc", str(proc), "proc", _PLAIN)
    if ipv6_off:
        for name in ("all", "default"):
            (proc / f"sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    net = proc / "sys/net"
    descriptor = os.open(net, os.O_PATH | os.O_CLOEXEC)
    for name in _GUARDED:
        if (proc / name).exists():
            kernel.bind(str(proc / name), str(proc / name), kernel.MS_RDONLY | _PLAIN)
    kernel.bind(f"/proc/self/fd/{descriptor}", str(net))  # of the clone's own network namespace
    os.close(descriptor)
    kernel.mount("sysfs", str(ROOT / "sys"), "sysfs", kernel.MS_RDONLY | _PLAIN)
    if cgroup:
        kernel.mount("cgroup2", str(ROOT / "sys/fs/cgroup"), "cgroup2", _PLAIN)


def _dev(dev: Path) -> None:
    kernel.mount("tmpfs", str(dev), "tmpfs", kernel.MS_NOSUID, "mode=0755,size=4m")
    for name in _NODES:
        node = dev / name
        if stat.S_ISCHR(Path("/dev", name).stat().st_mode):
            node.touch()
            kernel.bind(f"/dev/{name}", str(node))
    for name, target in _LINKS.items():
        (dev / name).symlink_to(f"/proc/self/{target}")
    for name, kind, data in (
        ("shm", "tmpfs", "mode=1777"),
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("mqueue", "mqueue", ""),
    ):
        (dev / name).mkdir()
        kernel.mount(kind, str(dev / name), kind, kernel.MS_NOSUID | kernel.MS_NOEXEC, data)
    (dev / "ptmx").symlink_to("pts/ptmx")
