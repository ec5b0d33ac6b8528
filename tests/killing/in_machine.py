"""Runs of the program in a machine, counted or killed at one of their operations; see tests.killing.counter and tests.killing.operations."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.system.machine import PROJECT, Machine

_SCRIPT = "/root/counter.py"
_NAMES = "/root/operations.names"
_RUN = f"""
python=$(echo /var/lib/msa-wizard/venv-*/bin/python)
export PYTHONPATH={PROJECT} PYTHONPYCACHEPREFIX="${{python%/bin/python}}/pycache"
"$python" {_SCRIPT} --count {_NAMES} "$@"
exit $?
"""
# The last line is for the shell's status, 137 for a program that was killed.


def operations(machine: Machine, *arguments: str) -> tuple[list[str], subprocess.CompletedProcess[str]]:
    """Runs `msa-wizard ARGUMENTS` to its end: the operations in words, and how it ended."""
    return _run(machine, "--", *arguments)


def kill_at(machine: Machine, number: int, *arguments: str, after: float | None = None) -> str | None:
    """Kills `msa-wizard ARGUMENTS` just before its operation `number`, or `after` so many seconds after it.

    Returns the operation in words, None when the run ended before. The commands that it had started go on.
    """
    late = [] if after is None else ["--after", f"{after:g}"]
    names, done = _run(machine, "--kill-at", str(number), *late, "--", *arguments)
    return names[number - 1] if done.returncode == 128 + signal.SIGKILL else None


def _run(machine: Machine, *arguments: str) -> tuple[list[str], subprocess.CompletedProcess[str]]:
    script = Path(__file__).with_name("counter.py")
    machine.put(_SCRIPT, script.read_bytes())
    done = machine.run(["sh", "-c", _RUN, "sh", *arguments], check=False, timeout=600)
    return machine.read(_NAMES).decode().split("\n")[:-1], done
