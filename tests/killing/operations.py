"""Kills a run at one of its operations: everything by which it changes the machine (tests.killing.counter), one by one.

    total = count(run)
    for number in range(1, total + 1):
        name = kill_at(number, run)             # SIGKILL just before that operation
        name = kill_at(number, run, after=0)    # just after it; or so many seconds after it

`run` works in a forked child, on the real files. What was not counted is an OperationsError, so that no sweep passes
it by.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.killing.counter import MISSED, Counter

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
        names = tuple(_content(log).split("\n")[:-1])
        found: dict[str, Any] = json.loads(_content(report) or '{"error": "the keeper of the run died"}')
    finally:
        os.close(log)
        os.close(report)
    problems = [found["error"], *(name for name in names if name.startswith(MISSED))]
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
