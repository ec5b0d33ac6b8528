"""Takes the picture of the host that the steps decide on: reads files, asks the init system, dpkg and the kernel; and, of
what is going to be installed, apt, and the texts that its cached packages ship."""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import re
import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from snapshots.live.entry import Entry, Kind
from wizard.certificates.acme import HOOK
from wizard.editors import EditError, sendmail_mc
from wizard.errors import HostError
from wizard.gather.firewall import look_at_firewalls, read_entries, ssh_port
from wizard.gather.origin import foreign
from wizard.gather.pair_trial import pair_trial
from wizard.model import facts as f
from wizard.model.facts import Facts, Process, Release, Service
from wizard.model.step_facts import AptPlan
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.asked_saslauthd import is_stopped, named_socket, places
from wizard.sendmail.cf_needs import TlsFiles, mail_owner, refused, without_start, without_tls
from wizard.sendmail.m4 import expand
from wizard.sendmail.sasl_files import conf_place, instances, plugin_folders, plugins, users
from wizard.sendmail.strays import in_container, unit_of
from wizard.system.accepted_login import accepted_login
from wizard.system.host import Host
from wizard.system.links import linked
from wizard.system.services import rc_enabled
from wizard.system.sockets import (
    OTHER_NAMES,
    addresses,
    any_address,
    ipv6_available,
    listeners,
    qualified_name,
)

WANTED = ("sendmail", "sasl2-bin", "libsasl2-modules")
"""What howto 2.1 installs, and libsasl2-modules, without which no AUTH is offered (docs/debian.md trap 4)."""
_NOT_RELEASED = {"forky": "14"}
"""The number that a code name will have; testing and sid share it."""
ARCHIVES = "/var/cache/apt/archives"
_APT_READS = (
    "/var/lib/dpkg/status",
    "/var/lib/apt/extended_states",
    "/var/lib/apt/lists",
    *(
        f"/etc/apt/{name}"
        for name in ("sources.list", "sources.list.d", "preferences", "preferences.d", "apt.conf.d")
    ),
)
_SHIPPED = {
    "sendmail-cf": {"./usr/share/sendmail/cf/debian/sendmail.mc": f.SENDMAIL_MC},
    "sendmail-base": {"./usr/share/sendmail/examples/sasl/Sendmail.conf.2": f.SASL_CONF},
    "sasl2-bin": {"./etc/default/saslauthd": f.SASLAUTHD_DEFAULT, "./etc/init.d/saslauthd": f.SASLAUTHD_INIT},
}
PACKAGES = (
    "sendmail",
    "sendmail-bin",
    "sendmail-base",
    "sendmail-cf",
    "sasl2-bin",
    "libsasl2-modules",
    "openssl",
    "etckeeper",
    *f.MTA_PACKAGES,
)
_SERVES = re.compile(r"sendmail: MTA: |\S+ (?:.* )?-b[dD]\b")
"""The command line of a sendmail that is the daemon, and no client or queue runner: as it writes it itself, or as it was
started."""
SERVICES = ("sendmail", "saslauthd")
DAEMONS = ("sendmail-mta", "saslauthd")
TOOLS = ("apt-get", "dpkg-query", "m4", "sendmail", "sendmailconfig", "openssl", "saslauthd")
GROUPS = ("sasl", "smmsp", "smmta")
ASK_DPKG = ("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n")
ASK_SYSTEMD = ("systemctl", "show", "-p", "Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath")
_UNIT_FILE_STATES = ("enabled", "disabled", "static", "masked", "indirect", "linked")
"""Of a unit of systemd's own; of one that is made of an init script it says none of these."""
_OF_LOGINS = (f.SASLAUTHD_DEFAULT, f.SASLAUTHD_CONF, f.PAM_SMTP, f.SASL_CONF)
"""What decides on a login besides what sendmail reads at its start."""
READ_AT_START = (f.SENDMAIL_CF, f.SASL_CONF, f.SERVER_CERT, f.COMMON_KEY, f.SASL_LINK)


def look(
    host: Host,
    *,
    ask_apt: bool = False,
    recommends: bool = True,
    shipped: bool = False,
    also: Sequence[str] = (),
) -> Facts:
    """Read the facts; takes some tens of milliseconds. `also` are paths to read beyond `facts.READ`.

    Where packages are missing: with `shipped` the files that they ship are read, if they are in apt's cache; with
    `ask_apt` apt simulates the installation besides, some seconds, `recommends`: with what is only recommended."""
    taken = time.monotonic()
    system = release(host.text("/etc/os-release", "utf-8"))
    with ThreadPoolExecutor(max_workers=8) as pool:  # each waits for a command, or for the kernel
        asked_services = pool.submit(_services, host)
        asked_packages = pool.submit(_packages, host)
        asked_name = pool.submit(qualified_name, host)
        asked_listeners = pool.submit(listeners, host)
        place, conf = conf_place(host)
        others = instances(host)
        files, unreadable = read_entries(host, (*f.READ, HOOK, *others, *also, *([conf] if conf else [])))
        socket = named_socket(_text(files, conf)) or f.MUX
        named = TlsFiles.of(_text(files, f.SENDMAIL_CF) or "")
        paths = {path for path in (named.certificate, posixpath.dirname(socket)) if path[:1] == "/"}
        own, hidden = read_entries(host, paths - files.keys())
        files, unreadable = files | own, unreadable | hidden
        tls = refused(host, named) if os.geteuid() == 0 else ()
        wrong = {each.culprit for each in tls if each.mode is not None}
        files |= read_entries(host, wrong - files.keys())[0]
        search = ":".join(str(host.path(folder)) for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"))
        tools = frozenset(tool for tool in TOOLS if shutil.which(tool, path=search))
        asked_trial = pool.submit(pair_trial, host, named) if os.geteuid() == 0 else None
        asked_sasldb = pool.submit(users, host, _text(files, conf))
        mc, submit_mc = (
            pool.submit(_m4, host, files, path) if "m4" in tools else None
            for path in (f.SENDMAIL_MC, f.SUBMIT_MC)
        )
        firewall = look_at_firewalls(host)
        files |= firewall.files
        unreadable |= firewall.unreadable
        processes = running(host)
        dpkg, (fqdn, resolves) = asked_packages.result(), asked_name.result()
        packages = installed(dpkg)
        missing = packages_missing(packages)
        apt = pool.submit(apt_simulation, host, recommends) if ask_apt and missing else None
    at_start = (*READ_AT_START, *_tls_files(files), *plugin_folders(host), *([conf] if conf else []))
    cf_changed = max(host.mtime(path) for path in at_start)
    from_mc, submit = (each.result() if each else None for each in (mc, submit_mc))
    group = host.text("/etc/group")
    return Facts(
        euid=os.geteuid(),
        release=system,
        init="systemd" if host.exists("/run/systemd/system") else "sysv",
        hostname=os.uname().nodename,
        fqdn=fqdn,
        fqdn_resolves=resolves,
        addresses=addresses(host),
        ipv6=ipv6_available(host),
        any_address=any_address(host),
        packages=packages,
        half_way=half_way(dpkg),
        services=asked_services.result(),
        processes=processes,
        listeners=asked_listeners.result(),
        saslauthd_says=_saslauthd(host, processes, places(files, socket)),
        files=files,
        unreadable=unreadable,
        links=linked(host),
        shipped=shipped_files(host) if (ask_apt or shipped) and missing else {},
        apt_plan=apt.result() if apt else None,
        groups=groups(group),
        local_groups=frozenset(line.partition(":")[0] for line in group.splitlines() if ":" in line),
        sasl_conf=conf,
        sasl_place=place,
        sasl_plugins=plugins(host),
        sasldb=asked_sasldb.result(),
        submit_from_mc=submit,
        cf_from_mc=from_mc,
        cf_newest=_cf_newest(host, files),
        tls_missing=_tls_missing(host, files, from_mc),
        tls_refused=tls,
        tls_trial=asked_trial.result() if asked_trial else None,
        cf_changed=cf_changed,
        without_tls=without_tls(host, from_mc) if from_mc and os.geteuid() == 0 else (),
        without_start=without_start(host, from_mc) if from_mc else "",
        mail_owner=mail_owner(host),
        mc_changed=max(host.mtime(f.SENDMAIL_MC), host.mtime(f.SENDMAIL_CF)),
        firewalls=firewall.firewalls,
        rules=firewall.rules,
        outside=firewall.outside,
        ssh_port=ssh_port(),
        tools=tools,
        login=accepted_login(host, max(*map(host.mtime, (*_OF_LOGINS, *others)), cf_changed)),
        taken=taken,
        disk_free=shutil.disk_usage(host.path("/var")).free if host.exists("/var") else 0,
        foreign=None if system.id == "debian" else foreign(host, packages),
        usr_readonly=host.exists("/usr") and bool(os.statvfs(host.path("/usr")).f_flag & os.ST_RDONLY),
    )


def packages_missing(packages: Mapping[str, str]) -> bool:
    """Whether apt has something to install, given what is there."""
    return any(name not in packages for name in WANTED)


def apt_state(host: Host) -> tuple[float, ...]:
    """As long as it is the same, apt gives the same answer."""
    return tuple(map(host.mtime, _APT_READS))


def release(os_release: str) -> Release:
    """What /etc/os-release says (os-release(5)); testing has no number there yet, only the name of what it will be."""
    values = dict(re.findall(r"^([A-Z_]+)=[\"']?([^\"'\n]*)", os_release, re.MULTILINE))
    name = values.get("PRETTY_NAME", "an unknown system")
    version = values.get("VERSION_ID") or _NOT_RELEASED.get(values.get("VERSION_CODENAME", ""), "")
    return Release(values.get("ID", ""), version, name)


def _packages(host: Host) -> str:
    try:
        return host.run([*ASK_DPKG, *PACKAGES], timeout=30).stdout
    except HostError:
        return ""


def installed(dpkg_query: str) -> dict[str, str]:
    """Version by name of what is installed, out of the rows that ASK_DPKG prints."""
    whole = ("installed", "triggers-awaited", "triggers-pending")
    return {name: version for name, version, state in _rows(dpkg_query) if state in whole}


def half_way(dpkg_query: str) -> dict[str, str]:
    """By name the state of what dpkg has begun and not finished, out of the same rows (dpkg(1), PACKAGE STATES)."""
    begun = ("half-installed", "unpacked", "half-configured")
    return {name: state for name, _, state in _rows(dpkg_query) if state in begun}


def _rows(dpkg_query: str) -> Iterator[tuple[str, str, str]]:
    for line in dpkg_query.splitlines():
        row = line.split()
        if len(row) == 3:
            yield row[0], row[1], row[2]


def _services(host: Host) -> dict[str, Service]:
    """Each service, by systemd where that runs, else by the init scripts."""
    if host.exists("/run/systemd/system"):
        result = host.run([*ASK_SYSTEMD, *(f"{name}.service" for name in SERVICES)], timeout=30)
        return {
            name: service if service.native else replace(service, enabled=rc_enabled(host, name))
            for name, service in services(SERVICES, result.stdout).items()
        }
    return {
        name: Service(name, exists=host.exists(f"/etc/init.d/{name}"), enabled=rc_enabled(host, name))
        for name in SERVICES
    }


def services(names: Sequence[str], systemctl_show: str) -> dict[str, Service]:
    """The services with these names, in the order in which ASK_SYSTEMD shows them. Whether one that has only an init
    script is enabled systemd does not say: then it is not `native`."""
    shown = {}
    for name, block in zip(names, systemctl_show.strip().split("\n\n"), strict=False):
        fields = dict(line.partition("=")[::2] for line in block.splitlines())
        shown[name] = Service(
            name,
            exists=fields.get("LoadState") in ("loaded", "masked"),
            enabled=fields.get("UnitFileState") == "enabled",
            active=f"{fields.get('ActiveState', 'unknown')} ({fields.get('SubState', '')})",
            native=fields.get("UnitFileState") in _UNIT_FILE_STATES,
            masked=fields.get("LoadState") == "masked",
        )
    return shown


def running(host: Host) -> tuple[Process, ...]:
    """The daemons of this host, and none of its containers, among the running processes; one that ends while we look is left
    out."""
    uptime = host.text("/proc/uptime").split()
    booted = time.time() - float(uptime[0]) if uptime else 0
    daemons = []
    for pid, folder in host.processes():
        try:
            stat = (folder / "stat").read_text("latin-1")
            cmdline = (folder / "cmdline").read_text("latin-1") if may_be_daemon(stat) else ""
            process = daemon(pid, stat, cmdline, booted)
            if process is None or in_container(folder):
                continue
        except (OSError, ValueError):
            continue
        daemons.append(replace(process, unit=unit_of(host, folder)))
    return tuple(daemons)


def may_be_daemon(stat: str) -> bool:
    """Whether a process of this /proc/PID/stat may be one of the daemons; its command line says so for good."""
    called = stat[stat.index("(") + 1 : stat.rindex(")")]
    return called in DAEMONS or called in OTHER_NAMES


def daemon(pid: int, stat: str, cmdline: str, booted: float) -> Process | None:
    """One of the daemons, out of /proc/PID/stat and /proc/PID/cmdline (proc(5)) and the time of the boot in seconds since
    the epoch; None for any other process. Raises ValueError for what is no such text."""
    called = stat[stat.index("(") + 1 : stat.rindex(")")]
    argv = tuple(cmdline.rstrip("\0").split("\0"))
    if not may_be_daemon(stat) or (called in OTHER_NAMES and not _SERVES.match(" ".join(argv))):
        return None
    state, *numbers = stat[stat.rindex(")") + 2 :].split()
    started = booted + int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    return Process(pid, OTHER_NAMES.get(called, called), argv, started, state)


def _saslauthd(host: Host, processes: tuple[Process, ...], asked: Sequence[str]) -> str | None:
    """What answers on the socket where sendmail asks to a request without a login: it says NO before it asks PAM."""
    socket = asked[0]
    if is_stopped(processes, asked) or not host.exists(socket):
        return None
    try:
        return host.ask_unix_socket(socket, (b"", b"", b"smtp", b""))
    except HostError:
        return None


def groups(group: str) -> dict[str, frozenset[str]]:
    """The members of GROUPS, out of /etc/group (group(5))."""
    rows = [line.split(":") for line in group.splitlines()]
    known = [row for row in rows if len(row) == 4 and row[0] in GROUPS]
    return {row[0]: frozenset(filter(None, row[3].split(","))) for row in known}


def _m4(host: Host, files: Mapping[str, Entry | None], path: str) -> str | None:
    mc = files.get(path)
    if mc is None or mc.kind is not Kind.FILE:
        return None
    try:
        expansion = expand(host, path, mc.content)
    except HostError:
        return None
    # A missing include is an error to m4, and the rest is whole all the same: sendmailconfig installs that.
    return expansion.text if expansion.code == 0 or len(expansion.text) >= sendmail_cf.SMALLEST else None


def _cf_newest(host: Host, files: Mapping[str, Entry | None]) -> bool:
    try:
        included = sendmail_mc.includes(_text(files, f.SENDMAIL_MC) or "")
    except EditError:
        return False
    return max(map(host.mtime, (f.SENDMAIL_MC, *included))) <= host.mtime(f.SENDMAIL_CF)


def _tls_files(files: Mapping[str, Entry | None]) -> tuple[str, ...]:
    return TlsFiles.of(_text(files, f.SENDMAIL_CF) or "").all


def _text(files: Mapping[str, Entry | None], path: str | None) -> str | None:
    entry = files.get(path) if path else None
    return entry.content.decode("latin-1") if entry is not None and entry.kind is Kind.FILE else None


def _tls_missing(host: Host, files: Mapping[str, Entry | None], from_mc: str | None) -> frozenset[str]:
    """The files for TLS that are named and are missing; none where only root can tell."""
    named = {*_tls_files(files), *(TlsFiles.of(from_mc).all if from_mc else ())}
    return frozenset(path for path in named if not host.exists(path)) if os.geteuid() == 0 else frozenset()


def shipped_files(host: Host) -> dict[str, Entry]:
    """The files below /etc as the .deb in apt's cache brings them; packages that are not there are left out."""
    shipped: dict[str, Entry] = {}
    archives = host.names(ARCHIVES)
    for package, wanted in _SHIPPED.items():
        debs = [name for name in archives if name.startswith(f"{package}_") and name.endswith(".deb")]
        # An unreadable package file is apt's to report, when it is installed.
        with contextlib.suppress(HostError, tarfile.TarError):
            shipped |= _members(host, f"{ARCHIVES}/{debs[-1]}", wanted) if debs else {}
    return shipped


def _members(host: Host, deb: str, wanted: dict[str, str]) -> dict[str, Entry]:
    # dpkg-deb's tar can hold any bytes: it must not pass through Host.run's text.
    data = host.output(["dpkg-deb", "--fsys-tarfile", str(host.path(deb))])
    entries = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name in wanted and member.isreg() else None
            if file is not None:
                entries[wanted[member.name]] = Entry(Kind.FILE, 0o644, 0, 0, file.read())
    return entries


def apt_simulation(host: Host, recommends: bool = True, names: Sequence[str] = WANTED) -> AptPlan | None:
    """What apt would do for these packages; None when it cannot say (no lists, no such package)."""
    lean = [] if recommends else ["--no-install-recommends"]
    try:
        result = host.run(["apt-get", "-s", "-q", *lean, "install", *names], timeout=60)
        lines = tuple(line for line in result.stdout.splitlines() if line.startswith(("Inst ", "Remv ")))
        comes = [line.split()[1] for line in lines if line.startswith("Inst ")]
        shown = host.run(["apt-cache", "show", "--no-all-versions", *comes], timeout=60) if comes else None
    except HostError:
        return None
    return AptPlan(lines, package_sizes(shown.stdout if shown else "")) if result.code == 0 else None


def package_sizes(apt_cache_show: str) -> dict[str, tuple[int, int]]:
    """By package the bytes of its file and on the disk, as `apt-cache show` has them."""
    sizes: dict[str, tuple[int, int]] = {}
    for block in apt_cache_show.split("\n\n"):
        values = dict(re.findall(r"^(Package|Size|Installed-Size): (\S+)$", block, re.MULTILINE))
        with contextlib.suppress(KeyError, ValueError):
            sizes[values["Package"]] = int(values["Size"]), int(values["Installed-Size"]) * 1024
    return sizes
