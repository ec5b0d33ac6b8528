"""Whose doing a written path is: a step's plan said it, a package brought it, or a daemon or apt keeps its records there.

A path that none of these explains is a finding: the plan did not know it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard.rehearse.overlay_changes import PathChange

PACKAGES = "packages"
UNKNOWN = ""

RECORDS = {
    "/var/lib/dpkg/": "dpkg's records",
    "/var/lib/apt/": "apt's records",
    "/var/cache/": "caches of apt, debconf, man and ldconfig",
    "/var/log/": "logs",
    "/var/lib/msa-wizard": "msa-wizard's own history and lock",
    "/var/lib/systemd/": "systemd's records",
    "/var/lib/ucf/": "ucf's records of configuration files",
    "/var/lib/python": "Python's list of byte-compiled packages",
    "/var/backups/": "Debian's own copies",
    "/var/tmp/systemd-private-": "systemd's private folders of services",
    "/var/lib/dbus/": "D-Bus' own",
    "/var/lib/postfix/": "postfix' own data",
    "/var/spool/postfix/pid/": "postfix' process numbers",
    "/etc/.pwd.lock": "the lock file of useradd",
    "/etc/.updated": "systemd's stamp",
    "/var/.updated": "systemd's stamp",
    "/etc/ld.so.cache": "ldconfig's cache",
}
"""What changes whenever packages come or go, services run or somebody is added; it may differ after a rollback, too."""

DAEMONS = {
    "/var/lib/sendmail": "sendmail's own data",
    "/var/spool/mqueue": "the mail queue",
    "/var/mail": "mailboxes",
    "/var/spool/mail": "mailboxes",
    "/var/lib/saslauthd": "saslauthd's own data",
    "/etc/mail/tls/": "sendmail's certificates, made by its scripts",
}
"""What the daemons write while they run."""

TRIGGERS = ("/usr/share/info/dir", "/usr/share/mime/", "/usr/lib/python3/dist-packages/", "/usr/share/man/")
"""What packages' triggers make again."""


@dataclass(frozen=True)
class AttributedPath:
    """A path with what wrote it: a step's id, or words; empty where nothing says so."""

    path: str
    how: str
    by: str


def explain(
    written: Iterable[PathChange], touches: Mapping[str, Iterable[str]], packaged: frozenset[str]
) -> list[AttributedPath]:
    """Each written path with who said that it would be."""
    return [AttributedPath(change.path, change.how, _by(change, touches, packaged)) for change in written]


def _by(change: PathChange, touches: Mapping[str, Iterable[str]], packaged: frozenset[str]) -> str:
    path = change.path
    exact = [step for step, paths in touches.items() for each in paths if path == each]
    below = [
        step for step, paths in touches.items() for each in paths if path.startswith(each.rstrip("/") + "/")
    ]
    if exact:
        return exact[0]
    if path in packaged or (packaged and path.startswith(TRIGGERS)):
        return PACKAGES
    return _words(RECORDS, path) or (below[0] if below else _words(DAEMONS, path))


def _words(table: Mapping[str, str], path: str) -> str:
    return next((words for start, words in table.items() if path.startswith(start)), UNKNOWN)


def may_stay(path: str) -> bool:
    """Whether a path may differ after everything was rolled back: records and logs, not the set-up."""
    return path.startswith(tuple(RECORDS))


def packaged_files(root: Path, names: Iterable[str]) -> frozenset[str]:
    """The files of these packages, as dpkg lists them, with the folders of /usr merged or not."""
    paths: set[str] = set()
    for name in names:
        for listed in (root / "var/lib/dpkg/info").glob(f"{name.partition(':')[0]}*.list"):
            for line in listed.read_text("utf-8", "surrogateescape").splitlines():
                paths.add(line)
                if line.startswith(("/bin/", "/sbin/", "/lib")):
                    paths.add(f"/usr{line}")
    for file in (root / "var/lib/dpkg/alternatives").glob("*"):
        # update-alternatives(1): the links of a group, each on a line of its own, among the files they lead to.
        paths.update(line for line in file.read_text("utf-8", "replace").splitlines() if line.startswith("/"))
    return frozenset(paths)
