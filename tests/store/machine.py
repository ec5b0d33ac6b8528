"""A machine of one temporary folder: a root with an /etc, and a store beside it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from snapshots.format.message import Author, Commit
from snapshots.live.entry import Entry, read_entry, remove_entry, write_entry
from snapshots.store import Store

ALICE = Author("Alice", "alice@mail.example.test")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting and giving files away need root")

HOSTILE = [
    b"new\nline",
    b"-leading",
    b"quo\"te's",
    b"back\\slash\\x2d",
    b"tab\t\x01\x7f",
    b"\xff\xfe not utf8",
    "ő".encode(),
    b" ",
    b"*?[a]",
    b":(exclude)x",
    b"%entries",
    b".record.json",
    b".metadata",
    b".git",
    b".GIT",
    b"git~1",
    b".git ",
    b"a\\.git",
    b".g\xe2\x80\x8cit",
    b".gitmodules",
    b".gitattributes",
    b".gitignore",
    b"HEAD",
    b"n" * 255,
]
"""File names that break what does not quote, and those that mean something to git."""


@dataclass(frozen=True)
class Machine:
    """A root with an /etc, and where its store is."""

    root: Path
    store_path: Path

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    def open(self, extra: Sequence[str] = ()) -> Store:
        return Store.open(self.store_path, root=self.root, extra=extra)

    def store(self) -> Store:
        """A store with its baseline."""
        store = self.open()
        commit(store, "baseline")
        return store


def make_machine(folder: Path) -> Machine:
    root = folder / "root"
    (root / "etc/mail").mkdir(parents=True)
    (root / "etc/mail/sendmail.mc").write_text("divert(0)dnl\nMAILER(`local')dnl\n")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nsmmta:x:107:113::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nsmmsp:x:114:\n")
    (folder / "var").mkdir(mode=0o700)
    return Machine(root, folder / "var/etc.git")


def commit(store: Store, operation: str = "drift", **more: object) -> Commit | None:
    arguments: dict[str, object] = {"subject": "a change", "run": "run-1", "author": ALICE, **more}
    return store.commit(operation=operation, **arguments)  # type: ignore[arg-type]


def make_old(path: Path) -> None:
    """Waits until a reading of `path` is no longer just after its change, so that its stat is believed."""
    while time.time_ns() - path.lstat().st_ctime_ns < 40_000_000:
        time.sleep(0.005)


def put(machine: Machine, targets: Mapping[str, tuple[Entry | None, Entry | None]]) -> None:
    """Makes the live paths what a reversal wants: what goes first, from the inside out."""
    for path, (_, wanted) in sorted(targets.items(), reverse=True):
        if wanted is None:
            remove_entry(machine.root / path)
    for path, (_, wanted) in sorted(targets.items()):
        if wanted is not None:
            write_entry(machine.root / path, wanted)


def live(machine: Machine) -> dict[str, Entry | None]:
    """Everything in /etc as it is on disk."""
    found = {"etc": read_entry(machine.etc)}
    for folder, folders, files in os.walk(machine.etc):
        folders[:] = [name for name in folders if name != ".git" or (Path(folder) / name).is_symlink()]
        for name in (*folders, *files):
            place = Path(folder) / name
            found[str(place.relative_to(machine.root))] = read_entry(place)
    return found


def git(machine: Machine, *arguments: str) -> str:
    """What plain git says of the store, without a configuration of this host."""
    command = ["git", f"--git-dir={machine.store_path}", *arguments]
    plain = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(command, check=True, capture_output=True, env=plain)
    return done.stdout.decode("utf-8", "backslashreplace")


def fsck(machine: Machine) -> str:
    """What git finds wrong with the store; an error of the test where it cannot be read."""
    return git(machine, "fsck", "--strict")


def broken(machine: Machine) -> list[str]:
    """What git finds wrong, but for objects that a killed commit left and nothing leads to."""
    return [line for line in fsck(machine).splitlines() if not line.startswith("dangling ")]


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """The folder on a file system of its own, of so many bytes."""
    folder.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
