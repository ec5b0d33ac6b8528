"""Daemons that run, and that systemd does not count to their service: it can neither stop nor watch them.

Two restarts that meet leave such a one: systemd ends the init script half-way, not the daemon that it had begun, and every
later start fails, since "MTA is already running" (tried on Debian 12 and 13). So does a daemon that was started by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.model.facts import MUX
from wizard.sendmail.asked_saslauthd import argument, serves_at
from wizard.system.host import Host

if TYPE_CHECKING:
    from wizard.model.facts import Facts, Process
    from wizard.system.sockets import Listener

DAEMON_OF = {"sendmail": "sendmail-mta", "saslauthd": "saslauthd"}
"""The name of each service's daemon."""
_DEAD = ("failed", "inactive")
_FIRST = "/init.scope"
"""Where systemd keeps itself: where PID 1 is elsewhere, control groups say nothing of units here."""
_HIERARCHIES = ("name=systemd", "0")
"""Those that systemd may use, the older one first: the one in which it is itself counts, for in a container the kernel
names those of its host, too."""
_LOGINS = "/user.slice/"
_PF_EXITING = 0x4
"""Of the flags in /proc/PID/stat."""


def unit_of(host: Host, folder: Path) -> str | None:
    """The unit whose control group the process at `folder` (below /proc) is in, empty where it is in none.

    None where that is not known, or not ours to judge: no systemd, another user's process, one of a container or a
    virtual machine, one that is about to end (proc(5), cgroups(7))."""
    try:
        first, own = _control_groups(host.path("/proc") / "1"), _control_groups(folder)
        foreign = in_container(folder) or _status(folder, "Uid")[1:2] != ["0"]
        if _ends(folder):
            return None
    except OSError:
        return None
    hierarchy = next((name for name in _HIERARCHIES if first.get(name, "").endswith(_FIRST)), None)
    if foreign or hierarchy is None:
        return None
    path = own.get(hierarchy, "")
    units = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
    if units and units[-1].endswith(".scope") and _LOGINS not in path:
        return None
    return units[-1] if units else ""


def in_container(folder: Path) -> bool:
    """Whether the process at `folder` (below /proc) is one of a container: it has a number of its own there. Raises OSError."""
    return len(_status(folder, "NSpid")) > 1


def _status(folder: Path, key: str) -> list[str]:
    """The words of a line of its /proc/PID/status, none where it has no such line. Raises OSError."""
    lines = (folder / "status").read_text("latin-1").splitlines()
    return dict(line.partition(":")[::2] for line in lines).get(key, "").split()


def _ends(folder: Path) -> bool:
    """Whether the process is on its way out: kernels with the older control groups count it to none by then. The parent
    of a daemon that has just begun is such a one. Raises OSError once it is gone."""
    _, _, numbers = (folder / "stat").read_text("latin-1").rpartition(")")
    return bool(int(numbers.split()[6]) & _PF_EXITING)


def _control_groups(folder: Path) -> dict[str, str]:
    """The process's path in each hierarchy. Raises OSError."""
    rows = (line.split(":", 2) for line in (folder / "cgroup").read_text("latin-1").splitlines())
    return {row[1] or row[0]: row[2] for row in rows if len(row) == 3}


def strays(facts: Facts, name: str) -> tuple[Process, ...]:
    """The daemons of the service `name` that systemd does not count to it, or considers ended."""
    service = facts.services.get(name)
    if service is None or not service.exists:
        return ()
    stray = outside(name, facts.processes, facts.listeners)
    left = inside(name, facts.processes, facts.listeners) if service.active.startswith(_DEAD) else ()
    return (*stray, *left)


def stray_sentence(facts: Facts, name: str) -> str:
    """What is wrong, empty where nothing is."""
    stray = strays(facts, name)
    if not stray:
        return ""
    return f"{name} runs outside its unit (pid {stray[0].pid}): systemd can neither stop nor watch it"


def outside(name: str, processes: Iterable[Process], listeners: Iterable[Listener]) -> tuple[Process, ...]:
    """The daemons of `name` in no unit, or in that of somebody's login. One in another service is that one's."""
    daemons = _daemons(name, processes, listeners)
    return tuple(each for each in daemons if each.unit is not None and not each.unit.endswith(".service"))


def inside(name: str, processes: Iterable[Process], listeners: Iterable[Listener]) -> tuple[Process, ...]:
    """The daemons of `name` in the control group of its unit."""
    return members(name, _daemons(name, processes, listeners))


def members(name: str, processes: Iterable[Process]) -> tuple[Process, ...]:
    """All of `name` in the control group of its unit, those too that serve nobody yet, or one connection."""
    daemons = (process for process in processes if process.name == DAEMON_OF.get(name))
    return tuple(daemon for daemon in daemons if daemon.unit == f"{name}.service")


def _daemons(name: str, processes: Iterable[Process], listeners: Iterable[Listener]) -> tuple[Process, ...]:
    """Those that serve: not a queue runner or a child at work, not a saslauthd that serves another program, nor one that
    somebody watches in the foreground."""
    daemons = [process for process in processes if process.name == DAEMON_OF.get(name)]
    if name == "sendmail":
        listening = {listener.pid for listener in listeners}
        return tuple(process for process in daemons if process.pid in listening)
    ours = [process for process in daemons if serves_at(argument(process, "-m"), MUX)]
    return tuple(process for process in ours if "-d" not in process.argv)
