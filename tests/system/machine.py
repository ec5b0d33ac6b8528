"""A real Debian, booted in a container on a fresh overlay, with a mail client's network beside it.

    with Machine(layers(release, "ready")) as machine:
        machine.run(["./msa-wizard", "plan"], cwd=PROJECT)

Needs root on a Debian host; `tests.system.room.why_no_machines` says why not elsewhere.
"""

from __future__ import annotations

import functools
import io
import itertools
import os
import re
import signal
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from tests.system.client import Client
from tests.system.command import ending_after, in_shell, run_elsewhere, text_of
from tests.system.room import Room

PROJECT = "/root/msa-wizard"
"""Where the working tree lies in a machine."""

_TOP = Path(__file__).resolve().parents[2]
_PLACE = Path("/run/msa-wizard-tests")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BOOT_SECONDS = 60.0
# The load is the host's: with many machines at work on it sendmail would only queue, or refuse (QueueLA, RefuseLA).
_IDLE = "echo 0.00 0.00 0.00 1/100 1 >/run/idle && mount --bind /run/idle /proc/loadavg"
# Masked, as systemd.generator(7) says: they look for disks and chips that no container has, at each boot and each reload.
# Not in /etc, whose files the program counts.
_GENERATORS = Path("usr/local/lib/systemd/system-generators")
_MASKED = (
    "cryptsetup",
    "gpt-auto",
    "hibernate-resume",
    "integritysetup",
    "veritysetup",
    "tpm2",
    "factory-reset",
)
_serial = itertools.count()

Init = Literal["systemd", "sysvinit", "none"]
_INIT: dict[Init, list[str]] = {
    "systemd": ["--boot"],
    "sysvinit": ["/sbin/init"],  # --boot would look for systemd first, which is still installed
    "none": ["--as-pid2", "sh", "-c", "ip link set lo up; : >/run/up; exec sleep infinity"],
}

Mark = Mapping[str, tuple[int, ...]]
"""What was in the upper folder at one moment; see `Machine.mark`."""


class BootError(RuntimeError):
    """A machine did not come up, or did not go down; the message ends with its console."""


class Machine:
    """One booted machine. Layers come topmost first; what it writes goes to a fresh `upper` in memory.

    Its PID 1 is systemd, the init of sysvinit-core (the layer must have it), or, with "none", a bare one that only
    reaps, as in an application container. The project's working tree lies in PROJECT unless `project=False`. Raises
    BootError, on entering, with the console.
    """

    def __init__(
        self,
        layers: Sequence[Path],
        *,
        hostname: str = "mail",
        fqdn: str = "mail.example.test",
        init: Init = "systemd",
        project: bool = True,
    ) -> None:
        self.layers = tuple(layers)
        self.hostname = hostname
        self.fqdn = fqdn
        self.init = init
        self._with_project = project
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._console: IO[bytes] | None = None
        self._client: Client | None = None
        self._init = 0

    def __enter__(self) -> Self:
        if bad := [str(layer) for layer in self.layers if set(str(layer)) & set(":,\\")]:
            raise BootError(f"overlay mounts cannot take these folder names: {', '.join(bad)}")
        _PLACE.mkdir(exist_ok=True)
        Path("/run/systemd/nspawn").mkdir(parents=True, exist_ok=True)
        self._room = Room(
            ("--mount", "--propagation", "slave"),
            'mount -t tmpfs -o mode=755 tmpfs "$1"; mkdir "$1/up" "$1/work" "$1/root"\n'
            'mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/work" "$1/root"\n'
            "mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn",
            [str(_PLACE), ":".join(map(str, self.layers))],
            own_cgroup=True,
        )
        try:
            self._furnish()
            self.boot()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def upper(self) -> Path:
        """The overlay's upper folder, as a path of the host: what was written since before the first boot."""
        return self._room.root / _PLACE.relative_to("/") / "up"

    @property
    def init_pid(self) -> int:
        """The host's number for the machine's PID 1."""
        return self._init

    @property
    def cgroup(self) -> Path:
        """The folder below which all the machine's processes are counted."""
        assert self._room.cgroup
        return self._room.cgroup

    @property
    def console(self) -> str:
        """What the machine printed on its console since its last boot."""
        return text_of(self._console) if self._console else ""

    def boot(self) -> None:
        """Starts the machine and waits until it is up (60 s at most)."""
        assert self._nspawn is None, "already booted"
        root = _PLACE / "root"
        name = f"msa-wizard-tests-{os.getpid()}-{next(_serial)}"
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        command += [f"--hostname={self.hostname}", f"--machine={name}", f"--directory={root}"]
        command += ["--resolv-conf=off", "--link-journal=no"]
        command += _INIT[self.init]
        self._console = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the machine)
        self._nspawn = subprocess.Popen(
            [*self._room.entering(), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self._is_up():
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                state = self._nspawn.poll()
                what = f"did not come up in {_BOOT_SECONDS:.0f} s" if state is None else f"ended with {state}"
                raise BootError(f"the machine {what}; its console:\n{self.console}")
            time.sleep(0.05)
        self.run(_IDLE, cwd="/")
        if self._client:
            self._client.plug_in(self._init)

    def stop(self) -> None:
        """Shuts the machine down in order (60 s at most); its files stay for `upper` and for `boot`."""
        if self._nspawn is None:
            return
        if self.init != "none":
            self.run(
                ["poweroff"] if self.init == "sysvinit" else ["systemctl", "poweroff", "--no-block"], cwd="/"
            )
            try:
                self._nspawn.wait(_BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                raise BootError(f"the machine did not shut down; its console:\n{self.console}") from None
        self.cut_power()

    def cut_power(self) -> None:
        """Ends every process of the machine at once, without a shutdown; its files stay."""
        if self._nspawn is not None:
            self._init = _init_below(self._nspawn.pid)
            if self._init:
                os.kill(self._init, signal.SIGKILL)  # and the kernel ends all of its PID namespace
            self._nspawn.wait()
        self._nspawn, self._init = None, 0

    def reboot(self) -> None:
        """Shuts down and boots again on the same files; a client is plugged in again."""
        self.stop()
        self.boot()

    def argv(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str = "root",
    ) -> list[str]:
        """The host's command line for a command in the machine, for a caller with its own pipes or terminal.

        A string goes to `sh -c`. The folder is the user's home unless `cwd` says otherwise; the environment
        is clean: HOME, USER, TERM, LANG and PATH, and `env` on top.
        """
        assert self._init, "the machine is not running"
        home = "/root" if user == "root" else f"/home/{user}"
        clean = {"HOME": home, "USER": user, "TERM": "xterm", "LANG": "C.UTF-8", "PATH": _PATH, **(env or {})}
        inside = in_shell(command)
        if user != "root":
            inside = ["runuser", "-u", user, "--", *inside]
        entering = ["nsenter", "--target", str(self._init), "--all", "--", "env", "-i", "-C", cwd or home]
        return [*entering, *(f"{name}={value}" for name, value in clean.items()), *inside]

    def run(
        self,
        command: str | Sequence[str],
        *,
        input: str | bytes | None = None,
        timeout: float = 120,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str = "root",
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the machine, a string by `sh -c`, and returns its exit status and text.

        Raises CommandError after `timeout` seconds, and on an exit status other than 0 if `check`.
        """
        limited = [*ending_after(timeout), *in_shell(command)]
        argv = self.argv(limited, env=env, cwd=cwd, user=user)
        return run_elsewhere(argv, command, input=input, timeout=timeout, check=check)

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Writes a file in the machine, with its folders, following links as a program there would."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self.run(["sh", "-c", script, "sh", path, f"{mode:o}"], input=content, cwd="/")

    def read(self, path: str) -> bytes:
        """The bytes of a file in the machine."""
        done = subprocess.run(self.argv(["cat", path], cwd="/"), capture_output=True, check=False)
        if done.returncode != 0:
            raise FileNotFoundError(f"{path} in the machine: {done.stderr.decode().strip()}")
        return done.stdout

    def mark(self) -> Mark:
        """The state of the upper folder now, to be given to `written` later."""
        seen: dict[str, tuple[int, ...]] = {}
        for folder, folders, files in os.walk(self.upper):
            for name in [*folders, *files]:
                path = Path(folder, name)
                found = path.lstat()
                inside = f"/{path.relative_to(self.upper)}"
                if name in folders and not path.is_symlink():
                    if self._below(inside):
                        continue  # only copied up because of something in it
                    seen[inside] = (found.st_mode, found.st_uid, found.st_gid)
                else:
                    seen[inside] = (
                        *(found.st_mode, found.st_uid, found.st_gid, found.st_ino),
                        *(found.st_size, found.st_mtime_ns, found.st_ctime_ns),
                    )
        return seen

    def written(self, since: Mark | None = None) -> set[str]:
        """Every path written, made or removed in the machine since a mark, or since before the first boot.

        Folders count where they are new; a path that was made and removed in between is not seen, nor is what
        systemd itself logs (the journal and wtmp).
        """
        before, now = since or {}, self.mark()
        changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
        return {path for path in changed if not path.startswith(("/var/log/journal/", "/var/log/wtmp"))}

    def client(self) -> Client:
        """A host outside the machine, joined by a network cable: the mail client. One per machine."""
        if self._client is None:
            self._client = Client(self._init)
        return self._client

    def _below(self, inside: str) -> bool:
        return any((layer / inside[1:]).is_dir() for layer in self.layers)

    def _furnish(self) -> None:
        root = self._room.root / _PLACE.relative_to("/") / "root"
        names = f"127.0.1.1 {self.fqdn} {self.hostname}\n" if self.fqdn else f"127.0.1.1 {self.hostname}\n"
        for name, text in {
            "hostname": f"{self.hostname}\n",
            "hosts": f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{names}",
        }.items():
            path = root / "etc" / name
            path.unlink(missing_ok=True)
            path.write_text(text)
        (root / _GENERATORS).mkdir(parents=True, exist_ok=True)
        for name in _MASKED:
            link = root / _GENERATORS / f"systemd-{name}-generator"
            if not link.is_symlink():
                link.symlink_to("/dev/null")
        if self._with_project:
            target = root / PROJECT[1:]
            target.mkdir()
            subprocess.run(
                ["tar", "-x", "--no-same-owner", "-C", str(target)], input=working_tree(), check=True
            )

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        self._init = _init_below(self._nspawn.pid)
        if not self._init:
            return False
        if self.init == "none":
            return Path(f"/proc/{self._init}/root/run/up").exists()
        if self.init == "sysvinit":
            # inittab(5): the gettys come once the scripts of the runlevel have ended.
            gettys = self.argv(["pgrep", "getty"], cwd="/")
            return subprocess.run(gettys, capture_output=True, check=False).returncode == 0
        asked = ["timeout", "20", "systemctl", "is-system-running", "--wait"]
        done = subprocess.run(self.argv(asked, cwd="/"), capture_output=True, text=True, check=False)
        return done.stdout.strip() in {"running", "degraded"}

    def _close(self) -> None:
        self.cut_power()
        if self._client:
            self._client.close()
        if self._console:
            self._console.close()
        self._room.close()


@functools.cache
def working_tree() -> bytes:
    """A tar of the working tree as a clone would have it: tracked and new files, none that is ignored."""
    names = subprocess.run(
        ["git", "-C", str(_TOP), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    return packed(_TOP, [name for name in names.split(b"\0") if name])


def packed(top: Path, names: Sequence[bytes]) -> bytes:
    """A tar of those of the files and links below `top` that are there. Raises OSError."""
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        for name in filter(os.path.lexists, (os.fsencode(top) + b"/" + each for each in names)):
            path = Path(os.fsdecode(name))
            item = tar.gettarinfo(path, str(path.relative_to(top)))
            content = path.read_bytes() if item.isreg() else b""
            item.size = len(content)
            # Made of the content: what was compiled of it counts in every clone, and of no other text of the same length.
            item.mtime = 500_000_000 + zlib.crc32(content) % 1_000_000_000
            tar.addfile(item, io.BytesIO(content))
    return tree.getvalue()


def _init_below(nspawn: int) -> int:
    """The first descendant that is PID 1 in its own namespace (proc(5), NSpid); 0 while there is none."""
    for children in Path(f"/proc/{nspawn}/task").glob("*/children"):
        try:
            for child in children.read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                if re.search(r"^NSpid:.*\t1$", status, re.MULTILINE):
                    return int(child)
                if found := _init_below(int(child)):
                    return found
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return 0
