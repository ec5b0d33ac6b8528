"""What the kernel says of addresses and listeners, from /proc: iproute2 is missing in small containers."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.system.host import Host

OTHER_NAMES = {"sendmail": "sendmail-mta"}
"""The name that a daemon has where it is started by another of its names, as `sendmail -bd` by hand, and its own."""
_LISTEN = "0A"
_CLOSING = "0"


def listeners(host: Host) -> tuple[Listener, ...]:
    """The TCP sockets that listen, with the process that holds them where that may be seen (proc(5)).

    Nobody holds a socket that was closed between the two readings: that one counts when a second look finds it so."""
    first = _look(host)
    unseen = {inode for inode, item in first.items() if item.process is None}
    second = _look(host) if unseen else first
    return tuple(item for inode, item in second.items() if item.process or inode in unseen)


def _look(host: Host) -> dict[str, Listener]:
    """The listening sockets by their inode."""
    ends = {
        fields[9]: fields[1] for fields in _sockets(host) if fields[3] == _LISTEN and fields[9] != _CLOSING
    }
    holders = _holders(host, set(ends))
    sockets = {}
    for inode, end in ends.items():
        address, port = end.split(":")
        pid = holders.get(inode)
        name = _daemon_name(host, pid) if pid else None
        sockets[inode] = Listener(_address(address), int(port, 16), name, pid)
    return sockets


def server_process(
    host: Host, client: tuple[str, int], server: tuple[str, int], name: str = "sendmail"
) -> int | None:
    """The process, called `name` or more, at the server's end of a connection within this host; None where it may not
    be seen, or has ended. The others are not looked into: there may be thousands.

    A daemon that has just handed the connection to its child still holds it, too: the child counts."""
    wanted = {
        f"socket:[{fields[9]}]"
        for fields in _sockets(host)
        if (_end(fields[1]), _end(fields[2])) == (server, client)
    }
    holders = [
        pid
        for pid, folder in host.processes()
        if wanted and (process_name(host, pid) or "").startswith(name) and _holds(folder, wanted)
    ]
    children = [pid for pid in holders if _parent(host, pid) in holders]
    return next(iter(children or holders), None)


def _end(text: str) -> tuple[str, int]:
    digits, port = text.split(":")
    address = ipaddress.ip_address(_address(digits))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), int(port, 16)


def _holds(folder: Path, sockets: set[str]) -> bool:
    try:
        return any(_leads_to(item) in sockets for item in (folder / "fd").iterdir())
    except OSError:
        return False  # it has ended, or is not ours to look at


def _leads_to(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # closed while we looked


def _parent(host: Host, pid: int) -> int:
    stat = "".join(_lines(host, f"/proc/{pid}/stat"))
    return int(stat[stat.rindex(")") + 2 :].split()[1]) if ")" in stat else 0


def _sockets(host: Host) -> Iterator[list[str]]:
    """The fields of each TCP socket: both ends, state and inode are the second to fourth, and the tenth (proc(5))."""
    for table in ("tcp", "tcp6"):
        for line in _lines(host, f"/proc/net/{table}")[1:]:
            if len(fields := line.split()) > 9:
                yield fields


def _address(text: str) -> str:
    """The address in /proc/net/tcp*: 32-bit words in the host's byte order."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return str(ipaddress.ip_address(raw))


def _holders(host: Host, inodes: set[str]) -> dict[str, int]:
    holders: dict[str, int] = {}
    for pid, folder in host.processes():
        try:
            for item in (folder / "fd").iterdir():
                match = re.match(r"socket:\[(\d+)\]", str(item.readlink()))
                if match and match.group(1) in inodes:
                    holders.setdefault(match.group(1), pid)
        except OSError:
            continue  # it ended while we looked, or it is not ours to look at
        if len(holders) == len(inodes):
            break
    return holders


def process_name(host: Host, pid: int) -> str | None:
    """The kernel's name for a process, None when it has ended."""
    lines = _lines(host, f"/proc/{pid}/comm")
    return lines[0] if lines else None


def _daemon_name(host: Host, pid: int) -> str | None:
    name = process_name(host, pid)
    return OTHER_NAMES.get(name, name) if name else None


def addresses(host: Host) -> tuple[str, ...]:
    """The addresses of this host, IPv4 first, loopback included."""
    four = set()
    for line in _lines(host, "/proc/net/fib_trie"):
        match = re.match(r"\s+\|-- ([\d.]+)", line)
        if match:
            last = match.group(1)
        elif "/32 host LOCAL" in line:
            four.add(last)
    six = {
        str(ipaddress.ip_address(bytes.fromhex(line.split()[0])))
        for line in _lines(host, "/proc/net/if_inet6")
    }
    return (*sorted(four), *sorted(six))


def ipv6_available(host: Host) -> bool:
    """Whether an IPv6 socket can be bound that serves IPv4 as well: else a Family=inet6 line kills the MTA, or IPv4."""
    return bool(_lines(host, "/proc/net/if_inet6")) and _lines(host, "/proc/sys/net/ipv6/bindv6only") != ["1"]


def _lines(host: Host, path: str) -> list[str]:
    try:
        return Path(host.path(path)).read_text("latin-1").splitlines()
    except OSError:
        return []


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens; `process` is None when it may not be seen."""

    address: str
    port: int
    process: str | None
    pid: int | None
