"""The clone's first process: it puts the fresh file systems in their places, and becomes systemd, or stays and reaps
children where the host has no systemd either."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from pathlib import Path
from typing import Any, NoReturn

from wizard.rehearse import syscalls as kernel

_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_GUARDED = ("sys", "sysrq-trigger", "irq", "bus", "acpi", "fs", "scsi")
"""Of /proc: what would reach the host's kernel is read-only."""
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


def live(spec: dict[str, Any], cgroup: Path | None, channel: int) -> NoReturn:
    """Never returns. What hinders it is written to `channel`, which is closed when the clone begins to live."""
    try:
        kernel.die_with_parent()
        _settle(spec, cgroup)
        kernel.no_audit()
        kernel.drop_kernel_capabilities()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if spec["systemd"]:
            os.execve(
                spec["init"][0],
                spec["init"],
                {"container": "msa-wizard", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
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
    root = Path("/run/root")
    _proc_and_sys(root, cgroup is not None, spec["ipv6_off"])
    _dev(root)
    kernel.make_root(str(root))


def _proc_and_sys(root: Path, cgroup: bool, ipv6_off: bool) -> None:
    proc = root / "proc"
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
    kernel.mount("sysfs", str(root / "sys"), "sysfs", kernel.MS_RDONLY | _PLAIN)
    if cgroup:
        kernel.mount("cgroup2", str(root / "sys/fs/cgroup"), "cgroup2", _PLAIN)


def _dev(root: Path) -> None:
    dev = root / "dev"
    kernel.mount("tmpfs", str(dev), "tmpfs", kernel.MS_NOSUID, "mode=0755,size=4m")
    for name in _NODES:
        node = dev / name
        if stat.S_ISCHR(Path("/dev", name).stat().st_mode):
            node.touch()
            kernel.bind(f"/dev/{name}", str(node))
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    for name, kind, data in (
        ("shm", "tmpfs", "mode=1777"),
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("mqueue", "mqueue", ""),
    ):
        (dev / name).mkdir()
        kernel.mount(kind, str(dev / name), kind, kernel.MS_NOSUID | kernel.MS_NOEXEC, data)
    (dev / "ptmx").symlink_to("pts/ptmx")
