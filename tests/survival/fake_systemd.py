"""systemctl on a fake root: links enable, a file below /run is a daemon that runs and what it read at its start."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.survival.fake_files import drop, drop_folder, make_folders, put, text, undated
from tests.survival.fake_packages import UNIT_LINK

Said = tuple[int, str]
"""An exit code, and what was printed."""

READ = {
    "sendmail": ("etc/mail/sendmail.cf", "etc/mail/sasl/Sendmail.conf.2"),
    "saslauthd": ("etc/default/saslauthd",),
    "nullmailer": ("etc/nullmailer/remotes",),
    "fail2ban": ("etc/fail2ban/jail.d/msa-wizard.conf",),
}
"""What each daemon reads at its start."""
PROCESS = {"sendmail": "sendmail-mta"}
MUX = "run/saslauthd/mux"
UNITS = "etc/systemd/system"
RC = "etc/rc2.d"
_NOT_LOADED = 5


@dataclass(frozen=True)
class Systemd:
    """The services below `root`."""

    root: Path

    def systemctl(self, verb: str, *arguments: str) -> Said:
        """The command, as far as msa-wizard and the packages use it."""
        match verb:
            case "show":
                names = [name.removesuffix(".service") for name in arguments[2:]]
                return 0, "\n".join(map(self._shown, names))
            case "daemon-reload":
                self.reload()
                return 0, ""
            case "is-active":
                return (0, "active\n") if arguments[0] in self.running() else (3, "inactive\n")
            case "is-enabled":
                return (0, "enabled\n") if self.enabled(arguments[0]) else (1, "disabled\n")
        return self._changed(verb, arguments[0])

    def _changed(self, verb: str, name: str) -> Said:
        if verb in ("restart", "stop"):
            if not self._exists(name):
                return _NOT_LOADED, f"Unit {name}.service not loaded.\n"
            self.stop(name)
            if verb == "restart":
                self.start(name)
            return 0, ""
        if not self._exists(name) and verb == "enable":
            return 1, f"Unit file {name}.service does not exist.\n"
        (self.enable if verb == "enable" else self.disable)(name)
        self.start_link(name, "S" if verb == "enable" else "K")
        return 0, ""

    def start_link(self, name: str, letter: str) -> None:
        """systemctl has update-rc.d keep the init script's link too: S where it starts, K where not; none where empty."""
        links = {each: self.root / RC / f"{each}01{name}" for each in "SK"}
        for each, link in links.items():
            if each != letter:
                drop(link)
        if letter and not links[letter].is_symlink():
            links[letter].symlink_to(f"../init.d/{name}")

    def enable(self, name: str) -> None:
        """Link the unit, and read the links again."""
        link = self._link(name)
        make_folders(link.parent)
        if not link.is_symlink():
            link.symlink_to(f"/lib/systemd/system/{name}.service")
        self.reload()

    def disable(self, name: str) -> None:
        """Remove the link, and the folder when it was the last."""
        link = self._link(name)
        drop(link)
        if link.parent.is_dir() and not any(link.parent.iterdir()):
            link.parent.rmdir()
        self.reload()

    def enabled(self, name: str) -> bool:
        """Whether it starts at boot."""
        return self._link(name).is_symlink()

    def start(self, name: str) -> None:
        """It reads its files, and runs."""
        make_folders(self._daemon(name).parent)
        read = self.should_have_read(name)
        known = {"pid": os.getpid() * 10 + len(name), "started": time.time(), "read": read}
        put(self._daemon(name), json.dumps(known))
        if name == "saslauthd":
            make_folders((self.root / MUX).parent)
            put(self.root / MUX, "")

    def stop(self, name: str) -> None:
        """It runs no more."""
        drop(self._daemon(name))
        if name == "saslauthd":
            drop_folder((self.root / MUX).parent)

    def running(self) -> dict[str, str]:
        """Each service that runs, and the digest of what it read at its start."""
        folder = self.root / "run/daemons"
        found = sorted(folder.glob("*")) if folder.is_dir() else []
        return {path.name: json.loads(path.read_text())["read"] for path in found if "." not in path.name}

    def should_have_read(self, name: str) -> str:
        """The digest that a daemon started now would have."""
        contents = [undated(text(self.root / path)) for path in READ[name]]
        return hashlib.sha256("\0".join(contents).encode()).hexdigest()

    def reload(self) -> None:
        """systemd knows the links of now."""
        put(self.root / "run/systemd/units", "\n".join(self._links()))

    def stale(self) -> bool:
        """Whether systemd knows other links than there are."""
        return text(self.root / "run/systemd/units") != "\n".join(self._links())

    def processes(self) -> list[tuple[int, Path]]:
        """As Host.processes gives them."""
        folder = self.root / "run/daemons"
        found = []
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            if "." not in path.name:
                known = json.loads(path.read_text())
                found.append((known["pid"], _Folder(path.name, known)))
        return found  # type: ignore[return-value] # reads like a Path

    def _links(self) -> list[str]:
        folder = self.root / UNITS
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink())

    def _shown(self, name: str) -> str:
        exists = self._exists(name)
        runs = name in self.running()
        rows = {
            "Id": f"{name}.service",
            "LoadState": "loaded" if exists else "not-found",
            "ActiveState": "active" if runs else "inactive",
            "SubState": "running" if runs else "dead",
            "UnitFileState": ("enabled" if self.enabled(name) else "disabled") if exists else "",
        }
        return "".join(f"{key}={value}\n" for key, value in rows.items())

    def _exists(self, name: str) -> bool:
        return (self.root / f"lib/systemd/system/{name}.service").exists()

    def _link(self, name: str) -> Path:
        return self.root / UNIT_LINK.format(name)

    def _daemon(self, name: str) -> Path:
        return self.root / "run/daemons" / name


@dataclass(frozen=True)
class _Folder:
    """The folder of a process below /proc, as far as it is looked at."""

    name: str
    known: dict[str, float]

    def __truediv__(self, name: str) -> _File:
        started = int(self.known["started"] * os.sysconf("SC_CLK_TCK"))
        title = PROCESS.get(self.name, self.name)
        stat = f"{self.known['pid']} ({title}) S {' '.join(['0'] * 18)} {started} 0\n"
        status = f"NSpid:\t{self.known['pid']}\n"
        return _File({"stat": stat, "cmdline": title, "status": status}.get(name))


@dataclass(frozen=True)
class _File:
    content: str | None

    def read_text(self, *_: object) -> str:
        if self.content is None:
            raise FileNotFoundError
        return self.content

    def read_bytes(self) -> bytes:
        return self.read_text().encode()

    def iterdir(self) -> Sequence[Path]:
        return ()
