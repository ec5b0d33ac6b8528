"""AppArmor over the daemons: which profile confines each, and what it forbade (apparmor(7); aa-status(8))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wizard.errors import HostError
from wizard.model.facts import Process
from wizard.system.host import Host

_ATTRIBUTES = ("apparmor/current", "current")
"""Below /proc/PID/attr (proc(5)); the first since Linux 5.8."""
_WORDS = 'apparmor="DENIED"'
_MOST = 200
_TIMEOUT = 2.0
"""Seconds for the journal."""


@dataclass(frozen=True)
class Confined:
    """A daemon under a profile that is enforced, and the kernel's own words for what it was denied, oldest first."""

    daemon: str
    profile: str
    denied: tuple[str, ...] = ()


def look(host: Host, daemons: Sequence[Process], since: float) -> tuple[Confined, ...]:
    """Those of the daemons that are confined, with what they were denied since that second. The kernel is asked for
    nothing where none is. Raises nothing."""
    profiles = {process.name: profile for process in daemons if (profile := _profile(host, process.pid))}
    said = _denials(host, since) if profiles else ()
    return tuple(
        Confined(daemon, profile, tuple(line for line in said if f'profile="{profile}"' in line))
        for daemon, profile in profiles.items()
    )


def _profile(host: Host, pid: int) -> str:
    for name in _ATTRIBUTES:
        try:
            text = host.path(f"/proc/{pid}/attr/{name}").read_text("latin-1").strip()
        except OSError:
            continue
        profile, _, mode = text.rpartition(" ")
        return profile if mode == "(enforce)" else ""
    return ""


def _denials(host: Host, since: float) -> tuple[str, ...]:
    """The kernel's lines; no other program can write with these transports."""
    transports = ("_TRANSPORT=audit", "+", "_TRANSPORT=kernel")
    asked = (
        "journalctl",
        "-q",
        "--no-pager",
        "-o",
        "cat",
        "-n",
        str(_MOST),
        f"--since=@{since:.0f}",
        "-g",
        _WORDS,
    )
    try:
        return tuple(host.run([*asked, *transports], timeout=_TIMEOUT).stdout.splitlines())
    except HostError:
        return ()
