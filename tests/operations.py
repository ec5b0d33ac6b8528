"""Kills a run at one of its operations: everything by which Python changes the machine, counted one by one.

    total = count(run)
    for number in range(1, total + 1):
        name = kill_at(number, run)             # SIGKILL just before that operation
        name = kill_at(number, run, after=0)    # just after it; or so many seconds after it

`run` works in a forked child, on the real files. Counted are the functions of os that write, make, remove, rename or
dress files, sync them or send signals; writes to file objects (the child's `open` gives those of _pyio, which write by
os.write); the start and the end of each command. Not counted are standard output and error, and what is below /dev and
/proc. What changes the machine by any other way is an OperationsError, so that no sweep passes it by.

As a script, with the program's own Python, it does the same to one run of the command line:

    python operations.py [--count FILE] [--kill-at NUMBER [--after SECONDS]] -- apply --yes
"""

from __future__ import annotations

import _pyio  # type: ignore[import-not-found]
import argparse
import builtins
import contextlib
import ctypes
import functools
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

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
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_RANDOM = re.compile(r"[0-9a-f]{8,}|(?<=:\[)\d+(?=\])|(?<=tmp)[a-z0-9_]{8}|(?<=-)[a-z0-9_]{8}(?=/)")
"""What is another word in the next run: temporary names, ids, the numbers of pipes."""
_MISSED = "missed: "
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


class OperationsError(AssertionError):
    """The run failed by itself, left commands behind that do not end, or was not counted whole."""


def operations(run: Callable[[], object]) -> tuple[str, ...]:
    """What `run` does to the machine, in words, one operation after the other. It is done, in a child."""
    return _in_child(run, None, None, 10.0)[0]


def count(run: Callable[[], object]) -> int:
    """How many operations `run` does. It is done, in a child."""
    return len(operations(run))


def kill_at(
    number: int, run: Callable[[], object], *, after: float | None = None, patience: float | None = 10.0
) -> str | None:
    """Starts `run` in a child and kills it (SIGKILL) at operation `number`, of which it returns the words.

    Just before the operation; with `after` so many seconds after it (0: at once). None when the run ended before.
    Returns once the commands that the dead run left have ended too: those that last longer than `patience` are killed,
    and an OperationsError. With `patience=None` nobody waits for them.
    """
    names, killed = _in_child(run, number, after, patience)
    return names[number - 1] if killed else None


def spread(total: int, points: int) -> list[int]:
    """So many numbers of operations, evenly over the whole range, the first and the last among them."""
    if total <= points:
        return list(range(1, total + 1))
    return [1 + round(index * (total - 1) / (points - 1)) for index in range(points)]


# --- in the run's process --------------------------------------------------------------------------------


class Counter:
    """Counts the operations of this process, once installed; writes each to `log`, ends the process at one."""

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
            self._say(f"{_MISSED}{event} {args!r}")

    def _changes(self, name: str, args: Sequence[Any]) -> bool:
        if name in _TO_DESCRIPTOR:
            return args[0] not in (1, 2, self._log) and not _place(args[0]).startswith("/dev/null")
        if name in ("kill", "killpg"):
            return bool(args[1])
        if name == "open":
            return bool(args[1] & _WRITING) and not _place(args[0]).startswith(("/dev/", "/proc/"))
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


# --- outside it ------------------------------------------------------------------------------------------


def _in_child(
    run: Callable[[], object], number: int | None, after: float | None, patience: float | None
) -> tuple[tuple[str, ...], bool]:
    """The operations that were begun, and whether the run was killed."""
    sys.stdout.flush()
    sys.stderr.flush()
    log, report = os.memfd_create("operations"), os.memfd_create("report")
    try:
        keeper = os.fork()
        if keeper == 0:
            _keep(run, Counter(log, number, after), report, patience)
        os.waitpid(keeper, 0)
        names = tuple(_content(log).splitlines())
        found: dict[str, Any] = json.loads(_content(report) or '{"error": "the keeper of the run died"}')
    finally:
        os.close(log)
        os.close(report)
    problems = [found["error"], *(name for name in names if name.startswith(_MISSED))]
    if found.get("survivors"):
        problems.append(f"still ran {patience} s later: {'; '.join(found['survivors'])}")
    if any(problems):
        at = f" (at operation {len(names)}: {names[-1]})" if names else ""
        raise OperationsError("\n".join(filter(None, problems)) + at)
    return names, found["killed"]


def _content(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()


def _keep(run: Callable[[], object], counter: Counter, report: int, patience: float | None) -> NoReturn:
    """The process between: commands whose run was killed become its children, so that it can wait for them."""
    said = {"error": "the keeper of the run failed", "killed": False, "survivors": []}
    try:
        ctypes.CDLL(None).prctl(_SUBREAPER, int(patience is not None), 0, 0, 0)
        failure = os.memfd_create("failure")
        child = os.fork()
        if child == 0:
            _count(run, counter, failure)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said["killed"] = code == -signal.SIGKILL
        said["error"] = "" if code in (0, -signal.SIGKILL) else _content(failure) or f"ended with {code}"
        said["survivors"] = [] if patience is None else _orphans(time.monotonic() + patience)
    finally:
        os.pwrite(report, json.dumps(said).encode(), 0)
        os._exit(0)


def _count(run: Callable[[], object], counter: Counter, failure: int) -> NoReturn:
    code, write = 0, os.pwrite
    counter.install()
    try:
        run()
    except SystemExit:
        pass
    except BaseException:
        code = 1
        write(failure, traceback.format_exc().encode(), 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _orphans(deadline: float) -> list[str]:
    """Waits for all children; those that are left then are killed, and named."""
    left: list[str] = []
    with contextlib.suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
            if time.monotonic() < deadline:
                time.sleep(0.005)
                continue
            for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                left.append(Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip())
                os.kill(int(child), signal.SIGKILL)
            time.sleep(0.05)
    return left


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
    from wizard import cli

    return cli.main(options.run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
