"""dpkg on a fake root: what it does to a package, one write after the other, and what it leaves when it is killed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.survival.fake_files import drop, drop_folder, make_folders, put, rewrite, text
from tests.survival.fake_packages import CATALOGUE, Package
from tests.survival.fake_systemd import Said, Systemd

KNOWN = "var/lib/dpkg/known"
INFO = "var/lib/dpkg/info"
OVERRIDES = "var/lib/dpkg/statoverride"
STATUS = "var/lib/dpkg/status"
LOCK = "var/lib/dpkg/lock-frontend"
ACCOUNTS_LOCK = "etc/.pwd.lock"
INTERRUPTED = "var/lib/dpkg/updates/0000"
WHOLE = ("installed", "config-files")
"""The states in which nothing is half-done."""
_REINSTALL = "reinstreq"
_BAD = """dpkg: error processing package {} (--remove):
 package is in a very bad inconsistent state; you should
 reinstall it before attempting a removal
"""


@dataclass(frozen=True)
class Known:
    """What dpkg's database says of a package."""

    version: str
    state: str
    reinstall: bool = False

    @property
    def here(self) -> bool:
        """Whether more of it is here than its configuration."""
        return self.state != "config-files"


class DpkgError(Exception):
    """dpkg stops here, and says why."""


@dataclass(frozen=True)
class Dpkg:
    """dpkg's database below `root`, a file a package."""

    root: Path
    systemd: Systemd

    def known(self) -> dict[str, Known]:
        """All packages that dpkg knows something of."""
        found = {}
        for path in sorted((self.root / KNOWN).iterdir()):
            if "." not in path.name:
                version, state, *flags = path.read_text().split()
                found[path.name] = Known(version, state, _REINSTALL in flags)
        return found

    def query(self, layout: str, names: Sequence[str]) -> Said:
        """dpkg-query -W -f."""
        rows = []
        for name, known in self.known().items():
            if not names or name in names:
                row = layout.replace("${binary:Package}", CATALOGUE[name].shown).replace("${Package}", name)
                row = row.replace("${Version}", known.version).replace("${db:Status-Status}", known.state)
                rows.append(row.replace("${db:Status-Eflag}", _REINSTALL if known.reinstall else "ok"))
        return int(len(rows) < len(names)), "".join(rows)

    def files(self, names: Sequence[str]) -> Said:
        """dpkg-query -L, which lists folders as well."""
        files = [Path(path) for name in names for path in (*CATALOGUE[name].files, *CATALOGUE[name].kept)]
        folders = {folder for path in files for folder in path.parents}
        return 0, "".join(f"/{path}\n" for path in sorted({*files, *folders}))

    def audit(self) -> Said:
        """dpkg --audit, which says nothing of an interrupted run whose packages are whole."""
        bad = [name for name, known in self.known().items() if known.state not in WHOLE]
        return 0, "".join(f" {name}  (in a mess)\n" for name in bad)

    def begin(self) -> None:
        """Each change of a state is noted apart first, until dpkg ends."""
        put(self.root / INTERRUPTED, "")

    def end(self) -> None:
        """All states are in the database."""
        drop(self.root / INTERRUPTED)

    def configure_pending(self) -> Said:
        """dpkg --configure -a: it ends what can be ended, and passes by what must be unpacked again."""
        self.begin()
        for name, known in self.known().items():
            if known.state in ("unpacked", "half-configured"):
                self.configure(CATALOGUE[name])
        self.end()
        return 0, ""

    def unpack(self, package: Package) -> None:
        """Its files come."""
        self._list(package)
        self._note(package, "half-installed", _REINSTALL)
        for path, content in package.files.items():
            make_folders((self.root / path).parent)
            put(self.root / path, content)
        self._note(package, "unpacked")

    def configure(self, package: Package) -> None:
        """Its configuration comes where there is none; then its postinst runs."""
        self._note(package, "half-configured")
        for path, content in package.kept.items():
            place = self.root / path
            make_folders(place.parent)
            if not (place.exists() or place.is_symlink()):
                put(place, content, 0o640 if path in package.secret else 0o644)
        for name in (*package.users, *package.groups):
            self._add_user(name, alone=name in package.groups)
        if package.opens:
            (self.root / package.opens).chmod(0o3777)
        if package.override and package.override not in self.overrides():
            put(self.root / OVERRIDES, "\n".join([*self.overrides(), package.override, ""]))
        if package.service and package.started:
            # Debian 13's sendmail: not enabled as a unit, and yet with the link of one that starts.
            self.systemd.start_link(package.service, "S")
            if package.enabled and not self.systemd.enabled(package.service):
                self.systemd.enable(package.service)
            self.systemd.reload()
            self.systemd.systemctl("restart", package.service)
        self._note(package, "installed")

    def remove(self, package: Package, *, purge: bool, force: bool) -> None:
        """Its files go; with `purge` its configuration as well. Raises DpkgError."""
        known = self.known()[package.name]
        if known.reinstall and not force:
            raise DpkgError(_BAD.format(package.name))
        if known.here:
            if known.state in ("installed", "half-configured", "unpacked"):
                self._note(package, "half-configured")
            if package.service:
                self.systemd.systemctl("stop", package.service)
            self._note(package, "half-installed")
            for path in package.files:
                drop(self.root / path)
            self.systemd.reload()
            self._note(package, "config-files")
        if purge:
            for path in package.kept:
                drop(self.root / path)
            for folder in package.folders:
                drop_folder(self.root / folder)
            if package.service:
                self.systemd.disable(package.service)
            for path in package.files:
                if path.endswith(".service"):
                    self.systemd.start_link(path.rpartition("/")[2].removesuffix(".service"), "")
            drop(self.root / KNOWN / package.name)
            for kind in ("list", "postinst"):
                drop(self.root / INFO / f"{package.name}.{kind}")
            self._note_conffiles(package, here=False)

    def overrides(self) -> list[str]:
        """What dpkg was told to leave alone."""
        return text(self.root / OVERRIDES).splitlines()

    def override_no_more(self, path: str) -> Said:
        """dpkg-statoverride --remove."""
        lines = self.overrides()
        left = [line for line in lines if line.split(" ", 3)[3] != path]
        put(self.root / OVERRIDES, "".join(f"{line}\n" for line in left))
        return int(len(left) == len(lines)) * 2, ""

    def _list(self, package: Package) -> None:
        """What dpkg keeps of each package: its files, and its scripts."""
        make_folders(self.root / INFO)
        folders = {str(path) for each in package.kept for path in Path(each).parents if path.parts}
        script = {f"etc/init.d/{package.service}"} if package.service else set()
        listed = sorted({*package.files, *package.kept, *package.folders, *folders, *script} - {"etc"})
        put(self.root / INFO / f"{package.name}.list", "".join(f"/{path}\n" for path in listed))
        names = "".join(f"adduser --system {name}\n" for name in (*package.users, *package.groups))
        put(self.root / INFO / f"{package.name}.postinst", names)
        self._note_conffiles(package, here=True)

    def _note_conffiles(self, package: Package, *, here: bool) -> None:
        """The part of dpkg's status that tells how each conffile was shipped."""
        blocks = [block for block in text(self.root / STATUS).split("\n\n") if block.strip()]
        start = f"Package: {package.name}\n"
        left = [block.rstrip("\n") for block in blocks if not block.startswith(start)]
        sums = [
            f" /{path} {hashlib.md5(package.kept[path].encode(), usedforsecurity=False).hexdigest()}"
            for path in package.conffiles
        ]
        if here and sums:
            left.append("\n".join([f"{start}Architecture: amd64\nConffiles:", *sums]))
        content = "".join(f"{block}\n\n" for block in left)
        if content != text(self.root / STATUS):
            put(self.root / STATUS, content)

    def _note(self, package: Package, state: str, flag: str = "") -> None:
        put(self.root / KNOWN / package.name, f"{package.version} {state} {flag}\n")

    def _add_user(self, name: str, *, alone: bool) -> None:
        """As adduser does, under its lock: a copy of the file is kept first; who is there already is left alone."""
        with locked(self.root / ACCOUNTS_LOCK):
            self._add_record(name, alone=alone)

    def _add_record(self, name: str, *, alone: bool) -> None:
        for table in ("etc/group",) if alone else ("etc/group", "etc/passwd"):
            content = text(self.root / table)
            if any(line.startswith(f"{name}:") for line in content.splitlines()):
                continue
            number = _next_number(content.splitlines())
            rest = "" if table == "etc/group" else f"{number}::/var/lib/{name}:/usr/sbin/nologin"
            put(self.root / f"{table}-", content)
            rewrite(self.root / table, f"{content}{name}:x:{number}:{rest}\n")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """As lckpwdf(3), apt and dpkg do it. Raises BlockingIOError where another process keeps it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _next_number(lines: Iterable[str]) -> int:
    used = {int(line.split(":")[2]) for line in lines if line.count(":") > 2}
    return next(number for number in range(101, 1000) if number not in used)
