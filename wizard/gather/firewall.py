"""Looks for firewalls: what is installed, whether it is at work, and its rules, on disk and live (docs/debian.md section Firewalls)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from snapshots.live.entry import Entry
from wizard.editors import nft_conf
from wizard.errors import HostError
from wizard.model import firewall_names as n
from wizard.model.facts import Firewall
from wizard.packet_filter.iptables import filter_table
from wizard.packet_filter.nftables import Ruleset, ruleset
from wizard.packet_filter.walk import Verdict
from wizard.system.host import Host
from wizard.system.sockets import bare_address, is_open, process_name

DEADLINE = 20.0
"""Seconds for a firewall's tool to print its rules."""

_INSIDE = re.compile(r"lo$|docker|br-|veth|virbr|lxc|lxd|cni|podman|dummy|vnet")
"""Devices that lead to containers and virtual machines of this host."""
_NO_LOGIN = "4294967295"
"""What loginuid is where nobody has set it (pam_loginuid(8))."""


@dataclass
class FirewallLook:
    """What there is: see the fields of `Facts` of the same names."""

    firewalls: tuple[Firewall, ...] = ()
    rules: dict[str, str] | None = None
    outside: frozenset[str] = frozenset()
    files: dict[str, Entry | None] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()


def look_at_firewalls(host: Host) -> FirewallLook:
    """Each firewall that is installed; the rules are asked for only where one is, and only as root."""
    there = {name: any(map(host.exists, (program, *signs))) for name, (program, *signs) in _INSTALLED.items()}
    if not any(there.values()):
        return FirewallLook(rules={}, outside=outside(host))
    patterns = [path for name, paths in n.FILES.items() if there[name] for path in paths]
    files, unreadable = read_entries(host, _paths(host, patterns))
    installed = [name for name in there if there[name]]
    evidence = Evidence(host, files)
    if os.geteuid() != 0 or host.root != Path("/"):
        says, ufw = "only root can see whether its rules are live", "ENABLED=yes" in evidence.text(n.UFW_CONF)
        unsure = tuple(Firewall(name, active=name == n.UFW and ufw, says=says) for name in installed)
        return FirewallLook(unsure, None, outside(host), files, unreadable)
    for key, (argv, names) in _ASKS.items():
        if any(there[name] for name in names):
            evidence.ask(key, argv)
    judged = tuple(firewall for name in installed if (firewall := JUDGES[name](evidence)))
    return FirewallLook(judged, evidence.rules, outside(host), files, unreadable)


def ssh_port() -> int | None:
    """The server's port of the SSH connection that this runs in."""
    words = ssh_connection().split()
    return int(words[3]) if len(words) == 4 and words[3].isdigit() else None


def ssh_connection() -> str:
    """SSH_CONNECTION (ssh(1)): client, its port, server, its port; empty where there is none. sudo takes it out of the
    environment: then that of the processes above tells."""
    connection, pid = os.environ.get("SSH_CONNECTION", ""), os.getppid()
    while not connection and pid > 1:
        try:
            folder = Path(f"/proc/{pid}")
            connection = _named_by(folder)
            status = (folder / "stat").read_text("latin-1")
        except OSError:
            break
        pid = int(status[status.rindex(")") + 2 :].split()[1])
    return connection


def ssh_client(host: Host) -> str:
    """The client's address of the SSH connection that is there now; empty where there is none, or nobody can tell which.

    In tmux and screen SSH_CONNECTION may be of one that has ended, whose address is anybody's by now: then the one counts
    that other processes of this login name, if it is the only one."""
    connection = ssh_connection()
    if not connection:
        return ""
    if client := _open_client(host, connection):
        return client
    login, others = host.text("/proc/self/loginuid"), set[str]()
    if login in ("", _NO_LOGIN):  # as in containers: then all processes have that
        return ""
    for _, folder in host.processes():
        with suppress(OSError):  # it has ended
            if (folder / "loginuid").read_text() == login:
                others.add(_open_client(host, _named_by(folder)))
    others.discard("")
    return others.pop() if len(others) == 1 else ""


def _named_by(folder: Path) -> str:
    """SSH_CONNECTION of a process, by its folder below /proc. Raises OSError."""
    entries = (folder / "environ").read_bytes().split(b"\0")
    variables = dict(each.partition(b"=")[::2] for each in reversed(entries))
    return variables.get(b"SSH_CONNECTION", b"").decode("latin-1")


def _open_client(host: Host, connection: str) -> str:
    """The client's address of an SSH_CONNECTION that has not ended, else empty."""
    try:
        client, its_port, server, port = connection.split()
        ends = (bare_address(client), int(its_port)), (bare_address(server), int(port))
    except ValueError:
        return ""
    return ends[0][0] if is_open(host, *ends) else ""


def outside(host: Host) -> frozenset[str]:
    """Devices of the default routes, else all that do not lead to containers of this host (proc(5))."""
    devices = default_devices(host.text("/proc/net/route"), host.text("/proc/net/ipv6_route"))
    return devices or frozenset(name for name in host.names("/sys/class/net") if not _INSIDE.match(name))


def default_devices(route: str, ipv6_route: str) -> frozenset[str]:
    """The devices of the default routes, out of /proc/net/route and /proc/net/ipv6_route."""
    rows = [row.split() for row in route.splitlines()[1:]]
    rows6 = [row.split() for row in ipv6_route.splitlines()]
    devices = {row[0] for row in rows if row[1:2] == ["00000000"]}
    devices |= {row[9] for row in rows6 if len(row) > 9 and row[0] == "0" * 32 and row[1] == "00"}
    return frozenset(devices - {"lo"})


_INSTALLED: dict[str, tuple[str, ...]] = {
    n.SHOREWALL: ("/sbin/shorewall", "/sbin/shorewall6"),
    n.UFW: ("/usr/sbin/ufw",),
    n.FIREWALLD: ("/usr/sbin/firewalld",),
    n.NFTABLES: (n.NFT_CONF,),
    n.IPTABLES: ("/usr/sbin/netfilter-persistent", n.RULES_V4, n.RULES_V6),
}
"""Programs and files of which one is there where a firewall is installed. nft itself comes with others, too."""

_XTABLES = (n.SHOREWALL, n.UFW, n.IPTABLES)
_ASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "nft": (("nft", "-j", "list", "ruleset"), (n.NFTABLES,)),
    "iptables": (("iptables-save", "-t", "filter"), _XTABLES),
    "ip6tables": (("ip6tables-save", "-t", "filter"), _XTABLES),
    "firewalld": (("firewall-cmd", "--list-all-zones"), (n.FIREWALLD,)),
}
"""Each tool's command, and the firewalls for which it is asked."""


@dataclass(frozen=True)
class Evidence:
    """What is judged: files by path, what each tool of _ASKS printed, and why one of them printed nothing."""

    host: Host
    files: Mapping[str, Entry | None]
    rules: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)

    def ask(self, key: str, argv: Sequence[str]) -> None:
        processes = self.host.processes()
        if key == "firewalld" and all(process_name(self.host, pid) != "firewalld" for pid, _ in processes):
            return
        try:
            result = self.host.run(argv, timeout=DEADLINE, encoding="latin-1")
        except HostError as error:
            self.troubles[key] = str(error)
            return
        if result.code == 0:
            self.rules[key] = result.stdout
        else:
            self.troubles[key] = f"`{result.command}` failed with status {result.code}: {result.tail(3)}"

    def text(self, path: str) -> str:
        entry = self.files.get(path)
        return entry.content.decode("latin-1") if entry is not None else ""

    def trouble(self, *keys: str) -> str:
        return "; ".join(self.troubles[key] for key in keys if key in self.troubles)

    def chains(self, key: str) -> frozenset[str]:
        return frozenset(filter_table(self.rules.get(key, "")).declared)


def _shorewall(evidence: Evidence) -> Firewall:
    tools = {"shorewall": "iptables", "shorewall6": "ip6tables"}
    live = [name for name, key in tools.items() if "shorewall" in evidence.chains(key)]
    if live:
        trouble = evidence.trouble("iptables", "ip6tables")
        return Firewall(n.SHOREWALL, True, f"the chains of {' and '.join(live)} are live", trouble)
    return Firewall(n.SHOREWALL, False, "installed, but its chains are not live")


def _ufw(evidence: Evidence) -> Firewall:
    enabled = "ENABLED=yes" in evidence.text(n.UFW_CONF).replace('"', "")
    trouble = evidence.trouble("iptables", "ip6tables")
    if enabled and (trouble or "ufw-user-input" in evidence.chains("iptables")):
        return Firewall(n.UFW, True, f"ENABLED=yes in {n.UFW_CONF}, and its chains are live", trouble)
    if enabled:
        return Firewall(n.UFW, False, f"ENABLED=yes in {n.UFW_CONF}, but its chains are not live")
    return Firewall(n.UFW, False, "installed, but not enabled")


def _firewalld(evidence: Evidence) -> Firewall:
    if "firewalld" in evidence.rules or "firewalld" in evidence.troubles:
        return Firewall(n.FIREWALLD, True, "firewalld runs", evidence.trouble("firewalld"))
    return Firewall(n.FIREWALLD, False, "installed, but it does not run")


def _nftables(evidence: Evidence) -> Firewall:
    wants = [f"/etc/systemd/system/{target}.target.wants" for target in ("sysinit", "multi-user")]
    enabled = any(evidence.host.exists(f"{folder}/nftables.service") for folder in wants)
    named = nft_conf.tables(evidence.text(n.NFT_CONF))
    if trouble := evidence.trouble("nft"):
        says = f"nftables.service is {'' if enabled else 'not '}enabled"
        return Firewall(n.NFTABLES, enabled, says, trouble)
    try:
        live = ruleset(evidence.rules.get("nft", ""))
    except (ValueError, KeyError, TypeError) as error:
        return Firewall(n.NFTABLES, enabled, "nft was asked", f"what nft printed is not understood: {error}")
    ours = [base for base in live.inputs if f"{base.family} {base.table}" in named]
    if ours:
        says = f"chain {ours[0].words} of {n.NFT_CONF} is live, and nftables.service is {'' if enabled else 'NOT '}enabled"
        return Firewall(n.NFTABLES, True, says)
    says = f"{n.NFT_CONF} is there, but none of its chains for incoming packets is live"
    return Firewall(n.NFTABLES, False, says)


def _iptables(evidence: Evidence) -> Firewall | None:
    tools = ("iptables", "ip6tables")
    if trouble := evidence.trouble(*tools):
        return Firewall(n.IPTABLES, evidence.host.exists(n.RULES_V4), f"{n.RULES_V4} is there", trouble)
    others = {"shorewall", "ufw-user-input", "ufw6-user-input", "INPUT_ZONES"}
    live = [key for key in tools if not others & evidence.chains(key) and _filters(evidence.rules[key])]
    kept = [path for path in (n.RULES_V4, n.RULES_V6) if evidence.files.get(path) is not None]
    if live and kept:
        says = f"chain INPUT of {' and '.join(live)} has rules, and netfilter-persistent keeps {' and '.join(kept)}"
        return Firewall(n.IPTABLES, True, says)
    if live:
        says = f"chain INPUT of {' and '.join(live)} has rules, but netfilter-persistent keeps none of them"
        return Firewall(n.IPTABLES, False, says)
    return Firewall(n.IPTABLES, False, "netfilter-persistent is there, but chain INPUT accepts everything")


def _filters(saved: str) -> bool:
    """Whether chain INPUT could keep anything out."""
    chain = filter_table(saved).chains().get("INPUT")
    return chain is not None and (chain.policy is Verdict.DROP or bool(chain.rules))


JUDGES: dict[str, Callable[[Evidence], Firewall | None]] = {
    n.SHOREWALL: _shorewall,
    n.UFW: _ufw,
    n.FIREWALLD: _firewalld,
    n.NFTABLES: _nftables,
    n.IPTABLES: _iptables,
}
"""What is to be said of each firewall that is installed; None where it is another one's."""


def _paths(host: Host, patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        folder, _, name = pattern.rpartition("/")
        if "*" in name:
            ending = name.removeprefix("*")
            yield from (f"{folder}/{each}" for each in host.names(folder) if each.endswith(ending))
        else:
            yield pattern


def read_entries(host: Host, paths: Iterable[str]) -> tuple[dict[str, Entry | None], frozenset[str]]:
    """What is at each path, and the paths that may not be read."""
    files: dict[str, Entry | None] = {}
    unreadable = set()
    for path in paths:
        try:
            files[path] = host.entry(path)
        except PermissionError:
            unreadable.add(path)
    return files, frozenset(unreadable)


def live_rules(host: Host) -> Ruleset | None:
    """What nft tells, which knows what ufw, firewalld, shorewall and fail2ban have put there, too; None where it does not."""
    try:
        result = host.run(["nft", "-j", "list", "ruleset"], timeout=10)
        return ruleset(result.stdout) if result.code == 0 else None
    except (HostError, ValueError, KeyError):
        return None
