"""The packages that a fake apt knows: small ones that do what Debian's do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

UNIT_LINK = "etc/systemd/system/multi-user.target.wants/{}.service"


@dataclass(frozen=True)
class Package:
    """What it brings. Paths are relative to the root."""

    name: str
    version: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Come when it is unpacked, go when it is removed."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Come when it is configured unless they are there, go when it is purged."""
    conffiles: tuple[str, ...] = ()
    """Those of them that dpkg itself brings, and whose MD5 it notes."""
    secret: tuple[str, ...] = ()
    """Those of them that only root and the last of its groups may read."""
    folders: tuple[str, ...] = ()
    """Go when it is purged, with all that is in them, as sendmail's postrm has it."""
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    opens: str = ""
    """A folder that its postinst lets all write to; purging does not change that back."""
    override: str = ""
    """A line that its postinst puts into dpkg's list of overrides; purging does not take it out."""
    service: str = ""
    started: bool = True
    """Whether it starts its service when it comes; it stops it when it goes."""
    enabled: bool = False
    architecture: str = ""

    @property
    def shown(self) -> str:
        """Its name as dpkg-query's binary:Package has it."""
        return f"{self.name}:{self.architecture}" if self.architecture else self.name


def _unit(name: str) -> dict[str, str]:
    return {f"lib/systemd/system/{name}.service": f"[Service]\nExecStart={name}\n"}


CATALOGUE = {
    package.name: package
    for package in (
        Package("adduser", "3.134"),
        Package("swaks", "20201014.0-1"),
        Package("logins", "1.0-1", needs=("sasl2-bin",)),
        Package(
            "nullmailer",
            "1:2.2-3",
            _unit("nullmailer"),
            {"etc/nullmailer/remotes": "smarthost.example.test\n"},
            secret=("etc/nullmailer/remotes",),
            folders=("etc/nullmailer",),
            users=("mail",),
            conflicts=("sendmail-bin",),
            service="nullmailer",
            enabled=True,
        ),
        Package(
            "sendmail-bin",
            "8.17.1.9-2",
            {**_unit("sendmail"), "usr/sbin/sendmail-mta": "the daemon\n"},
            {
                "etc/mail/sendmail.mc": "divert(0)dnl\nDAEMON(`local')dnl\nMAILER(`smtp')dnl\n",
                "etc/mail/sendmail.cf": "# made by the package\ndivert(0)\nDAEMON local\nMAILER smtp\n",
                "etc/mail/access": "# who may relay\nlocalhost RELAY\n",
                "etc/cron.d/sendmail": "# none\n",
            },
            folders=("etc/mail",),
            opens="var/mail",
            users=("smmta",),
            needs=("sasl2-bin",),
            conflicts=("nullmailer",),
            service="sendmail",
        ),
        Package(
            "sasl2-bin",
            "2.1.28-10",
            {**_unit("saslauthd"), "usr/sbin/saslauthd": "the other daemon\n"},
            {"etc/default/saslauthd": "# see README\nMECHANISMS=pam\nOPTIONS=-c\n"},
            conffiles=("etc/default/saslauthd",),
            groups=("sasl",),
            override="root sasl 710 /var/run/saslauthd",
            service="saslauthd",
            started=False,
        ),
        Package(
            "libsasl2-modules", "2.1.28-10", {"usr/lib/sasl2/liblogin.so": "\x7fELF"}, architecture="amd64"
        ),
    )
}


def named(name: str) -> Package | None:
    """The package called so, with or without its architecture."""
    return CATALOGUE.get(name.partition(":")[0])
