"""Counts everything by which Python changes the machine, one by one, and kills the process at one of them.

Counted are the functions of os that write, make, remove, rename or dress files, sync them or send signals; writes to
file objects (`open` gives those of _pyio, which write by os.write); the start and the end of each command. Not counted
are standard output and error, what is below /dev and /proc, and the program's log. What changes the machine by any other way is written
to the log as MISSED.

As a script, with the program's own Python, it does so to one run of the command line, in a machine:

    python counter.py [--count FILE] [--kill-at NUMBER [--after SECONDS]] -- apply --yes
"""

from __future__ import annotations

import _pyio  # type: ignore[import-not-found]
import argparse
import builtins
import contextlib
import functools
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

MISSED = "missed: "
"""How the line of a change begins that was not counted."""

_COUNTED = (
    *("open", "write", "pwrite", "writev", "pwritev", "sendfile", "copy_file_range", "posix_fallocate"),
    *("fsync", "fdatasync", "sync", "truncate", "ftruncate"),
    *("rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "mknod", "mkfifo"),
    *("chmod", "fchmod", "chown", "fchown", "lchown", "utime", "setxattr", "removexattr"),
    *("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "kill", "killpg"),
)
_PATHS = {"rename": 2, "replace": 2, "link": 2, "symlink": 2}
"""How many paths a function takes first, where it is not one."""
_TO_DESCRIPTOR = frozenset(("write", "pwrite", "writev", "pwritev", "sendfile"))
_AUDITED = frozenset(
    (
        *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink"),
        *("os.truncate", "os.utime", "os.setxattr", "os.removexattr", "os.kill", "os.killpg", "os.system"),
        *("os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen"),
    )
)
_UNCOUNTED = ("/dev/", "/proc/", "/var/log/msa-wizard.log")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_RANDOM = re.compile(r"[0-9a-f]{8,}|(?<=:\[)\d+(?=\])|(?<=tmp)[a-z0-9_]{8}|(?<=-)[a-z0-9_]{8}(?=/)")
"""What is another word in the next run: temporary names, ids, the numbers of pipes."""


class Counter:
    """Counts the operations of this process, once installed; writes each to `log`, and ends the process at one.

    That is just before operation `number`, or `after` so many seconds after it (0: at once).
    """

    def __init__(self, log: int, number: int | None = None, after: float | None = None) -> None:
        self._log = log
        self._fatal = number
        self._after = after
        self._count = 0
        self._pid = 0
        self._commands: dict[int, str] = {}
        self._lock = threading.Lock()
        self._local = threading.local()
        # As they are before they are replaced.
        self._write = os.write
        self._kill = os.kill

    def install(self) -> None:
        """From now on, until the process ends."""
        self._pid = os.getpid()
        sys.dont_write_bytecode = True
        for name in _COUNTED:
            setattr(os, name, self._counted(name, getattr(os, name)))
        self._watch_exchange()
        self._watch_files()
        self._watch_commands()
        self._watch_children()
        sys.addaudithook(self._audit)

    @contextlib.contextmanager
    def operation(self, words: str) -> Iterator[None]:
        """One operation is done inside; the process may end before or after it."""
        self._local.inside = True
        try:
            with self._lock:
                self._count += 1
                number = self._count
                self._say(words)
                if number == self._fatal and self._after is None:
                    self._die()
            try:
                yield
            finally:
                if number == self._fatal and self._after is not None and os.getpid() == self._pid:
                    self._die_later(self._after)
        finally:
            self._local.inside = False

    def _counts(self) -> bool:
        """Not in a child between fork and exec, and not what an operation itself is made of."""
        return os.getpid() == self._pid and not getattr(self._local, "inside", False)

    def _say(self, words: str) -> None:
        line = _RANDOM.sub("*", words).replace("\n", "\\n")
        self._write(self._log, line.encode("utf-8", "backslashreplace") + b"\n")

    def _die(self) -> NoReturn:
        self._kill(self._pid, signal.SIGKILL)
        while True:
            signal.pause()

    def _die_later(self, seconds: float) -> None:
        if seconds <= 0:
            self._die()

        def wait() -> None:
            self._local.inside = True
            time.sleep(seconds)
            self._die()

        threading.Thread(target=wait, daemon=True).start()

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if not self._counts() or not self._changes(name, args):
                return real(*args, **kwargs)
            with self.operation(f"{name} {self._words(name, args, kwargs)}".rstrip()):
                return real(*args, **kwargs)

        return counted

    def _watch_exchange(self) -> None:
        """A rename that is none of os; there is none without the program's own modules."""
        try:
            from snapshots.live import entry
        except ModuleNotFoundError:
            return
        real = entry.exchange

        @functools.wraps(real)
        def exchanged(folder: int, one: bytes, other: bytes) -> bool:
            if not self._counts():
                return real(folder, one, other)
            with self.operation(f"rename {_place(one, folder)} -> {_place(other, folder)}"):
                return real(folder, one, other)

        entry.exchange = exchanged

    def _watch_files(self) -> None:
        real = io.open

        @functools.wraps(real)
        def opened(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            return (_pyio.open if set(mode) & set("wax+") else real)(file, mode, *args, **options)

        setattr(io, "open", opened)  # noqa: B010 - mypy knows better what io.open is
        setattr(builtins, "open", opened)  # noqa: B010

    def _watch_commands(self) -> None:
        start, wait, poll = subprocess.Popen.__init__, subprocess.Popen.wait, subprocess.Popen.poll

        def started(process: Any, args: Any, *rest: Any, **options: Any) -> None:
            if not self._counts():
                return start(process, args, *rest, **options)
            shown = os.fsdecode(args) if isinstance(args, str | bytes) else shlex.join(map(os.fsdecode, args))
            with self.operation(f"start {shown}"):
                start(process, args, *rest, **options)
                self._commands[process.pid] = shown
            return None

        def ended(process: Any, ask: Callable[[], int | None]) -> int | None:
            if process.returncode is not None or not self._counts():
                return ask()
            code = ask()
            if code is not None:
                with self.operation(f"end {self._command(process.pid)}: {code}"):
                    pass
            return code

        replaced: Any = subprocess.Popen
        replaced.__init__ = started
        replaced.wait = lambda process, timeout=None: ended(process, lambda: wait(process, timeout))
        replaced.poll = lambda process: ended(process, lambda: poll(process))

    def _watch_children(self) -> None:
        """Those of forkpty: a Popen waits for its own."""
        real = os.waitpid

        def waited(pid: int, options: int) -> tuple[int, int]:
            found, status = real(pid, options)
            if found and found not in self._commands and self._counts():
                with self.operation(f"end a forked child: {os.waitstatus_to_exitcode(status)}"):
                    pass
            return found, status

        os.waitpid = waited

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        opens = event == "open" and isinstance(args[2], int) and self._changes("open", (args[0], args[2]))
        if (opens or event in _AUDITED) and self._counts():
            self._say(f"{MISSED}{event} {args!r}")

    def _changes(self, name: str, args: Sequence[Any]) -> bool:
        if name in _TO_DESCRIPTOR:
            return args[0] not in (1, 2, self._log) and not _place(args[0]).startswith(
                ("/dev/null", _UNCOUNTED[-1])
            )
        if name in ("kill", "killpg"):
            return bool(args[1])
        if name == "open":
            return bool(args[1] & _WRITING) and not _place(args[0]).startswith(_UNCOUNTED)
        return True

    def _words(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        if name in ("fork", "forkpty", "sync"):
            return ""
        if name in ("kill", "killpg"):
            return f"{self._command(args[0])} {signal.Signals(args[1]).name}"
        if name in ("write", "pwrite"):
            return f"{_place(args[0])} {memoryview(args[1]).nbytes} bytes"
        folder = kwargs.get("dir_fd"), kwargs.get("dst_dir_fd", kwargs.get("dir_fd"))
        first = None if name == "symlink" else kwargs.get("src_dir_fd", folder[0])
        places = zip(args[: _PATHS.get(name, 1)], (first, folder[1]), strict=False)
        mode = f" {args[1]:o}" if name in ("chmod", "fchmod") else ""
        return " -> ".join(_place(path, where) for path, where in places) + mode

    def _command(self, pid: int) -> str:
        return self._commands.get(pid, "a forked child")


def _place(path: Any, folder: int | None = None) -> str:
    """A path, or that of a descriptor, whole where it is below an open folder."""
    if isinstance(path, int):
        try:
            return str(Path(f"/proc/self/fd/{path}").readlink())
        except OSError:
            return f"descriptor {path}"
    name = os.fsdecode(path)
    return name if folder is None else f"{_place(folder)}/{name}"


def main(arguments: Sequence[str]) -> int:
    """One run of the program in this very process; its exit code, if it lives."""
    parser = argparse.ArgumentParser(description="count the operations of a run, or kill it at one of them")
    parser.add_argument("--count", metavar="FILE", default=os.devnull, help="write the operations there")
    parser.add_argument("--kill-at", type=int, metavar="NUMBER")
    parser.add_argument("--after", type=float, metavar="SECONDS", help="not just before it, but after it")
    parser.add_argument("run", nargs="+", metavar="ARGUMENT", help="the program's own arguments, after --")
    options = parser.parse_args(arguments)
    log = os.open(options.count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    Counter(log, options.kill_at, options.after).install()
    from wizard.cli import main as cli

    return cli.main(options.run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
