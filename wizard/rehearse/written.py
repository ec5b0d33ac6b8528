"""What was written in a clone, read from the overlays' upper folders themselves (the kernel's overlayfs.rst); and whose
doing it is: a step's plan said it, a package brought it, or a daemon or apt keeps its records there.

A path that none of these explains is a finding: the plan did not know it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard.system.host import Host
from wizard.system.private_view import is_opaque

_OVERLAY = "trusted.overlay."
PACKAGES = "packages"
UNKNOWN = ""


@dataclass(frozen=True)
class Row:
    """One path: all that a program can see of it but times."""

    kind: int
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    content: str = ""
    """The sha256 of a file's bytes (where the host has none there: size and time), a link's target, a device's numbers."""
    xattrs: tuple[tuple[str, bytes], ...] = ()


GONE = Row(0)
"""A whiteout: what was there is not any more."""
Tree = Mapping[str, Row]


def scan(uppers: Iterable[tuple[str, Path]]) -> dict[str, Row]:
    """Every path in the upper folders, by its name in the clone; what an opaque folder hides is gone."""
    tree: dict[str, Row] = {}
    for mount, upper in uppers:
        for path in (
            Path(top, name) for top, folders, files in os.walk(upper) for name in (*folders, *files)
        ):
            inside = os.path.join(mount, path.relative_to(upper))  # noqa: PTH118
            row = read(path, digest=os.path.lexists(inside))
            if row is None:
                continue
            tree[inside] = row
            if stat.S_ISDIR(row.kind) and is_opaque(path):
                below = Host().names(inside)
                tree |= {f"{inside}/{name}": GONE for name in below if not os.path.lexists(path / name)}
    return tree


def read(path: Path, *, digest: bool = True) -> Row | None:
    """What is at `path`; None when nothing is. Without `digest` a file is not read through: it is compared with nothing
    but itself."""
    try:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        if stat.S_ISCHR(kind) and status.st_rdev == 0:
            return GONE
        content = ""
        if stat.S_ISREG(kind) and not digest:
            content = f"size {status.st_size}, {status.st_mtime_ns}"
        elif stat.S_ISREG(kind):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        elif stat.S_ISLNK(kind):
            content = str(path.readlink())
        elif stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        xattrs = tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
            if not name.startswith(_OVERLAY)
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Row(kind, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid), content, xattrs)


@dataclass(frozen=True)
class PathChange:
    """A path that is not as it was: `new`, `changed` or `removed`."""

    path: str
    how: str


def changes(before: Tree, after: Tree) -> list[PathChange]:
    """What differs between two scans, sorted by path; what only the second has is compared with the host's own.

    A file that was written again as it was is not a change."""
    differences = []
    for path in sorted(before.keys() | after.keys()):
        old, new = (tree[path] if path in tree else read(Path(path)) for tree in (before, after))
        was, now = (row is not None and row != GONE for row in (old, new))
        if was != now:
            differences.append(PathChange(path, "new" if now else "removed"))
        elif was and old != new:
            differences.append(PathChange(path, "changed"))
    return differences


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
    "/etc/init.d/.depend.": "insserv's lists",
}
"""What changes whenever packages come or go, services run or somebody is added; it may differ after a rollback, too."""

DAEMONS = {
    "/var/lib/sendmail": "sendmail's own data",
    "/var/spool/mqueue": "the mail queue",
    "/var/mail": "mailboxes",
    "/var/spool/mail": "mailboxes",
    "/var/lib/saslauthd": "saslauthd's own data",
    "/var/lib/fail2ban": "fail2ban's own data",
    "/etc/mail/tls/": "sendmail's certificates, made by its scripts",
}
"""What the daemons write while they run."""

_INSTALL = "install"
TRIGGERS = ("/usr/share/info/dir", "/usr/share/mime/", "/usr/lib/python3/dist-packages/", "/usr/share/man/")
"""What packages' triggers make again."""


@dataclass(frozen=True)
class AttributedPath(PathChange):
    """A path with what wrote it: a step's id, or words; empty where nothing says so."""

    by: str


def explain(
    written: Iterable[PathChange],
    touches: Mapping[str, Iterable[str]],
    packaged: frozenset[str],
    made: Mapping[str, str],
) -> list[AttributedPath]:
    """Each written path with who wrote it: by `made`, the step whose commit has it first, else by who said that it would."""
    return [
        AttributedPath(change.path, change.how, _by(change, touches, packaged, made)) for change in written
    ]


def _by(
    change: PathChange,
    touches: Mapping[str, Iterable[str]],
    packaged: frozenset[str],
    made: Mapping[str, str],
) -> str:
    path = change.path
    step = made.get(path) or (_made_below(path, made) if change.how == "new" else "")
    if step and not _words(RECORDS, path):
        return PACKAGES if step == _INSTALL and path in packaged else step
    touched = [(step, place) for step, places in touches.items() for place in places]
    if exact := [step for step, place in touched if path == place]:
        return exact[0]
    if path in packaged or (packaged and path.startswith(TRIGGERS)):
        return PACKAGES
    below = next((step for step, place in touched if path.startswith(place.rstrip("/") + "/")), "")
    return _words(RECORDS, path) or below or _words(DAEMONS, path)


def _made_below(path: str, made: Mapping[str, str]) -> str:
    """The step that made something in a new folder first."""
    return next((step for each, step in made.items() if each.startswith(f"{path}/")), "")


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
