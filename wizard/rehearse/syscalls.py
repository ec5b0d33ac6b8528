"""What Python does not offer: namespaces, mounts, and what a process may still do (unshare(2), mount(2), prctl(2)).

No command of the host's is needed for it, so it works the same on every Debian and without systemd.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import signal
import socket
import struct
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 15, 22, 24
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217, "riscv64": 41, "armv7l": 218}
_KERNEL_CAPABILITIES = (16, 17, 22, 25, 27, 30, 32, 33, 34, 35, 36)
"""Module loading, raw I/O, reboot, the clock, device nodes, and the configuration of audit, LSM and kernel log."""

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """New namespaces for this process (those of processes: for its children). Raises OSError."""
    _checked(_libc.unshare(flags), "new namespaces")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError that names the target."""
    fstype = kind.encode() if kind else None
    result = _libc.mount(os.fsencode(source), os.fsencode(target), fstype, flags, os.fsencode(data))
    _checked(result, f"mount {kind or 'of ' + source} on {target}")


def bind(source: str, target: str, flags: int = 0) -> None:
    """Show `source` at `target` too, with mount flags of its own (MS_RDONLY ...). Raises OSError."""
    mount(source, target, flags=MS_BIND)
    if flags:
        mount("none", target, flags=MS_BIND | MS_REMOUNT | flags)


def make_root(folder: str) -> None:
    """Make the mount point `folder` this namespace's root, and let go of the old one. Raises OSError."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(f"the call pivot_root of {platform.machine()} is not known")
    os.chdir(folder)
    _checked(_libc.syscall(number, b".", b"."), "pivot_root")  # the trick of pivot_root(2): one on the other
    _checked(_libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill us when the parent (its thread that made us) ends."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def set_process_name(name: str) -> None:
    """The name that ps and ss show, 15 bytes at most."""
    _libc.prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]), 0, 0, 0)


def drop_kernel_capabilities() -> None:
    """Give up, for good and for all that we start, what would reach through the namespaces to the kernel."""
    for number in _KERNEL_CAPABILITIES:
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # one that this kernel does not have: nothing to drop


_AF_NETLINK, _NETLINK_AUDIT, _EAFNOSUPPORT = 16, 9, 97
_ARCHITECTURES = {
    "x86_64": (0xC000003E, 41),
    "aarch64": (0xC00000B7, 198),
    "riscv64": (0xC00000F3, 198),
    "ppc64le": (0xC0000015, 326),
    "s390x": (0x80000016, 359),
}
"""By machine: what seccomp(2) calls it, and its number of socket(2)."""


def no_audit() -> None:
    """Let nobody in the clone speak to the kernel's audit: it has no namespaces, and PAM and systemd would write into
    the host's audit log. As in systemd-nspawn, such a socket is an unknown kind. Raises OSError."""
    known = _ARCHITECTURES.get(platform.machine())
    if known is None:
        return
    architecture, call = known
    low = 4 if sys.byteorder == "big" else 0
    load, equal, result = 0x20, 0x15, 0x06
    program = (
        (load, 0, 0, 4),
        (equal, 0, 7, architecture),
        (load, 0, 0, 0),
        (equal, 0, 5, call),
        (load, 0, 0, 16 + low),
        (equal, 0, 3, _AF_NETLINK),
        (load, 0, 0, 32 + low),
        (equal, 0, 1, _NETLINK_AUDIT),
        (result, 0, 0, 0x00050000 | _EAFNOSUPPORT),
        (result, 0, 0, 0x7FFF0000),
    )
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *order) for order in program))
    described = struct.pack("@HP", len(program), ctypes.addressof(filters))
    _checked(_libc.prctl(_PR_SET_SECCOMP, 2, ctypes.create_string_buffer(described), 0, 0), "seccomp")


_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_IFF_UP = 1


def loopback_up(addresses: tuple[str, ...] = ()) -> None:
    """Bring the loopback device of this network namespace up, with these addresses on it besides its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(sock, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
        for number, address in enumerate(address for address in addresses if ":" not in address):
            name = f"lo:{number}".encode()
            for call, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.255")):
                packed = struct.pack("16sHH4s16x", name, socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(sock, call, packed)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        for address in (address for address in addresses if ":" in address):
            packed = struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, address), 128, 1)
            fcntl.ioctl(sock, _SIOCSIFADDR, packed)
