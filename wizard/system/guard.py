"""The guard of a change that must not stay: a script that the system itself runs later, also when this program has
ended."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from snapshots.errors import StoreError
from snapshots.git.private_folder import make_private_folder
from templates import render
from wizard.errors import ChangeError, HostError
from wizard.system.host import Host

FOLDER = Path("/run/msa-wizard")
"""For the scripts, and for what they need to know; gone after a reboot, as the timers are."""
_PATIENCE = 400.0
"""Seconds for a guard at work to end: it waits for the lock of the services, and then restarts one."""
_WRITING = 1.0
"""Seconds between the creation of a decision file and its content, at most."""


class Decision(StrEnum):
    """What becomes of a guarded change."""

    CONFIRMED = "confirmed"
    REVERTED = "reverted"


@dataclass(frozen=True)
class Revert:
    """How a guard reverts: shell commands, and the files of ours that these need, by their name below `FOLDER`."""

    commands: tuple[str, ...]
    kept: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Guard:
    """A script that reverts a change unless the program does, or somebody confirms the change.

    It is started by a transient systemd timer, without systemd by a detached process, and has three states:

    - armed: from `arm` on, before the change is made. There is no decision file.
    - confirmed: the decision file says so. Script and timer do nothing any more.
    - reverted: the program has decided so and reverts, or the script has and does. The script decides so when its time is
      over; one that watches does so as soon as the program that armed it has ended, too.

    Whoever creates the decision file first decides, and the decision is final: so program and script never both act, and
    one that was killed half-way is not repeated by the other. A script that watches takes the lock of the services first
    (`service_lock`), since a killed run's restart may still be going on; `settle_guards` waits for it in turn."""

    stem: Path
    """Beside it lie `.sh`, `.decision`, and `.json` with the program's process and the end of the time."""

    @classmethod
    def arm(cls, host: Host, kind: str, revert: Revert, seconds: int, *, watch: bool) -> Guard:
        """Start one that reverts in `seconds`. Those of the same `kind` before it come to an end.

        Raises ChangeError; then nothing was started."""
        guard = cls(FOLDER / f"{kind}-{os.getpid()}-{time.monotonic_ns()}")
        try:
            make_private_folder(FOLDER)
            clear_guards(host, kind)
            for name, content in revert.kept:
                new_file(FOLDER / name, content)
            state = {"pid": os.getpid(), "started": started(os.getpid()), "until": _uptime() + seconds}
            new_file(guard._file("json"), json.dumps(state))
            script = render(
                "guard.sh.j2",
                decision=guard._file("decision"),
                lock=FOLDER / "service.lock",
                commands=revert.commands,
                watched=state if watch else None,
            )
            new_file(guard._file("sh"), script)
            _start(host, guard._unit, guard._file("sh"), 1 if watch else seconds)
        except (OSError, StoreError, ChangeError) as error:
            with contextlib.suppress(OSError):
                clear_guards(host, kind)
            raise ChangeError(f"the timer that reverts the change could not be started: {error}") from error
        return guard

    @classmethod
    def last(cls, kind: str) -> Guard | None:
        """The one that was armed last, by any process; None where none was, or it has been cleared."""
        return next((cls(path.with_suffix("")) for path in FOLDER.glob(f"{kind}-*.json")), None)

    def decision(self) -> Decision | None:
        """What was decided, None while nobody has."""
        try:
            word = self._file("decision").read_text().strip()
        except OSError:
            return None
        return Decision(word) if word in tuple(Decision) else None

    def claim(self, word: Decision) -> bool:
        """Decide it; False where somebody was faster. Raises OSError."""
        try:
            new_file(self._file("decision"), f"{word}\n")
        except FileExistsError:
            return False
        return True

    def decide(self, word: Decision) -> Decision:
        """Decide it, unless somebody was faster; returns what holds. Raises OSError."""
        if self.claim(word):
            return word
        end = time.monotonic() + _WRITING
        while (decision := self.decision()) is None and time.monotonic() < end:
            time.sleep(0.01)
        return decision or Decision.REVERTED

    def time_left(self) -> float | None:
        """Seconds left to decide, never below 0; None once it is decided, or the program that armed it has ended."""
        try:
            state = json.loads(self._file("json").read_text())
            if started(state["pid"]) != state["started"] or self.decision() is not None:
                return None
            left = float(state["until"]) - _uptime()
            return max(0.0, round(left, 3))  # a sum of floats: 60 s can be a hair more
        except (OSError, ValueError, KeyError):
            return None

    def stop_timer(self, host: Host) -> None:
        """No matter whether it succeeds: the script sees the decision, and ends. A script at work goes on."""
        if host.exists("/run/systemd/system"):
            with contextlib.suppress(HostError):
                host.run(["systemctl", "stop", f"{self._unit}.timer"], timeout=30)
                host.run(["systemctl", "reset-failed", f"{self._unit}.service"], timeout=30)

    @property
    def _unit(self) -> str:
        return f"msa-wizard-{self.stem.name}"

    def _file(self, suffix: str) -> Path:
        return self.stem.with_suffix(f".{suffix}")


def clear_guards(host: Host, kind: str) -> None:
    """The guards of earlier runs find neither script nor file any more, or see that it is decided. Raises OSError."""
    for path in sorted(FOLDER.glob(f"{kind}-*")):
        guard = Guard(path.with_suffix(""))
        if path.suffix == ".sh" and guard.claim(Decision.REVERTED):
            guard.stop_timer(host)
        if path.suffix != ".decision":
            path.unlink(missing_ok=True)


def settle_guards(host: Host, kind: str) -> None:
    """End the guards of earlier runs; one that is reverting something just now is waited for, since two restarts of one
    service get in each other's way."""
    with contextlib.suppress(OSError):
        clear_guards(host, kind)
    mark = f"{FOLDER}/{kind}-"
    end = time.monotonic() + _PATIENCE
    while any(mark in host.text(f"/proc/{pid}/cmdline") for pid, _ in host.processes()):
        if time.monotonic() > end:
            return
        time.sleep(0.1)


def new_file(path: Path, content: str | bytes) -> None:
    """A new file that only root can read. Raises OSError; then it is not there: an empty decision would be final, too."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def started(pid: int) -> str:
    """When a process started, in the kernel's own words; raises OSError when it has ended (proc(5))."""
    stat = Path(f"/proc/{pid}/stat").read_text("latin-1")
    return stat[stat.rindex(")") + 2 :].split()[19]


def _uptime() -> float:
    """As the script reads it."""
    return float(Path("/proc/uptime").read_text().split()[0])


def _start(host: Host, unit: str, script: Path, seconds: int) -> None:
    if host.exists("/run/systemd/system"):
        timer = [f"--on-active={seconds}s", "--timer-property=AccuracySec=100ms"]
        argv = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", *timer, "/bin/sh", str(script)]
    else:
        later = f"sleep {seconds}; exec sh {shlex.quote(str(script))}"
        quiet = "</dev/null >/dev/null 2>&1 &"
        argv = ["sh", "-c", f"env -u MSA_WIZARD setsid sh -c {shlex.quote(later)} {quiet}"]
    try:
        result = host.run(argv, timeout=30)
    except HostError as error:
        raise ChangeError(str(error)) from error
    if result.code != 0:
        raise ChangeError(f"`{result.command}` failed with status {result.code}: {result.tail(3)}")
