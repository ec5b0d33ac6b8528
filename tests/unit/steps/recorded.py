"""Facts from recorded files: `recorded/debian-N` holds what the packages of that release put below /."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from snapshots.live.entry import Entry, Kind
from wizard.model import facts as f
from wizard.model.facts import Facts, Process, Release, Service
from wizard.system.host import Host

RECORDED = Path(__file__).parent / "recorded"
RELEASES = ("11", "12", "13", "14")
NOW = 1_790_000_000.0
CF = "O DaemonPortOptions=Name=MTA-v4, Family=inet, Port=smtp\n"
PACKAGES = {
    "sendmail": "8",
    "sendmail-bin": "8",
    "sasl2-bin": "2.1",
    "libsasl2-modules": "2.1",
    "openssl": "3",
}


def file(text: str, mode: int = 0o644) -> Entry:
    """A file entry of root."""
    return Entry(Kind.FILE, mode, 0, 0, text.encode("latin-1"))


def machine(release: str, /, **overrides: object) -> Facts:
    """A machine as apt leaves it, whose recorded files can be replaced by `files={path: entry}`."""
    host = Host(RECORDED / f"debian-{release}")
    files: dict[str, Entry | None] = {path: host.entry(path) for path in f.READ}
    files[f.SASL_LINK] = Entry(Kind.SYMLINK, 0o777, 0, 0, f.SASL_CONF.encode())
    files[f.SERVER_CERT] = file("certificate")
    files[f.COMMON_KEY] = file("key", 0o640)
    files.update(overrides.pop("files", {}))  # type: ignore[call-overload]
    native = release in ("13", "14")
    facts = Facts(
        euid=0,
        release=Release("debian", release, f"Debian GNU/Linux {release}"),
        init="systemd",
        hostname="mail",
        fqdn="mail.example.test",
        fqdn_resolves=True,
        addresses=("127.0.0.1", "192.0.2.25", "::1", "2001:db8::25"),
        ipv6=True,
        packages=PACKAGES,
        services={
            "sendmail": Service("sendmail", True, not native, "active (running)", native),
            "saslauthd": Service("saslauthd", True, False, "inactive (dead)", native),
        },
        processes=(Process(100, "sendmail-mta", ("sendmail-mta",), NOW),),
        files=files,
        groups={"sasl": frozenset({"smmta", "smmsp"})},
        cf_from_mc="",
        tools=frozenset({"m4", "sendmail", "saslauthd"}),
        disk_free=10**10,
    )
    return dataclasses.replace(facts, **overrides)  # type: ignore[arg-type]


def bare(release: str, /, **overrides: object) -> Facts:
    """A machine without any of the packages."""
    none = dict.fromkeys(f.READ)
    nothing = {name: Service(name) for name in ("sendmail", "saslauthd")}
    values: dict[str, object] = {
        "files": none,
        "packages": {"openssl": "3"},
        "services": nothing,
        "processes": (),
        "groups": {},
        "cf_from_mc": None,
        "tools": frozenset(),
    }
    return machine(release, **(values | overrides))
