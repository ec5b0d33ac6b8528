"""How the clone boots: systemd with a target of our own, which starts what the set-up meets and nothing else.

No timer, no cron, no network to wait for, no unit that would reach the kernel: whatever the usual targets want is masked
in /run/systemd/system.control, which goes before /etc (systemd.unit(5), Unit File Load Path), and generators are masked
in /run/systemd/system-generators, which goes before /lib (systemd.generator(7)). Both are in the clone's own /run.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from templates import render
from wizard.errors import HostError
from wizard.system.host import Host
from wizard.system.sockets import process_name

TARGET = "msa-wizard-rehearsal.target"
SYSTEMD = "/lib/systemd/systemd"

RELEVANT = (
    *("sendmail", "saslauthd", "postfix", "exim4", "opensmtpd", "rsyslog", "syslog-ng", "dbus", "fail2ban"),
    *("nftables", "ufw", "firewalld", "netfilter-persistent", "shorewall", "shorewall6"),
)
"""The services that the set-up looks at; those that run on the host run in the clone."""

_KEPT = frozenset(
    (
        *("systemd-journald.service", "systemd-journal-flush.service", "systemd-tmpfiles-setup.service"),
        *("systemd-journald.socket", "systemd-journald-dev-log.socket", "dbus.socket"),
    )
)
_OURS = ("multi-user.target", "graphical.target", "default.target")
"""Never started in the clone: what they want needs no mask, and may be what the set-up enables."""
_KEPT_GENERATORS = frozenset(("systemd-sysv-generator", "postfix-instance-generator"))
"""Those that make the units of RELEVANT services."""
_PLACES = [f"{top}/systemd/system" for top in ("/etc", "/run", "/usr/local/lib", "/lib")]
_GENERATORS = [f"{top}/systemd/system-generators" for top in ("/etc", "/usr/local/lib", "/lib")]
_NOT_OURS = ("systemd", "user", "host", "docker", "lock", "netns")
"""Folders of /run that the clone does not take over."""


def running_services(host: Host) -> tuple[str, ...]:
    """The RELEVANT services that run here, as systemd knows them or as their processes tell."""
    if host.exists("/run/systemd/system"):
        names = [f"{name}.service" for name in RELEVANT]
        try:
            words = host.run(["systemctl", "is-active", *names], timeout=30).stdout.split()
        except HostError:
            return ()
        return tuple(name for name, word in zip(RELEVANT, words, strict=False) if word == "active")
    daemons = {
        "sendmail-mta": "sendmail",
        "saslauthd": "saslauthd",
        "rsyslogd": "rsyslog",
        "exim4": "exim4",
        "master": "postfix",
    }
    running = {daemons.get(process_name(host, pid) or "") for pid, _ in host.processes()}
    return tuple(name for name in RELEVANT if name in running and host.exists(f"/etc/init.d/{name}"))


def arguments(host_name: str) -> tuple[str, ...]:
    """The first process's command line; in a container systemd reads its options from there (systemd(1))."""
    options = ("fstab=no", "luks=no", "systemd.gpt_auto=no")
    return SYSTEMD, f"--unit={TARGET}", f"systemd.hostname={host_name}", *options


def units(services: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Files and links for the clone's /run: the target, and the masks."""
    names = [f"{name}.service" for name in services if name != "dbus"]
    files = {f"/run/systemd/system/{TARGET}": render("rehearsal.target.j2", services=names)}
    managers = ("systemd-networkd", "NetworkManager", "ifupdown")
    wanted = {f"{manager}-wait-online.service" for manager in managers}
    for place in _PLACES:
        for folder in Host().names(place):
            target, _, kind = folder.rpartition(".")
            if kind in ("wants", "requires") and target.endswith(".target") and target not in _OURS:
                wanted.update(Host().names(f"{place}/{folder}"))
    masked = sorted(name for name in wanted - _KEPT - set(names) if not name.endswith(".target"))
    generators = {name for folder in _GENERATORS for name in Host().names(folder)} - _KEPT_GENERATORS
    links = {f"/run/systemd/system.control/{name}": "/dev/null" for name in masked}
    links |= {f"/run/systemd/system-generators/{name}": "/dev/null" for name in sorted(generators)}
    return files, links


def run_folders() -> list[tuple[str, int, int, int]]:
    """The folders of the host's /run with mode and owner, for a clone whose init makes none."""
    folders = [("/run/lock", 0o1777, 0, 0)]
    for path in (*sorted(Path("/run").glob("*")), *sorted(Path("/run").glob("*/*"))):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode) and path.parts[2] not in _NOT_OURS:
            folders.append((str(path), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid))
    return folders
