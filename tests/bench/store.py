"""The snapshot store's numbers, as ratios of things timed side by side in one machine.

store 2000       a fresh process, started as the launcher starts the program, that records one changed file among 2,000 in
                 /etc, against `etckeeper commit` (0.8)
store 50000      the same among 50,000 (1.0)
store growth     what 48,000 files more add to a commit, against what a look at each of them costs (3)
store rollback   working out, writing and recording the way back of one file, against recording that file (1.5)
store size       the store after 1,000 commits, against a packed clone of it (1.2)
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from tests.system.images import with_whole_lists
from tests.system.machine import PROJECT, Machine

HERE = Path(__file__).parent
FEW, MANY = 2_000, 50_000

Times = dict[str, list[float]]


def measured() -> list[tuple[str, float, float, str]]:
    """Name, ratio of medians, the most it may be, and what was timed."""
    with Machine(with_whole_lists("bookworm", "ready")) as machine:
        machine.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q etckeeper", timeout=300)
        for name in ("store_times.py", "store_commit.py"):
            machine.put(f"/root/{name}", (HERE / name).read_bytes())
        python = machine.run("echo /var/lib/msa-wizard/venv-*/bin/python").stdout.strip()
        run = f"PYTHONPATH={PROJECT} PYTHONPYCACHEPREFIX=/root/pycache {python} /root/store_times.py"
        few, many = (_times(machine, f"{run} commits {count}") for count in (FEW, MANY))
        rollback = _times(machine, f"{run} rollback")
        size = _times(machine, f"{run} size")
    return [
        _against_etckeeper(FEW, few, 0.8),
        _against_etckeeper(MANY, many, 1.0),
        _growth(few, many),
        _rollback(rollback),
        ("store size", size["ours"][0] / size["git"][0], 1.2, "{ours} bytes, {git} as a packed clone".format(
            **{name: int(found[0]) for name, found in size.items()})),
    ]  # fmt: skip


def _times(machine: Machine, command: str) -> Times:
    found: Times = json.loads(machine.run(command, cwd="/root", timeout=1800).stdout)
    return found


def _against_etckeeper(count: int, times: Times, limit: float) -> tuple[str, float, float, str]:
    ours, inside, theirs = (statistics.median(times[name]) for name in ("process", "commit", "etckeeper"))
    detail = f"{ours:.3f} s with the start of Python ({inside:.3f} s the commit), {theirs:.3f} s by etckeeper"
    return f"store {count}", ours / theirs, limit, detail


def _growth(few: Times, many: Times) -> tuple[str, float, float, str]:
    commit, look = (
        statistics.median(many[name]) - statistics.median(few[name]) for name in ("commit", "look")
    )
    return "store growth", commit / look, 3.0, f"{commit:.3f} s more for a commit, {look:.3f} s more to look"


def _rollback(times: Times) -> tuple[str, float, float, str]:
    back, commit = (statistics.median(times[name]) for name in ("back", "commit"))
    return "store rollback", back / commit, 1.5, f"{back:.4f} s back, {commit:.4f} s for the commit"
