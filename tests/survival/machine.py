"""A machine of one temporary folder, with all of msa-wizard at work on it: the commands as cli.main runs them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from snapshots.store import Author, Store
from tests import stand_ins
from tests.survival.fake_apt import AUTO
from tests.survival.fake_dpkg import INFO, KNOWN, LOCK, OVERRIDES, STATUS, WHOLE, Dpkg, Known
from tests.survival.fake_files import NEW, ROOT, State, differences, make_folders, picture, put, undated
from tests.survival.fake_host import FakeHost, converse
from tests.survival.fake_packages import CATALOGUE
from tests.survival.fake_steps import steps
from tests.survival.fake_systemd import Systemd
from wizard.cli import main as cli
from wizard.engine.journal import unfinished

LOCKS = "run/msa-wizard"
"""Of the program, and gone after a reboot."""
KEPT = ("etc", "usr", "lib", "var/mail", "var/lib/dpkg", "var/lib/apt", "run")
"""What msa-wizard must bring back: the files, and what packages and services are."""
FOLDERS = (
    *(
        "etc/systemd/system",
        "etc/rc2.d",
        "etc/firewall",
        "etc/empty",
        KNOWN,
        "var/lib/dpkg/updates",
        "var/log/apt",
        "var/lib/apt",
    ),
    *(
        "usr/bin",
        "usr/sbin",
        "usr/lib/sasl2",
        "lib/systemd/system",
        "run/systemd/system",
        "run/daemons",
        "var/mail",
    ),
)

_OPEN = Store.open


@dataclass(frozen=True)
class Machine:
    """A folder: `root` is the machine, `home` is /var/lib/msa-wizard of it."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    @property
    def host(self) -> FakeHost:
        return FakeHost(self.root)

    @property
    def store(self) -> Store:
        return _OPEN(self.home / "etc.git", root=self.root)

    def copy(self, folder: Path) -> Machine:
        """The same machine once more."""
        subprocess.run(["cp", "-a", "--", self.folder, folder], check=True)
        return Machine(folder)

    def forget(self) -> None:
        """It is needed no more."""
        shutil.rmtree(self.folder)

    def picture(self) -> dict[str, State]:
        """All that has to come back; of a daemon, what it has read, and not since when."""
        found = picture(self.root, *KEPT)
        found = {
            path: state
            for path, state in found.items()
            if not (_draft(path) or path.startswith((INFO, LOCKS, STATUS)))
        }
        running = self.host.systemd.running()
        for path in [path for path in found if path.startswith("run/daemons/")]:
            read = running[path.rpartition("/")[2]].encode()
            found[path] = (*found[path][:4], read, ())
        for name, each in self.known().items():
            if not each.here:  # what dpkg itself remembers of a package that is not here
                del found[f"{KNOWN}/{name}"]
        marked = self.host.apt.auto() & {name for name, each in self.known().items() if each.here}
        found[AUTO] = (*found[AUTO][:4], " ".join(sorted(marked)).encode(), ())
        return found

    def interrupted(self) -> bool:
        """Whether a killed run waits for recovery."""
        return unfinished(self.journal) is not None

    def known(self) -> dict[str, Known]:
        """What dpkg knows."""
        return Dpkg(self.root, self.host.systemd).known()

    def whole(self) -> list[str]:
        """What is half-done on it, or wrong whoever did it: nothing may be, ever, once a run has ended."""
        wrong = [
            f"{path} was left" for path in self.picture() if path.endswith(NEW) or ".msa-wizard-" in path
        ]
        if self.interrupted():
            wrong.append("the journal is open")
        if self.host.systemd.stale():
            wrong.append("systemd knows other links than there are")
        halves = {name: each.state for name, each in self.known().items() if each.state not in WHOLE}
        wrong += [f"{name} is {state}" for name, state in halves.items()]
        return wrong

    def recorded(self) -> list[str]:
        """What the store does not hold as it is; and whether it still takes a commit."""
        store = self.store
        operation = "drift" if store.head() else "baseline"
        left = store.pending() if store.head() else ()
        wrong = [f"{each.path} is not recorded ({each.what})" for each in left]
        put(self.root / "etc/probe", "x")
        made = store.commit(
            operation=operation, subject="probe", run="probe", author=Author("a", "a@example.test")
        )
        if made is None or "etc/probe" not in {each.path for each in store.changed(made)}:
            wrong.append("the store takes no more commits")
        return wrong


def make_machine(folder: Path) -> Machine:
    """A host with another mail server, an odd firewall, and nothing of ours."""
    machine = Machine(folder)
    root = machine.root
    for name in FOLDERS:
        make_folders(root / name)
    machine.home.mkdir(mode=0o700)
    put(root / "usr/bin/m4", "#!/bin/false\n", 0o755)
    put(root / "etc/.pwd.lock", "", 0o600)  # as any system has it on which a user was ever added
    put(root / LOCK, "", 0o640)
    put(root / STATUS, "")
    put(root / "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    put(root / "etc/group", "root:x:0:\nadm:x:4:\n")
    put(root / "etc/os-release", "ID=debian\nVERSION_ID=12\n")
    put(root / OVERRIDES, "root adm 750 /usr/bin/wall\n")
    dress(root)
    (root / "var/mail").chmod(0o2775)
    systemd = Systemd(root)
    dpkg = Dpkg(root, systemd)
    systemd.reload()
    for name in ("adduser", "nullmailer"):
        dpkg.unpack(CATALOGUE[name])
        dpkg.configure(CATALOGUE[name])
    machine.host.apt.mark("auto", "nullmailer")
    return machine


def dress(root: Path) -> None:
    """Files of the admin's own, with modes, owners and attributes that no program would guess."""
    rules = root / "etc/firewall/rules.v4"
    put(rules, "*filter\n-P INPUT DROP\nCOMMIT\n", 0o640)
    os.setxattr(rules, "user.note", b"by \xff hand")
    put(root / "etc/firewall/closed", "", 0o4711)
    (root / "etc/firewall/old").symlink_to("../no/where")
    (root / "etc/firewall").chmod(0o1755)
    (root / "etc/empty").chmod(0o2770)
    put(root / "etc/plain", "a line\nanother\nthe third\nthe last\n", 0o600)
    if ROOT:
        os.chown(rules, 4711, 4)
        os.chown(root / "etc/firewall/old", 4712, 4713, follow_symlinks=False)
        os.chown(root / "etc/empty", 4714, 4)


class Wizard:
    """msa-wizard on one machine after the other: cli.main, with the machine in the place of the host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._patch.setattr("wizard.changes.command.converse", converse)
        self._patch.setattr(
            "wizard.rollback.apply._SETTLES", 0.0
        )  # here a daemon runs at once, or not at all
        stand_ins.anybody(self._patch)
        for name in ("SUDO_USER", "LOGNAME"):
            self._patch.delenv(name, raising=False)

    def at(self, machine: Machine) -> None:
        """From now on this is the machine."""
        stand_ins.use_steps(self._patch, steps(machine.host))
        stand_ins.use_host(self._patch, machine.host)
        self._patch.setattr("wizard.engine.state_dir.HOME", machine.home)
        self._patch.setattr("wizard.engine.state_dir.STORE", machine.home / "etc.git")
        self._patch.setattr("wizard.engine.state_dir.JOURNAL", machine.home / "journal")
        self._patch.setattr("wizard.engine.state_dir.LOCK", machine.home / "lock")
        self._patch.setattr(Store, "open", functools.partial(_OPEN, root=machine.root))

    def run(self, machine: Machine, *arguments: str) -> int:
        """The exit code of the command."""
        self.at(machine)
        return cli.main(arguments)

    def runs(self, machine: Machine, *arguments: str) -> Callable[[], int]:
        """The command, to be run later: in a child, where what is set here stays without effect outside."""
        return lambda: self.run(machine, *arguments)


def _draft(path: str) -> bool:
    """What the fake dpkg and systemd themselves left in their databases: the next write goes over it."""
    return path.endswith(NEW) and path.startswith(("var/", "run/"))


def not_the_same(before: dict[str, State], after: dict[str, State], *, dates: bool = False) -> list[str]:
    """How two pictures differ; with `dates` what is generated may have another date."""
    if dates:
        before, after = _without_dates(before), _without_dates(after)
    return differences(before, after)


def _without_dates(found: dict[str, State]) -> dict[str, State]:
    def plain(content: bytes) -> bytes:
        return undated(content.decode("latin-1")).encode("latin-1")

    return {path: (*state[:4], plain(state[4]), state[5]) for path, state in found.items()}
