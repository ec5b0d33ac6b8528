"""A clone of this machine, from outside: made, entered, looked at, ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wizard.errors import WizardError
from wizard.rehearse import mounts
from wizard.system.host import PATH, environment

TOP = Path(__file__).resolve().parents[2]
"""Where the program is: it is at the same path in the clone."""

_ENTRY = "import sys; sys.path.insert(0, sys.argv.pop(1)); from wizard.rehearse.{module} import main; sys.exit(main())"
_START_SECONDS = 30


class CloneError(WizardError):
    """The clone cannot be made on this host: what the kernel said."""


@dataclass(frozen=True)
class CloneSpec:
    """What a clone is to be. `limit` is the most bytes that it may write in all."""

    limit: int
    hostname: str
    init: tuple[str, ...]
    systemd: bool
    addresses: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    """Names of network devices that it has besides the loopback; they lead nowhere."""
    ipv6_off: bool = False
    files: dict[str, str] = field(default_factory=dict)
    """Of its /run."""
    units: dict[str, str] = field(default_factory=dict)
    """Of its /run, where it runs systemd, as are the links."""
    links: dict[str, str] = field(default_factory=dict)
    folders: tuple[tuple[str, int, int, int], ...] = ()
    """Of its /run, where it does not."""
    changed: tuple[tuple[str, str], ...] = ()
    """Paths that are `empty` or `gone` in it."""


def python(module: str) -> list[str]:
    """The command line of a Python of our own environment that runs `main` of a module of this package."""
    prefix = ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
    return [sys.executable, "-I", *prefix, "-B", "-c", _ENTRY.format(module=module), str(TOP)]


class Clone:
    """One clone, from `__enter__` to `__exit__`; then nothing of it is left. Raises CloneError."""

    def __init__(self, wish: CloneSpec) -> None:
        self.wish = wish
        self.layers = mounts.layers(wish.limit)
        self.init = 0
        """Its first process, in the host's numbers."""
        self.systemd = False
        self.keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Clone:
        programs = sorted({str(TOP), sys.prefix, *filter(None, [sys.pycache_prefix])})
        spec = {**asdict(self.wish), "layers": [asdict(item) for item in self.layers], "programs": programs}
        self.keeper = subprocess.Popen(
            python("keeper"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd="/",
            start_new_session=True,  # no signal of the terminal reaches it: it ends when we say so, or are gone
        )
        try:
            answer = self._asked(spec)
            if not answer.get("ready"):
                raise CloneError(str(answer.get("why", "it ended before it began")))
            self.init, self.systemd = answer["init"], answer["systemd"]
        except BaseException:
            self.end()
            raise
        return self

    def _asked(self, spec: dict[str, Any]) -> dict[str, Any]:
        assert self.keeper is not None
        assert self.keeper.stdin is not None
        assert self.keeper.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(spec), file=self.keeper.stdin, flush=True)
        answer = self.keeper.stdout.readline()
        values: dict[str, Any] = json.loads(answer) if answer else {}
        return values

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End it and wait until it is gone."""
        keeper, self.keeper = self.keeper, None
        if keeper is None:
            return
        for pipe in (keeper.stdin, keeper.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            keeper.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()

    @property
    def ended(self) -> bool:
        """Whether it is gone, though nobody has ended it."""
        return self.keeper is None or self.keeper.poll() is not None

    def keep(self) -> int:
        """Let it outlive us; the number of the process that ends it when it gets SIGTERM."""
        assert self.keeper is not None
        assert self.keeper.stdin is not None
        keeper, self.keeper = self.keeper, None
        print("keep", file=keeper.stdin, flush=True)
        keeper.stdin.close()  # type: ignore[union-attr]
        return keeper.pid

    def entering(self, *, network: bool = False) -> list[str]:
        """The start of a command line that runs the rest in the clone; with `network` in the host's network, for
        fetching only."""
        spaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", *([] if network else ["--net"])]
        nsenter = shutil.which("nsenter", path=PATH) or "nsenter"
        return [nsenter, "--target", str(self.init), *spaces, "--root", "--wd", "--"]

    def path(self, path: str) -> Path:
        """Where `path` of the clone is for us."""
        return Path(f"/proc/{self.init}/root", path.lstrip("/"))

    def uppers(self) -> list[tuple[str, Path]]:
        """Each copied file system: its mount point, and the folder of all that was written to it."""
        assert self.keeper is not None
        base = Path(f"/proc/{self.keeper.pid}/root/run")
        folders = []
        for number, layer in enumerate(self.layers):
            if layer.kind == "overlay":
                memory = f"memory-{number}" if layer.size < self.wish.limit else "memory"
                folders.append((layer.path, base / memory / f"{number}/up"))
        return folders

    def memory(self) -> int:
        """Bytes that it has written and that are in memory now."""
        taken = 0
        for folder in {upper.parents[1] for _, upper in self.uppers()}:
            room = os.statvfs(folder)
            taken += (room.f_blocks - room.f_bfree) * room.f_frsize
        return taken

    def start(self, module: str) -> subprocess.Popen[str]:
        """Run a module of this package in the clone, with pipes."""
        return subprocess.Popen(
            [*self.entering(), *python(module)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(),
            cwd="/",
            start_new_session=True,
        )
