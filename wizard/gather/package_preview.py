"""What is going to be installed: what apt would do, and the texts its cached packages ship."""

from __future__ import annotations

import io
import tarfile

from snapshots.live.entry import Entry, Kind
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.system.host import Host

ARCHIVES = "/var/cache/apt/archives"
WANTED = ("sendmail", "sasl2-bin", "libsasl2-modules")
"""What howto 2.1 installs, and libsasl2-modules, without which no AUTH is offered (docs/debian.md trap 4)."""

_SHIPPED = {
    "sendmail-cf": {"./usr/share/sendmail/cf/debian/sendmail.mc": f.SENDMAIL_MC},
    "sendmail-base": {"./usr/share/sendmail/examples/sasl/Sendmail.conf.2": f.SASL_CONF},
    "sasl2-bin": {"./etc/default/saslauthd": f.SASLAUTHD_DEFAULT, "./etc/init.d/saslauthd": f.SASLAUTHD_INIT},
}


def shipped_files(host: Host) -> dict[str, Entry]:
    """The files below /etc as the .deb in apt's cache brings them; packages that are not there are left out."""
    shipped: dict[str, Entry] = {}
    for package, wanted in _SHIPPED.items():
        debs = [
            name for name in host.names(ARCHIVES) if name.startswith(f"{package}_") and name.endswith(".deb")
        ]
        if not debs:
            continue
        try:
            # dpkg-deb's tar can hold any bytes: it must not pass through Host.run's text.
            shipped |= _members(host, f"{ARCHIVES}/{debs[-1]}", wanted)
        except (HostError, tarfile.TarError):
            continue  # an unreadable package file is apt's to report, when it is installed
    return shipped


def _members(host: Host, deb: str, wanted: dict[str, str]) -> dict[str, Entry]:
    entries = {}
    data = host.output(["dpkg-deb", "--fsys-tarfile", str(host.path(deb))])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.name in wanted and member.isreg():
                content = archive.extractfile(member)
                if content is not None:
                    entry = Entry(Kind.FILE, 0o644, 0, 0, content.read())
                    entries[wanted[member.name]] = entry
    return entries


def apt_simulation(host: Host) -> tuple[str, ...] | None:
    """apt's `Inst`, `Remv` lines for the wanted packages; None when apt cannot say (no lists, no such package)."""
    try:
        result = host.run(["apt-get", "-s", "-q", "install", *WANTED], timeout=60)
    except HostError:
        return None
    if result.code != 0:
        return None
    return tuple(line for line in result.stdout.splitlines() if line.startswith(("Inst ", "Remv ")))
