"""What this host is called, and what the kernel says of its addresses and listeners, from /proc: iproute2 is missing in small
containers."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.errors import HostError
from wizard.system.host import Host

OTHER_NAMES = {"sendmail": "sendmail-mta"}
"""The name that a daemon has where it is started by another of its names, as `sendmail -bd` by hand, and its own."""
_ESTABLISHED, _LISTEN = "01", "0A"
_CLOSING = "0"


def listeners(host: Host) -> tuple[Listener, ...]:
    """The TCP sockets that listen, with the process that holds them where that may be seen (proc(5)).

    Nobody holds a socket that was closed between the two readings: that one counts when a second look finds it so."""
    first = _look(host)
    unseen = {inode for inode, listener in first.items() if listener.process is None}
    second = _look(host) if unseen else first
    return tuple(listener for inode, listener in second.items() if listener.process or inode in unseen)


def _look(host: Host) -> dict[str, Listener]:
    """The listening sockets by their inode."""
    listening = (row for row in _sockets(host) if row[3] == _LISTEN and row[9] != _CLOSING)
    ends = {row[9]: row[1] for row in listening}
    links = {f"socket:[{inode}]": inode for inode in ends}
    holders: dict[str, int] = {}
    for pid, folder in host.processes():
        for inode in (links[link] for link in _open_files(folder) if link in links):
            holders.setdefault(inode, pid)
        if len(holders) == len(ends):
            break
    sockets = {}
    for inode, end in ends.items():
        address, port = _end(end)
        name = process_name(host, holders[inode]) if inode in holders else None
        daemon = OTHER_NAMES.get(name, name) if name else None
        sockets[inode] = Listener(address, port, daemon, holders.get(inode))
    return sockets


def server_process(
    host: Host, client: tuple[str, int], server: tuple[str, int], name: str = "sendmail"
) -> int | None:
    """The process, called `name` or more, at the server's end of a connection within this host; None where it may not
    be seen, or has ended. The others are not looked into: there may be thousands.

    A daemon that has just handed the connection to its child still holds it, too: the child counts."""
    ends = (server, client)
    wanted = {f"socket:[{row[9]}]" for row in _sockets(host) if (_end(row[1]), _end(row[2])) == ends}
    processes = host.processes() if wanted else ()
    named = [each for each in processes if (process_name(host, each[0]) or "").startswith(name)]
    holders = [pid for pid, folder in named if not wanted.isdisjoint(_open_files(folder))]
    children = [pid for pid in holders if _parent(host, pid) in holders]
    return next(iter(children or holders), None)


def is_open(host: Host, client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Whether a connection is there, with the server's end on this host."""
    return any(
        row[3] == _ESTABLISHED and (_end(row[1]), _end(row[2])) == (server, client) for row in _sockets(host)
    )


def _end(text: str) -> tuple[str, int]:
    digits, port = text.split(":")
    return bare_address(_address(digits)), int(port, 16)


def bare_address(text: str) -> str:
    """An address without its zone; one of IPv4 as such, also where IPv6 has it mapped. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def collide(one: str, other: str) -> bool:
    """Whether listeners at these two addresses take a port from each other; one at every address of IPv6 takes those of IPv4,
    too."""
    places = {one, other}
    by_family = "0.0.0.0" in places and not any(":" in each for each in places)
    return len(places) == 1 or "::" in places or by_family


def _open_files(folder: Path) -> Iterator[str]:
    """Where a process's descriptors lead, by its folder below /proc; what is closed while we look is left out."""
    with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
        for link in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(link.readlink())


def _parent(host: Host, pid: int) -> int:
    stat = host.text(f"/proc/{pid}/stat")
    return int(stat[stat.rindex(")") + 2 :].split()[1]) if ")" in stat else 0


def _sockets(host: Host) -> Iterator[list[str]]:
    """The fields of each TCP socket: both ends, state and inode are the second to fourth, and the tenth (proc(5))."""
    for table in ("tcp", "tcp6"):
        for line in host.text(f"/proc/net/{table}").splitlines()[1:]:
            if len(fields := line.split()) > 9:
                yield fields


def _address(text: str) -> str:
    """The address in /proc/net/tcp*: 32-bit words in the host's byte order."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return str(ipaddress.ip_address(raw))


def process_name(host: Host, pid: int) -> str | None:
    """The kernel's name for a process, None when it has ended."""
    return host.text(f"/proc/{pid}/comm").partition("\n")[0] or None


def qualified_name(host: Host) -> tuple[str, bool]:
    """What `hostname -f` says (update_tls asks the same), and whether it is a qualified name that resolves."""
    try:
        result = host.run(["hostname", "-f"], timeout=15)
    except HostError:
        return "", False
    name = result.stdout.strip() if result.code == 0 else ""
    labels = name.rstrip(".").split(".")
    return name, len(labels) > 1 and all(0 < len(label) < 64 for label in labels)


def is_own(host: Host, address: str) -> bool:
    """Whether `address`, as a connection has it, is one of this host's."""
    return address.split("%")[0] in addresses(host) or address.startswith("127.")


def addresses(host: Host) -> tuple[str, ...]:
    """The addresses of this host, IPv4 first, loopback included."""
    four = set()
    for line in host.text("/proc/net/fib_trie").splitlines():
        match = re.match(r"\s+\|-- ([\d.]+)", line)
        if match:
            last = match.group(1)
        elif "/32 host LOCAL" in line:
            four.add(last)
    rows = [line.split() for line in host.text("/proc/net/if_inet6").splitlines()]
    six = {str(ipaddress.ip_address(bytes.fromhex(row[0]))) for row in rows}
    return (*sorted(four), *sorted(six))


def any_address(host: Host) -> frozenset[str]:
    """The families in which a socket may be bound to an address that is not this host's (ip(7), ip_nonlocal_bind)."""
    families = {"inet": "ipv4", "inet6": "ipv6"}
    return frozenset(
        family
        for family, folder in families.items()
        if host.text(f"/proc/sys/net/{folder}/ip_nonlocal_bind").strip() == "1"
    )


def ipv6_available(host: Host) -> bool:
    """Whether an IPv6 socket can be bound that serves IPv4 as well: else a Family=inet6 line kills the MTA, or IPv4."""
    only = host.text("/proc/sys/net/ipv6/bindv6only").strip()
    return bool(host.text("/proc/net/if_inet6")) and only != "1"


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens; `process` is None when it may not be seen."""

    address: str
    port: int
    process: str | None
    pid: int | None
