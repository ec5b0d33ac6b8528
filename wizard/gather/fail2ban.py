"""fail2ban as this host has it: its configuration as fail2ban itself reads it, its daemon, and what it needs to ban."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wizard.editors import fail2ban as conf
from wizard.editors.fail2ban import Jail, Limit
from wizard.errors import HostError
from wizard.gather.firewall import ssh_client
from wizard.model.facts import JAIL
from wizard.model.step_facts import Fail2ban
from wizard.packages.apt import installed
from wizard.system.host import Completed, Host
from wizard.system.services import rc_enabled

FOLDER = "/etc/fail2ban"
CLIENT = "/usr/bin/fail2ban-client"
_BESIDE = "/usr/local/bin/fail2ban-client"
"""Where pip and its own setup.py put it, with a configuration and a service of their own."""
SERVICE = "fail2ban"
_PATIENCE = 30.0
_PROBE = f"[{conf.NAME}]\nenabled = true\nbackend = systemd\n"
"""The jail with nothing but the defaults; by this backend it needs no log file."""
_SSHD = "[sshd]\nbackend = systemd\n"
_AUTH_LOG = "/var/log/auth.log"
_NFT = "nftables"
_DEBIANS = "defaults-debian.conf"
_IPTABLES = ("/usr/sbin/iptables", "/sbin/iptables")
_NO_LOG = "log file for sshd jail"
_OWN_BAN = f"2026-11-30 05:33:00,123 fail2ban.actions        [576]: NOTICE  [{conf.NAME}] Ban 192.0.2.1"
"""What fail2ban of Debian 12, 13 and 14 logs of a ban."""
_MATCHED = re.compile(r"^Lines: .* (\d+) matched", re.MULTILINE)


def look(host: Host, log: str | None) -> Fail2ban:
    """What there is, with mail logged to `log`. Raises PermissionError."""
    try:
        return _looked(host, log)
    except HostError as error:
        return Fail2ban(log, broken=f"fail2ban cannot be looked at: {error}")


def _looked(host: Host, log: str | None) -> Fail2ban:
    if host.exists(_BESIDE):
        raise HostError(f"{_BESIDE} is not Debian's")
    here = installed(host)
    needed = (SERVICE, *(("python3-systemd",) if log == "journal" else ()), _NFT)
    missing = tuple(name for name in needed if name not in here)
    root = os.geteuid() == 0
    without_nft = _without_nft(host) if root else ""
    seen = Fail2ban(log, missing, own=_own(host), connection=ssh_client(host), without_nft=without_nft)
    if not host.exists(CLIENT):
        return replace(seen, sshd_unread=log == "journal" and not host.exists(_AUTH_LOG))
    if not root:
        raise PermissionError("what fail2ban does can only be asked by root")
    seen = configured(host, seen)
    if not seen.needs_nft:
        seen = replace(seen, missing=tuple(name for name in missing if name != _NFT), without_nft="")
    answered = client(host, "status", conf.NAME).code == 0
    return replace(
        seen,
        runs=answered or client(host, "ping").code == 0,
        up=answered,
        enabled=_enabled(host),
    )


@dataclass(frozen=True)
class Bans:
    """What the jails for sendmail do that are at work, the admin's own too."""

    since: Mapping[str, float]
    """By address since when it is banned (seconds since the epoch)."""
    limits: tuple[Limit, ...] = ()
    """Those of which it is known."""


def bans(host: Host) -> Bans | None:
    """None where no jail for sendmail is at work."""
    try:
        if not host.exists(CLIENT) or client(host, "ping").code != 0:
            return None
        there = conf.jails(client(host, "-d").stdout)
        at_work = [name for name in conf.for_sendmail(there) if client(host, "status", name).code == 0]
        said = [client(host, "get", name, "banip", "--with-time").stdout for name in at_work]
    except HostError:
        return None
    limits = tuple(limit for name in at_work if (limit := there[name].limit) is not None)
    return Bans(conf.banned("\n".join(said)), limits) if at_work else None


def in_force(host: Host) -> Limit | None:
    """The limit of Debian's jail as it is configured now; None where there is none. Raises HostError."""
    jail = conf.jails(client(host, "-d").stdout).get(conf.NAME)
    return jail.limit if jail is not None else None


def client(host: Host, *words: str) -> Completed:
    """Ask the daemon. Raises HostError."""
    return host.run([CLIENT, *words], timeout=_PATIENCE)


def tried(host: Host, text: str) -> tuple[str, dict[str, Jail]]:
    """Why fail2ban does not take its configuration with this text in our file (without the file where it is empty), and the
    jails that it would start. Raises HostError."""
    with _copy(host, text) as folder:
        tested = host.run([CLIENT, "-c", folder, "-t"], timeout=_PATIENCE)
        if tested.code != 0:
            return _why(tested, folder), {}
        dumped = host.run([CLIENT, "-c", folder, "-d"], timeout=_PATIENCE)
    return "", conf.jails(dumped.stdout)


def configured(host: Host, seen: Fail2ban) -> Fail2ban:
    """With what its configuration says without our file. Raises HostError."""
    why, there = tried(host, "")
    unread = _NO_LOG in why and seen.log == "journal"
    if unread:
        why, there = tried(host, _SSHD)
    if why:
        return replace(seen, broken=f"fail2ban's own configuration is broken: {why}")
    _, with_ours = tried(host, _PROBE + (_SSHD if unread else ""))
    return replace(
        seen,
        theirs=conf.for_sendmail(there),
        jails=there,
        recidive=tuple(name for name, jail in there.items() if _counts_bans(host, jail)),
        stock=with_ours.get(conf.NAME),
        sshd_unread=unread,
        banaction=_banaction(host),
    )


def _counts_bans(host: Host, jail: Jail) -> bool:
    """Whether it bans whom our jail has banned several times. Raises HostError."""
    if not any("Ban" in expression for expression in jail.expressions):
        return False
    with _trial_file("tried.conf", conf.filter_of(jail)) as path:
        match = _MATCHED.search(_tried_filter(host, _OWN_BAN, path).stdout)
    return match is None or match[1] != "0"  # one that nobody can try may count anything


def _own(host: Host) -> tuple[str, ...]:
    """In the order in which fail2ban reads them (jail.conf(5))."""
    there = [
        name for name in host.names(f"{FOLDER}/jail.d") if name not in (_DEBIANS, JAIL.rpartition("/")[2])
    ]
    first, last = (
        sorted(f"{FOLDER}/jail.d/{name}" for name in there if name.endswith(end))
        for end in (".conf", ".local")
    )
    local = f"{FOLDER}/jail.local"
    return (*first, *([local] if host.exists(local) else []), *last)


def _banaction(host: Host) -> str:
    said = conf.banaction(map(host.text, _own(host)))
    usable = not said.startswith("iptables") or any(map(host.exists, _IPTABLES))
    return said if usable else ""


def _why(said: Completed, folder: str) -> str:
    return conf.problem(said.stderr + said.stdout, folder, FOLDER) or f"it ended with status {said.code}"


@contextlib.contextmanager
def _copy(host: Host, text: str) -> Iterator[str]:
    """A private copy of its configuration with this text in place of our file. Raises HostError."""
    with tempfile.TemporaryDirectory(prefix="msa-wizard-") as place:
        copy = Path(place, "fail2ban")
        try:
            shutil.copytree(host.path(FOLDER), copy, ignore_dangling_symlinks=True)
            own = Path(copy, Path(JAIL).relative_to(FOLDER))
            own.unlink(missing_ok=True)
            if text:
                own.parent.mkdir(exist_ok=True)
                own.write_text(text)
        except OSError as error:
            raise HostError(f"{FOLDER} cannot be copied to try it out: {_first(error)}") from error
        yield str(copy)


def _first(error: OSError) -> str:
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return "; ".join(str(each[-1]) for each in error.args[0][:1])
    return str(error)


def _enabled(host: Host) -> bool:
    if host.exists("/run/systemd/system"):
        return host.run(["systemctl", "is-enabled", SERVICE], timeout=_PATIENCE).code == 0
    return rc_enabled(host, SERVICE)


def _without_nft(host: Host) -> str:
    if not any(host.exists(f"{folder}/nft") for folder in ("/usr/sbin", "/sbin")):
        return ""
    result = host.run(["nft", "list", "tables"], timeout=_PATIENCE)
    return "" if result.code == 0 else f"`nft list tables` failed: {result.tail(1)}"


def matched(host: Host, lines: Sequence[str]) -> int:
    """How many of these lines of a log the filter takes for a wrong password. Raises HostError."""
    with _trial_file("log", "".join(f"{line}\n" for line in lines)) as log:
        result = _tried_filter(host, log, conf.NAME)
    match = _MATCHED.search(result.stdout)
    if match is None:
        raise HostError(f"fail2ban-regex does not say what its filter matches: {result.tail(1)}")
    return int(match[1])


@contextlib.contextmanager
def _trial_file(name: str, text: str) -> Iterator[str]:
    """The path of a private file with this text. Raises HostError."""
    with tempfile.TemporaryDirectory(prefix="msa-wizard-") as place:
        path = Path(place, name)
        try:
            path.write_text(text)
        except OSError as error:
            raise HostError(f"no file could be made to try a filter: {error}") from error
        yield str(path)


def _tried_filter(host: Host, log: str, name: str) -> Completed:
    """What its own tool says of a filter and a log, a file or a line. Raises HostError."""
    return host.run([f"{CLIENT.rpartition('/')[0]}/fail2ban-regex", log, name], timeout=_PATIENCE)
